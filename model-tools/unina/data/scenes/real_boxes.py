"""What real cone boxes look like: the figures that synthetic scenes must match.

Percentiles over 272,745 boxes of 39,277 labelled pictures, FSOCO's first release, counted from the labels in
github.com/ddavid/fsoco at commit 71376b18 (labels Apache-2.0). Relative to the picture's width and height.
"""

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)
WIDTH = (0.00667, 0.00859, 0.01328, 0.02188, 0.04006, 0.07394, 0.12188)
HEIGHT = (0.0166, 0.02051, 0.0293, 0.04883, 0.08696, 0.16144, 0.24919)
CENTRE_Y = (0.1594, 0.2319, 0.3986, 0.5104, 0.5791, 0.665, 0.7354)
BOXES_PER_PICTURE = (1, 1, 2, 5, 9, 15, 22)
"""of pictures with at least one box"""
