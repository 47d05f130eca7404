#include "unina/dla_options.h"

#include "printable.h"
#include "unina/error.h"

namespace unina {

std::vector<DlaOptions> dla_options(const std::string& cores,
                                    const std::vector<std::string>& loadables, int timeout_ms,
                                    bool deterministic_semaphores) {
  std::vector<int> numbers;
  if (cores == "0" || cores == "both") numbers.push_back(0);
  if (cores == "1" || cores == "both") numbers.push_back(1);
  if (numbers.empty()) throw Error("DLA core " + printable(cores) + ": expected 0, 1 or both");
  if (loadables.size() > 1 && loadables.size() != numbers.size()) {
    throw Error(std::to_string(loadables.size()) + " DLA loadables for " +
                std::to_string(numbers.size()) +
                " of the cores; expected one for each, or one for all");
  }
  std::vector<DlaOptions> each;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    DlaOptions one;
    if (!loadables.empty()) one.loadable = loadables.size() == 1 ? loadables[0] : loadables[i];
    one.core = numbers[i];
    one.timeout_ms = timeout_ms;
    one.deterministic_semaphores = deterministic_semaphores;
    each.push_back(one);
  }
  return each;
}

}  // namespace unina
