"""The node: `ros2 run unina_bridge bridge --ros-args -p socket:=/run/unina-detector/detections.sock`.

The only file that needs ROS.
"""

from __future__ import annotations

import rclpy
from builtin_interfaces.msg import Time
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    Point2D,
    Pose2D,
)

from unina_bridge.conversion import build, detection_array
from unina_bridge.socket_messages import messages

_KNOWN = (Time, Header, Point2D, Pose2D, BoundingBox2D, ObjectHypothesis, ObjectHypothesisWithPose, Detection2D)
TYPES = {one.__name__: one for one in (*_KNOWN, Detection2DArray)}


def main() -> None:
    """Publishes every message of the socket on `detections` until ROS ends."""
    rclpy.init()
    node = rclpy.create_node("unina_bridge")
    try:
        path = node.declare_parameter("socket", "/run/unina-detector/detections.sock").value
        frame_id = node.declare_parameter("frame_id", "camera").value
        publisher = node.create_publisher(Detection2DArray, "detections", qos_profile_sensor_data)
        for message in messages(path, rclpy.ok, node.get_logger().info):
            publisher.publish(build(detection_array(message, frame_id), TYPES))
            rclpy.spin_once(node, timeout_sec=0)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
