"""What the GPU makes of a bundle, to hold the DLA against: times, and detections that unina-eval scores.

On a Jetson:       python3 gpu_baseline.py cones.unina pictures found.jsonl --precision fp32
On a workstation:  unina-eval cones.unina --detections found.jsonl --data data.yaml

The first run builds the engine beside the output, which takes minutes.
"""

import argparse
import hashlib
import json
import statistics
from pathlib import Path

import cv2

from unina_runtime import Bundle
from unina_runtime.tensorrt import Detector, build_engine

EVERYTHING = 0.005  # a score: a curve of precision and recall needs more than what the car would take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path, help="a folder")
    parser.add_argument("output", type=Path, help="JSON Lines, as unina-detector writes them")
    parser.add_argument("--precision", choices=["fp32", "fp16"], default="fp16")
    options = parser.parse_args()

    engine = options.output.with_suffix(f".{options.precision}.engine")
    if not engine.exists():
        build_engine(Bundle(options.bundle), engine, precision=options.precision)
    manifest = Bundle(options.bundle).manifest
    run = {
        "bundle": manifest["name"],
        "manifest_sha256": hashlib.sha256((options.bundle / "manifest.json").read_bytes()).hexdigest(),
        "accelerator": f"tensorrt {options.precision}",
        "classes": manifest["classes"],
        "input": {side: manifest["input"][side] for side in ("width", "height")},
        "thresholds": [EVERYTHING] * len(manifest["classes"]),
        "max_detections": manifest["max_detections"],
    }
    times: list[dict[str, float]] = []
    with Detector(options.bundle, engine, EVERYTHING) as detector, options.output.open("w") as output:
        for frame, path in enumerate(sorted(options.pictures.iterdir())):
            picture = cv2.imread(str(path))
            if picture is None:
                print(f"{path}: no picture, left out")
                continue
            found = detector.detect(picture)
            times.append(detector.times)
            line = {
                **{"schema": 1, "frame": frame, "source": path.name},
                **{"width": picture.shape[1], "height": picture.shape[0], "latency_ms": detector.times},
                "run": run,
                "detections": [
                    {"class": detector.classes[c], "class_id": int(c), "score": float(score), "box": box.tolist()}
                    for box, score, c in zip(found.boxes, found.scores, found.classes, strict=True)
                ],
            }
            output.write(json.dumps(line) + "\n")
    for stage in times[0] if times else ():
        print(f"{stage:<12}{statistics.median(one[stage] for one in times):8.3f} ms (median of {len(times)})")


if __name__ == "__main__":
    main()
