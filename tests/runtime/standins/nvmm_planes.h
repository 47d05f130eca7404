// What a test can ask of the stand-in of libnvbufsurface.
#pragma once

extern "C" {

// 1 when a mapped and synchronised buffer's plane begins at this address.
int standin_nvbuf_plane_at(const void* address);

}  // extern "C"
