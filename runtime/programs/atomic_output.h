// Outputs that appear whole or not at all: written under another name beside their place, then
// renamed.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace unina {

// A file, or standard output for "-". What is no regular file (a pipe, /dev/null) is written
// directly.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();  // removes what was not committed
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Throws Error, for instance when the disk is full. Standard output is flushed at once.
  void write(const std::string& bytes);
  void write_line(const std::string& line);
  void commit();

 private:
  std::string path_;
  std::string temporary_;  // empty when written directly
  std::ofstream file_;
  std::ostream* stream_;
};

// Files for a directory, which may exist: other files in it stay.
class OutputDirectory {
 public:
  explicit OutputDirectory(const std::string& path);
  ~OutputDirectory();  // removes what was not committed
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  // Where to write the file that will have this name.
  std::string place(const std::string& name) const { return (temporary_ / name).string(); }
  void commit();

 private:
  std::filesystem::path path_, temporary_;
};

}  // namespace unina
