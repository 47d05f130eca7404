#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "service/service.h"
#include "unina/error.h"

namespace unina {

SignalDescriptor::SignalDescriptor() {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int one : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&taken, one);
  pthread_sigmask(SIG_BLOCK, &taken, nullptr);
  descriptor_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (descriptor_ < 0) throw Error(std::string("no signalfd: ") + std::strerror(errno));
}

SignalDescriptor::~SignalDescriptor() { close(descriptor_); }

int SignalDescriptor::take() const {
  signalfd_siginfo information{};
  const ssize_t bytes = read(descriptor_, &information, sizeof information);
  return bytes == static_cast<ssize_t>(sizeof information) ? static_cast<int>(information.ssi_signo)
                                                           : 0;
}

}  // namespace unina
