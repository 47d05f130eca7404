// CudaLetterbox gives the bytes of the definition. Linked with NVIDIA's runtime it asks a GPU, and
// skips where there is none; linked with letterbox_cuda_standin.cpp the launches are played on the
// CPU, which shows what the host's side does: tables, grid, arguments, refusals.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "camera_picture.h"
#include "preprocess/letterbox_definition.h"
#include "unina/error.h"
#include "unina/letterbox_cuda.h"

// The stand-in has this, and nothing else does.
extern "C" __attribute__((weak)) int unina_cuda_standin_live_allocations();

namespace unina {
namespace {

class DeviceBytes {
 public:
  explicit DeviceBytes(std::size_t bytes, const void* from = nullptr) : bytes_(bytes) {
    if (cudaMalloc(&data_, bytes) != cudaSuccess) throw Error("cudaMalloc");
    if (from != nullptr) cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice);
  }
  ~DeviceBytes() { cudaFree(data_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  std::uint8_t* get() const { return static_cast<std::uint8_t*>(data_); }
  std::vector<std::int8_t> read() const {
    std::vector<std::int8_t> host(bytes_);
    cudaMemcpy(host.data(), data_, bytes_, cudaMemcpyDeviceToHost);
    return host;
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

// A camera's picture in device memory.
struct DevicePicture {
  explicit DevicePicture(const CameraPicture& host)
      : bytes(host.bytes.size(), host.bytes.data()),
        pairs(host.pairs.size() + 1, nullptr),
        view(host.view) {
    if (!host.pairs.empty()) {
      cudaMemcpy(pairs.get(), host.pairs.data(), host.pairs.size(), cudaMemcpyHostToDevice);
      view.chroma = pairs.get();
    }
    view.data = bytes.get();
  }
  DeviceBytes bytes, pairs;
  ImageView view;
};

class Gpu : public testing::Test {
 protected:
  void SetUp() override {
    int devices = 0;
    const cudaError_t result = cudaGetDeviceCount(&devices);
    if (result != cudaSuccess || devices == 0) {
      GTEST_SKIP() << "NOT SHOWN HERE: no GPU (" << cudaGetErrorString(result)
                   << "), so the kernel's bytes are not compared with the definition's";
    }
    ASSERT_EQ(cudaStreamCreate(&stream_), cudaSuccess);
  }
  void TearDown() override {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }
  cudaStream_t stream_ = nullptr;
};

std::string message_of(const CudaLetterbox& letterbox, const ImageView& source,
                       const TensorView& tensor) {
  try {
    letterbox.preprocess_on_stream(nullptr, source, tensor);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(Gpu, GivesTheDefinitionForEveryFormatLayoutAndSize) {
  const std::pair<int, int> sizes[] = {{640, 480}, {98, 130}, {1280, 720}, {2, 2}};
  for (const PixelFormat source : kEveryFormat)
    for (const Layout layout : {Layout::kLinear, Layout::kHwc4, Layout::kChw16, Layout::kChw32})
      for (const auto& [width, height] : sizes)
        for (const bool large : {false, true}) {
          if (!large && width > 640) continue;
          const TensorFormat format =
              large ? TensorFormat::packed(DataType::kInt8, layout, 3, 96, 160, 1.0f, 64)
                    : TensorFormat::packed(DataType::kInt8, layout, 3, 35, 61, 0.75f, 32);
          const PixelSpec pixels{large ? ColorOrder::kRgb : ColorOrder::kBgr, 114, 100.0f};
          const CameraPicture picture(source, width, height, 5, 8);
          std::vector<std::int8_t> expected(format.bytes, 55);
          LetterboxDefinition(width, height, pixels, format).write(picture.view, expected.data());

          const CudaLetterbox letterbox(width, height, pixels, format, source);
          const DevicePicture device(picture);
          const DeviceBytes tensor(format.bytes, std::vector<std::int8_t>(format.bytes, 55).data());
          letterbox.preprocess_on_stream(stream_, device.view, {"images", format, tensor.get()});
          ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
          ASSERT_EQ(tensor.read(), expected) << name_of(source) << " " << width << "x" << height
                                             << " layout " << static_cast<int>(layout);
        }
}

TEST_F(Gpu, RefusesWhatItsKernelWouldNotWriteRight) {
  const TensorFormat format =
      TensorFormat::packed(DataType::kInt8, Layout::kChw16, 3, 8, 8, 1.0f, 64);
  const CameraPicture picture(PixelFormat::kNv12, 16, 16, 1);
  const CameraPicture other(PixelFormat::kBgr, 16, 16, 1);
  const CudaLetterbox letterbox(16, 16, {}, format, PixelFormat::kNv12);
  const DeviceBytes memory(format.bytes + 16);
  TensorView tensor{"images", format, memory.get()};
  EXPECT_NE(
      message_of(letterbox, other.view, tensor).find("made for 16x16 NV12 pictures, got 16x16 BGR"),
      std::string::npos);
  tensor.data = memory.get() + 8;
  EXPECT_NE(message_of(letterbox, picture.view, tensor).find("address"), std::string::npos);
  tensor.data = memory.get();
  tensor.format.row_stride += 64;
  EXPECT_NE(message_of(letterbox, picture.view, tensor).find("another format"), std::string::npos);
  TensorFormat odd = format;
  odd.row_stride = 136;
  EXPECT_THROW(CudaLetterbox(16, 16, {}, odd), Error);
  EXPECT_THROW(CudaLetterbox(15, 16, {}, format, PixelFormat::kUyvy), Error);
}

TEST_F(Gpu, KeepsNoDeviceMemory) {
  if (unina_cuda_standin_live_allocations == nullptr) GTEST_SKIP() << "only the stand-in counts";
  const int before = unina_cuda_standin_live_allocations();
  {
    const auto format = TensorFormat::packed(DataType::kInt8, Layout::kHwc4, 3, 8, 8, 1.0f);
    CudaLetterbox first(16, 16, {}, format);
    const CudaLetterbox second = std::move(first);
    EXPECT_EQ(unina_cuda_standin_live_allocations(), before + 3);
  }
  EXPECT_EQ(unina_cuda_standin_live_allocations(), before);
}

// A figure for people, no promise: the bytes that must move (every byte of the picture once, every
// byte of the tensor once) over the time of a launch, as a share of what the memory can carry. At
// 2:1 the kernel reads every byte of the picture; made smaller than that, it would skip some.
TEST_F(Gpu, PrintsItsShareOfMemoryBandwidth) {
  if (unina_cuda_standin_live_allocations != nullptr) GTEST_SKIP() << "a stand-in has no speed";
  int clock_khz = 0, bus_bits = 0;
  cudaDeviceGetAttribute(&clock_khz, cudaDevAttrMemoryClockRate, 0);
  cudaDeviceGetAttribute(&bus_bits, cudaDevAttrGlobalMemoryBusWidth, 0);
  const double peak = 2.0 * clock_khz * 1e3 * bus_bits / 8;  // bytes a second, two a clock
  cudaEvent_t begin, end;
  ASSERT_EQ(cudaEventCreate(&begin), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
  constexpr int width = 1280, height = 720;
  for (const PixelFormat source : kEveryFormat) {
    const auto format = TensorFormat::packed(DataType::kInt8, Layout::kHwc4, 3, 640, 640, 1.0f);
    const CameraPicture picture(source, width, height, 5);
    const DevicePicture device(picture);
    const DeviceBytes tensor(format.bytes);
    const CudaLetterbox letterbox(width, height, {}, format, source);
    const auto launch = [&] {
      letterbox.preprocess_on_stream(stream_, device.view, {"images", format, tensor.get()});
    };
    constexpr int kLaunches = 200;
    for (int i = 0; i < 20; ++i) launch();
    cudaEventRecord(begin, stream_);
    for (int i = 0; i < kLaunches; ++i) launch();
    cudaEventRecord(end, stream_);
    ASSERT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    float ms = 0.0f;
    cudaEventElapsedTime(&ms, begin, end);
    const double seconds = static_cast<double>(ms) / 1e3 / kLaunches;
    const double bytes =
        static_cast<double>(picture.bytes.size() + picture.pairs.size() + format.bytes);
    std::printf("%dx%d %s -> 640x640 HWC4: %.1f us, %.0f %% of %.0f GB/s\n", width, height,
                name_of(source), seconds * 1e6, 100 * bytes / seconds / peak, peak / 1e9);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
}

}  // namespace
}  // namespace unina
