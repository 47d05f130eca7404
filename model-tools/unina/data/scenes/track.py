"""A piece of a Formula Student track: a curved centre line with cones on both sides.

FSG rules D 4.1 and D 9.1: blue left, yellow right, orange at entry and exit, large orange at start, finish and timing;
at least 3 m wide, at most 5 m from cone to cone.
"""

import numpy as np
import numpy.typing as npt

from unina.data.scenes.cones import BLUE, LARGE_ORANGE, ORANGE, YELLOW, Cone

LENGTH_M = 90.0
STEP_M = 0.5


def centre_line(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """N×3 (x, y, heading from the y axis, radians) every STEP_M; starts at the origin, along y."""
    steps = int(LENGTH_M / STEP_M)
    knots = np.clip(rng.normal(0.0, 0.035, steps // 16 + 2), -0.11, 0.11)  # 1/m: hairpins of 9 m radius are the limit
    curvature = np.interp(np.arange(steps) / 16, np.arange(len(knots)), knots)
    heading = np.concatenate([[0.0], np.cumsum(curvature[:-1] * STEP_M)])
    x = np.cumsum(np.sin(heading)) * STEP_M
    y = np.cumsum(np.cos(heading)) * STEP_M
    return np.column_stack([x - x[0], y - y[0], heading])


def track_cones(rng: np.random.Generator) -> list[Cone]:
    """Cones of a random track, in the frame of its first point, in the order of the track."""
    line = centre_line(rng)
    half = rng.uniform(1.5, 2.6)
    spacing = rng.uniform(1.2, 5.0)
    swapped = rng.random() < 0.15  # seen against the direction of travel
    sides = [(-half, YELLOW if swapped else BLUE), (half, BLUE if swapped else YELLOW)]
    style = rng.random()
    start = rng.uniform(4, 40)
    lane = (start, start + rng.uniform(10, 40)) if style < 0.42 else (0.0, 0.0)  # of orange cones
    cones = []
    for offset, kind in sides:
        at = rng.uniform(0.0, spacing)
        while at < LENGTH_M - 1:
            here = ORANGE if lane[0] <= at < lane[1] else kind
            cones.append((at, _beside(rng, line, at, offset, here)))
            at += spacing * rng.uniform(0.75, 1.25)
    if style < 0.2 or style > 0.7:  # a gate; some stand before the orange lane
        at = lane[0] + rng.uniform(0.5, 3.0) if style < 0.2 else start
        for offset, _ in sides:
            for index in range(rng.integers(1, 3)):
                outer = offset + np.sign(offset) * rng.uniform(0.0, 0.3)
                cones.append((at, _beside(rng, line, at + index * rng.uniform(0.35, 0.7), outer, LARGE_ORANGE)))
    return [cone for _, cone in sorted(cones, key=lambda pair: pair[0])]


def _beside(rng: np.random.Generator, line: npt.NDArray[np.float64], at: float, offset: float, kind: int) -> Cone:
    """A cone `offset` metres to the right of the line, placed as people place cones."""
    x, y, heading = line[min(int(at / STEP_M), len(line) - 1)]
    offset += rng.normal(0.0, 0.08)
    # People set the plate along the line, more or less.
    yaw = -heading + (rng.normal(0.0, 0.2) if rng.random() < 0.5 else rng.uniform(0, np.pi / 2))
    return Cone(
        kind,
        x + offset * np.cos(heading) + rng.normal(0.0, 0.05),
        y - offset * np.sin(heading) + rng.normal(0.0, 0.05),
        yaw if (upright := rng.random() > 0.012) else rng.uniform(0, 2 * np.pi),
        fallen=not upright,
    )


def scattered_cones(rng: np.random.Generator) -> list[Cone]:
    """Cones in no order: stacks beside the track, a skid pad's middle, cones put down for a photograph."""
    first = int(rng.choice(4, p=[0.3, 0.3, 0.22, 0.18]))
    mixed = rng.random() < 0.6
    cones = []
    spread = rng.uniform(1.0, 9.0)
    for _ in range(rng.integers(5, 40)):
        kind = int(rng.choice(4, p=[0.32, 0.32, 0.2, 0.16])) if mixed else first
        x, y = rng.normal(0.0, spread, 2) * (1.0, 2.2)
        cones.append(Cone(kind, x, y, rng.uniform(0, 2 * np.pi), fallen=bool(rng.random() < 0.03)))
        if rng.random() < 0.2:  # a neighbour close by
            dx, dy = rng.uniform(0.26, 0.6) * np.array([np.cos(turn := rng.uniform(0, 2 * np.pi)), np.sin(turn)])
            cones.append(Cone(kind, x + dx, y + dy, rng.uniform(0, 2 * np.pi)))
    return cones
