// A TapSum of 3x3 or 5x5 taps at stride 1 by Winograd's F(4x4, 3x3), F(2x5, 5x5), F(2x4, 5x5),
// F(2x2, 5x5) or F(2x2, 3x3): 4, 4.6, 4.2, 2.8 or 2.25 times fewer multiplications, an error of
// about 1e-6 of the output's root mean square, of 2.5e-6 with 54 frequencies
// (kernels/winograd.inl).
//
//   V [16, 36, 48 or 54 frequencies][channel blocks][tiles][width] of a block of tiles
//   M = V U for each frequency
//   the pixels of y of each tile
//
// Blocks and threads: winograd_blocks.h. A NaN or infinity of x reaches all outputs of every tile
// that reads it.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd_blocks.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kMinChannels = 16;  // of input and output: 16->16 @56 is 2.6 times as fast

// F(4x4, 3x3) or one of 5x5 if it pays, or else F(2x2, 3x3), for which weights grow less: few
// pixels of many channels. 512->512 @7 takes 0.53 ms with it, 0.95 with the exact sum; batch 4, 2.2
// and 3.8; with weights transformed, 1.05 and 1.15.
WinogradTile tile_of(const TapSum& s) {
  const int64_t taps = s.taps[2].count;
  const int64_t pairs = s.groups * s.channels * s.rows;
  // A training step transforms weights every time. 256x256 take 0.15 to 0.24 ms with 36
  // frequencies, 512x512 0.5 to 0.9 with 16, 1.6 to 2.2 with 36, which no cache holds.
  const auto cost = [&](int64_t frequencies) {
    const int64_t bytes = frequencies * pairs * static_cast<int64_t>(sizeof(float));
    return bytes <= 16 << 20 ? 22 : 75;
  };
  const auto pays = [&](const WinogradTile& tile) {
    return winograd_pays(tile, s.n, s.grid[1], s.grid[2], pairs, cost(tile.frequencies()));
  };
  const WinogradTile wide = wide_tile(taps, s.n, s.grid[1], s.grid[2], s.results(), cost(36));
  if (pays(wide)) return wide;
  const WinogradTile small{3, 2, 2};
  return taps == 3 && pays(small) ? small : WinogradTile{taps, 0, 0};
}

// Taps by where they read, which goes backwards in an input gradient.
struct TapOrder {
  int64_t tap[25];

  TapOrder(const TapSum& s, int64_t taps) {
    for (int64_t i = 0; i < taps * taps; ++i) {
      const int64_t r = s.taps[1].step > 0 ? i / taps : taps - 1 - i / taps;
      const int64_t c = s.taps[2].step > 0 ? i % taps : taps - 1 - i % taps;
      tap[i] = taps * r + c;
    }
  }
};

template <class T>
struct Plan {
  BlockSizes sizes;
  WinogradTile tile;
  TileMap x_map, y_map;
  TapOrder order;

  explicit Plan(const TapSum& s)
      : sizes(block_sizes<T>(s)),
        tile(tile_of(s)),
        x_map{tile.lines,
              s.x_size[1],
              s.x_size[2],
              first_tap(s.taps[1]),
              first_tap(s.taps[2]),
              ceil_div(s.grid[1], tile.lines),
              ceil_div(s.grid[2], tile.columns),
              tile.columns,
              tile.reach()},
        y_map{tile.lines, s.grid[1], s.grid[2], 0, 0, x_map.tile_rows, x_map.tile_cols},
        order(s, tile.taps) {}

  static int64_t first_tap(const TapDim& t) {
    return std::min(t.offset, t.offset + (t.count - 1) * t.step);
  }

  int64_t tile_elements() const { return tile.frequencies() * sizes.channel_blocks * sizes.width; }
  int64_t v_elements(int64_t size) const { return tile.frequencies() * frequency_step(size); }
  int64_t m_elements(int64_t size) const { return tile.frequencies() * frequency_step(size); }
  // U [groups][frequencies][panels][channels][nr]
  int64_t u_panel() const { return sizes.place_size(); }
  int64_t u_step() const { return frequency_step(sizes.panels * u_panel()); }
  int64_t u_group() const { return tile.frequencies() * u_step(); }

  // Kernels of channels [first, first + count) of a panel of all groups, transformed: u
  // [frequencies][step][count][nr].
  void transform(const TapSum& s, const T* w, int64_t panel, int64_t first, int64_t count, T* u,
                 int64_t step) const {
    constexpr int64_t kChannels = 16;  // at a time, while they are in L1
    Scratch scratch;
    T* spatial = scratch.get<T>(kChannels * tile.taps * tile.taps * sizes.nr);
    for (int64_t c = 0; c < count; c += kChannels) {
      const int64_t some = std::min(kChannels, count - c);
      load_panel(s, w, panel, first + c, some, spatial);
      kernels<T>().winograd_weights(tile.reach(), tile.taps, some, spatial, order.tap,
                                    u + c * sizes.nr, step);
    }
    // Channels beyond the last, if these are the last.
    const int64_t padding = ceil_div(count, sizes.width) * sizes.width - count;
    for (int64_t f = 0; padding > 0 && f < tile.frequencies(); ++f) {
      std::fill_n(u + f * step + count * sizes.nr, padding * sizes.nr, T{0});
    }
  }

  int64_t products() const { return tile.frequencies(); }
  BlockProduct product(int64_t f, int64_t v_size, int64_t m_size) const {
    return {sizes.channel_blocks, f * frequency_step(v_size), f * u_step(),
            f * frequency_step(m_size), tile.chain() / sizes.width};
  }

