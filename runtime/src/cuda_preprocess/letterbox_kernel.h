// The launch of the letterbox kernel, for code that g++ compiles.
#pragma once

#include <driver_types.h>

#include <cstdint>

#include "unina/letterbox_pixel.h"

namespace unina {

// Enqueues one kernel that writes the whole tensor; whatever plan, source and tensor point to must
// be the GPU's to read and write. Returns what the launch said.
cudaError_t launch_letterbox(PixelFormat format, const LetterboxPlan& plan,
                             const SourcePixels& source, std::int8_t* tensor, cudaStream_t stream);

}  // namespace unina
