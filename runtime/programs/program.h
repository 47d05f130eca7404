// What the programs share at their edges: one line for an error, 0 for good, 2 for "can't say".
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace unina {

// Parses the command line and runs `body`; returns the exit code. Whatever goes wrong becomes one
// line on stderr that begins with the program's name. A SIGINT or SIGTERM is remembered
// (stop_signal), so that what was begun can be cleaned up; the code is then 128 + signal.
int run_program(CLI::App& app, int argc, char** argv, const std::function<void()>& body);

// The signal that asked this process to stop, or 0.
int stop_signal();

// As many threads as the machine has processors, within what the engine takes.
int default_threads();

}  // namespace unina
