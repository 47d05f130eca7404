// What a test may set of the launch that played_launch.cpp plays.
#pragma once

namespace unina::plugin {

// Not null: what CUDA says instead of launching.
extern const char* refusal;

}  // namespace unina::plugin
