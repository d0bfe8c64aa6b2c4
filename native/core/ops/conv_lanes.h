// What sums with images in lanes share.
#pragma once
#include <cstdint>

#include "core/tap_sum.h"

namespace laminae {

// Taps [first, first + count) of one dimension.
struct TapRange {
  int64_t first, count;
};

// Those that lie inside x for some grid position in [g, last].
inline TapRange inside(const TapSum& s, int d, int64_t g, int64_t last) {
  const TapDim& t = s.taps[d];
  auto reads = [&](int64_t tap) {
    const int64_t shift = t.offset + tap * t.step;
    return last * s.stride[d] + shift >= 0 && g * s.stride[d] + shift < s.x_size[d];
  };
  TapRange r{0, t.count};
  while (r.count > 0 && !reads(r.first)) ++r.first, --r.count;
  while (r.count > 0 && !reads(r.first + r.count - 1)) --r.count;
  return r;
}

}  // namespace laminae
