// Whatever bytes it is given, the loader either refuses them with one line or makes an engine that
// runs. Deterministic, and worth most under the sanitizers.
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

#include "allocation_counter.h"
#include "unina/error.h"
#include "unina/host_engine.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr char kHeader[] = R"({"version":1,"rounding":"half-away","data_bytes":512,"tensors":[
{"name":"i","shape":[1,3,6,6],"scale_bits":"3f800000"},{"name":"a","shape":[1,4,3,3],"scale_bits":"3f800000"},
{"name":"b","shape":[1,4,3,3],"scale_bits":"3f800000"},{"name":"c","shape":[1,4,3,3],"scale_bits":"3f800000"},
{"name":"d","shape":[1,8,3,3],"scale_bits":"3f800000"},{"name":"e","shape":[1,8,2,2],"scale_bits":"3f800000"},
{"name":"f","shape":[1,8,4,4],"scale_bits":"3f800000"}],"inputs":["i"],"outputs":["f","c"],"ops":[
{"type":"conv","name":"s","inputs":["i"],"output":"a","kernel":[3,3],"stride":[2,2],"pads":[1,1,1,1],
"dilation":[1,1],"groups":1,"relu":true,"weights":0,"bias":128,"multiplier":192},
{"type":"relu","name":"","inputs":["a"],"output":"b"},
{"type":"add","name":"","inputs":["a","b"],"output":"c","multiplier_bits":"3f800000","relu":false},
{"type":"concat","name":"","inputs":["a","c"],"output":"d"},
{"type":"maxpool","name":"","inputs":["d"],"output":"e","kernel":[2,2],"stride":[2,2],"pads":[1,1,0,0]},
{"type":"resize","name":"","inputs":["e"],"output":"f","factor":[2,2]}]})";

// A promoted convolution that writes float16, and one that reads it and writes int8.
constexpr char kPromoted[] = R"({"version":2,"rounding":"half-even","data_bytes":512,"tensors":[
{"name":"i","shape":[1,3,6,6],"scale_bits":"3f800000"},{"name":"a","shape":[1,4,3,3],"type":"float16"},
{"name":"b","shape":[1,2,3,4],"scale_bits":"3f000000"},{"name":"c","shape":[1,2,3,4],"scale_bits":"3f000000"}],
"inputs":["i"],"outputs":["a","c"],"ops":[
{"type":"conv","name":"s","inputs":["i"],"output":"a","kernel":[3,3],"stride":[2,2],"pads":[1,1,1,1],
"dilation":[1,1],"groups":1,"relu":true,"precision":"float16","weights":0,"bias":256},
{"type":"conv","name":"t","inputs":["a"],"output":"b","kernel":[1,2],"stride":[1,1],"pads":[0,1,0,1],
"dilation":[1,1],"groups":2,"relu":false,"precision":"float16","weights":320,"bias":384,
"inverse_scale_bits":"40000000"},
{"type":"relu","name":"","inputs":["b"],"output":"c"}]})";

// What came with version 3, each with odd sizes.
constexpr char kVersion3[] = R"({"version":3,"rounding":"half-even","data_bytes":512,"tensors":[
{"name":"i","shape":[1,8,3,5],"scale_bits":"3f800000"},{"name":"a","shape":[1,8,3,5],"scale_bits":"3f800000"},
{"name":"b","shape":[1,8,1,1],"scale_bits":"3f800000"},{"name":"c","shape":[1,8,3,5],"scale_bits":"3f800000"},
{"name":"d","shape":[1,8,3,5],"scale_bits":"3f800000"},{"name":"e","shape":[1,8,3,5],"scale_bits":"3f800000"},
{"name":"f","shape":[1,8,6,15],"scale_bits":"3f000000"},{"name":"g","shape":[1,2,11,29],"scale_bits":"3f000000"}],
"inputs":["i"],"outputs":["g","d"],"ops":[
{"type":"table","name":"t","inputs":["i"],"output":"a","table":192},
{"type":"avgpool","name":"","inputs":["a"],"output":"b","kernel":[3,5],"stride":[1,1],"pads":[0,0,0,0]},
{"type":"mul","name":"","inputs":["a","b"],"output":"c","multiplier_bits":"3f800000"},
{"type":"max","name":"","inputs":["a","c"],"output":"d"},
{"type":"min","name":"","inputs":["d","i"],"output":"e"},
{"type":"bilinear","name":"","inputs":["e"],"output":"f","factor":[2,3],"corner":"half_pixel",
"multiplier_bits":"3daaaaab"},
{"type":"depthtospace","name":"","inputs":["f"],"output":"g","block":[2,2]}]})";

