// The input gradient of a strided convolution as sums without a stride.
//
// Positions i of dx with equal i mod s (a parity class) meet the same kernel elements, those with
// i + padding - k dilation divisible by s, at distance one in dy. So no zeros are inserted and
// nothing is scattered: each class is a TapSum over dy with a share of the kernel, computed into a
// plane of its own, which every algorithm stores without stepping. The planes are woven into dx
// afterwards.
#include <algorithm>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// Classes of dimension d, and positions of dx that are in class p.
int64_t classes(const ConvShape& s, int d) { return std::min(s.stride[d], s.in[d]); }
int64_t class_size(const ConvShape& s, int d, int64_t p) {
  return ceil_div(s.in[d] - p, s.stride[d]);
}

// Kernel elements of class p: position p + g stride of dx meets dy at
// g + (p + padding - k dilation) / stride where that is whole.
TapDim class_taps(const ConvShape& s, int d, int64_t p) {
  const int64_t shift = p + s.padding[d];
  const int64_t end = std::min(s.kernel[d], s.stride[d]);
  int64_t first = 0;
  while (first < end && (shift - first * s.dilation[d]) % s.stride[d] != 0) ++first;
  if (first == end) return {0, 0, 1, 0, 0};
  int64_t every = 1;
  while (every < s.kernel[d] && every * s.dilation[d] % s.stride[d] != 0) ++every;
  return {(s.kernel[d] - 1 - first) / every + 1, first, every,
          (shift - first * s.dilation[d]) / s.stride[d], -(every * s.dilation[d] / s.stride[d])};
}

// rows lines of dx, y_step apart, from `phases` lines each; line r of phase p is r * size(p) behind
// the first.
template <class T>
void interleave_lines(const ConvShape& s, int64_t rows, const T* const* phases, T* y,
                      int64_t y_step) {
  const int64_t n = s.in[2];
  const int64_t count = classes(s, 2);
  if (count == 1) {
    kernels<T>().copy_rows(rows, n, phases[0], n, nullptr, T{1}, y, y_step);
    return;
  }
  if (count == 2) {
    kernels<T>().interleave_rows(rows, n, phases[0], phases[1], y, y_step);
    return;
  }
  for (int64_t p = 0; p < count; ++p) {
    const T* from = phases[p];
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = p; i < n; i += s.stride[2]) y[r * y_step + i] = *from++;
    }
  }
}

}  // namespace

int64_t class_count(const ConvShape& s) { return classes(s, 0) * classes(s, 1) * classes(s, 2); }

TapSum class_sum(const ConvShape& s, int64_t index, int64_t images) {
  TapSum t;
  t.n = images;
  t.groups = s.groups;
  t.channels = s.channels_out();
  t.rows = s.channels_in();
  t.transposed = true;
  t.exact = s.exact;
  t.in_lanes = s.in_lanes;
  t.read = s.tiles;
  for (int d = 2; d >= 0; --d) {
    const int64_t p = index % classes(s, d);
    index /= classes(s, d);
    t.x_size[d] = s.out[d];
    t.grid[d] = class_size(s, d, p);
    t.stride[d] = 1;
    t.taps[d] = class_taps(s, d, p);
    t.kernel[d] = s.kernel[d];
  }
  return t;
}

template <class T>
void interleave_classes(const ConvShape& s, int64_t images, const T* planes, T* dx) {
  const int64_t count = class_count(s);
  const int64_t phases = classes(s, 2);
  Scratch scratch;
  const T** plane = scratch.get<const T*>(count);  // where the planes of a class begin
  int64_t* size = scratch.get<int64_t>(count);     // elements of one
  for (int64_t c = 0; c < count; ++c) {
    plane[c] = planes;
    size[c] = class_size(s, 0, c / phases / classes(s, 1)) *
              class_size(s, 1, c / phases % classes(s, 1)) * class_size(s, 2, c % phases);
    planes += images * s.c_in * size[c];
  }
  const int64_t grain = std::max<int64_t>(1, (1 << 16) / s.in_plane());
  parallel_for(images * s.c_in, grain, [&](int64_t begin, int64_t end) {
    Scratch own;
    const T** from = own.get<const T*>(phases);
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t i0 = 0; i0 < s.in[0]; ++i0) {
        for (int64_t p1 = 0; p1 < classes(s, 1); ++p1) {
          const int64_t rows = class_size(s, 1, p1);
          for (int64_t p2 = 0; p2 < phases; ++p2) {
            const int64_t c = (i0 % s.stride[0] * classes(s, 1) + p1) * phases + p2;
            from[p2] = plane[c] + i * size[c] + i0 / s.stride[0] * rows * class_size(s, 2, p2);
          }
          interleave_lines(s, rows, from, dx + ((i * s.in[0] + i0) * s.in[1] + p1) * s.in[2],
                           s.stride[1] * s.in[2]);
        }
      }
    }
  });
}

template void interleave_classes<float>(const ConvShape&, int64_t, const float*, float*);
template void interleave_classes<double>(const ConvShape&, int64_t, const double*, double*);

}  // namespace laminae
