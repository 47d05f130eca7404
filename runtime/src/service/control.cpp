#include "service/control.h"

#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "printable.h"
#include "unina/error.h"

namespace unina {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMostRequest = 4096;
constexpr milliseconds kPause{
    100};                      // after a connection that could not be taken, or a wait that failed
constexpr int kAnswer_s = 10;  // for the service, in what a client does

int left_ms(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<long>(0, left));
}

int listen_tcp(const std::string& listen_at) {
  const std::size_t colon = listen_at.rfind(':');
  std::string host = listen_at.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  const int code = getaddrinfo(host.c_str(), listen_at.c_str() + colon + 1, &hints, &found);
  if (code != 0) throw Error("metrics_listen " + printable(listen_at) + ": " + gai_strerror(code));
  const int descriptor = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int one = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const bool good =
      bind(descriptor, found->ai_addr, found->ai_addrlen) == 0 && ::listen(descriptor, 16) == 0;
  const std::string why = std::strerror(errno);
  freeaddrinfo(found);
  if (good) return descriptor;
  close(descriptor);
  throw Error("metrics_listen " + printable(listen_at) + ": " + why);
}

std::string http(const char* status, const char* type, const std::string& body) {
  return std::string("HTTP/1.1 ") + status + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" +
         body;
}

}  // namespace

bool Control::wait_for(int descriptor, short events, Clock::time_point end) const {
  std::array<pollfd, 2> waiting = {{{descriptor, events, 0}, {stop_, POLLIN, 0}}};
  return poll(waiting.data(), waiting.size(), left_ms(end)) > 0 && waiting[1].revents == 0;
}

// Up to the end of the first line; for HTTP up to the empty line.
std::string Control::read_request(int connection) const {
  const Clock::time_point end = Clock::now() + kPatience;
  std::string request;
  std::array<char, 1024> part;
  while (request.size() < kMostRequest) {
    const bool http = request.rfind("GET ", 0) == 0;
    if (request.find(http ? "\r\n\r\n" : "\n") != std::string::npos) break;
    if (!wait_for(connection, POLLIN, end)) break;
    const ssize_t bytes = recv(connection, part.data(), part.size(), MSG_DONTWAIT);
    if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) break;
    if (bytes > 0) request.append(part.data(), static_cast<std::size_t>(bytes));
  }
  return request;
}

void Control::write_all(int connection, const std::string& text) const {
  const Clock::time_point end = Clock::now() + kPatience;
  std::size_t sent = 0;
  while (sent < text.size() && wait_for(connection, POLLOUT, end)) {
    const ssize_t bytes =
        send(connection, text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (bytes < 0 && errno != EAGAIN) return;
    if (bytes > 0) sent += static_cast<std::size_t>(bytes);
  }
}

Control::Control(const std::string& path, mode_t mode, const std::string& listen,
                 ControlHandlers handlers, Log& log)
    : handlers_(std::move(handlers)), log_(log) {
  if (!path.empty()) unix_.emplace(path, SOCK_STREAM, mode);
  if (!listen.empty()) tcp_ = listen_tcp(listen);
  stop_ = eventfd(0, EFD_CLOEXEC);
}

void Control::start() {
  thread_ = std::thread([this] { run(); });
}

std::string Control::trouble() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return trouble_;
}

void Control::set_trouble(const std::string& why) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (why == trouble_) return;
  trouble_ = why;
  if (why.empty()) {
    log_.info("control", {{"state", "answers"}});
  } else {
    log_.error("control", {{"state", "lost"}, {"reason", why}});
  }
}

Control::~Control() {
  stopping_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  close(stop_);
  if (tcp_ >= 0) close(tcp_);
}

void Control::run() {
  while (!stopping_) {
    std::array<pollfd, 3> waiting = {
        {{stop_, POLLIN, 0}, {unix_ ? unix_->descriptor() : -1, POLLIN, 0}, {tcp_, POLLIN, 0}}};
    if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) {
      set_trouble(std::strerror(errno));
      std::this_thread::sleep_for(kPause);
      continue;
    }
    set_trouble("");
    if (waiting[0].revents != 0) return;
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
      if (waiting[i].revents == 0) continue;
      const int connection = accept4(waiting[i].fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (connection >= 0) {
        answer(connection, i == 2);
        close(connection);
      } else if (errno != EAGAIN && errno != ECONNABORTED) {
        // No descriptor or memory for it: the client stays in the queue, so poll() would not wait.
        wait_for(-1, 0, Clock::now() + kPause);
      }
    }
  }
}

void Control::answer(int connection, bool http_only) const {
  const std::string request = read_request(connection);
  const std::string line = request.substr(0, request.find_first_of("\r\n"));
  try {
    if (line.rfind("GET ", 0) == 0 || http_only) {
      const bool known = line.rfind("GET /metrics ", 0) == 0;
      write_all(connection, known ? http("200 OK", "text/plain; version=0.0.4; charset=utf-8",
                                         handlers_.metrics())
                                  : http("404 Not Found", "text/plain", "only GET /metrics\n"));
      return;
    }
    std::string body;
    if (line == "status") {
      body = handlers_.status();
    } else if (line == "metrics") {
      body = handlers_.metrics();
    } else if (line == "snapshot") {
      body = handlers_.snapshot();
    } else {
      throw Error("unknown request " + printable(line) + "; known: status, metrics, snapshot");
    }
    write_all(connection, "ok " + std::to_string(body.size()) + "\n" + body);
  } catch (const std::exception& error) {
    log_.debug("control", {{"request", line}, {"refused", error.what()}});
    write_all(connection, std::string("error ") + error.what() + "\n");
  }
}

std::string ask(const std::string& path, const std::string& request) {
  const int connection = connect_unix(path, SOCK_STREAM);
  const timeval patience{kAnswer_s, 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const std::string line = request + "\n";
  send(connection, line.data(), line.size(), MSG_NOSIGNAL);  // fits any socket's buffer
  std::string answer;
  std::array<char, 4096> part;
  for (ssize_t bytes; (bytes = recv(connection, part.data(), part.size(), 0)) > 0;) {
    answer.append(part.data(), static_cast<std::size_t>(bytes));
  }
  close(connection);
  const std::size_t end = answer.find('\n');
  if (end != std::string::npos && answer.rfind("error ", 0) == 0) {
    throw Error(path + ": " + one_line(answer.substr(6, end - 6)));
  }
  if (end == std::string::npos || answer.rfind("ok ", 0) != 0 ||
      std::strtoull(answer.c_str() + 3, nullptr, 10) != answer.size() - end - 1) {
    throw Error(path + ": the service gave no whole answer within " + std::to_string(kAnswer_s) +
                " s");
  }
  return answer.substr(end + 1);
}

}  // namespace unina
