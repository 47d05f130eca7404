// What a file given as a DLA loadable really is: the driver says only "error 7" to all that it does
// not know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace unina {

// "" for what may be a loadable, else what it is and what to do, for a message. Known by their
// first bytes: TensorRT plans (also with Ultralytics' JSON in front), ONNX, host.loadable, ELF,
// empty files.
std::string why_no_loadable(const std::vector<std::uint8_t>& bytes);

// A TensorRT engine, also one with Ultralytics' JSON in front.
bool is_tensorrt_plan(const std::vector<std::uint8_t>& bytes);

}  // namespace unina
