// cuDLA's tensor descriptors in our terms. They carry no scale: that is the manifest's.
#pragma once

#include "cudla/cudla_abi.h"
#include "network_tensors.h"
#include "unina/manifest.h"

namespace unina {

// Category and data format give the layout, strides 1 and 2 the rows and the surfaces, in bytes; a
// stride of 0 means packed. That is how the open NVDLA software fills these fields; no loadable of
// Orin has been seen by us. Throws Error naming the tensor and what contradicts the manifest or
// itself.
NetworkTensor describe(const cudlaModuleTensorDescriptor& descriptor, bool is_output,
                       const Manifest& manifest);

}  // namespace unina
