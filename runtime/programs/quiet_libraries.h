// Image and video libraries print complaints of their own (libpng, libjpeg, FFmpeg); ours names the
// file and the remedy, and is the only line. While this object lives, file descriptor 2 goes
// nowhere.
#pragma once

namespace unina {

class QuietLibraries {
 public:
  QuietLibraries();
  ~QuietLibraries();
  QuietLibraries(const QuietLibraries&) = delete;
  QuietLibraries& operator=(const QuietLibraries&) = delete;

 private:
  int kept_;  // a duplicate of descriptor 2, or -1 where none could be made
};

}  // namespace unina
