#!/usr/bin/env bash
# Makes a fresh Debian 12 ready: system packages, .venv, both Python packages, the C++ build.
# Safe to repeat: what is already there is left alone. Downloads are timed apart from the rest.
# Honours PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL and PYTHON.
set -euo pipefail
cd "$(dirname "$0")"

packages=(python3-venv python3-dev g++ cmake ninja-build pkg-config
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev
  libhwy-dev nlohmann-json3-dev libcli11-dev libssl-dev libgtest-dev libzmq3-dev libmosquitto-dev)
python=${PYTHON:-python3}
jobs=${UNINA_JOBS:-$(nproc)}
download_s=0
work_s=0

die() { printf 'setup: %s\n' "$*" >&2; exit 2; }

# timed VARIABLE COMMAND...: adds the seconds that the command took to the variable
timed() {
  local -n total=$1; shift
  local begin=$SECONDS
  "$@" || return
  total=$((total + SECONDS - begin))
}

system_packages() {
  command -v dpkg-query >/dev/null || die "this is not a Debian-like system; install the equivalents of: ${packages[*]}"
  local missing=() name
  for name in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return
  echo "setup: system packages to install: ${missing[*]}"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo; ask an administrator for: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0)
  timed download_s "${apt[@]}" update || die "apt-get update failed; needed: ${missing[*]}"
  timed download_s "${apt[@]}" install --no-install-recommends --download-only "${missing[@]}" >/dev/null \
    || die "apt-get could not download: ${missing[*]}"
  timed work_s "${apt[@]}" install --no-install-recommends "${missing[@]}" >/dev/null \
    || die "apt-get could not install: ${missing[*]}"
}

# Prints what the two pyproject files, the developer tools, the layers' tests and the site ask of the package index, one a line.
requirements() {
  .venv/bin/python - <<'PY'
import tomllib
for path in ("runtime/pyproject.toml", "model-tools/pyproject.toml"):
    with open(path, "rb") as file:
        project = tomllib.load(file)
    wanted = list(project["build-system"]["requires"]) + project["project"].get("dependencies", [])
    wanted += project["project"].get("optional-dependencies", {}).get("dev", [])
    print("\n".join(r for r in wanted if not r.startswith("unina-")))
for path in ("tests/layers/requirements.txt", "docs/site/requirements.txt"):
    with open(path, encoding="utf-8") as file:
        print("\n".join(line.partition("#")[0].strip() for line in file if line.partition("#")[0].strip()))
PY
}

python_packages() {
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || die "Python 3.11 or newer is needed, $("$python" --version 2>&1) found; set PYTHON=/path/to/python3"
  if [ ! -x .venv/bin/python ]; then
    timed work_s "$python" -m venv .venv || die "could not make .venv with $python"
  fi
  mkdir -p build/wheels
  requirements > build/requirements.new
  if ! cmp -s build/requirements.new build/requirements.txt; then
    echo "setup: downloading Python packages"
    timed download_s .venv/bin/python -m pip download --quiet --dest build/wheels -r build/requirements.new \
      || die "pip could not download the packages of build/requirements.new; set PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL if you have a mirror"
    echo "setup: installing Python packages"
    timed work_s .venv/bin/python -m pip install --quiet --no-index --find-links build/wheels -r build/requirements.new \
      || die "pip could not install from build/wheels; remove .venv and build/wheels, then repeat"
    mv build/requirements.new build/requirements.txt
  fi
}

# install STAMP DIRECTORY PIP-ARGUMENTS...: installs when a file of DIRECTORY is newer than the stamp
install() {
  local stamp=build/$1.stamp directory=$2; shift 2
  if [ -e "$stamp" ] && [ -z "$(find "$directory" -newer "$stamp" -type f -not -name '*.pyc' -print -quit)" ]; then return; fi
  echo "setup: building $directory"
  touch "$stamp.new"
  CMAKE_BUILD_PARALLEL_LEVEL=$jobs timed work_s .venv/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation "$@" "$directory" \
    > build/install.log 2>&1 || { tail -n 60 build/install.log >&2; die "building $directory failed; the whole log: build/install.log"; }
  mv "$stamp.new" "$stamp"
}

mkdir -p build
exec 9> build/setup.lock
flock 9  # two setups of one tree take turns
system_packages
python_packages
install runtime ./runtime --force-reinstall
install model-tools ./model-tools --editable
if [ $((download_s + work_s)) -gt 0 ]; then
  echo "setup: ready in $work_s s, and $download_s s of downloads"
fi
