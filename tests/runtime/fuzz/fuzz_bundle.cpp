// A whole bundle: the directory is made of the input's parts, opened, and if it is taken, one
// picture goes through its network.
//
// The parts are manifest.json, host.loadable (as loadable_file.h has it) and
// labels.txt, each ended by the four bytes of kEnd. Where a manifest is JSON with "files", sizes
// and hashes are put right first, since no mutation would find a SHA-256; a leading '!' keeps them.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "loadable_file.h"
#include "one_line.h"
#include "sha256.h"
#include "unina/detector.h"

namespace {

namespace fs = std::filesystem;

constexpr char kEnd[] = "\n~~\n";

// One directory a process, in memory where the system has such a place.
const fs::path& directory() {
  static const fs::path path = [] {
    const fs::path memory = "/dev/shm";
    std::string made =
        (fs::exists(memory) ? memory : fs::temp_directory_path()) / "unina-fuzz-XXXXXX";
    if (mkdtemp(made.data()) == nullptr) std::abort();
    static struct Remover {
      fs::path path;
      ~Remover() { fs::remove_all(path); }
    } remover{made};
    return fs::path(made) / "fuzzed.unina";
  }();
  return path;
}

std::vector<std::string> parts_of(std::string input) {
  std::vector<std::string> parts;
  for (std::size_t end = 0; (end = input.find(kEnd)) != std::string::npos;) {
    parts.push_back(input.substr(0, end));
    input.erase(0, end + sizeof kEnd - 1);
  }
  parts.push_back(input);
  parts.resize(3);
  return parts;
}

void seal(std::string& manifest, const std::string& loadable, const std::string& labels) {
  if (!manifest.empty() && manifest[0] == '!') {
    manifest.erase(0, 1);
    return;
  }
  nlohmann::json document = nlohmann::json::parse(manifest, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("files") || !document["files"].is_object())
    return;
  for (const auto& [name, content] :
       {std::pair{"host.loadable", &loadable}, {"labels.txt", &labels}}) {
    if (!document["files"].contains(name)) continue;
    unina::Sha256 hash;
    hash.add(content->data(), content->size());
    document["files"][name] = {{"sha256", hash.hex()}, {"bytes", content->size()}};
  }
  manifest = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void write(const char* name, const std::string& content) {
  std::ofstream(directory() / name, std::ios::binary) << content;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> parts = parts_of({reinterpret_cast<const char*>(data), size});
  const std::string loadable = unina::fuzz::loadable_file(parts[1]);
  // Large networks are fuzz_loadable's to refuse or to take; here they would only cost time.
  if (size > 1 << 16) return 0;
  seal(parts[0], loadable, parts[2]);
  fs::remove_all(directory());
  fs::create_directories(directory());
  write("manifest.json", parts[0]);
  if (!parts[1].empty()) write("host.loadable", loadable);
  if (!parts[2].empty()) write("labels.txt", parts[2]);
  unina::fuzz::taken_or_refused(directory().string(), [] {
    const unina::Bundle bundle = unina::Bundle::open(directory().string());
    std::int64_t values = 0;
    for (const unina::ManifestTensor& tensor : bundle.manifest().tensors) {
      values += std::int64_t{tensor.channels} * tensor.height * tensor.width;
    }
    if (values > 1 << 16) return;
    unina::DetectorOptions options;
    options.accelerator = "host";
    unina::Detector detector(directory().string(), options);
    const std::vector<std::uint8_t> picture(24 * 16 * 3, 90);
    detector.detect({picture.data(), 24, 16, 24 * 3});
  });
  return 0;
}
