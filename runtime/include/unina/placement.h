// Where the resized picture lies inside the network's input, and the way back (docs/bundle.md,
// "Letterbox").
#pragma once

namespace unina {

struct Box {
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

struct Placement {
  int left = 0, top = 0;      // of the resized picture, in input pixels
  int width = 0, height = 0;  // of the resized picture
  int source_width = 0, source_height = 0;

  // The largest picture of the source's shape that fits, centred. Throws Error unless all are >= 1.
  static Placement fit(int source_width, int source_height, int input_width, int input_height);

  // From source to input pixels; nothing is clipped.
  Box to_input(const Box& source) const;
  // From input to source pixels, clipped to the source picture.
  Box to_source(const Box& input) const;
};

bool operator==(const Placement& a, const Placement& b);

}  // namespace unina
