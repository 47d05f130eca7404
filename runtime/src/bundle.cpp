#include "unina/bundle.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <system_error>

#include "printable.h"
#include "regular_file.h"
#include "sha256.h"
#include "unina/error.h"

namespace unina {
namespace {

namespace fs = std::filesystem;

constexpr char kAgain[] = "; export or copy the bundle again";
constexpr std::uint64_t kMostManifestBytes = 16u << 20;

// Hands the whole file, in pieces, to `take`, and refuses one that is not what the manifest says.
template <typename Take>
void verified(const std::string& path, const ManifestFile& expected, Take take) {
  RegularFile file(path);
  if (file.bytes() != expected.bytes) {
    throw Error(path + ": has " + std::to_string(file.bytes()) + " bytes, the manifest says " +
                std::to_string(expected.bytes) + kAgain);
  }
  Sha256 sha256;
  std::vector<std::uint8_t> piece(1 << 16);
  while (const std::size_t got = file.read(piece.data(), piece.size())) {
    sha256.add(piece.data(), got);
    take(piece.data(), got);
  }
  const std::string found = sha256.hex();
  if (found != expected.sha256) {
    throw Error(path + ": SHA-256 is " + found + ", the manifest says " + expected.sha256 +
                ": the file was changed" + kAgain);
  }
}

std::string read_manifest(const std::string& path) {
  RegularFile file(path);
  if (file.bytes() > kMostManifestBytes) {
    throw Error(path + ": " + std::to_string(file.bytes()) + " bytes are too many for a manifest" +
                kAgain);
  }
  std::string text(file.bytes(), '\0');
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t got = file.read(text.data() + at, text.size() - at);
    if (got == 0) break;
    at += got;
  }
  text.resize(at);
  return text;
}

// Every entry below the bundle is manifest.json, its signature (which unina-compile verifies), a
// file that the manifest names or a directory on the way to one.
void refuse_strangers(const fs::path& directory, const Manifest& manifest) {
  std::set<std::string> directories;
  for (const auto& [name, file] : manifest.files) {
    for (fs::path parent = fs::path(name).parent_path(); !parent.empty();
         parent = parent.parent_path()) {
      directories.insert(parent.string());
    }
  }
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = entry.path().lexically_relative(directory).string();
    const std::string where = directory.string() + ": " + printable(name) + " ";
    const fs::file_type type = entry.symlink_status().type();
    if (type == fs::file_type::symlink) {
      throw Error(where + "is a link, which a bundle may not hold; put the file itself there");
    }
    if (type == fs::file_type::directory
            ? directories.count(name) != 0
            : name == "manifest.json" || name == "signature" || manifest.files.count(name) != 0) {
      if (type == fs::file_type::directory || type == fs::file_type::regular) continue;
      throw Error(where + "is not a regular file" + kAgain);
    }
    throw Error(where + "is not named by manifest.json; remove it" + kAgain);
  }
}

void require_labels(const Bundle& bundle) {
  if (bundle.manifest().files.count("labels.txt") == 0) return;
  const std::vector<std::uint8_t> bytes = bundle.read("labels.txt");
  std::istringstream stream(std::string(bytes.begin(), bytes.end()));
  std::vector<std::string> labels;
  for (std::string line; std::getline(stream, line);) labels.push_back(line);
  if (labels != bundle.manifest().classes) {
    throw Error(bundle.directory() + "/labels.txt: is not the list of classes of manifest.json" +
                kAgain);
  }
}

}  // namespace

Bundle Bundle::open(const std::string& directory) try {
  const fs::path path = fs::path(directory) / "";  // one trailing slash, whatever was given
  const std::string shown = path.parent_path().string();
  if (!fs::exists(shown))
    throw Error(shown + ": no such bundle; give the path of a .unina directory");
  if (!fs::is_directory(shown)) {
    throw Error(shown + ": is not a directory; a bundle is a directory with a manifest.json");
  }
  if (!fs::exists(fs::symlink_status(path / "manifest.json"))) {
    throw Error(shown + ": has no manifest.json, so it is not a bundle, or an unfinished one" +
                kAgain);
  }
  Bundle bundle;
  bundle.directory_ = shown;
  const std::string manifest_path = shown + "/manifest.json";
  bundle.manifest_ = Manifest::parse(read_manifest(manifest_path), manifest_path);
  refuse_strangers(path.parent_path(), bundle.manifest_);
  for (const auto& [name, file] : bundle.manifest_.files) {
    const std::string file_path = shown + "/" + name;
    if (!fs::exists(fs::symlink_status(file_path))) {
      throw Error(file_path + ": is missing, though manifest.json names it" + kAgain);
    }
    verified(file_path, file, [](const std::uint8_t*, std::size_t) {});
  }
  require_labels(bundle);
  return bundle;
} catch (const fs::filesystem_error& error) {
  throw Error(directory + ": cannot read the bundle: " + error.code().message());
}

std::vector<std::uint8_t> Bundle::read(const std::string& name) const {
  const auto found = manifest_.files.find(name);
  if (found == manifest_.files.end()) {
    throw Error(directory_ + ": the bundle has no " + printable(name) + kAgain);
  }
  std::vector<std::uint8_t> bytes;
  bytes.reserve(found->second.bytes);
  verified(directory_ + "/" + name, found->second,
           [&](const std::uint8_t* data, std::size_t count) {
             bytes.insert(bytes.end(), data, data + count);
           });
  return bytes;
}

}  // namespace unina