  void input(const TileRows<const T>& x, T* v, int64_t v_size) const {
    x_map.transform(x, v, frequency_step(v_size));
  }

  void output(const T* m, int64_t m_size, const T* bias, const TileRows<T>& y) const {
    write_tiles(
        y_map, m, bias, y, [&](const T* from, const T* b, int64_t, int64_t lines, T* pixels) {
          kernels<T>().winograd_output(tile.reach(), tile.columns, y_map.tile_cols, from,
                                       frequency_step(m_size), b, lines, y_map.width, pixels);
        });
  }
};

template <class T>
bool applies(const TapSum& s) {
  if (!winograd_applies<T>(s)) return false;
  const int64_t taps = s.taps[2].count;
  if (taps != 3 && taps != 5) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.stride[d] != 1 || s.taps[d].count != taps) return false;
    if (s.taps[d].step != 1 && s.taps[d].step != -1) return false;
  }
  if (s.channels < kMinChannels || s.rows < kMinChannels) return false;
  return tile_of(s).lines > 0;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return s.groups * Plan<T>(s).u_group();
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  const Plan<T> p(s);
  constexpr int64_t kChannels = 16;
  const int64_t chunks = ceil_div(s.channels, kChannels);
  // This waits for memory, one thread longer than another.
  parallel_chunks(s.groups * p.sizes.panels * chunks, [&](int64_t i) {
    const int64_t panel = i / chunks;
    const int64_t first = i % chunks * kChannels;
    p.transform(s, w, panel, first, std::min(kChannels, s.channels - first),
                packed + panel / p.sizes.panels * p.u_group() +
                    panel % p.sizes.panels * p.u_panel() + first * p.sizes.nr,
                p.u_step());
  });
}

template <class T>
void run(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  run_blocks(Plan<T>(s), x, packed, bias, y);
}

// For not too many tiles and so many weights that, transformed, they fit into no cache: those of a
// panel are transformed some at a time, and multiplied while they are in L2. 512->512 @7 batch 8
// takes 3.1 ms so, 4.3 with weights packed for it, batch 32 11.3 and 12.7; in a training step
// 256->384 @4 batch 16 0.84 and 1.1, 5x5 96->256 @10 2.4 and 2.65.
template <class T>
bool run_unpacked(const TapSum& sum, const T* x, const T* w, const T* bias, T* y) {
  constexpr int64_t kMostTiles = 160;
  constexpr int64_t kManyWeights = 1 << 20;                 // transformed: 4 MiB
  constexpr int64_t kLeastPanels = 4;                       // for each thread
  constexpr int64_t kChannels = WinogradTile::kShortChain;  // at a time: 288 KiB, a part of L2
  const Plan<T> plan(sum);
  const BlockSizes& s = plan.sizes;
  const int64_t rows = s.n * plan.x_map.tile_rows;
  const int64_t tiles = rows * plan.x_map.tile_cols;
  const int64_t frequencies = plan.tile.frequencies();
  const int64_t panels = s.groups * s.panels;
  if (tiles > kMostTiles || s.groups * plan.u_group() < kManyWeights ||
      panels < kLeastPanels * num_threads()) {
    return false;
  }
  const int64_t block = tiles * s.width;
  const int64_t v_size = s.channel_blocks * block;
  const int64_t v_group = plan.v_elements(v_size);
  const int64_t m_size = s.nr * tiles;
  const int64_t u_step = frequency_step(kChannels * s.nr);
  const SumOf more = plan.tile.chain() == kChannels ? SumOf::kAdded : SumOf::kContinued;
  Scratch scratch;
  T* v = scratch.get<T>(s.groups * v_group);
  parallel_items(s.groups * s.channel_blocks, row_grain(plan.v_elements(block)), [&](int64_t i) {
    const int64_t group = i / s.channel_blocks;
    const int64_t at = i % s.channel_blocks;
    plan.input(s.input(x, group, at, 0, rows), v + group * v_group + at * block, v_size);
  });
  parallel_items(panels, 1, [&](int64_t i) {
    const int64_t group = i / s.panels;
    const int64_t panel = i % s.panels;
    Scratch own;
    T* u = own.get<T>(frequencies * u_step);
    T* m = own.get<T>(plan.m_elements(m_size));
    for (int64_t channel = 0; channel < s.channels; channel += kChannels) {
      const int64_t count = std::min(kChannels, s.channels - channel);
      plan.transform(sum, w, i, channel, count, u, u_step);
      for (int64_t f = 0; f < frequencies; ++f) {
        const T* from = v + group * v_group + f * frequency_step(v_size) + channel * tiles;
        multiply_tiles(tiles, ceil_div(count, s.width), ceil_div(count, s.width), from,
                       u + f * u_step, from + frequency_step(v_size),
                       m + f * frequency_step(m_size), channel == 0 ? SumOf::kNew : more);
      }
    }
    for (int64_t j = 0; j < s.nr / s.width; ++j) {
      const int64_t at = panel * (s.nr / s.width) + j;
      if (at * s.width < s.rows) {
        plan.output(m + j * block, m_size, s.bias(bias, group, at),
                    s.output(y, group, at, 0, rows));
      }
    }
  });
  return true;
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_winograd() {
  return {"winograd", applies<T>, packed_size<T>, pack<T>, run<T>, false, run_unpacked<T>};
}

template TapSumAlgorithm<float> tap_sum_winograd();
template TapSumAlgorithm<double> tap_sum_winograd();

}  // namespace laminae