Bytes with_header(const std::string& header, std::size_t data_bytes) {
  Bytes bytes = {'U', 'N', 'I', 'N', 'A', 'H', 'L', '1'};
  const auto length = static_cast<std::uint32_t>(header.size());
  for (int shift = 0; shift < 32; shift += 8)
    bytes.push_back(static_cast<std::uint8_t>(length >> shift));
  bytes.insert(bytes.end(), header.begin(), header.end());
  bytes.resize((bytes.size() + 63) / 64 * 64);
  for (std::size_t i = 0; i < data_bytes; ++i)
    bytes.push_back(i >= 192 && i % 4 == 3 ? 0x3c : static_cast<std::uint8_t>(i % 3));
  return bytes;
}

// True when an engine came out of it and ran.
bool parses(const Bytes& bytes) {
  // A copy that ends where its bytes end, for the sanitizer.
  const Bytes exact(bytes.begin(), bytes.end());
  try {
    const auto engine = unina::HostEngine::parse(exact, "x.loadable");
    engine->infer();
    return true;
  } catch (const unina::Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.rfind("x.loadable: ", 0), 0u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 700u) << message;
    return false;
  }
}

const char* const kHeaders[] = {kHeader, kPromoted, kVersion3};

TEST(HostLoadable, TheExamplesAreValid) {
  for (const char* header : kHeaders) EXPECT_TRUE(parses(with_header(header, 512)));
}

TEST(HostLoadable, InferenceTakesNoMemory) {
  for (const char* header : kHeaders) {
    unina::HostEngineOptions options;
    options.threads = 2;
    const auto engine = unina::HostEngine::parse(with_header(header, 512), "x.loadable", options);
    const unina_test::AllocationCounter counter;
    engine->infer();
    EXPECT_EQ(counter.ours(), 0u);
  }
}

TEST(HostLoadable, EveryTruncationIsRefused) {
  for (const char* header : kHeaders) {
    const Bytes whole = with_header(header, 512);
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_FALSE(parses(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))))
          << size;
  }
}

TEST(HostLoadable, ChangedBytesAreRefusedOrRun) {
  std::mt19937 random(1);
  for (const char* header : kHeaders) {
    const Bytes whole = with_header(header, 512);
    for (std::size_t at = 0; at < whole.size(); ++at)
      for (const int change : {1, 2, 4, 0x80, static_cast<int>(random() % 255) + 1}) {
        Bytes changed = whole;
        changed[at] = static_cast<std::uint8_t>(changed[at] ^ change);
        parses(changed);
      }
  }
}

TEST(HostLoadable, ChangedNumbersAreRefusedOrRun) {
  for (const std::string header : kHeaders)
    for (std::size_t at = 0; at < header.size(); ++at) {
      if (!isdigit(static_cast<unsigned char>(header[at]))) continue;
      for (const char* value :
           {"0", "2", "7", "-1", "64", "8192", "8193", "1e3", "1.5", "null", "[]",
            "18446744073709551615", "9223372036854775807", "\"\"", "true"})
        parses(with_header(header.substr(0, at) + value + header.substr(at + 1), 512));
    }
}

TEST(HostLoadable, RandomBytesAreRefused) {
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    Bytes bytes(random() % 300);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (round % 2 && bytes.size() >= 12) std::memcpy(bytes.data(), "UNINAHL1\x20\0\0\0", 12);
    EXPECT_FALSE(parses(bytes));
  }
}

TEST(HostLoadable, DeepNestingIsRefused) {
  EXPECT_FALSE(parses(with_header(std::string(1 << 20, '['), 0)));
  EXPECT_FALSE(parses(with_header(std::string(1 << 20, '[') + std::string(1 << 20, ']'), 0)));
}

TEST(HostLoadable, AMissingFileIsNamed) {
  for (const char* path : {"/nowhere/host.loadable", "/"}) {
    try {
      unina::HostEngine::load(path);
      FAIL();
    } catch (const unina::Error& error) {
      EXPECT_EQ(std::string(error.what()).rfind(path, 0), 0u) << error.what();
    }
  }
}

}  // namespace
