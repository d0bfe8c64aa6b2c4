// A TapSum with images in lanes, for few channels and many images.
//
// A group of vec_width images is transposed to [channel][line][column][image] once, with zeros
// beside each line as far as taps reach (lines beyond the edge are left out of the sum instead), or
// read where it lies if images lie so and need no zeros.
// Then every output pixel of the group is a plain sum of products of vectors and weights, of any
// stride and dilation and without waste at the ends of lines. A tile of rows and pixels is summed
// in registers; some lines of results are gathered and transposed back into y.
//
// Lines of the strip are read again for every tile of rows, so what a line of outputs needs has to
// stay in L2; the strip itself may be larger.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/conv_lanes.h"
#include "core/ops/tap_weights.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kStripElements = 1 << 20;   // 4 MiB of floats
constexpr int64_t kWindowElements = 1 << 17;  // what one line of outputs reads: 512 KiB, part of L2
constexpr int64_t kBufferElements = 1 << 13;  // results waiting to be transposed: 32 KiB

// Columns of the strip: positions [low, high) of a line of x.
struct Columns {
  int64_t low, high;
  int64_t count() const { return high - low; }
};

Columns strip_columns(const TapSum& s) {
  const TapDim& t = s.taps[2];
  Columns c{0, s.x_size[2]};
  if (t.count == 0) return c;
  const int64_t last = t.offset + (t.count - 1) * t.step;
  c.low = std::min(c.low, std::min(t.offset, last));
  c.high = std::max(c.high, (s.grid[2] - 1) * s.stride[2] + std::max(t.offset, last) + 1);
  return c;
}

int64_t strip_size(const TapSum& s, int64_t width) {
  return s.channels * s.x_size[0] * s.x_size[1] * strip_columns(s).count() * width;
}

// Images [image, image + lanes) of one group, as [channel][line][column][width]: in `strip`, or
// where they lie.
template <class T>
const T* fill_strip(const TapSum& s, const Columns& columns, const LanesSource<T>& x, T* strip) {
  const int64_t width = x.width;
  const int64_t lines = s.channels * s.x_size[0] * s.x_size[1];
  const bool whole = columns.low == 0 && columns.high == s.x_size[2];
  if (whole) return x.read(0, lines * s.x_size[2], strip);
  T* const all = strip;
  const int64_t unit = lines_together(s.read);
  Scratch scratch;
  T* room = scratch.get<T>(s.in_lanes ? unit * s.x_size[2] * width : 0);
  const int64_t before = -columns.low * width;
  const int64_t after = (columns.high - s.x_size[2]) * width;
  const int64_t line = s.x_size[2] * width;
  const T* from = nullptr;
  for (int64_t i = 0; i < lines; ++i, from += line) {
    std::fill(strip, strip + before, T{0});
    if (i % unit == 0) {
      from = x.read(i * s.x_size[2], unit * s.x_size[2], s.in_lanes ? room : strip + before);
    }
    if (s.in_lanes) std::copy(from, from + line, strip + before);
    std::fill(strip + before + line, strip + before + line + after, T{0});
    strip += before + line + after;
  }
  return all;
}

// Outputs [g, g + count) of every line, summed together: the taps that any of them needs.
struct LineTile {
  int64_t g, count;
  TapRange taps;
};

// Cuts a line into tiles of at most `pixels` for the least work. Pixels near the edge need fewer
// taps, so a wide tile there would multiply zeros: 12 pixels with 5 taps out of a line of 8 become
// 2+2+4+2+2.
int64_t cut_line(const TapSum& s, int64_t pixels, int64_t rows, LineTile* tiles) {
  const int64_t size = s.grid[2];
  Scratch scratch;
  double* cost = scratch.get<double>(size + 1);  // of outputs from g on
  int64_t* length = scratch.get<int64_t>(size);
  const double inputs = static_cast<double>(s.channels * s.taps[0].count * s.taps[1].count);
  cost[size] = 0.0;
  for (int64_t g = size - 1; g >= 0; --g) {
    cost[g] = 1e300;
    for (int64_t count = 1; count <= std::min(pixels, size - g); ++count) {
      // Two multiply-adds a cycle, a cycle for the rest of the loop, and some to begin and end.
      const double step = static_cast<double>(rows * count) / 2 + 1;
      const double taps = static_cast<double>(inside(s, 2, g, g + count - 1).count);
      const double total = inputs * (taps * step + 1) + 10 + cost[g + count];
      if (total >= cost[g]) continue;
      cost[g] = total;
      length[g] = count;
    }
  }
  int64_t tile_count = 0;
  for (int64_t g = 0; g < size; g += length[g]) {
    tiles[tile_count++] = {g, length[g], inside(s, 2, g, g + length[g] - 1)};
  }
  return tile_count;
}

// What the lines of one group of images need.
template <class T>
struct LanesJob {
  const TapSum& s;
  int64_t width, lanes, tile;
  Columns columns;
  const LineTile* tiles;
  int64_t tile_count;
  const T* strip;
  const T* weights;  // of the group, packed in tiles
  const T* bias;     // of the group, or nullptr
  LanesSink<T> y;
};

