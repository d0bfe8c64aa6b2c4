// What convolutions by Winograd's F(4x4, 3x3), F(2x5, 5x5), F(2x4, 5x5), F(2x2, 5x5) and F(2x2,
// 3x3) and the weight gradients share: when they pay, maps cut into tiles, their transform into
// frequencies, and the products (kernels/winograd.inl, winograd_products.inl).
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/scratch.h"
#include "core/tap_sum.h"

namespace laminae {

// F(lines x columns, taps x taps): tiles of lines x columns outputs, each of which reads taps - 1
// more pixels in both directions.
struct WinogradTile {
  int64_t taps, lines, columns;

  int64_t reach() const { return columns + taps - 1; }  // of a line
  int64_t frequencies() const { return (lines + taps - 1) * reach(); }
  // Terms of a sum that are added in one chain, and the chains then: 8x6 and 9x6 pixels have 1.5
  // and 2.5 times the error of 6x6. 256 terms in one chain have 1.5 times the error of 64.
  static constexpr int64_t kShortChain = 64;
  int64_t chain() const { return reach() > 6 ? kShortChain : int64_t{1} << 32; }
  int64_t count(int64_t height, int64_t width) const {  // that outputs are cut into
    return ceil_div(height, lines) * ceil_div(width, columns);
  }
};

// What all of them ask for: floats that may round otherwise than a sum of products, and planes.
template <class T>
bool winograd_applies(const TapSum& s) {
  return sizeof(T) == sizeof(float) && !s.exact && s.x_size[0] == 1 && s.grid[0] == 1 &&
         s.taps[0].count == 1 && s.taps[0].offset == 0;
}
template <class T>
bool winograd_applies(const ConvShape& s) {
  return sizeof(T) == sizeof(float) && !s.exact && s.in[0] == 1 && s.out[0] == 1 &&
         s.kernel[0] == 1 && s.padding[0] == 0;
}

// Multiply-adds below which the exact sum is quick enough: 0.2 ms.
constexpr int64_t kLeastWork = 16 << 20;

// Whether tiles save more multiplications than it costs to transform the weights: n images of
// height x width outputs, `pairs` of channels in all. `cost` of a pair of channels: operations per
// frequency that take as long.
inline bool winograd_pays(const WinogradTile& tile, int64_t n, int64_t height, int64_t width,
                          int64_t pairs, int64_t cost) {
  const int64_t direct = tile.taps * tile.taps * n * height * width;
  if (direct * pairs < kLeastWork) return false;
  const int64_t tiles = n * tile.count(height, width);
  const int64_t saved = direct - tile.frequencies() * tiles;
  // A multiplication of the exact sum is cheaper.
  return 4 * saved >= direct && 2 * saved >= cost * tile.frequencies();
}

// Of more results than this the worst has an error beyond 3e-5 of the root mean square by F(2x5,
// 5x5): 2.8e-5 among 2^20, 3.6e-5 among 13 million, by F(2x4, 5x5) 1.7e-5.
constexpr int64_t kMostByNine = 1 << 20;

// F(4x4, 3x3), or the best of F(2x5, 5x5), F(2x4, 5x5) and F(2x2, 5x5) for `results` outputs, or
// elements of a gradient; `cost` as above.
inline WinogradTile wide_tile(int64_t taps, int64_t n, int64_t height, int64_t width,
                              int64_t results, int64_t cost) {
  if (taps == 3) return {3, 4, 4};
  const auto work = [&](const WinogradTile& tile) {
    return (2 * n * tile.count(height, width) + cost) * tile.frequencies();
  };
  WinogradTile best{5, 2, 2};
  for (const int64_t columns : {4, 5}) {
    const WinogradTile tile{5, 2, columns};
    if (columns == 5 && results > kMostByNine) continue;
    if (work(tile) < work(best)) best = tile;
  }
  return best;
}

// The kernels of channels [first, first + count) of one of the panels of gemm_nr rows of all
// groups, as [channels][taps][gemm_nr], zeros beyond the last row: some at a time, so that they are
// transformed while they are in L1.
template <class T>
void load_panel(const TapSum& s, const T* w, int64_t panel, int64_t first, int64_t count, T* to) {
  const int64_t nr = kernels<T>().gemm_nr;
  const int64_t panels = ceil_div(s.rows, nr);
  const int64_t taps = s.kernel_size();
  const int64_t row = panel % panels * nr;
  const int64_t rows = std::min(nr, s.rows - row);
  if (rows < nr) std::fill(to, to + count * taps * nr, T{0});
  const int64_t group = s.rows * s.channels * taps;
  w += panel / panels * group;
  if (!s.transposed) {
    const T* from = w + (row * s.channels + first) * taps;
    kernels<T>().pack_panel_transposed(count * taps, rows, from, s.channels * taps, to, nr);
    return;
  }
  if (rows == nr) {
    kernels<T>().winograd_gather(s.kernel[2], count, w + (first * s.rows + row) * taps,
                                 s.rows * taps, w + group, to);
    return;
  }
  for (int64_t c = 0; c < count; ++c) {
    kernels<T>().pack_panel_transposed(taps, rows, w + ((first + c) * s.rows + row) * taps, taps,
                                       to + c * taps * nr, nr);
  }
}

// m = v u for all tiles of a frequency and a panel of gemm_nr rows: v [blocks][tiles][width], u
// [blocks * width][gemm_nr], m [gemm_nr / width][tiles][width]. `ahead` is the u of the product to
// come: each is read once per block of tiles, often from memory, and every call of the kernel asks
// for its part. 512->512 @7 batch 8 takes 2.5 ms instead of 3.2, a training step's convolutions
// 256->256 @14 8.4 instead of 8.9.
// Sums are made in chains of `chain` blocks, one after the other, the first as `sum` says.
template <class T>
void multiply_tiles(int64_t tiles, int64_t blocks, int64_t chain, const T* v, const T* u,
                    const T* ahead, T* m, SumOf sum = SumOf::kNew) {
  const int64_t width = kernels<T>().vec_width;
  const int64_t nr = kernels<T>().gemm_nr;
  const int64_t rows = balanced_tile(tiles, kernels<T>().gemm_mr);
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t part = ceil_div(width * nr * rows, tiles * kLine) * kLine;
  for (int64_t t = 0; t < tiles; t += rows) {
    for (int64_t b = 0; b < blocks; b += chain) {
      const int64_t count = std::min(chain, blocks - b);
      kernels<T>().winograd_product(std::min(rows, tiles - t), count, v + (b * tiles + t) * width,
                                    tiles * width, u + b * width * nr, b > 0 ? SumOf::kAdded : sum,
                                    m + t * width, tiles * width, ahead, part);
      ahead += count * part;
    }
  }
}

// Distance of frequencies of `size` elements. A cache line more: at a distance of whole pages they
// would share L1 sets.
constexpr int64_t frequency_step(int64_t size) { return size + 16; }

// Rows of tiles [first, last), counted through the images, of `lanes` planes that lie together:
// `planes` the first of them in image 0.
template <class T>
struct TileRows {
  T* planes;
  int64_t image_step, lanes;
  int64_t first, last;
};

// Planes cut into tiles, which read some more pixels in both directions, the first one from (top,
// left) on.
struct TileMap {
  int64_t size;  // lines of a tile
  int64_t height, width;
  int64_t top, left;
  int64_t tile_rows, tile_cols;
  int64_t columns = size;  // of a tile
  int64_t reach = 6;       // pixels of a line that `transform` reads

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

