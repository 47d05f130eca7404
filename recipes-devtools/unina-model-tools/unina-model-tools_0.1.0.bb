SUMMARY = "Trains, compresses and exports detectors for the DLA"
DESCRIPTION = "The package unina for the build host and the SDK. Torch, onnx and onnxruntime have no recipes in \
               scarthgap and nobody trains on a car: they come from a virtual environment on the workstation (make setup)."

require recipes-ai/unina/unina-source.inc

SRC_URI += "file://model-tools;subdir=${BP}"

inherit python_hatchling

PEP517_SOURCE_PATH = "${S}/model-tools"
# pyproject.toml asks for a newer hatchling than scarthgap's and for editables, which only an editable install uses.
PEP517_BUILD_OPTS = "--skip-dependency-check"

RDEPENDS:${PN} = "python3-core python3-numpy python3-pyyaml"

BBCLASSEXTEND = "native nativesdk"
