#include "tensorrt/nvinfer_adapter.h"

#include <mutex>
#include <utility>

#include "cuda/dynamic_library.h"
#include "tensorrt/nvinfer_abi.h"
#include "unina/error.h"

namespace unina {
namespace {

const DynamicLibrary& library() {
  static const DynamicLibrary opened({"libnvinfer.so." + std::to_string(NV_TENSORRT_MAJOR)});
  return opened;
}

// TensorRT says why only to its log; it may call from any thread.
class Log final : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    try {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_ = message;
    } catch (...) {  // no memory for a line
    }
  }
  std::string last() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_;
  }

 private:
  mutable std::mutex mutex_;
  std::string last_;
};

class Context final : public TrtContext {
 public:
  explicit Context(nvinfer1::IExecutionContext* context) : context_(context) {}
  bool set_tensor_address(const std::string& tensor, void* device) override {
    return context_->setTensorAddress(tensor.c_str(), device);
  }
  bool enqueue(cudaStream_t stream) override { return context_->enqueueV3(stream); }

 private:
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

void set_type(TrtTensor& tensor, nvinfer1::DataType type) {
  tensor.type_number = static_cast<int>(type);
  tensor.known_type = true;
  switch (type) {
    case nvinfer1::DataType::kFLOAT:
      tensor.type = DataType::kFloat32;
      break;
    case nvinfer1::DataType::kHALF:
      tensor.type = DataType::kFloat16;
      break;
    case nvinfer1::DataType::kINT8:
      tensor.type = DataType::kInt8;
      break;
    default:
      tensor.known_type = false;
  }
}

void set_layout(TrtTensor& tensor, nvinfer1::TensorFormat format) {
  constexpr std::size_t kDlaRow = 64;
  tensor.layout_number = static_cast<int>(format);
  tensor.known_layout = true;
  switch (format) {
    case nvinfer1::TensorFormat::kLINEAR:
      tensor.layout = Layout::kLinear;
      break;
    case nvinfer1::TensorFormat::kCHW16:
      tensor.layout = Layout::kChw16;
      break;
    case nvinfer1::TensorFormat::kCHW32:
      tensor.layout = Layout::kChw32;
      break;
    case nvinfer1::TensorFormat::kDLA_LINEAR:
      tensor.layout = Layout::kLinear;
      tensor.row_alignment = kDlaRow;
      break;
    case nvinfer1::TensorFormat::kDLA_HWC4:
      tensor.layout = Layout::kHwc4;
      tensor.row_alignment = kDlaRow;
      break;
    default:
      tensor.known_layout = false;
  }
}

class Engine final : public TrtEngine {
 public:
  explicit Engine(nvinfer1::ICudaEngine* engine) : engine_(engine) {}
  std::vector<TrtTensor> tensors() const override {
    std::vector<TrtTensor> all;
    for (std::int32_t i = 0; i < engine_->getNbIOTensors(); ++i) {
      const char* name = engine_->getIOTensorName(i);
      TrtTensor tensor;
      tensor.name = name;
      tensor.is_output = engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kOUTPUT;
      const nvinfer1::Dims shape = engine_->getTensorShape(name);
      for (std::int32_t d = 0; d < shape.nbDims; ++d) tensor.shape.push_back(shape.d[d]);
      set_type(tensor, engine_->getTensorDataType(name));
      set_layout(tensor, engine_->getTensorFormat(name));
      all.push_back(std::move(tensor));
    }
    return all;
  }
  std::unique_ptr<TrtContext> create_context() override {
    nvinfer1::IExecutionContext* made = engine_->createExecutionContext();
    return made != nullptr ? std::make_unique<Context>(made) : nullptr;
  }

 private:
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
};

class Runtime final : public TrtRuntime {
 public:
  Runtime() {
    decltype(&::createInferRuntime_INTERNAL) create = nullptr;
    library().find("createInferRuntime_INTERNAL", create);
    runtime_.reset(static_cast<nvinfer1::IRuntime*>(create(&log_, NV_TENSORRT_VERSION)));
    if (runtime_) return;
    throw Error(library().name() + " is of another release than this program was built with (" +
                std::to_string(NV_TENSORRT_VERSION) + "): " + log_.last());
  }
  int dla_cores() const override { return runtime_->getNbDLACores(); }
  void set_dla_core(int core) override { runtime_->setDLACore(core); }
  int dla_core() const override { return runtime_->getDLACore(); }
  std::unique_ptr<TrtEngine> deserialize(const std::vector<std::uint8_t>& plan) override {
    nvinfer1::ICudaEngine* made = runtime_->deserializeCudaEngine(plan.data(), plan.size());
    return made != nullptr ? std::make_unique<Engine>(made) : nullptr;
  }
  std::string last_error() const override { return log_.last(); }

 private:
  Log log_;  // outlives the runtime
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
};

}  // namespace

const bool kHasTensorRt = true;

std::unique_ptr<TrtRuntime> open_tensorrt() { return std::make_unique<Runtime>(); }

std::string why_no_tensorrt() {
  try {
    library();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace unina
