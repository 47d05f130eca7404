#!/usr/bin/env bash
# Trains the shipped model from nothing: scenes, negatives, two trainings, the bundle. Steps that are done are not repeated.
# Hours on a CPU. Run from the repository's root, with the real pictures in ../shared/data/cones.
set -euo pipefail
export PATH="$PWD/.venv/bin:$PATH"
real=../shared/data/cones/fs_feb/data.yaml
out=build/training
[ -f "$real" ] || { echo "train.sh: $real: no such data set; name your own in model-tools/specs/cones.yaml" >&2; exit 2; }
mkdir -p "$out"

[ -d "$out/negatives" ] || python model-tools/training/negatives.py "$out/negatives" --cache "$out/packages"
[ -d "$out/scenes" ] || unina-data synthesize --output "$out/scenes" --train 3000 --val 100 --seed 23 \
  --width 960 --height 540 --backdrops "$out/negatives/images/train"

# run SPEC RUN: begins the run or goes on with it (before its first checkpoint: anew); a finished one only validates again
run() {
  if [ -f "$2/checkpoint.pt" ]; then unina-train "$1" --output "$2" --resume
  elif [ -d "$2" ]; then unina-train "$1" --output "$2" --force
  else unina-train "$1" --output "$2"; fi
}
run model-tools/specs/cones-pretrain.yaml "$out/pretrain"
run model-tools/specs/cones.yaml "$out/cones"

unina-export "$out/cones/checkpoint.pt" --data "$real" --calibration mse --output "$out/cones.unina" --force
python model-tools/training/slim.py "$out/cones/checkpoint.pt" "$out/cones.pt"