  // Pixels of lines [position, position + lines), columns [left, left + cols), of `lanes` planes as
  // vectors, zeros where that is outside.
  template <class T>
  void read_lines(const T* x, int64_t lanes, int64_t position, int64_t lines, int64_t cols,
                  T* to) const {
    const int64_t vec = kernels<T>().vec_width;
    const int64_t line = cols * vec;
    const int64_t low = std::min(cols, std::max<int64_t>(0, -left));
    const int64_t high = std::max(low, std::min(cols, width - left));
    const int64_t first = std::min(lines, std::max<int64_t>(0, -position));
    const int64_t last = low == high ? first : std::max(first, std::min(lines, height - position));
    std::fill(to, to + first * line, T{0});
    std::fill(to + last * line, to + lines * line, T{0});
    for (int64_t i = first; i < last; ++i) {
      std::fill(to + i * line, to + i * line + low * vec, T{0});
      std::fill(to + i * line + high * vec, to + (i + 1) * line, T{0});
    }
    if (first == last) return;
    const T* from = x + (position + first) * width + left + low;
    to += first * line + low * vec;
    if (high - low == width) {
      kernels<T>().lines_to_lanes(lanes, last - first, width, from, height * width, to, line);
      return;
    }
    for (int64_t i = first; i < last; ++i, from += width, to += line)
      kernels<T>().images_to_lanes(lanes, high - low, from, height * width, to);
  }

  // Elements of the `lines` lines that a row of tiles reads.
  template <class T>
  int64_t strip_size(int64_t lines) const {
    return lines * (tile_cols * columns + lines - size) * kernels<T>().vec_width;
  }

  // Calls fn(strip, line, tile) for each row of tiles, with the `lines` lines that it reads as
  // vectors, `line` elements each, and its first tile.
  template <class T, class F>
  void each_strip(int64_t lines, const TileRows<const T>& x, F&& fn) const {
    constexpr int64_t kStripElements = 1 << 13;  // 32 KiB
    const int64_t overlap = lines - size;
    const int64_t cols = tile_cols * columns + overlap;
    const int64_t line = cols * kernels<T>().vec_width;
    const int64_t most = std::max<int64_t>(1, (kStripElements / line - overlap) / size);
    Scratch scratch;
    T* strip = scratch.get<T>((std::min(most, tile_rows) * size + overlap) * line);
    each_image(x.first, x.last, [&](int64_t image, int64_t tile_row, int64_t count, int64_t tile) {
      for (int64_t i = 0; i < count; i += most) {
        const int64_t rows = std::min(most, count - i);
        // The last lines of a row of tiles are the first of the next.
        const int64_t known = i > 0 ? overlap : 0;
        std::copy(strip + most * size * line, strip + (most * size + known) * line, strip);
        read_lines(x.planes + image * x.image_step, x.lanes, (tile_row + i) * size + top + known,
                   rows * size + overlap - known, cols, strip + known * line);
        for (int64_t r = 0; r < rows; ++r)
          fn(strip + r * size * line, line, tile + (i + r) * tile_cols);
      }
    });
  }

  // B^T d B of the tiles: v [frequencies][v_step] their block of vectors.
  template <class T>
  void transform(const TileRows<const T>& x, T* v, int64_t v_step) const {
    Scratch scratch;
    const int64_t lines = size + reach - columns;
    T* tmp = scratch.get<T>(strip_size<T>(lines));
    each_strip(lines, x, [&](const T* strip, int64_t line, int64_t tile) {
      kernels<T>().winograd_input(reach, tile_cols, columns, strip, line, tmp,
                                  v + tile * kernels<T>().vec_width, v_step);
    });
  }
};

}  // namespace laminae
