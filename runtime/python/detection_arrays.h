// Detections for Python.
#pragma once

#include <pybind11/numpy.h>

#include "unina/detections.h"

namespace unina::python {

// (boxes float32 N x 4, scores float32 N, classes int32 N): views into the detections themselves,
// which live as long as one of the arrays does.
pybind11::tuple to_arrays(Detections&& found);

}  // namespace unina::python
