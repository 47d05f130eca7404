// The Python face of libunina.
#include <pybind11/pybind11.h>

#include "unina/error.h"

namespace unina::python {
void bind_host(pybind11::module_& module);
void bind_detector(pybind11::module_& module);
void bind_ring(pybind11::module_& module);
}  // namespace unina::python

PYBIND11_MODULE(_unina, module) {
  module.doc() = "libunina";
  pybind11::register_exception<unina::Error>(module, "UninaError", PyExc_ValueError);
  unina::python::bind_host(module);
  unina::python::bind_detector(module);
  unina::python::bind_ring(module);
}
