// Times of one stage over many frames.
#pragma once

#include <vector>

namespace unina {

class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  // The smallest sample that `percent` of all do not exceed (nearest rank); 0 without samples.
  double percentile(double percent) const;
  double mean() const;
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
};

}  // namespace unina
