// Messages over ZeroMQ: every reader that keeps up gets all, one that does not misses some and
// holds up nobody.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zmq.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "service/message_sinks.h"
#include "service/unix_socket.h"
#include "unina/error.h"

namespace {

namespace fs = std::filesystem;

class Zmq : public testing::Test {
 protected:
  void SetUp() override {
    folder = (fs::temp_directory_path() / "unina-zmq-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string path() const { return folder + "/zmq"; }
  std::string endpoint() const { return "ipc://" + path(); }

  std::string folder;
  unina::Metrics metrics{{}};
};

class Reader {
 public:
  explicit Reader(const std::string& endpoint, int queue = 1000) {
    const int patience_ms = 20000;
    zmq_setsockopt(socket_, ZMQ_RCVHWM, &queue, sizeof queue);
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
    zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, "", 0);
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0);
  }
  ~Reader() {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::string receive(int flags = 0) {
    std::string text(1 << 16, '\0');
    const int bytes = zmq_recv(socket_, text.data(), text.size(), flags);
    if (bytes < 0) return "";
    text.resize(static_cast<std::size_t>(bytes));
    return text;
  }

 private:
  void* context_ = zmq_ctx_new();
  void* socket_ = zmq_socket(context_, ZMQ_SUB);
};

// A subscription takes its time to arrive.
void join(unina::MessageSink& sink, Reader& reader) {
  while (reader.receive(ZMQ_DONTWAIT).empty()) {
    sink.send("begin");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::string next(Reader& reader) {
  std::string message = reader.receive();
  while (message == "begin") message = reader.receive();
  return message;
}

TEST_F(Zmq, AReaderGetsEveryMessageInOrder) {
  const auto sink = unina::open_zmq(endpoint(), 0640, metrics);
  struct stat status{};
  ASSERT_EQ(stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0640u);
  Reader reader(endpoint());
  join(*sink, reader);
  for (int n = 0; n < 100; ++n) {
    sink->send("message " + std::to_string(n));
    ASSERT_EQ(next(reader), "message " + std::to_string(n));
  }
}

TEST_F(Zmq, AReaderThatDoesNotReadMissesMessagesIsCountedAndHoldsUpNobody) {
  const auto sink = unina::open_zmq(endpoint(), 0600, metrics);
  Reader good(endpoint()), slow(endpoint(), 1);
  join(*sink, good);
  join(*sink, slow);
  const std::string large(50000, 'm');
  for (int n = 0; n < 300; ++n) {
    sink->send(large);
    ASSERT_EQ(next(good), large);
  }
  EXPECT_GE(metrics.zmq_full, 1u);
  while (!slow.receive(ZMQ_DONTWAIT).empty()) {
  }
  std::string message;
  while (message != "new") {  // it reads again: it is among them again
    sink->send("new");
    message = slow.receive(ZMQ_DONTWAIT);
  }
}

TEST_F(Zmq, WithoutReadersNothingIsDropped) {
  const auto sink = unina::open_zmq(endpoint(), 0600, metrics);
  for (int n = 0; n < 1000; ++n) sink->send("message");
  EXPECT_EQ(metrics.zmq_full, 0u);
}

TEST_F(Zmq, ALivingSocketIsNotTakenAndADeadOneIs) {
  {
    const unina::UnixListener living(path(), SOCK_STREAM, 0600);
    EXPECT_THROW(unina::open_zmq(endpoint(), 0600, metrics), unina::Error);
    fs::create_hard_link(path(), folder + "/left");
  }
  fs::rename(folder + "/left", path());
  EXPECT_NO_THROW(unina::open_zmq(endpoint(), 0600, metrics));
  EXPECT_FALSE(fs::exists(path()));
  EXPECT_THROW(unina::open_zmq("ipc://" + folder + "/none/zmq", 0600, metrics), unina::Error);
}

}  // namespace
