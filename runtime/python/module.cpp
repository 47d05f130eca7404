// The Python face of libunina.
#include <pybind11/pybind11.h>

#include "unina/error.h"

namespace unina::python {
void bind_bundle(pybind11::module_& module);
void bind_decode(pybind11::module_& module);
void bind_detector(pybind11::module_& module);
void bind_host(pybind11::module_& module);
void bind_letterbox(pybind11::module_& module);
void bind_network(pybind11::module_& module);
void bind_ring(pybind11::module_& module);
}  // namespace unina::python

PYBIND11_MODULE(_unina, module) {
  module.doc() = "libunina";
  pybind11::register_exception<unina::Error>(module, "UninaError", PyExc_ValueError);
  unina::python::bind_letterbox(module);  // first: others have placements among their arguments
  unina::python::bind_bundle(module);
  unina::python::bind_decode(module);
  unina::python::bind_detector(module);
  unina::python::bind_host(module);
  unina::python::bind_network(module);
  unina::python::bind_ring(module);
}
