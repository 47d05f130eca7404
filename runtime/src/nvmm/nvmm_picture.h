// A picture in a Jetson's own memory (NVMM), mapped for the CPU as long as this lives.
#pragma once

#include "nvmm/nvbufsurface_abi.h"
#include "unina/image.h"

namespace unina {

class NvmmPicture {
 public:
  // `surface` must outlive this; its first buffer holds a picture of these sides. Throws Error for
  // what the CPU cannot read and when NVIDIA's library fails; nothing stays mapped then.
  NvmmPicture(NvBufSurface* surface, int width, int height);
  ~NvmmPicture();
  NvmmPicture(const NvmmPicture&) = delete;
  NvmmPicture& operator=(const NvmmPicture&) = delete;

  // The mapped planes themselves.
  const ImageView& image() const { return image_; }
  // The same for two that stand for one buffer.
  const void* buffers() const { return surface_->surfaceList; }

 private:
  void see(int width, int height);

  NvBufSurface* surface_;
  ImageView image_;
};

}  // namespace unina
