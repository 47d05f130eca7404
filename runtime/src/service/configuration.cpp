#include "service/configuration.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "joined.h"
#include "printable.h"
#include "unina/accelerators.h"
#include "unina/error.h"
#include "unina/source.h"

namespace unina {
namespace {

int integer(const std::string& text, int least, int most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    throw Error(printable(text) + ": expected " + std::to_string(least) + " to " +
                std::to_string(most));
  }
  return value;
}

template <typename Choice>
Choice choice(const std::string& text, const std::vector<std::pair<const char*, Choice>>& choices) {
  std::string list;
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
    list += (list.empty() ? "" : ", ") + std::string(name);
  }
  throw Error(printable(text) + ": expected one of " + list);
}

template <typename Choice>
std::string name_of(Choice wanted, const std::vector<std::pair<const char*, Choice>>& choices) {
  for (const auto& [name, value] : choices) {
    if (value == wanted) return name;
  }
  return "";
}

const std::vector<std::pair<const char*, LogLevel>> kLevels = {{"debug", LogLevel::kDebug},
                                                               {"info", LogLevel::kInfo},
                                                               {"warning", LogLevel::kWarning},
                                                               {"error", LogLevel::kError}};
const std::vector<std::pair<const char*, LogFormat>> kFormats = {{"text", LogFormat::kText},
                                                                 {"json", LogFormat::kJson}};

const std::vector<std::pair<const char*, bool>> kAnswers = {{"no", false}, {"yes", true}};

const std::vector<std::pair<const char*, std::string>> kCores = {
    {"0", "0"}, {"1", "1"}, {"both", "both"}};

const std::vector<std::pair<const char*, int>> kDevices(kEngineDevices.begin(),
                                                        kEngineDevices.end());

void set_accelerator(Configuration& c, const std::string& text) {
  const std::vector<std::string>& names = accelerator_names();
  if (std::find(names.begin(), names.end(), text) == names.end()) {
    throw Error(printable(text) + ": this build has " + joined(names));
  }
  c.accelerator = text;
}

void set_preprocess(Configuration& c, const std::string& text) {
  c.preprocess = choice<const char*>(text, {{"cpu", "cpu"}, {"gpu", "gpu"}});
}

void set_threshold(Configuration& c, const std::string& text) {
  char* end = nullptr;
  const float value = std::strtof(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0 && value <= 1)) {
    throw Error(printable(text) + ": expected a score from 0 to 1");
  }
  c.score_threshold = value;
}

std::string threshold_of(const Configuration& c) {
  return c.score_threshold ? std::to_string(*c.score_threshold) : "";
}

void set_mode(Configuration& c, const std::string& text) {
  const bool octal = text.size() >= 3 && text.size() <= 4 &&
                     text.find_first_not_of("01234567") == std::string::npos;
  if (!octal || std::strtoul(text.c_str(), nullptr, 8) > 0777) {
    throw Error(printable(text) + ": expected permissions in octal, like \"0660\"");
  }
  c.mode = text;
}

// Empty, or something with a port at its end.
void require_port(const std::string& text, const char* expected) {
  if (text.empty()) return;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    throw Error(printable(text) + ": expected " + expected);
  }
  integer(text.substr(colon + 1), 1, 65535);
}

void set_listen(Configuration& c, const std::string& text) {
  require_port(text, "ADDRESS:PORT, like \"127.0.0.1:9464\"");
  c.metrics_listen = text;
}

void set_zmq(Configuration& c, const std::string& text) {
  const auto begins = [&](std::string_view scheme) {
    return text.size() > scheme.size() && text.compare(0, scheme.size(), scheme) == 0;
  };
  const bool network = begins("tcp://");
  if (network) require_port(text.substr(6), "tcp://ADDRESS:PORT");
  if (!text.empty() && !network && !begins("ipc:///")) {
    throw Error(printable(text) +
                ": expected ipc:///PATH, or tcp://ADDRESS:PORT for other machines");
  }
  c.zmq = text;
}

