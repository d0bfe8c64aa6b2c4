// A TapSum of 5 taps a line with images in lanes, by Winograd's F(4, 5) or F(5, 5) along the lines:
// 4 outputs from 8 products with each kernel line instead of 20, or 5 from 9
// (kernels/winograd_lanes.inl). For few
// channels and many images, where tiles in two dimensions would cost more to transform than they
// save.
//
//   1. input    a group of vec_width images, transposed to images in lanes, -> V
//               [point][channel][line][tile]
//   2. products for each point the sum over channels and kernel lines, by conv_lanes, of
//   neighbouring
//               tiles: lines of outputs that need the same kernel lines follow one another
//   3. output   -> 4 or 5 outputs a tile, transposed back into y, or where they stay
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

constexpr int64_t kTaps = 5;
constexpr int64_t kLeastColumns = 8;
constexpr int64_t kInputElements = 1 << 17;    // V: 512 KiB
constexpr int64_t kProductElements = 1 << 16;  // results of some lines: 256 KiB
constexpr int64_t kBufferElements = 1 << 13;   // waiting to be transposed: 32 KiB
constexpr int64_t kBandElements = 1 << 11;     // written where they stay: 8 KiB of L1
constexpr int64_t kMinTerms = 5;               // of a sum that takes a transform to begin and end

LinesTile lines_tile(const TapSum& s) { return LinesTile(s.grid[2]); }
int64_t points(const TapSum& s) { return lines_tile(s).points(); }
int64_t tile_cols(const TapSum& s) { return ceil_div(s.grid[2], lines_tile(s).outputs); }

// Lines of results that are written at a time.
int64_t wide_lines(const TapSum& s, int64_t width) {
  const int64_t unit = lines_together(s.made);
  const int64_t elements = s.in_lanes ? kBandElements : kBufferElements;
  return unit * std::max<int64_t>(1, elements / (unit * s.grid[2] * width));
}

// Of a group of images.
int64_t input_size(const TapSum& s, int64_t width) {
  return points(s) * (s.channels * s.x_size[1] * tile_cols(s) * width + 16);
}

template <class T>
bool applies(const TapSum& s) {
  if (!winograd_applies<T>(s)) return false;
  const TapDim& t = s.taps[2];
  if (t.count != kTaps || (t.step != 1 && t.step != -1) || s.stride[2] != 1) return false;
  if (s.results() * s.depth() < kLeastWork) return false;
  const int64_t width = kernels<T>().vec_width;
  return s.n >= width && s.taps[1].count > 0 && s.channels * s.taps[1].count >= kMinTerms &&
         input_size(s, width) <= kInputElements && s.grid[2] >= kLeastColumns;
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
  return s.groups * points(s) * weight_step<T>(s);
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
        points(s), step / tile, tile,
        taps + group * kTaps * step + (backward ? (kTaps - 1) * tile : 0), backward ? -tile : tile,
        packed + group * points(s) * step, step);
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
  LanesSink<T> y;
  LanesSource<T> next;  // what the next job reads

  int64_t line() const { return cols * width; }  // of V and of the products
  int64_t v_step() const { return s.channels * s.x_size[1] * line() + 16; }
};

template <class T>
void transform_input(const Job<T>& job, const LanesSource<T>& x, T* v) {
  const TapSum& s = job.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t left = std::min(s.taps[2].offset, s.taps[2].offset + (kTaps - 1) * s.taps[2].step);
  Scratch scratch;
  T* room = scratch.get<T>(s.x_plane() * job.width);
  for (int64_t c = 0; c < s.channels; ++c) {
    const T* plane = x.read(c * s.x_plane(), s.x_plane(), room);
    for (int64_t l = 0; l < s.x_size[1]; ++l) {
      kernel.winograd_lanes_input(points(s), job.cols, left, s.x_size[2],
                                  plane + l * s.x_size[2] * job.width,
                                  v + (c * s.x_size[1] + l) * job.line(), job.v_step());
    }
  }
}

// Products of lines [first, last) of outputs: m [point][row][line][tile], m_step apart.
template <class T>
void multiply(const Job<T>& job, int64_t first, int64_t last, T* m, int64_t m_step,
              LanesRequests<T>& requests) {
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
  for (int64_t point = 0; point < points(s); ++point) {
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
              m + point * m_step + row * m_row + (g - first) * job.line() + i * job.width, m_row,
              requests.next(s.channels * r.count, w));
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
  const int64_t wide = wide_lines(s, job.width);
  for (int64_t start = first; start < last; start += block) {
    const int64_t stop = std::min(last, start + block);
    const int64_t m_row = (stop - start) * job.line();
    const int64_t m_step = s.rows * m_row + 16;
    LanesRequests<T> requests;
    job.y.request(requests, start * s.grid[2], (stop - start) * s.grid[2], s.grid_plane(), s.rows);
    if (stop == last) job.next.request(requests, 0, s.x_plane(), s.x_plane(), s.channels);
    multiply(job, start, stop, m, m_step, requests);
    for (int64_t row = 0; row < s.rows; ++row) {
      for (int64_t g = start; g < stop; g += wide) {
        const int64_t lines = std::min(wide, stop - g);
        const int64_t pixels = lines * s.grid[2];
        const int64_t at = row * s.grid_plane() + g * s.grid[2];
        job.y.request(at, pixels);
        kernel.winograd_lanes_output(
            points(s), lines, s.grid[2], m + row * m_row + (g - start) * job.line(), m_step,
            job.bias == nullptr ? T{0} : job.bias[row], job.y.place(at, buffer));
        job.y.finish(at, pixels, buffer);
      }
    }
  }
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const int64_t width = kernels<T>().vec_width;
  const int64_t lines = s.grid[1];
  const int64_t line_size = points(s) * s.rows * tile_cols(s) * width;
  const int64_t unit = lines_together(s.made);
  const int64_t block =
      unit *
      balanced_tile(lines / unit, std::max<int64_t>(1, kProductElements / (unit * line_size)));
  for_each_lanes_part(s, width, lines, [&](const LanesPart& part) {
    Scratch own;
    T* v = own.get<T>(input_size(s, width));
    T* m = own.get<T>(block * line_size + points(s) * 16);
    T* buffer = own.get<T>(wide_lines(s, width) * s.grid[2] * width);
    const Job<T> job{s,
                     width,
                     part.lanes,
                     rows_of<T>(s),
                     tile_cols(s),
                     v,
                     weights + part.group * points(s) * weight_step<T>(s),
                     bias == nullptr ? nullptr : bias + part.group * s.rows,
                     lanes_sink(s, y, part),
                     lanes_source(s, x, next_part(s.n, part))};
    transform_input(job, lanes_source(s, x, part), v);
    make_lines(job, part.first_line, part.end_line, block, m, buffer);
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_lanes_winograd() {
  TapSumAlgorithm<T> a{"winograd lanes", applies<T>, packed_size<T>, pack<T>, run<T>};
  a.in_lanes = true;
  return a;
}

template TapSumAlgorithm<float> tap_sum_lanes_winograd();
template TapSumAlgorithm<double> tap_sum_lanes_winograd();

}  // namespace laminae
