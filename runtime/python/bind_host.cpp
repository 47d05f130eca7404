// HostEngine for Python: NumPy NCHW in and out, the engine's own formats inside.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>
#include <string>

#include "unina/error.h"
#include "unina/host_engine.h"

namespace py = pybind11;

namespace unina::python {
namespace {

using Array = py::array_t<std::int8_t, py::array::c_style>;

std::string tensor_text(const TensorFormat& f) {  // of an input
  return "int8 1x" + std::to_string(f.channels) + "x" + std::to_string(f.height) + "x" +
         std::to_string(f.width);
}

// [C][H][W] to the layout of `to` and back.
void pack(const std::int8_t* from, const TensorView& to) {
  auto* data = static_cast<std::int8_t*>(to.data);
  const auto step = static_cast<std::size_t>(to.format.channels_per_pixel());
  for (int c = 0; c < to.format.channels; ++c)
    for (int y = 0; y < to.format.height; ++y) {
      std::int8_t* row = data + to.format.offset(c, y, 0);
      for (int x = 0; x < to.format.width; ++x) row[static_cast<std::size_t>(x) * step] = *from++;
    }
}

template <typename T>
void unpack(const TensorView& from, T* to) {
  const auto step = static_cast<std::size_t>(from.format.channels_per_pixel());
  for (int c = 0; c < from.format.channels; ++c)
    for (int y = 0; y < from.format.height; ++y) {
      const auto* row = reinterpret_cast<const T*>(static_cast<const std::uint8_t*>(from.data) +
                                                   from.format.offset(c, y, 0));
      for (int x = 0; x < from.format.width; ++x) *to++ = row[static_cast<std::size_t>(x) * step];
    }
}

std::optional<Rounding> rounding_from(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  if (*name == "half-away") return Rounding::kHalfAway;
  if (*name == "half-even") return Rounding::kHalfEven;
  throw Error("rounding is \"" + *name + R"("; expected "half-away", "half-even" or None)");
}

Pointwise pointwise_from(const std::string& name) {
  if (name == "fp32") return Pointwise::kFp32;
  if (name == "fp19") return Pointwise::kFp19;
  throw Error("pointwise is \"" + name + R"("; expected "fp32" or "fp19")");
}

class PythonEngine {
 public:
  PythonEngine(const py::object& source, int threads, const std::optional<std::string>& rounding,
               const std::string& pointwise) {
    HostEngineOptions options;
    options.threads = threads;
    options.rounding = rounding_from(rounding);
    options.pointwise = pointwise_from(pointwise);
    if (py::isinstance<py::bytes>(source)) {
      const auto text = source.cast<std::string>();
      const std::vector<std::uint8_t> bytes(text.begin(), text.end());
      const py::gil_scoped_release free_python;
      engine_ = HostEngine::parse(bytes, "<bytes>", options);
    } else {
      // os.fspath raises TypeError for what is no path.
      const auto path = py::module_::import("os").attr("fspath")(source).cast<std::string>();
      const py::gil_scoped_release free_python;
      engine_ = HostEngine::load(path, options);
    }
  }

  static py::list describe(const std::vector<TensorView>& views) {
    py::list result;
    for (const TensorView& view : views) {
      const TensorFormat& f = view.format;
      const bool int8 = f.type == DataType::kInt8;
      result.append(py::make_tuple(view.name, py::make_tuple(1, f.channels, f.height, f.width),
                                   int8 ? py::object(py::float_(f.scale)) : py::none()));
    }
    return result;
  }

  py::list inputs() const { return describe(engine_->inputs()); }
  py::list outputs() const { return describe(engine_->outputs()); }

