// The manual pages zmq_socket(3), zmq_setsockopt(3) and zmq_send(3).
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>

#include "printable.h"
#include "service/message_sinks.h"
#include "service/unix_socket.h"
#include "unina/error.h"

namespace unina {
namespace {

constexpr int kQueue = 16;  // messages that wait for each reader; newer ones are of more use

class ZmqSink final : public MessageSink {
 public:
  ZmqSink(const std::string& endpoint, mode_t mode, Metrics& metrics) : full_(metrics.zmq_full) {
    constexpr std::string_view kIpc = "ipc://";
    const bool ipc = endpoint.compare(0, kIpc.size(), kIpc) == 0;
    // ZeroMQ would take the place of a living service's socket.
    if (ipc) {
      path_ = endpoint.substr(kIpc.size());
      remove_abandoned_socket(path_, SOCK_STREAM);
    }
    context_ = zmq_ctx_new();
    socket_ = context_ != nullptr ? zmq_socket(context_, ZMQ_PUB) : nullptr;
    const int no_linger = 0;
    const mode_t before = umask(ipc ? ~mode & 0777u : 0077u);
    const bool good = socket_ != nullptr && set(ZMQ_LINGER, no_linger) && set(ZMQ_SNDHWM, kQueue) &&
                      set(ZMQ_XPUB_NODROP, 1) && zmq_bind(socket_, endpoint.c_str()) == 0;
    const int why = zmq_errno();
    umask(before);
    if (good) {
      if (ipc) inode_ = inode_at(path_);
      return;
    }
    close();
    throw Error("zmq " + printable(endpoint) + ": " + zmq_strerror(why));
  }
  ~ZmqSink() override {
    if (inode_ != 0 && inode_at(path_) == inode_) unlink(path_.c_str());
    close();
  }
  ZmqSink(const ZmqSink&) = delete;
  ZmqSink& operator=(const ZmqSink&) = delete;

  void send(std::string_view message) override {
    if (publish(message) || zmq_errno() != EAGAIN) return;
    // A reader's queue seems full. ZeroMQ looks once a millisecond at what was read; asking for the
    // events makes it look now.
    int events = 0;
    std::size_t bytes = sizeof events;
    zmq_getsockopt(socket_, ZMQ_EVENTS, &events, &bytes);
    if (publish(message) || zmq_errno() != EAGAIN) return;
    // It is full. Without this option it misses messages until it reads on, and the others get
    // them.
    Metrics::count(full_);
    set(ZMQ_XPUB_NODROP, 0);
    publish(message);
    set(ZMQ_XPUB_NODROP, 1);
  }

 private:
  bool set(int option, int value) {
    return zmq_setsockopt(socket_, option, &value, sizeof value) == 0;
  }
  bool publish(std::string_view message) {
    return zmq_send(socket_, message.data(), message.size(), ZMQ_DONTWAIT) >= 0;
  }
  void close() {
    if (socket_ != nullptr) zmq_close(socket_);
    if (context_ != nullptr) zmq_ctx_term(context_);
  }

  Metrics::Counter& full_;
  std::string path_;  // of the ipc socket, which ZeroMQ leaves behind
  ino_t inode_ = 0;
  void* context_ = nullptr;
  void* socket_ = nullptr;
};

}  // namespace

std::unique_ptr<MessageSink> open_zmq(const std::string& endpoint, mode_t mode, Metrics& metrics) {
  return std::make_unique<ZmqSink>(endpoint, mode, metrics);
}

}  // namespace unina
