#include "samples.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace unina {

double Samples::percentile(double percent) const {
  if (values_.empty()) return 0.0;
  const auto count = static_cast<double>(values_.size());
  const auto rank = static_cast<long>(std::ceil(percent / 100.0 * count));
  std::vector<double> sorted = values_;
  const auto at = sorted.begin() + std::clamp(rank - 1, 0L, static_cast<long>(sorted.size()) - 1);
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

double Samples::mean() const {
  if (values_.empty()) return 0.0;
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

}  // namespace unina