void set_topic(Configuration& c, const std::string& text) {
  if (text.empty() || text.size() > 200 || text.find_first_of("+#") != std::string::npos) {
    throw Error(printable(text) + ": expected a topic of 1 to 200 bytes without + and #");
  }
  c.mqtt_topic = text;
}

void set_source(Configuration& c, const std::string& text) {
  require_source_description(text);
  c.source = text;
}

}  // namespace

// A member that holds text as it stands, and one that holds an integer within bounds.
#define UNINA_TEXT(member)                                            \
  [](Configuration& c, const std::string& text) { c.member = text; }, \
      [](const Configuration& c) { return c.member; }
#define UNINA_INTEGER(member, least, most)                                                  \
  [](Configuration& c, const std::string& text) { c.member = integer(text, least, most); }, \
      [](const Configuration& c) { return std::to_string(c.member); }

const std::vector<ConfigurationKey>& configuration_keys() {
  static const std::vector<ConfigurationKey> keys = {
      {"bundle", "DIR", "The model: a .unina directory", true, UNINA_TEXT(bundle)},
      {"model", "DIR",
       "What unina-compile made, instead of bundle, accelerator, dla and the files for it; a link "
       "that comes to point elsewhere is followed",
       true, UNINA_TEXT(model)},
      {"accelerator", "NAME", "What runs the network; auto takes the best there is", true,
       set_accelerator, [](const Configuration& c) { return c.accelerator; }},
      {"preprocess", "DEVICE", "What makes the network's input of a picture: cpu or gpu", true,
       set_preprocess, [](const Configuration& c) { return c.preprocess; }},
      {"threads", "N", "Threads of the host accelerator, 1 to 256", true,
       UNINA_INTEGER(threads, 1, 256)},
      {"dla", "CORE", "DLA core: 0, 1 or both, which then take pictures in turn", true,
       [](Configuration& c, const std::string& text) { c.dla = choice(text, kCores); },
       [](const Configuration& c) { return c.dla; }},
      {"dla_loadable", "FILE", "What trtexec --buildDLAStandalone wrote for the DLA", true,
       UNINA_TEXT(dla_loadable)},
      {"dla1_loadable", "FILE", "With dla = both: that of core 1, where it has one of its own",
       true, UNINA_TEXT(dla1_loadable)},
      {"dla_timeout_ms", "MS", "Longest time of the DLA for a picture", true,
       UNINA_INTEGER(dla_timeout_ms, 1, 60000)},
      {"deterministic_semaphores", "ANSWER", "yes or no: for cudla-standalone on old releases",
       true,
       [](Configuration& c, const std::string& text) {
         c.deterministic_semaphores = choice(text, kAnswers);
       },
       [](const Configuration& c) { return name_of(c.deterministic_semaphores, kAnswers); }},
      {"engine", "FILE", "A TensorRT engine, for the accelerator tensorrt", true,
       UNINA_TEXT(tensorrt.engine)},
      {"engine_on", "DEVICE", "Where the engine runs, as it was built: gpu, dla0 or dla1", true,
       [](Configuration& c, const std::string& text) {
         c.tensorrt.dla_core = choice(text, kDevices);
       },
       [](const Configuration& c) { return name_of(c.tensorrt.dla_core, kDevices); }},
      {"score_threshold", "SCORE", "Least score of a detection instead of the bundle's own", true,
       set_threshold, threshold_of},
      {"source", "SOURCE",
       "images:DIR, video:FILE (?fps=30&loop=1 may follow), frames:RING or gst:PIPELINE", true,
       set_source, [](const Configuration& c) { return c.source; }},
      {"stale_ms", "MS", "An older picture is counted and marked as stale", true,
       UNINA_INTEGER(stale_ms, 1, 60000)},
      {"retry_first_ms", "MS", "Pause before a lost source is opened again; doubled each time",
       true, UNINA_INTEGER(retry_first_ms, 1, 60000)},
      {"retry_most_ms", "MS", "Longest such pause", true, UNINA_INTEGER(retry_most_ms, 1, 60000)},
      {"socket", "PATH", "Socket (SOCK_SEQPACKET) for detections; empty for none", false,
       UNINA_TEXT(socket)},
      {"ring", "PATH", "Shared-memory ring for detections, on a tmpfs; empty for none", false,
       UNINA_TEXT(ring)},
      {"ring_slots", "N", "Messages that the ring holds, 2 to 4096", false,
       UNINA_INTEGER(ring_slots, 2, 4096)},
      {"control", "PATH", "Socket for unina-detector ctl; empty for none", false,
       UNINA_TEXT(control)},
      {"zmq", "ENDPOINT",
       "ZeroMQ PUB socket for detections: ipc:///PATH or tcp://ADDRESS:PORT; empty for none", false,
       set_zmq, [](const Configuration& c) { return c.zmq; }},
      {"mqtt", "HOST:PORT", "MQTT broker for detections; empty for none", false,
       [](Configuration& c, const std::string& text) {
         require_port(text, "HOST:PORT, like \"127.0.0.1:1883\"");
         c.mqtt = text;
       },
       [](const Configuration& c) { return c.mqtt; }},
      {"mqtt_topic", "TOPIC", "The topic there", false, set_topic,
       [](const Configuration& c) { return c.mqtt_topic; }},
      {"mode", "OCTAL", "Permissions of sockets and ring", false, set_mode,
       [](const Configuration& c) { return c.mode; }},
      {"metrics_listen", "ADDRESS:PORT", "HTTP for Prometheus; empty for no network port", false,
       set_listen, [](const Configuration& c) { return c.metrics_listen; }},
      {"log_level", "LEVEL", "debug, info, warning or error", true,
       [](Configuration& c, const std::string& text) { c.log_level = choice(text, kLevels); },
       [](const Configuration& c) { return name_of(c.log_level, kLevels); }},
      {"log_format", "FORMAT", "text (key=value) or json", true,
       [](Configuration& c, const std::string& text) { c.log_format = choice(text, kFormats); },
       [](const Configuration& c) { return name_of(c.log_format, kFormats); }},
      {"status_ms", "MS", "How often systemd is told the status", true,
       UNINA_INTEGER(status_ms, 50, 60000)},
  };
  return keys;
}

