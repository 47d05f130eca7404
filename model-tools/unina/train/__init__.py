"""Training: assignment, losses, augmentation and a loop that can stop and resume at any step."""

from unina.train.spec import AugmentSpec, RunSpec, TrainSpec

__all__ = ["AugmentSpec", "RunSpec", "TrainSpec"]
