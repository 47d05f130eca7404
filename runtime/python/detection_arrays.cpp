#include "detection_arrays.h"

#include <cstddef>
#include <memory>
#include <utility>

namespace py = pybind11;

namespace unina::python {

static_assert(sizeof(Box) == 4 * sizeof(float), "four floats, one after the other");
static_assert(sizeof(int) == sizeof(std::int32_t), "class_id is read as int32");

py::tuple to_arrays(Detections&& found) {
  auto owned = std::make_unique<Detections>(std::move(found));
  const auto count = static_cast<py::ssize_t>(owned->size());
  Detection* first = owned->data();
  const py::capsule owner(owned.get(), [](void* list) { delete static_cast<Detections*>(list); });
  owned.release();  // NOLINT: the capsule has it
  using Sizes = std::vector<py::ssize_t>;
  constexpr auto kStep = static_cast<py::ssize_t>(sizeof(Detection));
  const Sizes one{count}, four{count, 4};
  if (count == 0) {
    return py::make_tuple(py::array_t<float>(four), py::array_t<float>(one),
                          py::array_t<std::int32_t>(one));
  }
  return py::make_tuple(
      py::array_t<float>(four, Sizes{kStep, sizeof(float)}, &first->box.x0, owner),
      py::array_t<float>(one, Sizes{kStep}, &first->score, owner),
      py::array_t<std::int32_t>(one, Sizes{kStep}, &first->class_id, owner));
}

}  // namespace unina::python
