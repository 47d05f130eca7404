// Whether a JPEG file was cut off: libjpeg answers that with grey pixels and a warning, not with an
// error.
#pragma once

#include <string>

namespace unina {

// False only for a file that begins as a JPEG and has no end-of-image marker after its first scan
// (ITU-T T.81, B.1).
bool jpeg_is_complete(const std::string& path);

}  // namespace unina
