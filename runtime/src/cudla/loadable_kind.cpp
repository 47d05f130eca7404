#include "cudla/loadable_kind.h"

#include <cstring>

namespace unina {
namespace {

constexpr char kBuild[] =
    "compile one on the device with the trtexec line that unina-dla command prints for the bundle; "
    "--buildDLAStandalone is what makes it a loadable";

bool starts(const std::vector<std::uint8_t>& bytes, std::size_t at, const char* magic) {
  const std::size_t length = std::strlen(magic);
  return bytes.size() >= at + length && std::memcmp(bytes.data() + at, magic, length) == 0;
}

// ir_version, the first field of every ONNX file, then producer or graph.
bool is_onnx(const std::vector<std::uint8_t>& bytes) {
  return bytes.size() >= 3 && bytes[0] == 0x08 && bytes[1] < 0x20 &&
         (bytes[2] == 0x12 || bytes[2] == 0x3a);
}

}  // namespace

// A TensorRT plan begins with the letters ftrt; Ultralytics writes the length of a JSON text and
// the text itself before it.
bool is_tensorrt_plan(const std::vector<std::uint8_t>& bytes) {
  if (starts(bytes, 0, "ftrt")) return true;
  if (bytes.size() < 8 || bytes[4] != '{') return false;
  std::uint32_t length = 0;
  for (int i = 3; i >= 0; --i) length = length << 8 | bytes[static_cast<std::size_t>(i)];
  return starts(bytes, 4 + std::size_t{length}, "ftrt");
}

std::string why_no_loadable(const std::vector<std::uint8_t>& bytes) {
  if (bytes.empty()) return "is empty; its build failed or the disk was full";
  if (is_tensorrt_plan(bytes)) {
    return std::string("is a TensorRT engine for the GPU, not a DLA loadable; ") + kBuild;
  }
  if (is_onnx(bytes)) return std::string("is an ONNX model, not a DLA loadable; ") + kBuild;
  if (starts(bytes, 0, "UNINAHL1")) {
    return "is a host.loadable, which runs on the host accelerator only; " + std::string(kBuild);
  }
  if (starts(bytes, 0,
             "\x7f"
             "ELF")) {
    return std::string("is a program or library, not a DLA loadable; ") + kBuild;
  }
  return "";
}

}  // namespace unina
