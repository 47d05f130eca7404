#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "atomic_output.h"
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
    std::string text = answer;
    if (request == "status") {
      const nlohmann::json status = nlohmann::json::parse(answer);
      if (!json) text = status.at("status").get<std::string>() + "\n";
      code = status.at("state") == "running" ? 0 : 1;
    }
    OutputFile file(request == "snapshot" ? output : "-");
    file.write(text);
    file.commit();
  });
  return failed != 0 ? failed : code;
}

}  // namespace unina