// One line of outputs of one tile of rows, to out [rows][out_row] of vectors.
template <class T>
void sum_line(const LanesJob<T>& job, int64_t g0, int64_t g1, int64_t row, int64_t rows, T* out,
              int64_t out_row) {
  const TapSum& s = job.s;
  const int64_t line = job.columns.count() * job.width;
  const TapRange r0 = inside(s, 0, g0, g0);
  const TapRange r1 = inside(s, 1, g1, g1);
  LanesWindow window;
  window.channels = s.channels;
  window.x_channel = s.x_size[0] * s.x_size[1] * line;
  window.w_channel = s.tap_count() * job.tile;
  window.planes = r0.count;
  window.x_plane = s.taps[0].step * s.x_size[1] * line;
  window.w_plane = s.taps[1].count * s.taps[2].count * job.tile;
  window.lines = r1.count;
  window.x_line = s.taps[1].step * line;
  window.w_line = s.taps[2].count * job.tile;
  window.x_tap = s.taps[2].step * job.width;
  window.w_tap = job.tile;
  const int64_t p0 = g0 * s.stride[0] + s.taps[0].offset + r0.first * s.taps[0].step;
  const int64_t p1 = g1 * s.stride[1] + s.taps[1].offset + r1.first * s.taps[1].step;
  const bool empty = r0.count == 0 || r1.count == 0;
  const T* x = job.strip + (empty ? 0 : (p0 * s.x_size[1] + p1) * line);
  const T* w = job.weights + row * s.depth() + r0.first * window.w_plane + r1.first * window.w_line;
  for (int64_t i = 0; i < job.tile_count; ++i) {
    const LineTile& t = job.tiles[i];
    window.taps = empty ? 0 : t.taps.count;
    const int64_t p2 =
        t.g * s.stride[2] + s.taps[2].offset + t.taps.first * s.taps[2].step - job.columns.low;
    kernels<T>().conv_lanes(rows, t.count, window, x + (window.taps == 0 ? 0 : p2 * job.width),
                            s.stride[2] * job.width, w + t.taps.first * job.tile,
                            job.bias == nullptr ? nullptr : job.bias + row, out + t.g * job.width,
                            out_row, ask_nothing(w));
  }
}

// Lines [first, last) of outputs, all rows; lines are numbered through planes.
template <class T>
void sum_lines(const LanesJob<T>& job, int64_t first, int64_t last, int64_t block, T* buffer) {
  const TapSum& s = job.s;
  for (int64_t start = first; start < last; start += block) {
    const int64_t lines = std::min(block, last - start);
    const int64_t pixels = lines * s.grid[2];
    for (int64_t row = 0; row < s.rows; row += job.tile) {
      const int64_t rows = std::min(job.tile, s.rows - row);
      const int64_t at = row * s.grid_plane() + start * s.grid[2];
      // Memory for the results, on its way while they are computed.
      for (int64_t i = 0; i < rows; ++i) {
        job.y.request(at + i * s.grid_plane(), pixels);
      }
      for (int64_t l = 0; l < lines; ++l) {
        sum_line(job, (start + l) / s.grid[1], (start + l) % s.grid[1], row, rows,
                 job.y.place(at, buffer) + l * s.grid[2] * job.width,
                 (job.y.direct() ? s.grid_plane() : pixels) * job.width);
      }
      for (int64_t i = 0; i < rows; ++i) {
        job.y.finish(at + i * s.grid_plane(), pixels, buffer + i * pixels * job.width);
      }
    }
  }
}

template <class T>
bool applies(const TapSum& s) {
  const int64_t width = kernels<T>().vec_width;
  if (s.n < width) return false;
  // A pointwise sum reads each element for few rows only: its transposition would not pay.
  if (s.tap_count() == 1 && s.rows >= 8) return false;
  const int64_t strip = strip_size(s, width);
  const int64_t lines = std::min(s.x_size[0] * s.x_size[1], s.taps[0].count * s.taps[1].count);
  return strip <= kStripElements && strip / (s.x_size[0] * s.x_size[1]) * lines <= kWindowElements;
}

template <class T>
using Weights = TapWeights<T, &KernelTable<T>::lanes_rows>;

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t width = kernel.vec_width;
  const int64_t tile = Weights<T>::tile(s);
  const int64_t tiles = ceil_div(s.rows, tile);
  const int64_t lines = s.grid[0] * s.grid[1];
  const int64_t unit = lines_together(s.made);
  const int64_t block = std::min(
      lines, unit * std::max<int64_t>(1, kBufferElements / (unit * tile * s.grid[2] * width)));
  Scratch scratch;
  const Columns columns = strip_columns(s);
  LineTile* line_tiles = scratch.get<LineTile>(s.grid[2]);
  const int64_t tile_count = cut_line(s, kernel.lanes_pixels, tile, line_tiles);
  for_each_lanes_part(s, width, lines, [&](const LanesPart& part) {
    Scratch own;
    T* strip = own.get<T>(strip_size(s, width));
    T* buffer = own.get<T>(tile * block * s.grid[2] * width);
    const T* filled = fill_strip(s, columns, lanes_source(s, x, part), strip);
    const LanesJob<T> job{s,
                          width,
                          part.lanes,
                          tile,
                          columns,
                          line_tiles,
                          tile_count,
                          filled,
                          weights + part.group * tiles * tile * s.depth(),
                          bias == nullptr ? nullptr : bias + part.group * s.rows,
                          lanes_sink(s, y, part)};
    sum_lines(job, part.first_line, part.end_line, block, buffer);
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_lanes() {
  TapSumAlgorithm<T> a{"lanes", applies<T>, Weights<T>::size, Weights<T>::pack, run<T>};
  a.in_lanes = true;
  return a;
}

template TapSumAlgorithm<float> tap_sum_lanes();
template TapSumAlgorithm<double> tap_sum_lanes();

}  // namespace laminae
