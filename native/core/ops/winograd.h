// What convolution by Winograd's F(4x4, 3x3) and F(2x2, 5x5) and their weight gradients share: maps
// cut into tiles that read 6x6, and their transform into frequencies (kernels/winograd.inl).
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

constexpr int64_t kFrequencies = 36;
constexpr int64_t kReach = 6;  // pixels that a tile reads in each direction

// Outputs of a tile in each direction, for a kernel of taps x taps, 3 or 5.
inline int64_t tile_size(int64_t taps) { return kReach - taps + 1; }

// Operations that transforming the weights of one pair of channels costs, in the time of
// multiply-adds: while the 36 frequencies of all pairs fit into the last cache, and beyond.
// Measured: 0.24 ms for 256x256, 3.5-6 ms for 512x512.
constexpr int64_t kWeightCost = 800;
constexpr int64_t kFarWeightCost = 4000;
// Multiply-adds below which the exact sum is quick enough: 0.2 ms.
constexpr int64_t kLeastWork = 16 << 20;
constexpr int64_t kNearPairs = (16 << 20) / (kFrequencies * sizeof(float));

// Whether tiles save more multiplications than it costs to transform the weights, which a training
// step changes every time: n images of height x width outputs, `pairs` of channels in all.
inline bool winograd_pays(int64_t taps, int64_t n, int64_t height, int64_t width, int64_t pairs) {
  const int64_t direct = taps * taps * n * height * width;
  if (direct * pairs < kLeastWork) return false;
  const int64_t size = tile_size(taps);
  const int64_t tiles = n * ceil_div(height, size) * ceil_div(width, size);
  const int64_t saved = 2 * (direct - kFrequencies * tiles);
  return saved >= (pairs <= kNearPairs ? kWeightCost : kFarWeightCost);
}

// Planes cut into tiles of size x size that read 6x6 pixels, the first one from (top, left) on.
struct TileMap {
  int64_t size;
  int64_t height, width;
  int64_t top, left;
  int64_t tile_rows, tile_cols;

  // Calls fn(image, tile row, tile rows, first tile) for the images that rows of tiles [first,
  // last), counted through the images, belong to.
  template <class F>
  void each_image(int64_t first, int64_t last, F&& fn) const {
    for (int64_t row = first; row < last;) {
      const int64_t at = row % tile_rows;
      const int64_t count = std::min(tile_rows - at, last - row);
      fn(row / tile_rows, at, count, (row - first) * tile_cols);
      row += count;
    }
  }

  // Pixels of line `position`, columns [left, left + cols), of `lanes` planes as vectors, zeros
  // where that is outside.
  template <class T>
  void read_line(const T* x, int64_t lanes, int64_t position, int64_t cols, T* to) const {
    const int64_t vec = kernels<T>().vec_width;
    const int64_t low = std::min(cols, std::max<int64_t>(0, -left));
    const int64_t high = std::max(low, std::min(cols, width - left));
    if (position < 0 || position >= height || low == high) {
      std::fill(to, to + cols * vec, T{0});
      return;
    }
    std::fill(to, to + low * vec, T{0});
    std::fill(to + high * vec, to + cols * vec, T{0});
    kernels<T>().images_to_lanes(lanes, high - low, x + position * width + left + low,
                                 height * width, to + low * vec);
  }

  // B^T d B of the tiles of rows [first, last) of `lanes` channels: x their first plane in image 0,
  // v [36][v_step] their block of vectors.
  template <class T>
  void transform(const T* x, int64_t image_step, int64_t lanes, int64_t first, int64_t last, T* v,
                 int64_t v_step) const {
    const int64_t vec = kernels<T>().vec_width;
    const int64_t overlap = kReach - size;
    const int64_t cols = tile_cols * size + overlap;
    const int64_t line = cols * vec;
    Scratch scratch;
    T* strip = scratch.get<T>(kReach * line);
    T* tmp = scratch.get<T>(kReach * line);
    each_image(first, last, [&](int64_t image, int64_t tile_row, int64_t count, int64_t tile) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t position = (tile_row + i) * size + top;
        // The last lines of a row of tiles are the first of the next.
        if (i > 0) std::copy(strip + size * line, strip + kReach * line, strip);
        for (int64_t r = i > 0 ? overlap : 0; r < kReach; ++r)
          read_line(x + image * image_step, lanes, position + r, cols, strip + r * line);
        kernels<T>().winograd_input(tile_cols, size, strip, line, tmp,
                                    v + (tile + i * tile_cols) * vec, v_step);
      }
    });
  }
};

// The gradient of the bias: sums over images in order of sums over planes.
template <class T>
void bias_gradient(const ConvShape& s, const T* dy, T* db) {
  parallel_for(s.c_out, conv_grain(s.n * s.out_plane()), [&](int64_t begin, int64_t end) {
    for (int64_t oc = begin; oc < end; ++oc) {
      double sum = 0;
      for (int64_t i = 0; i < s.n; ++i)
        sum += kernels<T>().sum(s.out_plane(), dy + (i * s.c_out + oc) * s.out_plane());
      db[oc] = static_cast<T>(sum);
    }
  });
}

}  // namespace laminae
