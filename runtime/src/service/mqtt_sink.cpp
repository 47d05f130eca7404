// MQTT 3.1.1 by libmosquitto (mosquitto.h), driven by one thread of ours that alone calls it.
//
// libmosquitto queues without bound what a broker does not take. So it is given a message only when
// it has written the last one; what waits meanwhile waits in our outbox.
#include <mosquitto.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "printable.h"
#include "service/message_sinks.h"
#include "service/outbox.h"
#include "unina/error.h"

namespace unina {
namespace {

using std::chrono::milliseconds;

constexpr int kKeepAlive_s = 15;  // a broker that says nothing for longer is gone
constexpr milliseconds kFirstPause{500}, kLongestPause{30000};

class MqttSink final : public MessageSink {
 public:
  MqttSink(const std::string& broker, const std::string& topic, Metrics& metrics, Log& log)
      : broker_(broker),
        host_(broker.substr(0, broker.rfind(':'))),
        port_(std::atoi(broker.c_str() + broker.rfind(':') + 1)),
        topic_(topic),
        metrics_(metrics),
        log_(log),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    mosquitto_lib_init();
    client_ = mosquitto_new(nullptr, true, this);
    if (client_ == nullptr) throw Error("mqtt " + printable(broker) + ": not enough memory");
    mosquitto_connect_callback_set(client_, [](mosquitto*, void* self, int refused) {
      static_cast<MqttSink*>(self)->answered(refused);
    });
    thread_ = std::thread([this] { run(); });
  }
  ~MqttSink() override {
    stop_ = true;
    wake();
    thread_.join();
    mosquitto_destroy(client_);
    mosquitto_lib_cleanup();
    close(wake_);
  }
  MqttSink(const MqttSink&) = delete;
  MqttSink& operator=(const MqttSink&) = delete;

  void send(std::string_view message) override {
    if (!outbox_.put(message)) Metrics::count(metrics_.mqtt_dropped);
    wake();
  }

 private:
  void wake() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof one);
  }

  void answered(int refused) {
    up_ = refused == 0;
    refusal_ = refused == 0 ? "" : mosquitto_connack_string(refused);
  }

  // Waits for the broker's socket (-1: none), for a message, or for the time.
  void wait(int socket, milliseconds longest) const {
    const short events = static_cast<short>(POLLIN | (mosquitto_want_write(client_) ? POLLOUT : 0));
    std::array<pollfd, 2> waiting = {{{socket, events, 0}, {wake_, POLLIN, 0}}};
    poll(waiting.data(), waiting.size(), static_cast<int>(longest.count()));
    std::uint64_t ignored = 0;
    [[maybe_unused]] const ssize_t bytes = read(wake_, &ignored, sizeof ignored);
  }

  // Publishes as long as the connection lasts; returns why it ended.
  std::string serve() {
    refusal_.clear();
    int failed = mosquitto_connect_async(client_, host_.c_str(), port_, kKeepAlive_s);
    std::string message;
    bool was_up = false;
    while (failed == MOSQ_ERR_SUCCESS && !stop_) {
      if (up_ && !was_up) {
        was_up = true;
        metrics_.mqtt_up = 1;
        log_.info("mqtt", {{"state", "connected"}, {"broker", broker_}});
      }
      if (up_ && !mosquitto_want_write(client_) && outbox_.take(message)) {
        failed = mosquitto_publish(client_, nullptr, topic_.c_str(),
                                   static_cast<int>(message.size()), message.data(), 0, false);
        if (failed == MOSQ_ERR_SUCCESS && !mosquitto_want_write(client_)) continue;
      }
      if (failed == MOSQ_ERR_SUCCESS) wait(mosquitto_socket(client_), milliseconds(1000));
      if (failed == MOSQ_ERR_SUCCESS) failed = mosquitto_loop_read(client_, 1);
      if (failed == MOSQ_ERR_SUCCESS) failed = mosquitto_loop_write(client_, 1);
      if (failed == MOSQ_ERR_SUCCESS) failed = mosquitto_loop_misc(client_);
    }
    const int why = errno;
    mosquitto_disconnect(client_);
    if (!refusal_.empty()) return refusal_;
    return failed == MOSQ_ERR_ERRNO ? std::strerror(why) : mosquitto_strerror(failed);
  }

  void run() {
    milliseconds pause{0};
    while (!stop_) {
      const std::string reason = serve();
      if (stop_) return;
      const bool was_up = up_.exchange(false);
      metrics_.mqtt_up = 0;
      pause = was_up || pause.count() == 0 ? kFirstPause : std::min(2 * pause, kLongestPause);
      log_.warning("mqtt", {{"state", "lost"},
                            {"broker", broker_},
                            {"reason", one_line(reason)},
                            {"retry_ms", static_cast<std::int64_t>(pause.count())}});
      // What is older than the pause is of no use to anybody who reads it then.
      const auto end = std::chrono::steady_clock::now() + pause;
      while (!stop_ && std::chrono::steady_clock::now() < end) {
        wait(-1, std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now()));
        Metrics::count(metrics_.mqtt_dropped, outbox_.clear());
      }
    }
  }

  const std::string broker_, host_;
  const int port_;
  const std::string topic_;
  Metrics& metrics_;
  Log& log_;
  const int wake_;
  Outbox outbox_;
  std::atomic<bool> stop_{false}, up_{false};
  std::string refusal_;
  mosquitto* client_ = nullptr;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<MessageSink> open_mqtt(const std::string& broker, const std::string& topic,
                                       Metrics& metrics, Log& log) {
  return std::make_unique<MqttSink>(broker, topic, metrics, log);
}

}  // namespace unina
