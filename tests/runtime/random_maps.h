// A batch of raw maps, and what the decoder of the runtime finds in each of its pictures.
#pragma once

#include <limits>
#include <random>
#include <vector>

#include "unina/decode.h"

namespace unina {

struct RandomMaps {
  std::vector<int> strides;
  int pictures, classes, reg_max, height, width;  // of the network's input
  std::vector<std::vector<float>> maps;           // class map, box map of each level

  // Logits on a coarse grid, so that many are equal; some of the values are not finite.
  // `rows` and `columns`: cells of the coarsest level.
  RandomMaps(std::vector<int> level_strides, int batch, int class_count, int bins, unsigned seed,
             int rows = 2, int columns = 5)
      : strides(std::move(level_strides)),
        pictures(batch),
        classes(class_count),
        reg_max(bins),
        height(rows * strides.back()),
        width(columns * strides.back()) {
    std::mt19937 random(seed);
    const auto whole = [&](int least, int most) {
      return std::uniform_int_distribution<int>(least, most)(random);
    };
    constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity(),
                              -std::numeric_limits<float>::infinity(), -0.0f};
    const auto fill = [&](int stride, int channels, float step, float middle) {
      std::vector<float> map(count(stride, channels));
      for (float& value : map) {
        value = whole(0, 999) == 0 ? kOdd[whole(0, 3)]
                                   : step * static_cast<float>(whole(-40, 40)) + middle;
      }
      maps.push_back(std::move(map));
    };
    for (const int stride : strides) {
      fill(stride, classes, 0.125f, -2.0f);
      // Distances of about two strides, some of them none; or bins.
      fill(stride, 4 * reg_max, 0.0625f, reg_max == 1 ? 2.0f : 0.0f);
    }
  }

  std::size_t count(int stride, int channels) const {
    return static_cast<std::size_t>(pictures) * picture(stride, channels);
  }
  std::size_t picture(int stride, int channels) const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height / stride) *
           static_cast<std::size_t>(width / stride);
  }

  Detections expected(int number, const std::vector<float>& thresholds, int most) const {
    std::vector<LevelFormat> formats;
    std::vector<LevelMaps> views;
    for (std::size_t i = 0; i < strides.size(); ++i) {
      const int stride = strides[i];
      const auto format = [&](int channels) {
        return TensorFormat::packed(DataType::kFloat32, Layout::kLinear, channels, height / stride,
                                    width / stride, 1.0f);
      };
      formats.push_back({stride, format(classes), format(4 * reg_max)});
      const auto at = static_cast<std::size_t>(number);
      views.push_back({maps[2 * i].data() + at * picture(stride, classes),
                       maps[2 * i + 1].data() + at * picture(stride, 4 * reg_max)});
    }
    // The placement of docs/bundle.md for a picture of the input's own size: nothing moves.
    return Decoder({reg_max, thresholds, most}, formats)
        .decode(views, Placement::fit(width, height, width, height));
  }
};

}  // namespace unina
