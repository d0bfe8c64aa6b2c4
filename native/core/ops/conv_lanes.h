// What sums with images in lanes share.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/integer.h"
#include "core/parallel.h"

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

// Images of one group that make the lanes, and the lines of their results to be made.
struct LanesPart {
  int64_t group, image, lanes;
  int64_t first_line, end_line;
};

// Calls make(part) for all of `lines` lines, in parallel. With fewer groups of images than threads,
// several threads share one, each with its own input.
template <class F>
void for_each_lanes_part(const TapSum& s, int64_t width, int64_t lines, F&& make) {
  const int64_t items = ceil_div(s.n, width) * s.groups;
  const int64_t work = s.rows * s.depth() * s.grid_plane() * width / kConvGrain;
  const int64_t threads = num_threads();
  const int64_t parts = std::max<int64_t>(1, std::min({ceil_div(threads, items), work, lines}));
  parallel_chunks(items * parts, [&](int64_t index) {
    const int64_t part = index % parts;
    const int64_t image = index / parts / s.groups * width;
    make(LanesPart{index / parts % s.groups, image, std::min(width, s.n - image),
                   lines * part / parts, lines * (part + 1) / parts});
  });
}

// total[i] = the sum of sums[i] [width]; lanes: room for as many as there are sums.
template <class T>
void add_lanes(int64_t count, const T* sums, T* lanes, double* total) {
  const int64_t width = kernels<T>().vec_width;
  kernels<T>().transpose(count, width, sums, width, lanes, count);
  std::fill(total, total + count, 0.0);
  kernels<T>().sum_columns(width, count, lanes, count, total);
}

// out[group][i] = the sum of sums[group][chunk][i], chunk by chunk in order; nullptr: not wanted.
template <class T>
void add_chunks(int64_t groups, int64_t chunks, int64_t count, const double* sums, T* out) {
  if (out == nullptr) return;
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t i = 0; i < count; ++i) {
      double sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk)
        sum += sums[(group * chunks + chunk) * count + i];
      out[group * count + i] = static_cast<T>(sum);
    }
  }
}

}  // namespace laminae
