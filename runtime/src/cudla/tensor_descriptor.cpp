#include "cudla/tensor_descriptor.h"

#include <cstring>

#include "printable.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;  // a core's whole memory pool

Layout layout_of(const cudlaModuleTensorDescriptor& d, DataType type, const std::string& where) {
  if (d.dataCategory == CUDLA_DATA_CATEGORY_IMAGE && d.dataFormat == CUDLA_DATA_FORMAT_NHWC) {
    return Layout::kHwc4;
  }
  if (d.dataCategory == CUDLA_DATA_CATEGORY_FEATURE && d.dataFormat == CUDLA_DATA_FORMAT_NCxHWx) {
    // The DLA's atom is 32 bytes: 32 channels of int8, 16 of float16.
    return type == DataType::kInt8 ? Layout::kChw32 : Layout::kChw16;
  }
  if (d.dataFormat == CUDLA_DATA_FORMAT_NCHW) return Layout::kLinear;
  throw Error(where + "has data category " + std::to_string(d.dataCategory) + " and format " +
              std::to_string(d.dataFormat) +
              ", which this program does not know; build the loadable with dla_hwc4, dla_linear, "
              "chw16 or chw32");
}

}  // namespace

NetworkTensor describe(const cudlaModuleTensorDescriptor& d, bool is_output,
                       const Manifest& manifest) {
  NetworkTensor tensor;
  tensor.name.assign(d.name, ::strnlen(d.name, sizeof d.name));
  const char* role = is_output ? "output " : "input ";
  const std::string where = role + printable(tensor.name) + " of the loadable ";
  const ManifestTensor& expected = expected_tensor(manifest, tensor.name, is_output, where);
  if (d.dataType != CUDLA_DATA_TYPE_INT8 && d.dataType != CUDLA_DATA_TYPE_HALF) {
    throw Error(where + "has cuDLA's data type " + std::to_string(d.dataType) +
                "; expected int8 (4) or half (2)");
  }
  const DataType type = d.dataType == CUDLA_DATA_TYPE_INT8 ? DataType::kInt8 : DataType::kFloat16;
  if (type != expected.type) {
    throw Error(where + "is " + (type == DataType::kInt8 ? "int8" : "float16") +
                ", manifest.json says " + (type == DataType::kInt8 ? "float16" : "int8") +
                "; build the loadable with the I/O formats that the bundle's report names");
  }
  const Layout layout = layout_of(d, type, where);
  const auto channels = static_cast<std::uint64_t>(expected.channels);
  const auto height = static_cast<std::uint64_t>(expected.height);
  const auto width = static_cast<std::uint64_t>(expected.width);
  const bool padded = layout == Layout::kHwc4 && d.c == 4 && channels == 3;
  if (d.n != 1 || (d.c != channels && !padded) || d.h != height || d.w != width) {
    throw Error(where + "has shape " + shape_text({d.n, d.c, d.h, d.w}) + ", manifest.json says " +
                shape_text({1, channels, height, width}) +
                "; the loadable was built from another model");
  }
  if (layout == Layout::kHwc4 && (channels > 4 || is_output)) {
    throw Error(where + "is HWC4, which is for inputs of at most 4 channels");
  }

  const std::size_t alignment = layout == Layout::kLinear || layout == Layout::kHwc4 ? 64 : 1;
  TensorFormat format = TensorFormat::packed(type, layout, expected.channels, expected.height,
                                             expected.width, expected.scale, alignment);
  const std::size_t packed_row = static_cast<std::size_t>(expected.width) *
                                 static_cast<std::size_t>(format.channels_per_pixel()) *
                                 format.element_size();
  if (d.stride[1] != 0) format.row_stride = d.stride[1];
  const auto group = static_cast<std::size_t>(format.channels_per_pixel());
  const std::size_t blocks = (static_cast<std::size_t>(channels) + group - 1) / group;
  const std::size_t surface = format.row_stride * static_cast<std::size_t>(height);
  format.channel_stride = blocks > 1 && d.stride[2] != 0 ? d.stride[2] : surface;
  const std::size_t needed = (blocks - 1) * format.channel_stride +
                             (static_cast<std::size_t>(height) - 1) * format.row_stride +
                             packed_row;
  if (format.row_stride < packed_row || format.channel_stride < surface || d.size < needed ||
      d.size > kMostBytes) {
    throw Error(where + "has strides of " + std::to_string(format.row_stride) + " and " +
                std::to_string(format.channel_stride) + " bytes in a buffer of " +
                std::to_string(d.size) + ", which its shape of " +
                shape_text({1, channels, height, width}) +
                " does not fit; build the loadable again");
  }
  format.bytes = static_cast<std::size_t>(d.size);
  tensor.format = format;
  return tensor;
}

}  // namespace unina
