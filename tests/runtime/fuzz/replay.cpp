// Runs a fuzz target without a fuzzer. On the files and directories that are given: what the corpus
// holds stays mended, whatever the compiler. With --mutate SECONDS LAST also on random changes of
// them, for machines without clang: blind to coverage, so it finds less in the same time. LAST is a
// file that always holds the input that runs, and so the one that ended the program.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Clock = std::chrono::steady_clock;

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// A corpus that is not there would pass for one that is mended.
std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(std::istreambuf_iterator<char>(file), {});
  if (file.is_open() && !file.bad()) return content;
  std::fprintf(stderr, "%s: cannot be read; expected files and directories of a corpus\n",
               path.c_str());
  std::exit(1);
}

class Mutator {
 public:
  explicit Mutator(const std::vector<std::string>& corpus) : corpus_(corpus) {}

  std::string operator()() {
    std::string input = pick(corpus_);
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(input);
    return input;
  }

 private:
  std::size_t below(std::size_t most) { return most == 0 ? 0 : random_() % most; }
  const std::string& pick(const std::vector<std::string>& from) { return from[below(from.size())]; }

  void change(std::string& input) {
    const std::size_t at = below(input.size());
    const std::size_t length = std::min(input.size() - at, 1 + below(below(8) == 0 ? 400 : 6));
    switch (below(6)) {
      case 0:
        if (!input.empty()) input[at] = static_cast<char>(random_());
        return;
      case 1:
        input.erase(at, length);
        return;
      case 2:
        input.insert(at, input.substr(at, length));
        return;
      case 3: {  // a piece of another input, or of this one
        const std::string& other = below(4) == 0 ? pick(corpus_) : input;
        const std::string piece = other.substr(below(other.size()), length);
        input.replace(at, below(length + 1), piece);
        return;
      }
      default:
        change_number(input, at);
    }
  }

  // Formats are mostly numbers: one that stands at or after `at` becomes another.
  void change_number(std::string& input, std::size_t at) {
    static const std::vector<std::string> numbers = {"0",
                                                     "1",
                                                     "2",
                                                     "3",
                                                     "31",
                                                     "32",
                                                     "33",
                                                     "-1",
                                                     "255",
                                                     "64",
                                                     "8192",
                                                     "65536",
                                                     "2147483647",
                                                     "4294967296",
                                                     "-2147483648",
                                                     "1e308",
                                                     "1e-40",
                                                     "0.5",
                                                     "9223372036854775807",
                                                     "18446744073709551615",
                                                     "[]",
                                                     "{}",
                                                     "null",
                                                     "true",
                                                     "\"\""};
    const std::size_t begin = input.find_first_of("0123456789", at);
    if (begin == std::string::npos) return;
    const std::size_t end = std::min(input.find_first_not_of("0123456789", begin), input.size());
    input.replace(begin, end - begin, pick(numbers));
  }

  const std::vector<std::string>& corpus_;
  std::mt19937 random_{1};
};

}  // namespace

int main(int count, char** arguments) {
  int at = 1, seconds = 0;
  std::string last;
  if (count > 3 && std::strcmp(arguments[1], "--mutate") == 0) {
    seconds = std::atoi(arguments[2]);
    last = arguments[3];
    at = 4;
  }
  std::vector<std::string> corpus;
  for (; at < count; ++at) {
    if (!std::filesystem::is_directory(arguments[at])) {
      corpus.push_back(read(arguments[at]));
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(arguments[at])) {
      corpus.push_back(read(entry.path()));
    }
  }
  for (const std::string& input : corpus) run(input);
  std::printf("%zu inputs taken or refused as they should\n", corpus.size());
  if (corpus.empty()) return 1;

  Mutator mutated(corpus);
  const Clock::time_point end = Clock::now() + std::chrono::seconds(seconds);
  long runs = 0;
  for (; Clock::now() < end; ++runs) {
    const std::string input = mutated();
    std::ofstream(last, std::ios::binary) << input;
    run(input);
  }
  if (seconds > 0) std::printf("and %ld changed ones, in %d s\n", runs, seconds);
  return 0;
}
