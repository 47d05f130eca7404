# Every target is a line or two; `make help` lists them.
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
DATA ?=
export KAS_WORK_DIR ?= $(HOME)/unina-image

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: ## system packages, .venv, both Python packages, the C++ build
	@./setup.sh

demo: setup ## synthetic cones (or DATA=…/data.yaml) to detections, into build/demo/
	@.venv/bin/python -m unina.cli.demo $(if $(DATA),--data $(DATA))

test: setup lint ## everything that fits in 15 minutes
	@cmake --build build/runtime -- --quiet
	@ctest --test-dir build/runtime --output-on-failure --no-tests=error -j 2 | tail -n 4
	@.venv/bin/python -m pytest -q tests -m "not long and not device"

test-long: setup ## sanitizers, fuzzing and soaks (about half an hour)
	@./tests/runtime/sanitize.sh && ./tests/runtime/fuzz.sh && .venv/bin/python -m pytest -q tests -m "long and not device"

test-layers: setup ## the image's layers; with OE_SOURCES=folder of upstream clones, all of the build short of compiling
	@.venv/bin/python -m pytest -q tests/layers $(if $(OE_SOURCES),,-m "not long")

test-device: setup ## boots the service in an emulated ARM machine, with faults; fetches a Debian for ARM the first time
	@.venv/bin/python -m pytest -q tests/device -m "not long"

test-device-long: setup ## the same, with a hundred power cuts of each kind and an hour of serving (about two hours)
	@.venv/bin/python -m pytest -q tests/device

image-qemu: setup ## builds the image for an emulated ARM machine and runs it (hours, and 100 GB)
	@mkdir -p $(KAS_WORK_DIR) && PATH="$(CURDIR)/.venv/bin:$$PATH" && kas build kas/qemuarm64.yml \
	  && kas shell kas/qemuarm64.yml -c 'truncate -s ">4G" data.img && runqemu nographic slirp'

lint: setup ## ruff, mypy (strict) and clang-format
	@.venv/bin/ruff check . && .venv/bin/ruff format --check --quiet . && .venv/bin/mypy
	@git ls-files '*.cpp' '*.h' | xargs .venv/bin/clang-format --dry-run -Werror

docs: setup ## the site of all pages and the Python reference: build/site/index.html
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict -f docs/site/mkdocs.yml

bench: setup ## engine speed beside ONNX Runtime and OpenVINO; with DATA=…, training beside D-FINE
	@.venv/bin/python runtime/bench/engine.py
	@$(if $(DATA),.venv/bin/python model-tools/bench/training.py --data $(DATA))

clean: ## removes build/ and .venv/
	@rm -rf build .venv

.PHONY: help setup demo test test-long test-layers test-device test-device-long image-qemu lint docs bench clean
.DEFAULT_GOAL := help
