// One line an event on stderr, for journald and for programs: key=value, or JSON.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>

namespace unina {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kText, kJson };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v), quoted(true) {}
  LogField(std::string_view k, const std::string& v) : LogField(k, std::string_view(v)) {}
  LogField(std::string_view k, const char* v) : LogField(k, std::string_view(v)) {}
  LogField(std::string_view k, std::uint64_t v) : key(k), value(std::to_string(v)) {}
  LogField(std::string_view k, std::int64_t v) : key(k), value(std::to_string(v)) {}
  LogField(std::string_view k, int v) : key(k), value(std::to_string(v)) {}

  std::string_view key;
  std::string value;
  bool quoted = false;
};

// Any thread may write; a line is written at once. In the journal, which keeps times itself, a line
// begins with its priority ("<4>"); elsewhere with the time in UTC.
class Log {
 public:
  Log(LogLevel least, LogFormat format, int descriptor = 2);

  void set(LogLevel least, LogFormat format);
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

  void debug(std::string_view e, std::initializer_list<LogField> f) {
    write(LogLevel::kDebug, e, f);
  }
  void info(std::string_view e, std::initializer_list<LogField> f) { write(LogLevel::kInfo, e, f); }
  void warning(std::string_view e, std::initializer_list<LogField> f) {
    write(LogLevel::kWarning, e, f);
  }
  void error(std::string_view e, std::initializer_list<LogField> f) {
    write(LogLevel::kError, e, f);
  }

 private:
  std::mutex mutex_;
  LogLevel least_;
  LogFormat format_;
  int descriptor_;
  bool journal_;
};

}  // namespace unina
