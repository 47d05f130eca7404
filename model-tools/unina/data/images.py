"""Pictures: their size from the header alone, their pixels by OpenCV.

JPEG markers: ITU-T T.81 annex B; orientation: Exif 2.32, tag 0x0112; PNG chunks: W3C PNG, section 5.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.faults import DataError, Fault

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""SOF0…SOF15 without DHT, JPG and DAC"""
TURNED = frozenset({5, 6, 7, 8})
"""Exif orientations that swap width and height"""


class Damaged(ValueError):
    """Why a picture can't be used, without the file's name."""


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """The picture as uint8 H×W×3 BGR, turned as its Exif orientation says.

    Raises:
        DataError: the file is missing, no picture, or cut short.
    """
    image_size(path)  # OpenCV pads a truncated JPEG with grey and says nothing
    pixels = _decode(path)
    if pixels is None:
        raise DataError([Fault(path, None, "", "OpenCV can't decode this picture; save it again as PNG or JPEG")])
    return pixels


def read_thumbnail(path: Path, least: int) -> npt.NDArray[np.uint8]:
    """The picture in grey, uint8 H×W, its shorter side at least `least` where it has that many pixels.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that is enough: much quicker than the whole.

    Raises:
        DataError: the file is missing, no picture, or cut short.
    """
    shorter = min(image_size(path))
    flags = {8: cv2.IMREAD_REDUCED_GRAYSCALE_8, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
    flag = next((flag for factor, flag in flags.items() if shorter >= factor * least), cv2.IMREAD_GRAYSCALE)
    pixels = _decode(path, flag)
    if pixels is None:
        raise DataError([Fault(path, None, "", "OpenCV can't decode this picture; save it again as PNG or JPEG")])
    return pixels


def image_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels as `read_image` would return them, read from the header where that is enough.

    Raises:
        DataError: the file is missing, no picture, or cut short.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if head == PNG_SIGNATURE:
                return _png_size(file)
            if head[:2] == JPEG_START:
                return _jpeg_size(file)
    except FileNotFoundError:
        raise DataError([Fault(path, None, "", "no such picture; restore it or take it off the list")]) from None
    except (OSError, Damaged, struct.error) as error:
        why = str(error) if isinstance(error, Damaged) else f"can't be read ({error})"
        raise DataError([Fault(path, None, "", f"{why}; copy the picture again or remove it and its labels")]) from None
    if not head:
        raise DataError([Fault(path, None, "", "the file is empty; copy the picture again or remove it")])
    pixels = _decode(path)
    if pixels is None:
        raise DataError([Fault(path, None, "", "not a picture that OpenCV can read; save it as PNG or JPEG")])
    return pixels.shape[1], pixels.shape[0]


def _decode(path: Path, flag: int = cv2.IMREAD_COLOR) -> npt.NDArray[np.uint8] | None:
    """The pixels, or None for whatever reason OpenCV has."""
    try:
        pixels = cv2.imdecode(np.fromfile(path, dtype=np.uint8), flag)
    except cv2.error:  # above its limit of pixels, among others
        return None
    return None if pixels is None else np.asarray(pixels, dtype=np.uint8)


def _png_size(file: BinaryIO) -> tuple[int, int]:
    """Of a PNG whose signature has been read."""
    header = file.read(16)
    if len(header) < 16 or header[4:8] != b"IHDR":
        raise Damaged("the PNG header is cut short or damaged")
    width, height = struct.unpack(">II", header[8:16])
    if not width or not height:
        raise Damaged(f"the PNG header says {width}×{height} pixels")
    file.seek(max(0, file.seek(0, 2) - 4096))
    if b"IEND" not in file.read():
        raise Damaged("the PNG is truncated: its end (IEND) is missing")
    return width, height


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    """Of a JPEG whose first two bytes are right; walks the markers up to the scan."""
    size: tuple[int, int] | None = None
    orientation = 1
    file.seek(2)
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":  # a marker may be filled up with any number of 0xff
            byte = file.read(1)
        if not byte:
            raise Damaged("the JPEG is truncated: it ends before its pixels begin")
        marker = byte[0]
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue
        if marker == 0xD9:
            raise Damaged("the JPEG holds no pixels")
        length = struct.unpack(">H", file.read(2))[0] - 2
        body = file.read(length)
        if length < 0 or len(body) < length:
            raise Damaged("the JPEG is truncated: it ends before its pixels begin")
        if marker in FRAME_MARKERS:
            height, width = struct.unpack(">HH", body[1:5])
            size = (width, height)
        elif marker == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = _orientation(body[6:])
        elif marker == 0xDA:
            break
    if size is None or not all(size):
        raise Damaged("the JPEG has no frame header, or a size of 0")
    scan = file.tell()
    file.seek(-2, 2)
    if file.read(2) != JPEG_END:  # most files end here; some carry a trailer behind the end marker
        file.seek(scan)
        if JPEG_END not in file.read():
            raise Damaged("the JPEG is truncated: its end marker is missing")
    return (size[1], size[0]) if orientation in TURNED else size


def _orientation(tiff: bytes) -> int:
    """Exif orientation of a TIFF block, 1 (upright) where it says none."""
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (start,) = struct.unpack(order + "I", tiff[4:8])
        (entries,) = struct.unpack(order + "H", tiff[start : start + 2])
        for index in range(entries):
            entry = tiff[start + 2 + 12 * index :]
            tag, _, _, value = struct.unpack(order + "HHIH", entry[:10])
            if tag == 0x0112:
                return int(value)
    except (KeyError, struct.error):
        return 1  # damaged Exif: OpenCV ignores it too
    return 1
