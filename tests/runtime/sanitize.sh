#!/usr/bin/env bash
# Builds libunina, its programs and its tests with sanitizers and runs the tests: memory and undefined behaviour,
# then data races. The malformed-bundle tests of pytest run against the first build's programs as well.
set -euo pipefail
cd "$(dirname "$0")/../.."
for sanitize in address,undefined thread; do
  folder=build/sanitize-${sanitize%%,*}
  # -O1: at -O2 g++ needs minutes and gigabytes for the sanitised convolution kernels
  cmake -S runtime -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g" -DUNINA_BUILD_TESTS=ON \
    -DUNINA_SANITIZE="$sanitize" > /dev/null
  cmake --build "$folder"
  skip=()
  # GStreamer hands pictures from thread to thread by locks of its own, which ThreadSanitizer does not see.
  [ "$sanitize" = thread ] && skip=(-E '^Nvmm\.')
  TSAN_OPTIONS=suppressions=$PWD/tests/runtime/tsan.supp ctest --test-dir "$folder" --output-on-failure --no-tests=error -j 2 "${skip[@]}"
done
UNINA_PROGRAM_DIR=$PWD/build/sanitize-address/programs .venv/bin/python -m pytest -q tests/runtime -k "program or service" -m "not long"
