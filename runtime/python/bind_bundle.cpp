// A verified bundle for Python.
#include <pybind11/pybind11.h>

#include <string>

#include "unina/bundle.h"

namespace py = pybind11;

namespace unina::python {

void bind_bundle(py::module_& module) {
  py::class_<Bundle>(module, "Bundle")
      .def(py::init(&Bundle::open), py::call_guard<py::gil_scoped_release>(), py::arg("path"))
      .def_property_readonly("manifest_json",
                             [](const Bundle& bundle) { return bundle.manifest().json; })
      .def(
          "read",
          [](const Bundle& bundle, const std::string& name) {
            std::vector<std::uint8_t> bytes;
            {
              const py::gil_scoped_release release;
              bytes = bundle.read(name);
            }
            return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          },
          py::arg("name"));
}

}  // namespace unina::python
