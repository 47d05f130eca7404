"""Energy of a DLA beside that of the GPU: only ratios are published for Orin, no watt.

Images per joule of the DLA over those of the GPU, the power of the accelerators alone, on a Jetson AGX Orin 64 GB
(NVIDIA/Deep-Learning-Accelerator-SW README, commit ea61780): lowest and highest of five networks dense, three sparse.
"""

PER_WATT: dict[tuple[str, bool], tuple[float, float]] = {
    ("MAXN", False): (3.5, 4.3),
    ("50W", False): (2.9, 3.7),
    ("30W", False): (2.6, 3.4),
    ("15W", False): (3.9, 5.0),
    ("MAXN", True): (3.4, 4.7),
    ("50W", True): (3.0, 4.1),
    ("30W", True): (2.7, 3.7),
    ("15W", True): (4.1, 5.6),
}
"""Power mode and whether the weights are 2:4 sparse → times as much work a joule as the GPU does."""
