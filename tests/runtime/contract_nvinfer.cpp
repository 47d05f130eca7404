// What our code relies on in TensorRT's headers, and the adapter itself. Compiled in every build
// against our own declarations (into an object that nothing links), and by test_contracts.py
// against NVIDIA's where UNINA_TRT_INCLUDE names them.
#include <cstdint>
#include <type_traits>
#include <utility>

#include "tensorrt/nvinfer_abi.h"

namespace contract {

using namespace nvinfer1;

static_assert(NV_TENSORRT_MAJOR == 10, "the adapter was written for TensorRT 10");

// What a call takes and returns.
#define UNINA_METHOD(type, result, call) \
  static_assert(std::is_same_v<decltype(std::declval<type>().call), result>, #call)

UNINA_METHOD(IRuntime&, void, setDLACore(std::int32_t{}));
UNINA_METHOD(const IRuntime&, std::int32_t, getDLACore());
UNINA_METHOD(const IRuntime&, std::int32_t, getNbDLACores());
UNINA_METHOD(IRuntime&, ICudaEngine*,
             deserializeCudaEngine(std::declval<const void*>(), std::size_t{}));
UNINA_METHOD(const ICudaEngine&, std::int32_t, getNbIOTensors());
UNINA_METHOD(const ICudaEngine&, const char*, getIOTensorName(std::int32_t{}));
UNINA_METHOD(const ICudaEngine&, TensorIOMode, getTensorIOMode(std::declval<const char*>()));
UNINA_METHOD(const ICudaEngine&, Dims, getTensorShape(std::declval<const char*>()));
UNINA_METHOD(const ICudaEngine&, DataType, getTensorDataType(std::declval<const char*>()));
UNINA_METHOD(const ICudaEngine&, TensorFormat, getTensorFormat(std::declval<const char*>()));
UNINA_METHOD(ICudaEngine&, IExecutionContext*, createExecutionContext());
UNINA_METHOD(IExecutionContext&, bool,
             setTensorAddress(std::declval<const char*>(), std::declval<void*>()));
UNINA_METHOD(IExecutionContext&, bool, enqueueV3(std::declval<cudaStream_t>()));

// Deleted by us, so their destructors must be virtual.
static_assert(std::has_virtual_destructor_v<IRuntime>);
static_assert(std::has_virtual_destructor_v<ICudaEngine>);
static_assert(std::has_virtual_destructor_v<IExecutionContext>);
static_assert(std::is_same_v<decltype(&::createInferRuntime_INTERNAL),
                             void* (*)(void*, std::int32_t) noexcept>);

static_assert(static_cast<int>(DataType::kFLOAT) == 0);
static_assert(static_cast<int>(DataType::kHALF) == 1);
static_assert(static_cast<int>(DataType::kINT8) == 2);
static_assert(static_cast<int>(TensorFormat::kLINEAR) == 0);
static_assert(static_cast<int>(TensorFormat::kCHW16) == 4);
static_assert(static_cast<int>(TensorFormat::kCHW32) == 5);
static_assert(static_cast<int>(TensorFormat::kDLA_LINEAR) == 9);
static_assert(static_cast<int>(TensorFormat::kDLA_HWC4) == 10);
static_assert(static_cast<int>(TensorIOMode::kINPUT) == 1);
static_assert(static_cast<int>(TensorIOMode::kOUTPUT) == 2);
static_assert(static_cast<int>(ILogger::Severity::kERROR) == 1);
static_assert(static_cast<int>(ILogger::Severity::kWARNING) == 2);
static_assert(std::is_same_v<decltype(Dims::nbDims), std::int32_t>);
static_assert(std::is_same_v<decltype(Dims::d), std::int64_t[8]>);

}  // namespace contract
