#include "atomic_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <system_error>

#include "unina/error.h"

namespace unina {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::generic_category().message(errno); }

// The same directory, since a rename must not cross file systems.
fs::path temporary_beside(const fs::path& path) {
  return path.parent_path() /
         ("." + path.filename().string() + ".tmp-" + std::to_string(::getpid()));
}

// On the disk before the name: after a power cut the name never stands for half a file.
void flush_to_disk(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool good = descriptor >= 0 && ::fsync(descriptor) == 0;
  const std::string why = reason();
  if (descriptor >= 0) ::close(descriptor);
  if (!good) throw Error(path + ": cannot flush to disk: " + why);
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : path_(path), stream_(&file_) {
  if (path == "-") {
    stream_ = &std::cout;
    return;
  }
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status))
    throw Error(path + ": is a directory; name a file, or - for standard output");
  if (!fs::exists(status) || fs::is_regular_file(status)) {
    temporary_ = temporary_beside(path).string();
  }
  file_.open(temporary_.empty() ? path_ : temporary_, std::ios::binary | std::ios::trunc);
  if (!file_) {
    const std::string why = reason();
    temporary_.clear();
    throw Error(path + ": cannot be written: " + why);
  }
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write_line(const std::string& line) { write(line + '\n'); }

void OutputFile::write(const std::string& bytes) {
  *stream_ << bytes;
  if (stream_ == &std::cout) stream_->flush();
  if (!*stream_) {
    throw Error((path_ == "-" ? "standard output" : path_) + ": cannot be written: " + reason());
  }
}

void OutputFile::commit() {
  stream_->flush();
  if (file_.is_open()) file_.close();
  if (!*stream_) throw Error(path_ + ": cannot be written: " + reason());
  if (temporary_.empty()) return;
  flush_to_disk(temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw Error(path_ + ": cannot be replaced: " + reason());
  }
  temporary_.clear();
}

OutputDirectory::OutputDirectory(const std::string& path)
    : path_((fs::path(path) / "").parent_path()), temporary_(temporary_beside(path_)) {
  std::error_code error;
  const fs::file_status status = fs::status(path_, error);
  if (fs::exists(status) && !fs::is_directory(status)) {
    throw Error(path + ": is not a directory");
  }
  error.clear();
  if (!fs::create_directory(temporary_, error) && error) {
    const std::string why = error.message();
    temporary_.clear();
    throw Error(path + ": cannot be made: " + why);
  }
}

OutputDirectory::~OutputDirectory() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void OutputDirectory::commit() try {
  if (!fs::exists(path_)) {
    fs::rename(temporary_, path_);
  } else {
    for (const fs::directory_entry& entry : fs::directory_iterator(temporary_)) {
      fs::rename(entry.path(), path_ / entry.path().filename());
    }
    fs::remove(temporary_);
  }
  temporary_.clear();
} catch (const fs::filesystem_error& error) {
  throw Error(path_.string() + ": cannot be written: " + error.code().message());
}

}  // namespace unina
