#!/usr/bin/env bash
# Fuzzes what reads bundles, configurations, sockets and rings of pictures, with sanitizers: fuzz.sh [SECONDS_EACH
# [TARGET...]]. Findings are written to build/fuzz/findings; the corpus of the repository is read, never changed. With
# clang it is libFuzzer, which looks where the code goes; without, random changes of the corpus under g++'s sanitizers,
# which finds less.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-60}
targets=("${@:2}")
[[ $seconds =~ ^[0-9]+$ ]] || { echo "fuzz: $seconds is no number of seconds; usage: fuzz.sh [SECONDS_EACH [TARGET...]]" >&2; exit 2; }
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(sed -n 's/^set(UNINA_FUZZ_TARGETS \(.*\))/\1/p' tests/runtime/fuzz/CMakeLists.txt | tr ' ' '\n')
fi
findings=build/fuzz/findings
mkdir -p "$findings"

# build DIRECTORY PREFIX CMAKE-ARGUMENTS...: the targets, with AddressSanitizer and UndefinedBehaviorSanitizer
build() {
  local directory=$1 prefix=$2; shift 2
  cmake -S runtime -B "$directory" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DUNINA_BUILD_TESTS=ON \
    -DUNINA_SANITIZE=address,undefined "$@" > /dev/null
  cmake --build "$directory" --target "${targets[@]/#/$prefix}" | tail -n 1
}

# clang without its runtime compiles and then fails to link, so it is asked for a whole program.
if printf 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
  clang++ -x c++ -fsanitize=fuzzer,address - -o /dev/null 2> /dev/null; then
  CXX=clang++ build build/fuzz fuzz_ -DUNINA_FUZZ=ON -DUNINA_WERROR=OFF
  for target in "${targets[@]}"; do
    learnt=build/fuzz/corpus/$target  # for the next run
    mkdir -p "$learnt"
    echo "fuzz: $target, $seconds s"
    build/fuzz/tests/fuzz/fuzz_"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2560 -max_len=65536 -print_final_stats=1 \
      -artifact_prefix="$findings/$target-" "$learnt" tests/runtime/fuzz/corpus/"$target" 2> build/fuzz/"$target".log \
      || { tail -n 40 build/fuzz/"$target".log >&2; exit 1; }
    grep -E 'number_of_executed_units|peak_rss' build/fuzz/"$target".log
  done
else
  echo "fuzz: NO COVERAGE: no clang with libFuzzer here (apt-get install clang libclang-rt-14-dev); random changes instead" >&2
  build build/sanitize-address replay_
  for target in "${targets[@]}"; do
    echo "fuzz: $target, $seconds s"
    build/sanitize-address/tests/fuzz/replay_"$target" --mutate "$seconds" "$findings/$target-last" tests/runtime/fuzz/corpus/"$target" \
      || { echo "fuzz: the input that ended it: $findings/$target-last" >&2; exit 1; }
  done
fi
