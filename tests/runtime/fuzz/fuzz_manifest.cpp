// manifest.json: any bytes.
#include <cstddef>
#include <cstdint>

#include "one_line.h"
#include "unina/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  unina::fuzz::taken_or_refused("manifest.json", [&] {
    const std::string json(reinterpret_cast<const char*>(data), size);
    const unina::Manifest manifest = unina::Manifest::parse(json, "manifest.json");
    // Whoever holds a manifest may ask it for every tensor that it names.
    manifest.tensor(manifest.input_name);
    for (const unina::ManifestLevel& level : manifest.levels) {
      manifest.tensor(level.class_map);
      manifest.tensor(level.box_map);
    }
  });
  return 0;
}
