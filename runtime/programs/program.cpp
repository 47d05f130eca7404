#include "program.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <thread>

#include "unina/error.h"

namespace unina {
namespace {

volatile std::sig_atomic_t received = 0;

void remember(int signal) { received = signal; }

int fail(const std::string& program, std::string message) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
  return 2;
}

}  // namespace

int stop_signal() { return received; }

int default_threads() {
  return static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 256u));
}

int run_program(CLI::App& app, int argc, char** argv, const std::function<void()>& body) {
  const std::string program = app.get_name();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return fail(program, std::string(error.what()) + "; see " + program + " --help");
  }
  std::signal(SIGINT, remember);
  std::signal(SIGTERM, remember);
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  try {
    body();
  } catch (const Error& error) {
    const int code = fail(program, error.what());
    if (stop_signal() == 0) return code;
  } catch (const std::bad_alloc&) {
    return fail(program, "not enough memory");
  } catch (const std::exception& error) {
    return fail(program, error.what());
  }
  return stop_signal() == 0 ? 0 : 128 + stop_signal();
}

}  // namespace unina
