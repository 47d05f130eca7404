"""TensorBoard's view of a run: the columns of metrics.csv as curves, and pictures with their boxes."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from unina.train.history import EpochRow
from unina.train.loader import Batch

FOLDER = "tensorboard"
SHOWN = 8
"""Pictures in one sheet."""
COLORS = ((40, 90, 255), (255, 220, 40), (255, 130, 30), (255, 60, 60), (60, 220, 90), (230, 80, 230))
"""RGB of class 0, 1, …"""


class Events:
    """Writes event files into RUN_DIR/tensorboard; nothing when switched off."""

    def __init__(self, output: Path, step: int, on: bool) -> None:
        """`step`: where the run goes on; what an earlier session wrote beyond it is hidden."""
        self.writer: Any = None
        if on:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (takes seconds to load)

            self.writer = SummaryWriter(str(output / FOLDER), purge_step=step + 1 if step else None)

    def row(self, row: EpochRow) -> None:
        """The figures of an epoch, at its last step."""
        if self.writer is None:
            return
        for name, value in asdict(row).items():
            if value is not None and name not in {"epoch", "step"}:
                self.writer.add_scalar(f"{'val' if name.startswith('map') else 'train'}/{name}", value, row.step)
        self.writer.flush()

    def crops(self, batch: Batch, step: int) -> None:
        """Training crops as the network gets them, with the boxes that they teach and, in grey, those ignored."""
        if self.writer is None:
            return
        targets = batch.targets
        sheet = []
        for number, plane in enumerate(batch.x[:SHOWN].cpu().numpy()):
            pixels = (plane.transpose(1, 2, 0) + 128).clip(0, 255).astype(np.uint8)
            mine, grey = (targets.images == number).cpu(), (targets.ignored_images == number).cpu()
            drawn = draw_boxes(pixels, targets.ignored.cpu()[grey].numpy(), [-1] * int(grey.sum()))
            labels = [int(label) for label in targets.classes.cpu()[mine]]
            sheet.append(draw_boxes(drawn, targets.boxes.cpu()[mine].numpy(), labels))
        self.sheet("train/crops", sheet, step)

    def sheet(self, title: str, pictures: Sequence[npt.NDArray[np.uint8]], step: int) -> None:
        """RGB pictures, uint8 H×W×3 of one size, in one image."""
        if self.writer is not None and pictures:
            self.writer.add_images(title, np.stack(pictures), step, dataformats="NHWC")

    def close(self) -> None:
        """Writes what is left."""
        if self.writer is not None:
            self.writer.close()


def draw_boxes(
    pixels: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float32], classes: Sequence[int]
) -> npt.NDArray[np.uint8]:
    """A copy of the RGB picture with a frame a box (N×4 xyxy), coloured by class; −1 is grey."""
    drawn = np.array(pixels, order="C")
    for (x0, y0, x1, y1), label in zip(np.rint(boxes).astype(int).tolist(), classes, strict=True):
        color = (128, 128, 128) if label < 0 else COLORS[label % len(COLORS)]
        cv2.rectangle(drawn, (x0, y0), (x1 - 1, y1 - 1), color, 1)
    return drawn
