// What goes over the service's sockets. The first byte says what the rest is: 'q' a request to the
// control socket, 'a' the service's answer to `ctl`, 'm' names and numbers of a message.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "memory_file.h"
#include "one_line.h"
#include "service/control.h"
#include "service/log.h"
#include "service/message.h"
#include "service/unix_socket.h"

namespace {

using unina::fuzz::MemoryPath;

void require(bool kept, const char* promise, std::string_view text) {
  if (kept) return;
  std::fprintf(stderr, "not %s: %.*s\n", promise, static_cast<int>(text.size()), text.data());
  std::abort();
}

bool is_one_line(std::string_view text) {
  return !text.empty() && text.back() == '\n' &&
         std::all_of(text.begin(), text.end() - 1,
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
}

bool is_utf8(const std::string& text) {
  try {
    nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

// libFuzzer's alarm interrupts calls; it says nothing about the other side.
template <typename Call>
ssize_t uninterrupted(Call call) {
  ssize_t result = -1;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

void send_all(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent =
        uninterrupted([&] { return send(connection, text.data(), text.size(), MSG_NOSIGNAL); });
    if (sent <= 0) return;  // the other side has heard enough
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string receive_all(int connection) {
  std::string text;
  char part[4096];
  while (true) {
    const ssize_t got = uninterrupted([&] { return recv(connection, part, sizeof part, 0); });
    if (got <= 0) return text;
    text.append(part, static_cast<std::size_t>(got));
  }
}

// The service's side, with its log in memory.
struct Service {
  MemoryPath path{".control"};
  int log_file = memfd_create("log", MFD_CLOEXEC);
  unina::Log log{unina::LogLevel::kDebug, unina::LogFormat::kJson, log_file};
  unina::Control control{path.get(),
                         0600,
                         "",
                         {[] { return std::string("{\"state\": \"running\"}\n"); },
                          [] { return std::string("unina_readers 0\n"); },
                          []() -> std::string { throw unina::Error("no picture came"); }},
                         log};
  Service() { control.start(); }

  // What was logged since the last call.
  std::string logged() const {
    std::string text(1 << 20, '\0');
    const ssize_t got = pread(log_file, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    if (ftruncate(log_file, 0) != 0 || lseek(log_file, 0, SEEK_SET) != 0) std::abort();
    return text;
  }
};

void request(std::string_view text) {
  static const Service service;
  const int connection = unina::connect_unix(service.path.get(), SOCK_STREAM);
  send_all(connection, text);
  shutdown(connection, SHUT_WR);
  const std::string answer = receive_all(connection);
  close(connection);
  if (answer.rfind("HTTP/1.1 ", 0) == 0) {
    const std::size_t body = answer.find("\r\n\r\n");
    const std::size_t length = answer.find("\r\nContent-Length: ");
    require(body != std::string::npos && length < body &&
                std::stoul(answer.substr(length + 18)) == answer.size() - body - 4,
            "whole HTTP", answer);
  } else if (answer.rfind("ok ", 0) == 0) {
    const std::size_t end = answer.find('\n');
    require(end != std::string::npos && std::stoul(answer.substr(3)) == answer.size() - end - 1,
            "a whole answer", answer);
  } else {
    require(answer.rfind("error ", 0) == 0 && is_one_line(answer), "a refusal in one line", answer);
  }
  const std::string logged = service.logged();
  require(logged.empty() || (is_one_line(logged) && nlohmann::json::accept(logged)),
          "one JSON object in the log", logged);
}

void answer(std::string_view text) {
  static const MemoryPath path(".answer");
  static const unina::UnixListener listener(path.get(), SOCK_STREAM, 0600);
  std::thread server([text] {
    int connection = -1;
    while ((connection = listener.accept()) < 0) usleep(10);
    char heard[64];
    while (recv(connection, heard, sizeof heard, 0) < 0) usleep(10);
    send_all(connection, text);
    close(connection);
  });
  struct Joined {
    std::thread& thread;
    ~Joined() { thread.join(); }
  } joined{server};
  unina::fuzz::taken_or_refused(path.get(), [&] {
    const std::string body = unina::ask(path.get(), "status");
    const std::size_t end = text.find('\n');
    require(text.rfind("ok ", 0) == 0 && text.substr(end + 1) == body, "the answer's body", body);
  });
}

// Names end with a zero byte, numbers follow.
class Parts {
 public:
  explicit Parts(std::string_view rest) : rest_(rest) {}
  std::string name() {
    const std::size_t end = std::min(rest_.find('\0'), rest_.size());
    const std::string text(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return text;
  }
  template <typename Value>
  Value number() {
    Value value{};
    const std::size_t bytes = std::min(sizeof value, rest_.size());
    std::memcpy(&value, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
    return value;
  }
  bool ended() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

void message(std::string_view text) {
  Parts parts(text);
  const std::vector<std::string> classes = {parts.name(), parts.name()};
  const std::string source = parts.name();
  unina::Report report;
  report.source = source;
  report.frame = parts.number<std::uint64_t>();
  report.captured_ns = parts.number<std::int64_t>();
  report.width = parts.number<int>();
  unina::Detections found;
  while (!parts.ended()) {
    unina::Detection one;
    one.class_id = parts.number<std::uint8_t>() & 1;
    for (float* value : {&one.score, &one.box.x0, &one.box.y0, &one.box.x1, &one.box.y1}) {
      *value = parts.number<float>();
    }
    found.push_back(one);
  }
  report.detections = &found;
  constexpr std::size_t kMost = 20;
  unina::MessageWriter writer(classes, kMost);
  const std::string line(writer.write(report));
  require(is_one_line(line), "one line", line);
  const nlohmann::json read = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  require(read.is_object() && read["frame"] == report.frame && read["width"] == report.width &&
              read["captured_ns"] == report.captured_ns &&
              read["detections"].size() == std::min(kMost, found.size()),
          "the message", line);
  for (std::size_t i = 0; i < read["detections"].size(); ++i) {
    const float score = found[i].score;
    require(read["detections"][i]["score"].get<float>() == (std::isfinite(score) ? score : 0.0f),
            "the score", line);
  }
  if (is_utf8(source) && source.size() <= unina::MessageWriter::kSourceBytes) {
    require(read["source"] == source, "the source's name", line);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'q') request(rest);
  if (data[0] == 'a') answer(rest);
  if (data[0] == 'm') message(rest);
  return 0;
}
