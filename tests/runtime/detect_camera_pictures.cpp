// Prints what a detector finds in pictures of every format and several sizes, exactly; for
// test_detector_gpu.py, which links it with the kernel and a stand-in of CUDA.
//   detect_camera_pictures BUNDLE LOADABLE cpu|gpu
#include <cstdio>
#include <string>

#include "camera_picture.h"
#include "unina/detector.h"
#include "unina/error.h"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  unina::DetectorOptions options;
  options.accelerator = arguments[2][0] == '\0' ? "host" : "cudla-hybrid";
  options.dla.loadable = arguments[2];
  options.dla.timeout_ms = 30'000;
  options.preprocess = arguments[3];
  options.score_threshold = 0.0f;
  int failed = 0;
  try {
    unina::Detector detector(arguments[1], options);
    constexpr std::pair<int, int> kSizes[] = {{128, 72}, {64, 32}, {50, 90}};
    for (const unina::PixelFormat format : unina::kEveryFormat)
      for (const auto& [width, height] : kSizes)
        for (unsigned seed = 1; seed < 3; ++seed) {
          const unina::CameraPicture picture(format, width, height, seed, 6);
          std::printf("%s %dx%d\n", name_of(format), width, height);
          try {
            for (const unina::Detection& one : detector.detect(picture.view)) {
              std::printf("%d %a %a %a %a %a\n", one.class_id, one.score, one.box.x0, one.box.y0,
                          one.box.x1, one.box.y1);
            }
          } catch (const unina::Error& error) {
            std::fprintf(stderr, "%s\n", error.what());
            failed = 1;
          }
        }
  } catch (const unina::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return failed;
}
