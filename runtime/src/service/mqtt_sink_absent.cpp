// In place of mqtt_sink.cpp where the build found no MQTT.
#include "printable.h"
#include "service/message_sinks.h"
#include "unina/error.h"

namespace unina {

std::unique_ptr<MessageSink> open_mqtt(const std::string& broker, const std::string&, Metrics&,
                                       Log&) {
  throw Error("mqtt " + printable(broker) +
              ": this build has no MQTT; install libmosquitto-dev and build again");
}

}  // namespace unina
