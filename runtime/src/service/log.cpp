#include "service/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "service/clock.h"
#include "service/json_text.h"

namespace unina {
namespace {

constexpr std::array<const char*, 4> kNames = {"debug", "info", "warning", "error"};
constexpr std::array<const char*, 4> kPriorities = {"<7>", "<6>", "<4>", "<3>"};  // sd-daemon(3)

// systemd tells a service by JOURNAL_STREAM=device:inode which stream leads to the journal.
bool is_journal(int descriptor) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  unsigned long long device = 0, inode = 0;
  struct stat status{};
  return stream != nullptr && std::sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
         fstat(descriptor, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

std::string utc_now() {
  const std::int64_t now = realtime_ns();
  const std::time_t seconds = now / 1'000'000'000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40], whole[48];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(whole, sizeof whole, "%s.%03dZ", text, static_cast<int>(now / 1'000'000 % 1000));
  return whole;
}

// Bare where that is readable, else as a JSON string.
std::string text_value(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F) return json_string(text);
  }
  return text.empty() ? "\"\"" : std::string(text);
}

}  // namespace

Log::Log(LogLevel least, LogFormat format, int descriptor)
    : least_(least), format_(format), descriptor_(descriptor), journal_(is_journal(descriptor)) {}

void Log::set(LogLevel least, LogFormat format) {
  const std::lock_guard<std::mutex> lock(mutex_);
  least_ = least;
  format_ = format;
}

void Log::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (level < least_) return;
  const auto at = static_cast<std::size_t>(level);
  const bool json = format_ == LogFormat::kJson;
  std::string line = journal_ ? kPriorities[at] : "";
  if (json) line += '{';
  const auto add = [&](std::string_view key, std::string_view value, bool quoted) {
    if (line.size() > (journal_ ? 3u : 0u) + (json ? 1u : 0u)) line += json ? ", " : " ";
    line += json ? json_string(key) + ": " : std::string(key) + "=";
    line += !quoted ? std::string(value) : json ? json_string(value) : text_value(value);
  };
  if (!journal_) add("time", utc_now(), true);
  add("level", kNames[at], true);
  add("event", event, true);
  for (const LogField& field : fields) add(field.key, field.value, field.quoted);
  line += json ? "}\n" : "\n";
  // Nobody could be told that the log cannot be written.
  [[maybe_unused]] const ssize_t written = ::write(descriptor_, line.data(), line.size());
}

}  // namespace unina
