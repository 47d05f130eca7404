"""Data sets: YOLO-txt in and out, checks, statistics, synthetic cone scenes.

`unina.data.letterbox` is imported by its own name: it alone needs the runtime.
"""

from unina.data.dataset import Dataset, Sample, label_path, load_dataset
from unina.data.faults import DataError, Fault
from unina.data.images import image_size, read_image
from unina.data.remap import remap, remap_dataset

__all__ = [
    "DataError",
    "Dataset",
    "Fault",
    "Sample",
    "image_size",
    "label_path",
    "load_dataset",
    "read_image",
    "remap",
    "remap_dataset",
]
