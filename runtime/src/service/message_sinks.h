// Sinks for messages that live in libraries which a build may lack. None of them ever waits for a
// reader or a broker.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "service/log.h"
#include "service/metrics.h"

namespace unina {

class MessageSink {
 public:
  virtual ~MessageSink() = default;
  // One message, without its newline.
  virtual void send(std::string_view message) = 0;
};

// A PUB socket of ZeroMQ at the endpoint: ipc:///PATH or tcp://ADDRESS:PORT. `mode` is of the ipc
// socket. A reader whose queue is full misses messages. Throws Error, also where the build has no
// ZeroMQ.
std::unique_ptr<MessageSink> open_zmq(const std::string& endpoint, mode_t mode, Metrics& metrics);

// Publishes at an MQTT broker, HOST:PORT, with QoS 0, on a thread of its own, which connects again
// after a pause when the broker goes. What the broker does not take in time is dropped, the oldest
// first. Throws Error, also where the build has no MQTT.
std::unique_ptr<MessageSink> open_mqtt(const std::string& broker, const std::string& topic,
                                       Metrics& metrics, Log& log);

}  // namespace unina
