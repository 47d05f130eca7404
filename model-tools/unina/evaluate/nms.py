"""Non-maximum suppression, only to measure that the one-to-one head does without it."""

import numpy as np

from unina.evaluate.match import iou_matrix
from unina_runtime import Detections


def class_wise_nms(found: Detections, iou: float) -> Detections:
    """Drops a detection that overlaps one of its class with a higher score by more than `iou`."""
    kept = np.zeros(len(found), bool)
    order = np.argsort(-found.scores, kind="stable")
    for label in np.unique(found.classes):
        rows = order[found.classes[order] == label]
        overlaps = np.triu(iou_matrix(found.boxes[rows], found.boxes[rows]) > iou, k=1)
        alive = np.ones(len(rows), bool)
        for index in np.flatnonzero(overlaps.any(axis=1)):
            if alive[index]:
                alive &= ~overlaps[index]
        kept[rows[alive]] = True
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept])