#undef UNINA_TEXT
#undef UNINA_INTEGER

unsigned Configuration::mode_bits() const {
  return static_cast<unsigned>(std::strtoul(mode.c_str(), nullptr, 8));
}

std::vector<DlaOptions> Configuration::dla_cores() const {
  std::vector<std::string> loadables;
  if (!dla_loadable.empty()) loadables.push_back(dla_loadable);
  if (!dla1_loadable.empty()) loadables.push_back(dla1_loadable);
  return dla_options(dla, loadables, dla_timeout_ms, deterministic_semaphores);
}

const ConfigurationKey* find_configuration_key(std::string_view name) {
  for (const ConfigurationKey& key : configuration_keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string flag_of(const ConfigurationKey& key) {
  std::string flag = "--" + std::string(key.name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::vector<std::string> keys_for_restart(const Configuration& before, const Configuration& after) {
  std::vector<std::string> differing;
  for (const ConfigurationKey& key : configuration_keys()) {
    if (!key.reloadable && key.get(before) != key.get(after)) differing.emplace_back(key.name);
  }
  return differing;
}

std::string nearest(const std::string& name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t fewest = std::max<std::size_t>(2, name.size() / 2) + 1;
  for (const std::string& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= name.size(); ++i) {
      std::size_t diagonal = row[0]++;
      for (std::size_t j = 1; j < row.size(); ++j) {
        const std::size_t replaced = diagonal + (name[i - 1] != candidate[j - 1] ? 1 : 0);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
      }
    }
    if (row.back() < fewest) {
      fewest = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace unina
