#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "program.h"
#include "serve.h"
#include "service/configuration.h"
#include "service/control.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr const char* kDescription =
    "Asks a running `unina-detector serve` over its control socket.\n"
    "  status    what it does, in one line; --json for programs\n"
    "  metrics   counters and histograms as Prometheus text\n"
    "  snapshot  the next picture with its boxes drawn, as JPEG into --output\n"
    "Exit code: 0 good; 1 status: the service runs and delivers nothing; 2 no answer.";

// A JPEG appears whole or not at all.
void write_file(const std::string& path, const std::string& bytes) {
  const std::string temporary = path + ".tmp";
  std::ofstream file(temporary, std::ios::binary);
  file << bytes;
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(temporary, path, failed);
  if (!file || failed) {
    std::filesystem::remove(temporary, failed);
    throw Error(path + ": cannot be written; is the directory there, is the disk full?");
  }
}

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw Error("standard output: cannot be written");
  }
}

}  // namespace

int ctl_main(int argc, char** argv) {
  CLI::App app(kDescription, "unina-detector ctl");
  std::string request, output = "snapshot.jpg";
  std::string control = Configuration().control;
  bool json = false;
  app.add_option("request", request, "status, metrics or snapshot")
      ->required()
      ->check(CLI::IsMember({"status", "metrics", "snapshot"}));
  app.add_option("--control", control, "The service's control socket")->capture_default_str();
  app.add_option("--output", output, "File for the snapshot; - is standard output")
      ->capture_default_str();
  app.add_flag("--json", json, "Print the status as JSON");
  int code = 0;
  const int failed = run_program(app, argc, argv, [&] {
    const std::string answer = ask(control, request);
    if (request == "snapshot" && output != "-") {
      write_file(output, answer);
    } else if (request == "status") {
      const nlohmann::json status = nlohmann::json::parse(answer);
      print(json ? answer : status.at("status").get<std::string>() + "\n");
      code = status.at("state") == "running" ? 0 : 1;
    } else {
      print(answer);
    }
  });
  return failed != 0 ? failed : code;
}

}  // namespace unina