  py::dict run(const py::dict& feeds) {
    std::vector<Array> arrays;  // keeps what is read below alive while Python runs on
    for (const TensorView& view : engine_->inputs()) arrays.push_back(feed(feeds, view));
    if (feeds.size() != arrays.size()) refuse_unknown(feeds);
    std::vector<py::array> results;
    for (const TensorView& view : engine_->outputs())
      results.emplace_back(
          py::dtype(view.format.type == DataType::kInt8 ? "int8" : "float16"),
          std::vector<py::ssize_t>{1, view.format.channels, view.format.height, view.format.width});
    std::vector<const std::int8_t*> from;
    std::vector<void*> to;
    for (const Array& array : arrays) from.push_back(array.data());
    for (py::array& array : results) to.push_back(array.mutable_data());
    {
      const py::gil_scoped_release free_python;
      const std::lock_guard<std::mutex> one_at_a_time(mutex_);
      for (std::size_t i = 0; i < from.size(); ++i) pack(from[i], engine_->inputs()[i]);
      engine_->infer();
      for (std::size_t i = 0; i < to.size(); ++i) {
        const TensorView& view = engine_->outputs()[i];
        if (view.format.type == DataType::kInt8)
          unpack(view, static_cast<std::int8_t*>(to[i]));
        else
          unpack(view, static_cast<std::uint16_t*>(to[i]));
      }
    }
    py::dict named;
    for (std::size_t i = 0; i < results.size(); ++i)
      named[py::str(engine_->outputs()[i].name)] = results[i];
    return named;
  }

  // Runs on what stands in the buffers: what a benchmark times.
  void infer() {
    const py::gil_scoped_release free_python;
    const std::lock_guard<std::mutex> one_at_a_time(mutex_);
    engine_->infer();
  }

 private:
  static Array feed(const py::dict& feeds, const TensorView& view) {
    const py::str name(view.name);
    if (!feeds.contains(name))
      throw Error("input \"" + view.name + "\" is missing; it is " + tensor_text(view.format));
    const py::object value = feeds[name];
    const std::string expected = "; expected " + tensor_text(view.format);
    if (!py::isinstance<py::array>(value))
      throw Error("input \"" + view.name + "\" is not a NumPy array" + expected);
    const auto array = value.cast<py::array>();
    const TensorFormat& f = view.format;
    const std::string dtype = py::str(array.dtype()).cast<std::string>();
    if (!array.dtype().is(py::dtype::of<std::int8_t>()))
      throw Error("input \"" + view.name + "\" is " + dtype + expected);
    if (array.ndim() != 4 || array.shape(0) != 1 || array.shape(1) != f.channels ||
        array.shape(2) != f.height || array.shape(3) != f.width)
      throw Error("input \"" + view.name + "\" has shape " +
                  py::str(value.attr("shape")).cast<std::string>() + expected);
    return Array::ensure(array);
  }

  void refuse_unknown(const py::dict& feeds) const {
    for (const auto& item : feeds) {
      const std::string name = py::str(item.first).cast<std::string>();
      bool known = false;
      for (const TensorView& view : engine_->inputs()) known = known || view.name == name;
      if (!known) throw Error("the network has no input \"" + name + "\"");
    }
  }

  std::unique_ptr<HostEngine> engine_;
  std::mutex mutex_;
};

}  // namespace

void bind_host(py::module_& module) {
  py::class_<PythonEngine>(module, "HostEngine", R"(The integer engine of a host.loadable.

source: a path, or the file's bytes. threads: including the caller's. rounding: None takes the
loadable's, else "half-away" or "half-even". pointwise: "fp32", or "fp19" to emulate the DLA's
arithmetic. Raises UninaError naming file and reason.)")
      .def(
          py::init<const py::object&, int, const std::optional<std::string>&, const std::string&>(),
          py::arg("source"), py::arg("threads") = 1, py::arg("rounding") = py::none(),
          py::arg("pointwise") = "fp32")
      .def_property_readonly("inputs", &PythonEngine::inputs,
                             "[(name, (1, C, H, W), scale)], real = scale * int8")
      .def_property_readonly("outputs", &PythonEngine::outputs,
                             "[(name, (1, C, H, W), scale)], real = scale * int8; None: float16")
      .def("run", &PythonEngine::run, py::arg("feeds"),
           "{input name: int8 [1,C,H,W]} -> {output name: int8 or float16 [1,C,H,W]}. Raises "
           "UninaError when a name, dtype or shape does not fit.")
      .def("infer", &PythonEngine::infer,
           "Runs the network on what the last run() left in the input buffers: for timing.");
}

}  // namespace unina::python
