// The network of a bundle for Python: picture in, real values of every output out.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <string>
#include <vector>

#include "engine_device.h"
#include "held_image.h"
#include "unina/network.h"

namespace py = pybind11;

namespace unina::python {
namespace {

class PythonNetwork {
 public:
  PythonNetwork(const std::string& path, const std::string& accelerator, int threads, int dla,
                const std::string& dla_loadable, int dla_timeout_ms, const std::string& engine,
                const std::string& engine_on)
      : network_(path, options(accelerator, threads, dla, dla_loadable, dla_timeout_ms, engine,
                               engine_on)) {}

  py::dict run(const py::object& image, const std::string& pixel_format) {
    const HeldImage held(image, pixel_format);
    std::vector<py::array_t<float>> maps;
    std::vector<float*> to;
    for (const TensorView& view : network_.outputs()) {
      const TensorFormat& f = view.format;
      maps.emplace_back(std::vector<py::ssize_t>{1, f.channels, f.height, f.width});
      to.push_back(maps.back().mutable_data());
    }
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> one_at_a_time(mutex_);
      network_.run(held.view());
      for (std::size_t i = 0; i < to.size(); ++i) read_real(network_.outputs()[i], to[i]);
    }
    py::dict named;
    for (std::size_t i = 0; i < to.size(); ++i) {
      named[py::str(network_.outputs()[i].name)] = maps[i];
    }
    return named;
  }

  py::dict times() {
    double preprocess_ms = 0, infer_ms = 0;
    {
      const py::gil_scoped_release release;  // never the mutex while others wait for Python
      const std::lock_guard<std::mutex> lock(mutex_);
      preprocess_ms = network_.preprocess_ms();
      infer_ms = network_.infer_ms();
    }
    py::dict out;
    out["preprocess"] = preprocess_ms;
    out["infer"] = infer_ms;
    return out;
  }
  const std::string& manifest_json() const { return network_.manifest().json; }
  std::string accelerator() const { return network_.accelerator_name(); }
  const std::string& accelerator_reason() const { return network_.accelerator_reason(); }

 private:
  static NetworkOptions options(const std::string& accelerator, int threads, int dla,
                                const std::string& dla_loadable, int dla_timeout_ms,
                                const std::string& engine, const std::string& engine_on) {
    NetworkOptions options;
    options.accelerator = accelerator;
    options.threads = threads;
    options.dla.core = dla;
    options.dla.loadable = dla_loadable;
    options.dla.timeout_ms = dla_timeout_ms;
    options.tensorrt.engine = engine;
    options.tensorrt.dla_core = engine_device(engine_on);
    return options;
  }

  Network network_;
  std::mutex mutex_;
};

}  // namespace

void bind_network(py::module_& module) {
  py::class_<PythonNetwork>(module, "Network")
      .def(py::init<const std::string&, const std::string&, int, int, const std::string&, int,
                    const std::string&, const std::string&>(),
           py::call_guard<py::gil_scoped_release>(), py::arg("path"), py::arg("accelerator"),
           py::kw_only(), py::arg("threads"), py::arg("dla"), py::arg("dla_loadable"),
           py::arg("dla_timeout_ms"), py::arg("engine"), py::arg("engine_on"))
      .def("run", &PythonNetwork::run, py::arg("image"), py::arg("pixel_format"))
      .def_property_readonly("times", &PythonNetwork::times)
      .def_property_readonly("manifest_json", &PythonNetwork::manifest_json)
      .def_property_readonly("accelerator", &PythonNetwork::accelerator)
      .def_property_readonly("accelerator_reason", &PythonNetwork::accelerator_reason);
}

}  // namespace unina::python
