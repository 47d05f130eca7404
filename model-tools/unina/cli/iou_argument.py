"""An overlap of two boxes as an argument."""

import argparse


def iou(text: str) -> float:
    """For `type=` of argparse. Raises ArgumentTypeError for what is not between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text}: an overlap (IoU) between 0 and 1, such as 0.6")
    return value
