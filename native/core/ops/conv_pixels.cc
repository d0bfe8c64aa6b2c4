// A TapSum with few rows, straight from the planes: the gradient of the input of a first layer, or
// a last layer that makes an image.
//
// With few rows, a panel of columns (conv_gemm.cc) is packed at the price of all its elements and
// then multiplied a few times only. Here the channels' lines that some lines of results read are
// copied with zeros around (ops/plane_strip.h), once each; neighbouring pixels of a line lie in
// lanes, and a tile of rows and vectors is summed in registers with unaligned loads, by the kernel
// that conv_lanes.cc has for images in lanes.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/ops/plane_strip.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kBandElements = 1 << 16;   // of the strips: 256 KiB, a part of L2
constexpr int64_t kStripElements = 1 << 18;  // for one line of results, at most

template <class T>
struct PixelsPlan {
  const TapSum& s;
  StripAxis lines, columns;
  int64_t band;  // lines of results that share strips
  PlaneStrip<T> strip;

  explicit PixelsPlan(const TapSum& sum)
      : s(sum),
        lines(axis(sum, 1)),
        columns(axis(sum, 2)),
        band(band_of(sum)),
        strip(lines, columns, band) {}

  static StripAxis axis(const TapSum& s, int d) {
    return {s.x_size[d], s.grid[d], s.stride[d], &s.taps[d], 1};
  }
  static int64_t strip_count(const TapSum& s) { return s.channels * s.taps[0].count; }
  static int64_t line_elements(const TapSum& s) {  // for the first line of results
    return strip_count(s) * PlaneStrip<T>(axis(s, 1), axis(s, 2), 1).size();
  }
  static int64_t band_of(const TapSum& s) {
    const int64_t two = strip_count(s) * PlaneStrip<T>(axis(s, 1), axis(s, 2), 2).size();
    const int64_t line = std::max<int64_t>(1, two - line_elements(s));
    return std::clamp<int64_t>((kBandElements - line_elements(s)) / line + 1, 1, s.grid[1]);
  }
  int64_t bands() const { return (s.grid[1] + band - 1) / band; }
  // From strip to strip: a whole number of pages would put all channels into the same few sets of
  // the L1 cache.
  int64_t step() const { return strip.size() + 16; }
  int64_t size() const { return strip_count(s) * step() + strip.slack(); }
};

// What lines from `line` on at depth g0 read, x pointing to the group's channels of an image.
template <class T>
void fill_strips(const PixelsPlan<T>& p, int64_t g0, int64_t line, const T* x, T* strips) {
  const TapSum& s = p.s;
  for (int64_t c = 0; c < s.channels; ++c) {
    for (int64_t a = 0; a < s.taps[0].count; ++a, strips += p.step()) {
      const int64_t p0 = g0 * s.stride[0] + s.taps[0].offset + a * s.taps[0].step;
      const bool inside = p0 >= 0 && p0 < s.x_size[0];
      const T* plane = x + c * s.x_plane() + p0 * s.x_size[1] * s.x_size[2];
      p.strip.copy(inside ? plane : nullptr, line, strips);
    }
  }
}

template <class T>
bool applies(const TapSum& s) {
  const int64_t width = kernels<T>().vec_width;
  if (s.rows > kRows || s.stride[1] != 1 || s.stride[2] != 1) return false;
  // Vectors that would be mostly empty.
  if ((s.grid[2] + width - 1) / width * width * 3 > s.grid[2] * 4) return false;
  return PixelsPlan<T>::line_elements(s) <= kStripElements;
}

template <class T>
int64_t tile_of(const TapSum& s) {
  return balanced_tile(s.rows, kernels<T>().lanes_rows);
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return tap_weights_size(s, tile_of<T>(s));
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  pack_tap_weights(s, w, tile_of<T>(s), packed);
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t width = kernel.vec_width;
  const int64_t tile = tile_of<T>(s);
  const int64_t group_weights = (s.rows + tile - 1) / tile * tile * s.depth();
  const PixelsPlan<T> p(s);
  const int64_t bands = p.bands();
  LanesWindow window;
  window.channels = s.channels;
  window.x_channel = s.taps[0].count * p.step();
  window.w_channel = s.tap_count() * tile;
  window.planes = s.taps[0].count;
  window.x_plane = p.step();
  window.w_plane = s.taps[1].count * s.taps[2].count * tile;
  window.lines = s.taps[1].count;
  window.x_line = s.taps[1].step * p.strip.pitch();
  window.w_line = s.taps[2].count * tile;
  window.taps = s.taps[2].count;
  window.x_tap = s.taps[2].step;
  window.w_tap = tile;
  const int64_t origin = p.lines.position(s.taps[1], 0) * p.strip.pitch() +
                         p.columns.position(s.taps[2], 0);  // of the first tap
  const int64_t vectors = (s.grid[2] + width - 1) / width;
  const int64_t at_once = balanced_tile(vectors, kernel.lanes_pixels);

  // Line `line` of rows [row, row + rows), read at x, to `to` [rows][vectors * width].
  auto sum_line = [&](const T* from, int64_t rows, const T* w, const T* b, T* to) {
    for (int64_t v = 0; v < vectors; v += at_once) {
      kernel.conv_lanes(rows, std::min(at_once, vectors - v), window, from + v * width, width, w, b,
                        to + v * width, vectors * width);
    }
  };

  const int64_t work = p.band * s.grid[2] * s.rows * s.depth();
  const int64_t grain = std::max<int64_t>(1, kConvGrain / std::max<int64_t>(1, work));
  parallel_for(s.n * s.groups * s.grid[0] * bands, grain, [&](int64_t begin, int64_t end) {
    Scratch own;
    T* strips = own.get<T>(p.size());
    T* buffer = own.get<T>(tile * vectors * width);
    std::fill_n(strips, p.size(), T{0});
    for (int64_t item = begin; item < end; ++item) {
      const int64_t line = item % bands * p.band;
      const int64_t g0 = item / bands % s.grid[0];
      const int64_t plane = item / bands / s.grid[0];  // image and group
      const int64_t group = plane % s.groups;
      const int64_t lines = std::min(p.band, s.grid[1] - line);
      fill_strips(p, g0, line, x + plane * s.channels * s.x_plane(), strips);
      for (int64_t l = 0; l < lines; ++l) {
        for (int64_t row = 0; row < s.rows; row += tile) {
          const int64_t rows = std::min(tile, s.rows - row);
          sum_line(strips + origin + l * p.strip.pitch(), rows,
                   weights + group * group_weights + row * s.depth(),
                   bias == nullptr ? nullptr : bias + group * s.rows + row, buffer);
          T* to =
              y + (plane * s.rows + row) * s.grid_plane() + (g0 * s.grid[1] + line + l) * s.grid[2];
          kernel.copy_rows(rows, s.grid[2], buffer, vectors * width, nullptr, T{1}, to,
                           s.grid_plane());
        }
      }
    }
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_pixels() {
  return {"pixels", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_pixels();
template TapSumAlgorithm<double> tap_sum_pixels();

}  // namespace laminae
