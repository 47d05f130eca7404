#include <pybind11/pybind11.h>

namespace unina::python {
void bind_detector(pybind11::module_&) {}
}  // namespace unina::python
