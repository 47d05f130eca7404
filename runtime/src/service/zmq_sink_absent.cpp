// In place of zmq_sink.cpp where the build found no ZeroMQ.
#include "printable.h"
#include "service/message_sinks.h"
#include "unina/error.h"

namespace unina {

std::unique_ptr<MessageSink> open_zmq(const std::string& endpoint, mode_t, Metrics&) {
  throw Error("zmq " + printable(endpoint) +
              ": this build has no ZeroMQ; install libzmq3-dev and build again");
}

}  // namespace unina
