// What this project uses of TensorRT's C++ interface (10.3), declared in its own words. NVIDIA's
// classes call through private tables that are not declared here: code compiled against this file
// is checked for form and can never be linked or run. tests/runtime/contract_nvinfer.cpp holds
// these lines against NVIDIA's headers where those are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/cudart_abi.h"

#define NV_TENSORRT_MAJOR 10
#define NV_TENSORRT_VERSION 100300

namespace nvinfer1 {

enum class DataType : int32_t { kFLOAT = 0, kHALF = 1, kINT8 = 2, kINT32 = 3 };
enum class TensorFormat : int32_t {
  kLINEAR = 0,
  kCHW16 = 4,
  kCHW32 = 5,
  kDLA_LINEAR = 9,
  kDLA_HWC4 = 10,
};
enum class TensorIOMode : int32_t { kNONE = 0, kINPUT = 1, kOUTPUT = 2 };

struct Dims64 {
  int32_t nbDims;
  int64_t d[8];
};
using Dims = Dims64;

class ILogger {
 public:
  enum class Severity : int32_t {
    kINTERNAL_ERROR = 0,
    kERROR = 1,
    kWARNING = 2,
    kINFO = 3,
    kVERBOSE = 4,
  };
  virtual void log(Severity severity, const char* message) noexcept = 0;
  virtual ~ILogger() = default;
};

class IExecutionContext {
 public:
  virtual ~IExecutionContext() noexcept = default;
  bool setTensorAddress(const char* tensor, void* address) noexcept;
  bool enqueueV3(cudaStream_t stream) noexcept;
};

class ICudaEngine {
 public:
  virtual ~ICudaEngine() noexcept = default;
  int32_t getNbIOTensors() const noexcept;
  const char* getIOTensorName(int32_t index) const noexcept;
  TensorIOMode getTensorIOMode(const char* tensor) const noexcept;
  Dims getTensorShape(const char* tensor) const noexcept;
  DataType getTensorDataType(const char* tensor) const noexcept;
  TensorFormat getTensorFormat(const char* tensor) const noexcept;
  IExecutionContext* createExecutionContext() noexcept;
};

class IRuntime {
 public:
  virtual ~IRuntime() noexcept = default;
  void setDLACore(int32_t core) noexcept;
  int32_t getDLACore() const noexcept;
  int32_t getNbDLACores() const noexcept;
  ICudaEngine* deserializeCudaEngine(const void* plan, std::size_t bytes) noexcept;
};

}  // namespace nvinfer1

extern "C" void* createInferRuntime_INTERNAL(void* logger, int32_t version) noexcept;
