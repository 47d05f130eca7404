"""From a message of the detections socket to what vision_msgs/Detection2DArray holds; knows no ROS.

The classes have the names and fields of the messages (vision_msgs 4, ROS 2 Humble and later), so that `build` can make
the real ones from them without knowing any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

SCHEMA = 2


@dataclass(frozen=True)
class Time:
    sec: int
    nanosec: int


@dataclass(frozen=True)
class Header:
    stamp: Time
    frame_id: str


@dataclass(frozen=True)
class Point2D:
    x: float
    y: float


@dataclass(frozen=True)
class Pose2D:
    position: Point2D
    theta: float


@dataclass(frozen=True)
class BoundingBox2D:
    center: Pose2D
    size_x: float
    size_y: float


@dataclass(frozen=True)
class ObjectHypothesis:
    class_id: str
    score: float


@dataclass(frozen=True)
class ObjectHypothesisWithPose:
    hypothesis: ObjectHypothesis


@dataclass(frozen=True)
class Detection2D:
    header: Header
    results: tuple[ObjectHypothesisWithPose, ...]
    bbox: BoundingBox2D
    id: str


@dataclass(frozen=True)
class Detection2DArray:
    header: Header
    detections: tuple[Detection2D, ...]


def detection_array(message: Mapping[str, Any], frame_id: str) -> Detection2DArray:
    """Converts one message of the socket (docs/service.md, "Messages").

    Args:
        message: the parsed JSON.
        frame_id: the camera's frame for the header.

    Returns:
        Boxes in pixels of the source picture, in the message's order; the stamp is the picture's capture in
        `CLOCK_REALTIME`, as the clock of ROS has it. `class_id` is the class's name.

    Raises:
        ValueError: the message has a schema that this converter does not know.
    """
    if message.get("schema") != SCHEMA:
        raise ValueError(
            f"the socket speaks schema {message.get('schema')!r}, this bridge schema {SCHEMA}; "
            "install both from one release"
        )
    seconds, nanoseconds = divmod(int(message["captured_realtime_ns"]), 1_000_000_000)
    header = Header(Time(seconds, nanoseconds), frame_id)
    detections = []
    for one in message["detections"]:
        x0, y0, x1, y1 = (float(side) for side in one["box"])
        center = Pose2D(Point2D((x0 + x1) / 2, (y0 + y1) / 2), 0.0)
        result = ObjectHypothesisWithPose(ObjectHypothesis(str(one["class"]), float(one["score"])))
        detections.append(Detection2D(header, (result,), BoundingBox2D(center, x1 - x0, y1 - y0), ""))
    return Detection2DArray(header, tuple(detections))


def build(plain: Any, types: Mapping[str, Callable[[], Any]]) -> Any:
    """Makes the real message: `types` gives the constructor for each class name above."""
    if isinstance(plain, tuple):
        return [build(one, types) for one in plain]
    if not is_dataclass(plain):
        return plain
    message = types[type(plain).__name__]()
    for field in fields(plain):
        setattr(message, field.name, build(getattr(plain, field.name), types))
    return message
