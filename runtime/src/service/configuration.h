// The service's configuration: one table of keys, from which the file's reader, the flags and the
// help are made (runtime/etc/detector.toml, docs/service.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "service/log.h"
#include "unina/dla_options.h"
#include "unina/tensorrt_options.h"

namespace unina {

struct Configuration {
  std::string model;  // what unina-compile made; it says bundle, accelerator and what that runs
  std::string model_taken;  // the folder that `model` led to
  std::string bundle;
  std::string accelerator = "auto";
  std::string preprocess = "cpu";
  int threads = 1;
  std::string dla = "0";  // core: 0, 1 or both
  std::string dla_loadable, dla1_loadable;
  int dla_timeout_ms = DlaOptions().timeout_ms;
  bool deterministic_semaphores = false;
  TensorRtOptions tensorrt;
  std::optional<float> score_threshold;

  std::string source;
  int stale_ms = 200;
  int retry_first_ms = 250;
  int retry_most_ms = 5000;

  std::string socket = "/run/unina-detector/detections.sock";  // empty: none
  std::string ring = "/run/unina-detector/detections.ring";    // empty: none
  int ring_slots = 64;
  std::string control = "/run/unina-detector/control.sock";
  std::string zmq;   // endpoint; empty: none
  std::string mqtt;  // the broker's host:port; empty: none
  std::string mqtt_topic = "unina/detections";
  std::string mode = "0660";   // of the sockets and the ring, octal
  std::string metrics_listen;  // address:port; empty: no network port

  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  int status_ms = 1000;

  unsigned mode_bits() const;
  std::vector<DlaOptions> dla_cores() const;
};

struct ConfigurationKey {
  std::string_view name;   // in the file; the flag is "--" and the name with '-' for '_'
  std::string_view value;  // what stands there, for the help: PATH, N, ...
  std::string_view help;
  bool reloadable;  // SIGHUP may change it
  // Reads text; `integer`, `real` and so on are the same for file and flag. Throws Error that says
  // what is expected.
  void (*set)(Configuration& configuration, const std::string& text);
  std::string (*get)(const Configuration& configuration);
};

const std::vector<ConfigurationKey>& configuration_keys();
// nullptr: there is none of that name.
const ConfigurationKey* find_configuration_key(std::string_view name);
std::string flag_of(const ConfigurationKey& key);

// What the command line says: key to text.
using Flags = std::map<std::string, std::string>;

// Defaults, then the file (none if empty), then the flags; checked as a whole. Throws Error naming
// file and line, the value and what is expected; an unknown key comes with the nearest known one.
Configuration read_configuration(const std::string& path, const Flags& flags);

// The folder that a model's link leads to at present; "" where it leads nowhere.
std::string model_folder(const std::string& model);
// Sets what configuration.model stands for. Throws Error.
void take_model(Configuration& configuration);

// The keys that differ and may not change while the service runs; empty if none.
std::vector<std::string> keys_for_restart(const Configuration& before, const Configuration& after);

// The known name with the fewest changed letters (Levenshtein), or "" if none is near.
std::string nearest(const std::string& name, const std::vector<std::string>& known);

}  // namespace unina
