// A TapSum of 5 taps a line with images in lanes, by Winograd's F(4, 5) along the lines: 4 outputs
// from 8 products with each kernel line instead of 20 (kernels/winograd_lanes.inl). For few
// channels and many images, where tiles in two dimensions would cost more to transform than they
// save.
//
//   1. input    a group of vec_width images, transposed to images in lanes, -> V
//               [8 points][channel][line][tile]
//   2. products for each point the sum over channels and kernel lines, by conv_lanes, of
//   neighbouring
//               tiles: lines of outputs that need the same kernel lines follow one another
//   3. output   -> 4 outputs a tile, transposed back into y
//
// A point of V stays in L1 while all rows are computed from it, the results of some lines in L2.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/conv_lanes.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kTile = 4;
constexpr int64_t kTaps = 5;
constexpr int64_t kPoints = 8;
constexpr int64_t kInputElements = 1 << 17;    // V: 512 KiB
constexpr int64_t kProductElements = 1 << 16;  // results of some lines: 256 KiB
constexpr int64_t kBufferElements = 1 << 13;   // waiting to be transposed: 32 KiB
constexpr int64_t kMinTerms = 5;               // of a sum that takes a transform to begin and end

int64_t tile_cols(const TapSum& s) { return ceil_div(s.grid[2], kTile); }

// Of a group of images.
int64_t input_size(const TapSum& s, int64_t width) {
  return kPoints * (s.channels * s.x_size[1] * tile_cols(s) * width + 16);
}

template <class T>
bool applies(const TapSum& s) {
  if (!winograd_applies<T>(s)) return false;
  const TapDim& t = s.taps[2];
  if (t.count != kTaps || (t.step != 1 && t.step != -1) || s.stride[2] != 1) return false;
  if (s.results() * s.depth() < kLeastWork) return false;
  const int64_t width = kernels<T>().vec_width;
  return s.n >= width && s.taps[1].count > 0 && s.channels * s.taps[1].count >= kMinTerms &&
         input_size(s, width) <= kInputElements && s.grid[2] >= 2 * kTile;
}

template <class T>
int64_t rows_of(const TapSum& s) {
  return balanced_tile(s.rows, kernels<T>().lanes_rows);
}

// Distance of points in the packed weights of a group.
template <class T>
int64_t weight_step(const TapSum& s) {
  return tap_weights_size(s, rows_of<T>(s)) / s.groups / kTaps;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return s.groups * kPoints * weight_step<T>(s);
}

// [group][point][tile of rows][channel][kernel line][row]
template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  const int64_t tile = rows_of<T>(s);
  const int64_t step = weight_step<T>(s);
  Scratch scratch;
  T* taps = scratch.get<T>(tap_weights_size(s, tile));
  pack_tap_weights(s, w, tile, taps);
  // From the leftmost tap on.
  const bool backward = s.taps[2].step < 0;
  for (int64_t group = 0; group < s.groups; ++group) {
    kernels<T>().winograd_lanes_weights(
        kTaps, step / tile, tile, taps + group * kTaps * step + (backward ? (kTaps - 1) * tile : 0),
        backward ? -tile : tile, packed + group * kPoints * step, step);
  }
}

// Everything about one group of images.
template <class T>
struct Job {
  const TapSum& s;
  int64_t width, lanes, tile, cols;
  const T* v;
  const T* weights;  // of the group
  const T* bias;     // of the group, or nullptr
  T* y;              // of the group, in the first image

  int64_t line() const { return cols * width; }  // of V and of the products
  int64_t v_step() const { return s.channels * s.x_size[1] * line() + 16; }
};

template <class T>
void transform_input(const Job<T>& job, const T* x, T* v) {
  const TapSum& s = job.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t left = std::min(s.taps[2].offset, s.taps[2].offset + (kTaps - 1) * s.taps[2].step);
  Scratch scratch;
  T* plane = scratch.get<T>(s.x_plane() * job.width);
  for (int64_t c = 0; c < s.channels; ++c) {
    kernel.images_to_lanes(job.lanes, s.x_plane(), x + c * s.x_plane(),
                           s.groups * s.channels * s.x_plane(), plane);
    for (int64_t l = 0; l < s.x_size[1]; ++l) {
      kernel.winograd_lanes_input(kTaps, job.cols, left, s.x_size[2],
                                  plane + l * s.x_size[2] * job.width,
                                  v + (c * s.x_size[1] + l) * job.line(), job.v_step());
    }
  }
}

