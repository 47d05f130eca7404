// A build without TensorRT's headers: the accelerator is not there, and says so.
#include "tensorrt/nvinfer_adapter.h"
#include "unina/error.h"

namespace unina {

const bool kHasTensorRt = false;

std::unique_ptr<TrtRuntime> open_tensorrt() { throw Error(why_no_tensorrt()); }

std::string why_no_tensorrt() {
  return "this build has no TensorRT; it is made with UNINA_TRT_INCLUDE on a device";
}

}  // namespace unina
