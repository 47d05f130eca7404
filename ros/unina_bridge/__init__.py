"""Detections of unina-detector's socket as ROS 2 messages."""
