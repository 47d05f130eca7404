#include "serve.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <deque>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "annotate.h"
#include "program.h"
#include "service/service.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr const char* kDescription =
    "Detects for as long as the machine runs: newest picture first, to a socket and a ring in "
    "shared memory.\n"
    "Every key of the configuration file is a flag, too, and the flag wins; docs/service.md has "
    "the formats.\n"
    "SIGHUP reads configuration and bundle again; SIGTERM publishes what waits and ends.\n"
    "Exit code: 0 stopped; 1 the accelerator failed; 2 configuration, bundle or a socket is bad.";

std::string draw(const Snapshot& snapshot, const std::vector<std::string>& classes) {
  std::vector<std::uint8_t> jpeg;
  cv::imencode(".jpg", Annotator(classes).draw(snapshot.image, snapshot.detections), jpeg);
  return {jpeg.begin(), jpeg.end()};
}

// CLI11 would name an unknown flag, but not the one that was meant.
void refuse_unknown(const std::vector<std::string>& extras) {
  if (extras.empty()) return;
  const auto flag = std::find_if(extras.begin(), extras.end(),
                                 [](const std::string& one) { return one.rfind("--", 0) == 0; });
  if (flag == extras.end()) throw Error("unexpected argument '" + extras.front() + "'");
  std::vector<std::string> known = {"--config"};
  for (const ConfigurationKey& key : configuration_keys()) known.push_back(flag_of(key));
  const std::string name = flag->substr(0, flag->find('='));
  const std::string near = nearest(name, known);
  throw Error("unknown flag '" + name + "'" +
              (near.empty() ? "" : "; did you mean '" + near + "'?"));
}

}  // namespace

int serve_main(int argc, char** argv) {
  CLI::App app(kDescription, "unina-detector serve");
  app.set_version_flag("--version", UNINA_VERSION);
  app.allow_extras();
  ServiceOptions options;
  options.draw = draw;
  app.add_option("--config", options.file, "Configuration file (etc/detector.toml shows all keys)")
      ->type_name("FILE");
  const Configuration defaults;
  std::deque<std::pair<const ConfigurationKey*, std::string>> values;
  for (const ConfigurationKey& key : configuration_keys()) {
    auto& value = values.emplace_back(&key, "");
    const std::string preset = key.get(defaults);
    app.add_option(flag_of(key), value.second,
                   std::string(key.help) + (preset.empty() ? "" : " [" + preset + "]"))
        ->type_name(std::string(key.value));
  }
  int code = 0;
  const int failed = run_program(app, argc, argv, [&] {
    refuse_unknown(app.remaining());
    for (const auto& [key, text] : values) {
      if (app.count(flag_of(*key)) > 0) options.flags[std::string(key->name)] = text;
    }
    // Until the service takes them over there is nothing to stop, and nobody would look at them.
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    code = Service(std::move(options)).run();
  });
  return failed != 0 ? failed : code;
}

}  // namespace unina
