"""The `distil:` part of a training spec: a larger detector that teaches this one."""

from dataclasses import dataclass

from unina.train.ranges import check_range


@dataclass(frozen=True)
class DistilSpec:
    """Knowledge distillation along three ways: features, class scores, box distributions (docs/training.md)."""

    teacher: str = ""
    """checkpoint of a detector of the same classes; its widths and levels may differ"""

    features: float = 1.0
    """weight of the feature loss; 0 leaves it out"""

    logits: float = 1.0
    """weight of the class loss; 0 leaves it out"""

    boxes: float = 1.0
    """weight of the loss on box distributions; 0 leaves it out"""

    temperature: float = 2.0
    """scores and distributions are softened by it before they are compared"""

    confident: float = 0.2
    """boxes are learnt where a score of the teacher reaches this"""

    background: float = 0.25
    """part of the feature loss that lies outside the labelled boxes"""

    final: float = 0.1
    """all weights fall to this part of themselves along a cosine: at the end the labels have the last word"""

    def __post_init__(self) -> None:
        if not self.teacher:
            raise ValueError("distil.teacher: missing; name the checkpoint of a larger detector")
        for name in ("features", "logits", "boxes"):
            check_range(f"distil.{name}", getattr(self, name), 0, 1e3)
        check_range("distil.temperature", self.temperature, 0.25, 20)
        for name in ("confident", "background", "final"):
            check_range(f"distil.{name}", getattr(self, name), 0, 1)
