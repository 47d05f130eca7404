// The control socket's answers, and that no client can hold up the service's end.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "service/control.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class ControlSocket : public testing::Test {
 protected:
  void SetUp() override {
    folder = (fs::temp_directory_path() / "unina-control-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    ASSERT_EQ(pipe2(log_pipe, O_NONBLOCK), 0);
    log =
        std::make_unique<unina::Log>(unina::LogLevel::kError, unina::LogFormat::kText, log_pipe[1]);
    control = std::make_unique<unina::Control>(path(), 0600, "", handlers(), *log);
    control->start();
  }
  void TearDown() override {
    control.reset();
    fs::remove_all(folder);
    close(log_pipe[0]);
    close(log_pipe[1]);
  }
  std::string logged() const {
    char text[4096];
    const ssize_t bytes = read(log_pipe[0], text, sizeof text);
    return {text, bytes < 0 ? 0 : static_cast<std::size_t>(bytes)};
  }
  std::string path() const { return folder + "/control"; }
  static unina::ControlHandlers handlers() {
    return {[] { return std::string("{}"); }, [] { return std::string("metrics"); },
            []() -> std::string { throw unina::Error("no picture came"); }};
  }

  std::string folder;
  int log_pipe[2] = {-1, -1};
  std::unique_ptr<unina::Log> log;
  std::unique_ptr<unina::Control> control;
};

std::string refusal(const std::string& path, const std::string& request) {
  try {
    unina::ask(path, request);
  } catch (const unina::Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(ControlSocket, AnswersOrSaysWhyNot) {
  EXPECT_EQ(unina::ask(path(), "status"), "{}");
  EXPECT_EQ(refusal(path(), "snapshot"), path() + ": no picture came");
  EXPECT_NE(refusal(path(), "format disk").find("known: status, metrics, snapshot"),
            std::string::npos);
}

TEST_F(ControlSocket, ASilentClientDelaysOthersAndNotTheEnd) {
  const int silent = unina::connect_unix(path(), SOCK_STREAM);
  const int next = unina::connect_unix(path(), SOCK_STREAM);
  EXPECT_EQ(unina::ask(path(), "status"), "{}");
  close(silent);
  close(next);
  auto least = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 5; ++i) {  // the machine may be busy once, not five times
    const int client = unina::connect_unix(path(), SOCK_STREAM);
    std::this_thread::sleep_for(50ms);
    const auto begin = std::chrono::steady_clock::now();
    control.reset();
    least = std::min(least, std::chrono::steady_clock::now() - begin);
    close(client);
    control = std::make_unique<unina::Control>(path(), 0600, "", handlers(), *log);
    control->start();
  }
  EXPECT_LT(least, unina::Control::kPatience / 2);
}

// The time that the process computed; a thread that spins computes, one that waits does not.
double computed_s() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

TEST_F(ControlSocket, WithoutADescriptorLeftItWaitsInsteadOfSpinningAndThenAnswers) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<int> taken;
  const rlimit few{std::min<rlim_t>(before.rlim_cur, 64), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const int waiting = socket(AF_UNIX, SOCK_STREAM, 0);
  for (int one = dup(waiting); one >= 0; one = dup(waiting)) taken.push_back(one);
  sockaddr_storage address{};
  address.ss_family = AF_UNIX;
  path().copy(reinterpret_cast<char*>(&address) + sizeof(sa_family_t), 100);
  ASSERT_EQ(connect(waiting, reinterpret_cast<const sockaddr*>(&address), 110), 0);
  const double begin = computed_s();
  std::this_thread::sleep_for(500ms);
  EXPECT_LT(computed_s() - begin, 0.1);
  for (const int one : taken) close(one);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_EQ(send(waiting, "status\n", 7, MSG_NOSIGNAL), 7);
  char answer[16];
  EXPECT_GT(recv(waiting, answer, sizeof answer, 0), 0);
  close(waiting);
}

// poll() refuses more descriptors than the limit, as it fails without memory.
class ControlSocketThatCannotWait : public ControlSocket {
 protected:
  void SetUp() override {
    ControlSocket::SetUp();
    // Its thread has begun: a sanitizer that meets a type for the first time opens a pipe.
    ASSERT_EQ(unina::ask(path(), "status"), "{}");
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_storage address{};
    address.ss_family = AF_UNIX;
    path().copy(reinterpret_cast<char*>(&address) + sizeof(sa_family_t), 100);
    const rlimit few{2, before_.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), 110), 0);  // wakes it
    while (control->trouble().empty()) std::this_thread::sleep_for(1ms);
  }
  void TearDown() override {
    let_wait();
    close(client);
    ControlSocket::TearDown();
  }
  void let_wait() { ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

  int client = -1;

 private:
  rlimit before_{};
};

TEST_F(ControlSocketThatCannotWait, SaysSoOnceAndAnswersLater) {
  EXPECT_EQ(control->trouble(), "Invalid argument");
  const double begin = computed_s();
  std::this_thread::sleep_for(500ms);  // it tries again meanwhile
  EXPECT_LT(computed_s() - begin, 0.1);
  const std::string lines = logged();
  EXPECT_NE(lines.find("level=error event=control state=lost reason=\"Invalid argument\""),
            std::string::npos)
      << lines;
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 1) << lines;
  let_wait();
  ASSERT_EQ(send(client, "status\n", 7, MSG_NOSIGNAL), 7);
  char answer[16];
  EXPECT_GT(recv(client, answer, sizeof answer, 0), 0);
  EXPECT_EQ(control->trouble(), "");
}

TEST_F(ControlSocketThatCannotWait, StillEnds) { control.reset(); }

}  // namespace
