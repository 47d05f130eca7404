// The configuration file: what is wrong is named by file and line, an unknown key with the nearest.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "service/configuration.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;

class ConfigurationFile : public testing::Test {
 protected:
  void SetUp() override {
    path = (fs::temp_directory_path() / ("unina-" + std::to_string(getpid()) + ".toml")).string();
  }
  void TearDown() override { fs::remove(path); }

  unina::Configuration read(const std::string& text, const unina::Flags& flags = {}) const {
    std::ofstream(path, std::ios::binary) << text;
    return unina::read_configuration(path, flags);
  }
  std::string refusal(const std::string& text) const {
    try {
      read(text);
    } catch (const unina::Error& error) {
      return error.what();
    }
    return "not refused";
  }

  std::string path;
  const std::string least = "bundle = 'b'\nsource = 'images:x'\n";
};

TEST_F(ConfigurationFile, IsReadWithCommentsQuotesAndNumbers) {
  const unina::Configuration c = read(
      "# a comment\r\n\r\n  bundle=\"a \\\"b\\\" # \\\\c\"# d\nsource\t=\t'images:x?fps=30&loop=1' "
      "\n"
      "threads = 4\nscore_threshold = +2.5e-1\nlog_format = \"json\"");
  EXPECT_EQ(c.bundle, "a \"b\" # \\c");
  EXPECT_EQ(c.source, "images:x?fps=30&loop=1");
  EXPECT_EQ(c.threads, 4);
  EXPECT_EQ(c.score_threshold, 0.25f);
  EXPECT_EQ(c.log_format, unina::LogFormat::kJson);
  EXPECT_EQ(c.stale_ms, unina::Configuration().stale_ms);
}

TEST_F(ConfigurationFile, FlagsWin) {
  const unina::Configuration c = read(least + "threads = 4\n", {{"threads", "5"}, {"bundle", "c"}});
  EXPECT_EQ(c.threads, 5);
  EXPECT_EQ(c.bundle, "c");
  EXPECT_EQ(c.source, "images:x");
}

struct BadLine {
  const char* line;
  const char* why;
};

TEST_F(ConfigurationFile, ABadLineIsNamed) {
  for (const BadLine& bad : {
           BadLine{"sorce = 'images:x'", "unknown key 'sorce'; did you mean 'source'?"},
           {"bundel = 'x'", "unknown key 'bundel'; did you mean 'bundle'?"},
           {"zzzzzzzz = 1", "unknown key 'zzzzzzzz'"},
           {"threads = 0", "threads: '0': expected 1 to 256"},
           {"threads = 2.5", "threads: '2.5': expected 1 to 256"},
           {"threads = 99999999999999999999", "expected 1 to 256"},
           {"stale_ms = 3", "stale_ms stands here for the second time"},
           {"accelerator = 'gpu9'", "accelerator: 'gpu9': this build has auto"},
           {"preprocess = 'tpu'", "preprocess: 'tpu': expected one of cpu, gpu"},
           {"ring = 'a\x01'", "text has a control character, '\\x01'"},
           {"score_threshold = 1.5", "score_threshold: '1.5': expected a score from 0 to 1"},
           {"score_threshold = nan", "value 'nan'; text stands in quotes, a number does not"},
           {"mode = '0999'", "mode: '0999': expected permissions in octal"},
           {"metrics_listen = '9464'", "metrics_listen: '9464': expected ADDRESS:PORT"},
           {"source = 'camera:0'", "source: source 'camera:0': expected "},
           {"source = 'images:x?fps=0'", "option 'fps=0': expected fps=1 to 1000"},
           {"log_level = 'loud'", "expected one of debug, info, warning, error"},
           {"source images:x", "expected '=' after source"},
           {"source = images:x", "value 'images:x'; text stands in quotes, a number does not"},
           {"source = 'images:x", "text has no closing quote"},
           {"source = '''x'''", "text over several lines has no meaning here"},
           {"source = 'a' 'b'", "something follows the value: ''b''"},
           {"source =", "the value is missing"},
           {"source = # none", "the value is missing"},
           {"source = \"\\q\"", "unknown escape in text"},
           {"source = \"\\", "unknown escape in text"},
           {"[camera]", "tables have no meaning here"},
           {"a.b = 1", "dotted keys have no meaning here"},
           {"= 1", "expected a key"},
           {"\x01 = 1", "expected a key"},
       }) {
    const std::string message =
        refusal("# one\nstale_ms = 100 # ms\r\n" + std::string(bad.line) + "\n");
    EXPECT_EQ(message.rfind(path + ", line 3: ", 0), 0u) << message;
    EXPECT_NE(message.find(bad.why), std::string::npos) << message;
  }
}

TEST_F(ConfigurationFile, WhatIsMissingOrContradictsItselfIsNamed) {
  const auto has = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(refusal(""), "needs bundle, the model (--bundle DIR)"));
  EXPECT_TRUE(has(refusal("bundle = 'b'"), "needs source"));
  EXPECT_TRUE(has(refusal(least + "retry_first_ms = 500\nretry_most_ms = 400\n"),
                  "retry_first_ms 500 is more than retry_most_ms 400"));
  EXPECT_TRUE(has(refusal(std::string((1 << 20) + 1, '#')), "is larger than 1 MiB"));
  EXPECT_THROW(unina::read_configuration("/nowhere/detector.toml", {}), unina::Error);
}

TEST_F(ConfigurationFile, OnlyWhatNeedsARestartIsSaidToNeedIt) {
  const unina::Configuration before = read(least);
  const unina::Configuration after =
      read("bundle = 'c'\nsource = 'images:y'\nthreads = 2\nring_slots = 9\nmode = '0600'\n");
  EXPECT_EQ(unina::keys_for_restart(before, after),
            (std::vector<std::string>{"ring_slots", "mode"}));
  EXPECT_TRUE(unina::keys_for_restart(before, before).empty());
}

}  // namespace
