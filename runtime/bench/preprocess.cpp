// What the letterbox costs on one CPU thread, in units of one cv::resize of the same frame: CPU
// time, medians, all in turns. Sizes are arguments: bench_preprocess [WIDTH HEIGHT [W H]].
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "camera_picture.h"
#include "preprocess/opencv_threads.h"
#include "unina/letterbox.h"

namespace unina {
namespace {

double cpu_ms() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void bench(int width, int height, int input_width, int input_height) {
  constexpr int kRounds = 100;
  keep_opencv_on_this_thread();
  const Placement fit = Placement::fit(width, height, input_width, input_height);
  const CameraPicture bgr(PixelFormat::kBgr, width, height, 1);
  cv::Mat frame(height, width, CV_8UC3, const_cast<std::uint8_t*>(bgr.view.data));
  cv::Mat small(fit.height, fit.width, CV_8UC3);
  std::printf("%dx%d into %dx%d\n%-8s%12s%12s%12s%12s\n", width, height, input_width, input_height,
              "", "BGR", "RGBA", "NV12", "UYVY");
  const std::pair<const char*, Layout> layouts[] = {
      {"HWC4", Layout::kHwc4}, {"linear", Layout::kLinear}, {"CHW32", Layout::kChw32}};
  for (const auto& [name, layout] : layouts) {
    std::printf("%-8s", name);
    for (const PixelFormat format : kEveryFormat) {
      const auto tensor =
          TensorFormat::packed(DataType::kInt8, layout, 3, input_height, input_width, 1.0f);
      const CameraPicture picture(format, width, height, 1);
      Letterbox letterbox(width, height, {}, tensor, format);
      std::vector<std::int8_t> out(tensor.bytes);
      std::vector<double> resize_ms, ratio;
      for (int round = 0; round < kRounds; ++round) {
        const double begin = cpu_ms();
        cv::resize(frame, small, small.size(), 0, 0, cv::INTER_LINEAR);
        const double resized = cpu_ms();
        letterbox.write(picture.view, out.data());
        ratio.push_back((cpu_ms() - resized) / (resized - begin));
        resize_ms.push_back(resized - begin);
      }
      std::printf("%6.2f x%4.2f", median(ratio), median(resize_ms));
    }
    std::printf("\n");
  }
  std::printf("(times one cv::resize of the BGR frame, whose milliseconds stand behind the x)\n");
}

}  // namespace
}  // namespace unina

int main(int count, char** arguments) {
  const auto side = [&](int at, int otherwise) {
    return count > at ? std::max(2, std::atoi(arguments[at]) & ~1) : otherwise;
  };
  unina::bench(side(1, 1280), side(2, 720), side(3, 640), side(4, 384));
}
