#include "cudla/cudla_module.h"

#include "unina/error.h"

namespace unina {
namespace {

constexpr std::uint32_t kMostTensors = 64;  // far above any detector, far below what hurts

}  // namespace

CudlaModule::CudlaModule(const CudlaLibrary& cudla, const CudlaDevice& device,
                         const std::vector<std::uint8_t>& loadable, ReleaseFailures& failures)
    : cudla_(cudla), failures_(failures) {
  const cudlaStatus status =
      cudla_.cudlaModuleLoadFromMemory(device.get(), loadable.data(), loadable.size(), &module_, 0);
  cudla_.require("cudlaModuleLoadFromMemory", status, module_);
}

CudlaModule::~CudlaModule() {
  const cudlaStatus status = cudla_.cudlaModuleUnload(module_, 0);
  if (status != cudlaSuccess) failures_.add(cudla_.describe("cudlaModuleUnload", status));
}

std::uint32_t CudlaModule::count(cudlaModuleAttributeType type) const {
  cudlaModuleAttribute attribute{};
  cudla_.require("cudlaModuleGetAttributes",
                 cudla_.cudlaModuleGetAttributes(module_, type, &attribute));
  const std::uint32_t tensors = attribute.numInputTensors;  // the union's other count is the same
  if (tensors < 1 || tensors > kMostTensors) {
    throw Error("the loadable has " + std::to_string(tensors) +
                (type == CUDLA_NUM_INPUT_TENSORS ? " inputs" : " outputs") + "; expected 1 to " +
                std::to_string(kMostTensors) + "; build it again");
  }
  return tensors;
}

std::vector<cudlaModuleTensorDescriptor> CudlaModule::inputs() const {
  std::vector<cudlaModuleTensorDescriptor> tensors(count(CUDLA_NUM_INPUT_TENSORS));
  cudlaModuleAttribute attribute{};
  attribute.inputTensorDesc = tensors.data();
  cudla_.require(
      "cudlaModuleGetAttributes",
      cudla_.cudlaModuleGetAttributes(module_, CUDLA_INPUT_TENSOR_DESCRIPTORS, &attribute));
  return tensors;
}

std::vector<cudlaModuleTensorDescriptor> CudlaModule::outputs() const {
  std::vector<cudlaModuleTensorDescriptor> tensors(count(CUDLA_NUM_OUTPUT_TENSORS));
  cudlaModuleAttribute attribute{};
  attribute.outputTensorDesc = tensors.data();
  cudla_.require(
      "cudlaModuleGetAttributes",
      cudla_.cudlaModuleGetAttributes(module_, CUDLA_OUTPUT_TENSOR_DESCRIPTORS, &attribute));
  return tensors;
}

}  // namespace unina