// Products of lines [first, last) of outputs: m [point][row][line][tile], m_step apart.
template <class T>
void multiply(const Job<T>& job, int64_t first, int64_t last, T* m, int64_t m_step) {
  const TapSum& s = job.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t m_row = (last - first) * job.line();
  const int64_t tiles = ceil_div(s.rows, job.tile);
  LanesWindow window;
  window.channels = s.channels;
  window.x_channel = s.x_size[1] * job.line();
  window.w_channel = s.taps[1].count * job.tile;
  window.planes = window.lines = 1;
  window.x_plane = window.w_plane = window.x_line = window.w_line = 0;
  window.x_tap = s.taps[1].step * job.line();
  window.w_tap = job.tile;
  for (int64_t point = 0; point < kPoints; ++point) {
    const T* v = job.v + point * job.v_step();
    const T* w = job.weights + point * weight_step<T>(s);
    for (int64_t g = first; g < last;) {
      // Lines that need the same kernel lines.
      const TapRange r = inside(s, 1, g, g);
      int64_t end = g + 1;
      while (end < last && s.stride[1] == 1) {
        const TapRange next = inside(s, 1, end, end);
        if (next.first != r.first || next.count != r.count) break;
        ++end;
      }
      window.taps = r.count;
      const int64_t line = g * s.stride[1] + s.taps[1].offset + r.first * s.taps[1].step;
      const T* from = v + (r.count == 0 ? 0 : line * job.line());
      const int64_t pixels = (end - g) * job.cols;
      const int64_t step = balanced_tile(pixels, kernel.lanes_pixels);
      for (int64_t i = 0; i < pixels; i += step) {
        for (int64_t t = 0; t < tiles; ++t) {
          const int64_t row = t * job.tile;
          kernel.conv_lanes(
              std::min(job.tile, s.rows - row), std::min(step, pixels - i), window,
              from + (r.count == 0 ? 0 : i * job.width), job.width,
              w + (row * s.channels * s.taps[1].count) + r.first * job.tile, nullptr,
              m + point * m_step + row * m_row + (g - first) * job.line() + i * job.width, m_row);
        }
      }
      g = end;
    }
  }
}

// Lines [first, last) of outputs, `block` at a time. m: room for their products.
template <class T>
void make_lines(const Job<T>& job, int64_t first, int64_t last, int64_t block, T* m, T* buffer) {
  const TapSum& s = job.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t y_image = s.groups * s.rows * s.grid_plane();
  const int64_t wide = std::max<int64_t>(1, kBufferElements / (s.grid[2] * job.width));
  for (int64_t start = first; start < last; start += block) {
    const int64_t stop = std::min(last, start + block);
    const int64_t m_row = (stop - start) * job.line();
    const int64_t m_step = s.rows * m_row + 16;
    multiply(job, start, stop, m, m_step);
    for (int64_t row = 0; row < s.rows; ++row) {
      for (int64_t g = start; g < stop; g += wide) {
        const int64_t lines = std::min(wide, stop - g);
        const int64_t pixels = lines * s.grid[2];
        T* y = job.y + row * s.grid_plane() + g * s.grid[2];
        kernel.prefetch_lanes(job.lanes, pixels, y, y_image);
        kernel.winograd_lanes_output(kTaps, lines, s.grid[2],
                                     m + row * m_row + (g - start) * job.line(), m_step,
                                     job.bias == nullptr ? T{0} : job.bias[row], buffer);
        kernel.lanes_to_images(job.lanes, pixels, buffer, y, y_image);
      }
    }
  }
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const int64_t width = kernels<T>().vec_width;
  const int64_t lines = s.grid[1];
  const int64_t line_size = kPoints * s.rows * tile_cols(s) * width;
  const int64_t block = balanced_tile(lines, std::max<int64_t>(1, kProductElements / line_size));
  for_each_lanes_part(s, width, lines, [&](const LanesPart& part) {
    const int64_t plane = part.image * s.groups + part.group;
    Scratch own;
    T* v = own.get<T>(input_size(s, width));
    T* m = own.get<T>(block * line_size + kPoints * 16);
    T* buffer = own.get<T>(std::max(kBufferElements, s.grid[2] * width));
    const Job<T> job{s,
                     width,
                     part.lanes,
                     rows_of<T>(s),
                     tile_cols(s),
                     v,
                     weights + part.group * kPoints * weight_step<T>(s),
                     bias == nullptr ? nullptr : bias + part.group * s.rows,
                     y + plane * s.rows * s.grid_plane()};
    transform_input(job, x + plane * s.channels * s.x_plane(), v);
    make_lines(job, part.first_line, part.end_line, block, m, buffer);
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_lanes_winograd() {
  return {"winograd lanes", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_lanes_winograd();
template TapSumAlgorithm<double> tap_sum_lanes_winograd();

}  // namespace laminae
