"""Synthetic Formula Student scenes: geometry first (boxes need no pixel), then paint, then the camera's faults."""
