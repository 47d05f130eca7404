// The detector for Python: one set of buffers for each DLA core, lent to whichever thread asks.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detection_arrays.h"
#include "engine_device.h"
#include "held_image.h"
#include "unina/interleaved_detector.h"

namespace py = pybind11;

namespace unina::python {
namespace {

class PythonDetector {
 public:
  PythonDetector(const std::string& path, const std::string& accelerator,
                 std::optional<float> score_threshold, int threads, const std::string& dla,
                 const std::vector<std::string>& dla_loadables, int dla_timeout_ms,
                 const std::string& engine, const std::string& engine_on,
                 const std::string& preprocess, bool deterministic_semaphores) {
    DetectorOptions options;
    options.accelerator = accelerator;
    options.score_threshold = score_threshold;
    options.threads = threads;
    options.preprocess = preprocess;
    options.tensorrt.engine = engine;
    options.tensorrt.dla_core = engine_device(engine_on);
    detectors_ = make_detectors(
        path, options, dla_options(dla, dla_loadables, dla_timeout_ms, deterministic_semaphores));
    for (const auto& detector : detectors_) free_.push_back(detector.get());
  }

  py::tuple detect(const py::object& image, const std::string& pixel_format) {
    const HeldImage held(image, pixel_format);
    Detections found;
    {
      const py::gil_scoped_release release;
      const Turn turn(*this);
      found = turn.detector.detect(held.view());
    }
    return to_arrays(std::move(found));
  }
  py::dict times() const {
    StageTimes times;
    {
      const py::gil_scoped_release release;  // never the mutex while others wait for Python
      const std::lock_guard<std::mutex> lock(mutex_);
      times = times_;
    }
    py::dict out;
    out["preprocess"] = times.preprocess_ms;
    out["infer"] = times.infer_ms;
    out["decode"] = times.decode_ms;
    return out;
  }
  const std::string& manifest_json() const { return first().manifest().json; }
  std::string accelerator() const { return first().accelerator_name(); }
  const std::string& accelerator_reason() const { return first().accelerator_reason(); }
  std::size_t at_a_time() const { return detectors_.size(); }

 private:
  // A detector that nobody else uses meanwhile; waits for one.
  struct Turn {
    explicit Turn(PythonDetector& lender) : owner(lender), detector(lender.take()) {}
    ~Turn() { owner.give_back(detector); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    PythonDetector& owner;
    Detector& detector;
  };

  const Detector& first() const { return *detectors_.front(); }
  Detector& take() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !free_.empty(); });
    Detector* detector = free_.back();
    free_.pop_back();
    return *detector;
  }
  void give_back(Detector& detector) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      free_.push_back(&detector);
      times_ = detector.times();
    }
    changed_.notify_one();
  }

  std::vector<std::unique_ptr<Detector>> detectors_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // with the mutex: all below
  std::vector<Detector*> free_;
  StageTimes times_;
};

}  // namespace

void bind_detector(py::module_& module) {
  py::class_<PythonDetector>(module, "Detector")
      .def(py::init<const std::string&, const std::string&, std::optional<float>, int,
                    const std::string&, const std::vector<std::string>&, int, const std::string&,
                    const std::string&, const std::string&, bool>(),
           py::call_guard<py::gil_scoped_release>(), py::arg("path"), py::arg("accelerator"),
           py::arg("score_threshold"), py::kw_only(), py::arg("threads"), py::arg("dla"),
           py::arg("dla_loadables"), py::arg("dla_timeout_ms"), py::arg("engine"),
           py::arg("engine_on"), py::arg("preprocess"), py::arg("deterministic_semaphores"))
      .def("detect", &PythonDetector::detect, py::arg("image"), py::arg("pixel_format"))
      .def_property_readonly("times", &PythonDetector::times)
      .def_property_readonly("manifest_json", &PythonDetector::manifest_json)
      .def_property_readonly("accelerator", &PythonDetector::accelerator)
      .def_property_readonly("accelerator_reason", &PythonDetector::accelerator_reason)
      .def_property_readonly("at_a_time", &PythonDetector::at_a_time);
}

}  // namespace unina::python
