// detector.toml: any bytes. What is taken comes back when its values are given as flags.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "memory_file.h"
#include "one_line.h"
#include "service/configuration.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const unina::fuzz::MemoryPath file(".toml");
  std::ofstream(file.get(), std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  unina::fuzz::taken_or_refused(file.get(), [] {
    const unina::Configuration taken = unina::read_configuration(file.get(), {});
    unina::Flags flags;
    for (const unina::ConfigurationKey& key : unina::configuration_keys()) {
      const std::string value = key.get(taken);
      if (value.find('\0') != std::string::npos) std::abort();  // a path would end there
      // A key without a value has no flag; those of text are set to "" by an empty one.
      if (!value.empty() || !key.get({}).empty()) flags[std::string(key.name)] = value;
    }
    const unina::Configuration again = unina::read_configuration("", flags);
    for (const unina::ConfigurationKey& key : unina::configuration_keys()) {
      if (key.get(again) != key.get(taken)) std::abort();
    }
    if (!unina::keys_for_restart(taken, again).empty()) std::abort();
  });
  return 0;
}
