#include <pybind11/pybind11.h>

namespace unina::python {
void bind_host(pybind11::module_&) {}
}  // namespace unina::python
