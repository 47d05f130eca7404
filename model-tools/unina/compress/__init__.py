"""Compression: calibration of activation ranges."""
