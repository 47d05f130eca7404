#include "loadable.h"

#include <cstring>
#include <thread>

#include "unina/error.h"

namespace standin {

using unina::DataType;
using unina::HostEngine;
using unina::Layout;
using unina::TensorFormat;
using unina::TensorView;

namespace {

// Buffers of the task's layout, and the engine's own.
void copy_elements(const TensorFormat& from, const std::byte* in, const TensorFormat& to,
                   std::byte* out) {
  const std::size_t size = from.element_size();
  for (int c = 0; c < from.channels; ++c)
    for (int y = 0; y < from.height; ++y)
      for (int x = 0; x < from.width; ++x)
        std::memcpy(out + to.offset(c, y, x), in + from.offset(c, y, x), size);
}

std::uint32_t little_endian(const uint8_t* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

TensorFormat aligned(const TensorFormat& format, Layout layout, std::size_t alignment) {
  return TensorFormat::packed(format.type, layout, format.channels, format.height, format.width,
                              format.scale, alignment);
}

}  // namespace

void Engine::run(const std::vector<std::byte*>& in, const std::vector<std::byte*>& out) {
  for (std::size_t i = 0; i < in.size(); ++i) {
    const TensorView& to = host->inputs()[i];
    copy_elements(inputs[i], in[i], to.format, static_cast<std::byte*>(to.data));
  }
  std::this_thread::sleep_for(at_least);
  host->infer();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const TensorView& from = host->outputs()[i];
    copy_elements(from.format, static_cast<const std::byte*>(from.data), outputs[i], out[i]);
  }
}

std::shared_ptr<Engine> load_engine(const uint8_t* bytes, std::size_t size) {
  constexpr std::size_t kHeader = 20;
  if (size <= kHeader || std::memcmp(bytes, "UNINASIL", 8) != 0) return nullptr;
  const auto layout = static_cast<Layout>(little_endian(bytes + 8));
  const std::size_t alignment = little_endian(bytes + 12);
  auto engine = std::make_shared<Engine>();
  engine->at_least = std::chrono::milliseconds(little_endian(bytes + 16));
  try {
    engine->host = HostEngine::parse({bytes + kHeader, bytes + size}, "stand-in loadable");
  } catch (const unina::Error&) {
    return nullptr;
  }
  for (const TensorView& view : engine->host->inputs()) {
    engine->inputs.push_back(aligned(view.format, layout, alignment));
  }
  for (const TensorView& view : engine->host->outputs()) engine->outputs.push_back(view.format);
  return engine;
}

cudlaModuleTensorDescriptor descriptor(const TensorView& view, const TensorFormat& format) {
  cudlaModuleTensorDescriptor d{};
  std::strncpy(d.name, view.name.c_str(), sizeof d.name - 1);
  d.size = format.bytes;
  d.n = 1;
  d.c = static_cast<uint64_t>(format.channels);
  d.h = static_cast<uint64_t>(format.height);
  d.w = static_cast<uint64_t>(format.width);
  d.dataType = format.type == DataType::kInt8 ? CUDLA_DATA_TYPE_INT8 : CUDLA_DATA_TYPE_HALF;
  switch (format.layout) {
    case Layout::kLinear:
      d.dataFormat = CUDLA_DATA_FORMAT_NCHW;
      d.dataCategory = CUDLA_DATA_CATEGORY_PLANAR;
      break;
    case Layout::kHwc4:
      d.dataFormat = CUDLA_DATA_FORMAT_NHWC;
      d.dataCategory = CUDLA_DATA_CATEGORY_IMAGE;
      break;
    default:
      d.dataFormat = CUDLA_DATA_FORMAT_NCxHWx;
      d.dataCategory = CUDLA_DATA_CATEGORY_FEATURE;
  }
  d.stride[0] = static_cast<uint32_t>(format.element_size());
  d.stride[1] = static_cast<uint32_t>(format.row_stride);
  d.stride[2] = static_cast<uint32_t>(format.channel_stride);
  return d;
}

void corrupt(cudlaModuleTensorDescriptor& d, std::int64_t how) {
  switch (how) {
    case 0:
      std::memset(&d, 0xff, sizeof d);
      break;
    case 1:
      std::memset(&d, 0, sizeof d);
      break;
    case 2:
      d.size = 1;
      break;
    case 3:
      d.stride[1] = 1;
      break;
    case 4:
      d.stride[1] = 0x7fffffff;
      break;
    case 5:
      d.dataType = 1;  // float32
      break;
    case 6:
      d.dataFormat = 0;
      break;
    case 7:
      d.h += 1;
      break;
    case 8:
      d.n = 2;
      break;
    case 9:
      std::memset(d.name, 'x', sizeof d.name);  // and no end
      break;
    case 10:
      d.size = ~std::uint64_t{0};
      break;
    default:
      d.c += 1;
  }
}

}  // namespace standin
