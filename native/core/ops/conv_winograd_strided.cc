// A TapSum of 3x3 taps at stride 2 by Winograd's F(4x4, 2x2) or F(3x3, 2x2) on the phases of the
// input: 1.8 or 1.65 times fewer multiplications, an error of about 1e-6 of the output's root mean
// square (kernels/winograd_strided.inl).
//
//   V [81 or 49 places][channel blocks][tiles][width] of a block of tiles, by frequency
//   M = V U for each of 25 or 16 frequencies, [tiles, places x channels] [places x channels, rows]
//   4x4 or 3x3 pixels of y a tile
//
// Blocks and threads: winograd_blocks.h. A NaN or infinity of x reaches the other outputs of every
// tile that reads it.
#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd_blocks.h"
#include "core/ops/winograd_strided.h"

namespace laminae {

namespace {

template <class T>
struct Plan {
  BlockSizes sizes;
  StridedPlaces places;
  TileMap x_map, y_map;

  explicit Plan(const TapSum& s)
      : sizes(block_sizes<T>(s)),
        places{strided_tile(s.n, s.grid[1], s.grid[2], s.groups * s.channels * s.rows)},
        x_map{2 * places.tile,
              s.x_size[1],
              s.x_size[2],
              s.taps[1].offset,
              s.taps[2].offset,
              ceil_div(s.grid[1], places.tile),
              ceil_div(s.grid[2], places.tile)},
        y_map{places.tile, s.grid[1], s.grid[2], 0, 0, x_map.tile_rows, x_map.tile_cols} {}

  int64_t tile_elements() const { return places.count() * sizes.channel_blocks * sizes.width; }
  int64_t v_elements(int64_t size) const { return places.elements(size); }
  int64_t m_elements(int64_t size) const { return places.frequencies() * frequency_step(size); }
  int64_t u_panel() const { return places.elements(sizes.place_size()); }
  int64_t u_group() const { return sizes.panels * u_panel(); }
  int64_t products() const { return places.frequencies(); }
  BlockProduct product(int64_t f, int64_t v_size, int64_t m_size) const {
    return {places.terms(f) * sizes.channel_blocks, places.offset(f, v_size),
            places.offset(f, sizes.place_size()), f * frequency_step(m_size)};
  }

  void input(const TileRows<const T>& x, T* v, int64_t v_size) const {
    strided_transform(x_map, places, x, v, v_size);
  }

  void output(const T* m, int64_t m_size, const T* bias, const TileRows<T>& y) const {
    write_tiles(y_map, m, bias, y,
                [&](const T* from, const T* b, int64_t, int64_t lines, T* pixels) {
                  kernels<T>().winograd_strided_output(places.tile, y_map.tile_cols, from,
                                                       frequency_step(m_size), b, lines,
                                                       y_map.width, pixels);
                });
  }
};

template <class T>
bool applies(const TapSum& s) {
  if (!winograd_applies<T>(s)) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.stride[d] != 2 || s.taps[d].count != 3 || s.taps[d].step != 1) return false;
  }
  if (s.channels < kStridedMinChannels || s.rows < kStridedMinChannels) return false;
  return strided_tile(s.n, s.grid[1], s.grid[2], s.groups * s.channels * s.rows) != 0;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return s.groups * Plan<T>(s).u_group();
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  strided_weights(s, Plan<T>(s).places, false, w, packed);
}

template <class T>
void run(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  run_blocks(Plan<T>(s), x, packed, bias, y);
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_winograd_strided() {
  return {"winograd strided", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_winograd_strided();
template TapSumAlgorithm<double> tap_sum_winograd_strided();

}  // namespace laminae
