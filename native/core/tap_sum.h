// The one form that convolution forward and its input gradient share: a strided sum over channels
// and taps.
//
//   y[i, r, g] = bias[r] + sum_{c, t} w(r, c, t) x[i, c, g stride + offset(t)]
//
// for every position g, where x reads as zero outside its bounds. All positions have three spatial
// dimensions; lower ranks have size 1 in front.
//
// Forward is one such sum per group with offset(t) = t dilation - padding. The input gradient with
// stride s falls apart into s0 s1 s2 of them (conv_parity.cc). In both cases the kernel elements
// that take part form an arithmetic sequence, and so do their offsets: that is TapDim.
#pragma once
#include <cstdint>

#include "core/elementwise_fns.h"
#include "core/ending.h"

namespace laminae {

// Taps of one dimension, j in [0, count): kernel element first + j every, offset + j step in the
// source.
struct TapDim {
  int64_t count;
  int64_t first, every;
  int64_t offset, step;
};

// A function of the results of a convolution and the means of 2x2 tiles of what it gives, images in
// lanes.
struct TilesBehind {
  bool any = false;
  UnaryFn fn{};
  void* f = nullptr;  // what the function gives; nullptr: not wanted
};

struct TapSum {
  int64_t n, groups;
  int64_t channels, rows;  // per group: summed over, and made
  int64_t x_size[3];       // x [n, groups * channels, x_size]
  int64_t grid[3];         // y [n, groups * rows, grid]
  int64_t stride[3];
  TapDim taps[3];
  int64_t kernel[3];  // w [groups, rows, channels, kernel], or [groups, channels, rows, kernel]
  bool transposed;    // if transposed
  bool exact;         // only algorithms that round like a sum of products
  // x and y lie as [n / width, channels or rows, position, width], width being that of a vector.
  bool in_lanes = false;
  Ending ending;
  TilesBehind made;  // if any, y is the means
  TilesBehind read;  // if any, x is the gradient of the means, and f is read

  int64_t x_plane() const { return x_size[0] * x_size[1] * x_size[2]; }
  int64_t grid_plane() const { return grid[0] * grid[1] * grid[2]; }
  int64_t results() const { return n * groups * rows * grid_plane(); }
  int64_t tap_count() const { return taps[0].count * taps[1].count * taps[2].count; }
  int64_t kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t depth() const { return channels * tap_count(); }  // terms per output
  // Whether nothing happens in dimension d: one tap without offset, stride 1.
  bool is_plain(int d) const {
    return taps[d].count == 1 && taps[d].offset == 0 && stride[d] == 1 && grid[d] == x_size[d];
  }
};

// `count` neighbouring grid positions of one image and row: columns [column, column + count) of a
// panel.
struct TapRun {
  int64_t column, count;
  int64_t image;  // where the image begins in x
  int64_t at[3];  // source position of the first, without tap offset: g * stride
};

// What a kernel makes of the terms it adds: a sum, more terms of the one it finds, one term after
// the other, or a sum that is added to the one it finds.
enum class SumOf { kNew, kContinued, kAdded };

// `count` neighbouring pixels of one image, the first at `at` in its first channel.
struct PixelRun {
  int64_t at, count;
};

// Memory that the tiles of a product ask for on their way, as it is used after them: `count` rows
// of `width` elements, `step` elements apart. Tile number `first` asks for the first `each` of
// them, the next tile for the next, and so on; one with each step, and all even if there are no
// steps left.
template <class T>
struct AskRows {
  const T* at;
  int64_t step, count, width;
  int64_t first, each;
};

// Rows that the tiles copy to those of a panel: tile number 1 the first `each` of them, the next
// tile the next, and so on; one every `pace` steps, all of them even if there are no steps left.
// Each tile asks for what the next one copies.
template <class T>
struct CopyRows {
  const T* from;
  int64_t step, count, width;
  T* to;
  int64_t each, pace;
};

// What gemm_tiles multiplies, written there.
template <class T>
struct GemmTiles {
  int64_t m, tile, n, k;
  const T* a;
  const T* b;
  int64_t ldb;
  T* c;
  int64_t ldc;
  const T* row_bias;
  const T* col_bias;
  const T* add;
  bool clamps;
  T low, high;
  int64_t number;  // of the first tile, for what follows
  const AskRows<T>* ask;
  int64_t asks;
  const CopyRows<T>* copy;
  int64_t copies;
  int64_t a_row = 0, a_step = 0;  // of a where it lies; 0: packed
};

// The terms of an output of conv_channels and conv_pixels: channels, x_channel apart in x, times
// taps.
struct ChannelsWindow {
  int64_t channels, x_channel;
  int64_t taps;
  const int64_t* offsets;  // of the taps in x
  int64_t x_line;          // distance of the two lines of a tile in x
};
constexpr int kChannelsClasses = 4;  // of neighbouring pixels with taps of their own, at most

// Cache lines that a kernel asks for on its way, some with each step: from `at` on, `step` bytes
// further each time.
struct LanesAsk {
  const char* at;
  int64_t step;
};

// Asks for what is in cache: `near` and what lies behind it.
inline LanesAsk ask_nothing(const void* near) { return {static_cast<const char*>(near), 0}; }

// The terms of an output of conv_lanes: channels x planes x lines x taps, with the distance of
// neighbours in x and in the packed weights, in elements.
struct LanesWindow {
  int64_t channels, x_channel, w_channel;
  int64_t planes, x_plane, w_plane;
  int64_t lines, x_line, w_line;
  int64_t taps, x_tap, w_tap;
};

// The planes of a convolution of each channel for itself with kernel x kernel taps; what is not in
// a plane x reads as zero. With k = kernel - 1,
//
//   depthwise_plane     y[r][c] = sum over a, b of w[a][b] x[top + r s + a][left + c s + b], s the
//                       stride
//   mirrored, s = 1     y[r][c] = sum over a, b of w[a][b] x[top + r + k - a][left + c + k - b]
//   depthwise_spread    y[r][c] = sum over a, b of w[a][b] x[(top + r - a) / 2][(left + c - b) / 2]
//                       where those are whole; top and left are even, or odd, both
struct DepthwisePlane {
  int64_t kernel;  // 3, or 5 if depthwise_kernel is
  int64_t stride;
  bool mirrored;
  int64_t height, width;  // of what is read
  int64_t rows, columns;  // of what is made
  int64_t top, left;
};

// Largest tile of kernel lines and of taps of a line that conv_weight_taps takes.
constexpr int kConvWeightRows = 8;
constexpr int kConvWeightTaps = 5;

}  // namespace laminae
