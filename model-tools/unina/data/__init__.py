"""Data sets: four formats in and out, checks, class maps, statistics, synthetic cone scenes."""

from unina.data.dataset import Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.images import image_size, read_image
from unina.data.load import load_dataset
from unina.data.remap import remap, remap_dataset

__all__ = [
    "DataError",
    "Dataset",
    "Fault",
    "Sample",
    "image_size",
    "load_dataset",
    "read_image",
    "remap",
    "remap_dataset",
]
