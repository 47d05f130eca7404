// Reads the shared-memory ring of detections with the atomic loads that Python lacks.
#include <pybind11/pybind11.h>

#include <cstring>
#include <string>
#include <vector>

#include "unina/detection_ring.h"
#include "unina/error.h"

namespace unina::python {
namespace {

namespace py = pybind11;

// The mapped file, once it has shown that its header and its slots lie within it.
class Ring {
 public:
  explicit Ring(const py::buffer& memory) : memory_(memory.request()) {
    const auto bytes = static_cast<std::uint64_t>(memory_.size * memory_.itemsize);
    if (bytes < sizeof(unina_ring_header)) throw Error("is shorter than a ring's header");
    const unina_ring_header& h = header();
    if (std::memcmp(h.magic, UNINA_RING_MAGIC, sizeof h.magic) != 0) {
      throw Error("does not begin as a ring of detections does");
    }
    if (h.version != UNINA_RING_VERSION) {
      throw Error("has version " + std::to_string(h.version) + ", this reader knows " +
                  std::to_string(UNINA_RING_VERSION));
    }
    const std::uint64_t slot =
        sizeof(unina_ring_slot) + std::uint64_t{h.max_detections} * sizeof(unina_ring_detection);
    if (h.header_bytes < sizeof(unina_ring_header) || h.header_bytes % 8 != 0 ||
        h.slot_bytes % 8 != 0 || h.slot_bytes < slot || h.slot_count == 0 ||
        h.class_count > UNINA_RING_MAX_CLASSES ||
        h.header_bytes + std::uint64_t{h.slot_count} * h.slot_bytes > bytes) {
      throw Error("says sizes that contradict each other or the file's");
    }
  }

  const unina_ring_header& header() const {
    return *static_cast<const unina_ring_header*>(memory_.ptr);
  }

  std::uint64_t written() const { return unina_ring_written(memory_.ptr); }
  bool closed() const { return __atomic_load_n(&header().closed, __ATOMIC_ACQUIRE) != 0; }

  py::list classes() const {
    py::list names;
    for (std::uint32_t i = 0; i < header().class_count; ++i) {
      const char* name = header().class_names[i];
      names.append(py::str(name, strnlen(name, UNINA_RING_NAME_BYTES)));
    }
    return names;
  }

  // The slot's bytes as far as they are used, or None.
  py::object read(std::uint64_t n) const {
    std::vector<std::uint64_t> copy(header().slot_bytes / 8);
    if (unina_ring_read(memory_.ptr, n, copy.data()) == 0) return py::none();
    const auto* slot = reinterpret_cast<const unina_ring_slot*>(copy.data());
    return py::bytes(reinterpret_cast<const char*>(copy.data()),
                     sizeof *slot + slot->detection_count * sizeof(unina_ring_detection));
  }

 private:
  py::buffer_info memory_;  // keeps the mapping
};

}  // namespace

void bind_ring(py::module_& module) {
  py::class_<Ring>(module, "MappedRing")
      .def(py::init<const py::buffer&>(), py::arg("memory"))
      .def_property_readonly("written", &Ring::written)
      .def_property_readonly("closed", &Ring::closed)
      .def_property_readonly("classes", &Ring::classes)
      .def("read", &Ring::read, py::arg("n"));
}

}  // namespace unina::python
