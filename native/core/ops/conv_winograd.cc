// A TapSum of 3x3 or 5x5 taps at stride 1 by Winograd's F(4x4, 3x3), F(2x4, 5x5), F(2x2, 5x5) or
// F(2x2, 3x3): 4, 4.2, 2.8 or 2.25 times fewer multiplications, an error of about 1e-6 of the
// output's root mean square (kernels/winograd.inl).
//
//   1. input     rows of the maps, transposed to channels in lanes and with zeros around them,
//                -> V [48, 36 or 16 frequencies][channel blocks][tiles][width]
//   2. product   for each frequency M = V U, [tiles, channels] [channels, rows] -> M
//                [frequencies][row blocks][tiles][width]
//   3. output    -> 4x4, 2x4 or 2x2 pixels a tile, transposed back into y
//
// Tiles are taken in blocks whose V and M stay in L2 for few channels; for many, one pass over all
// of U per block is what counts, so blocks are larger. Every thread takes whole blocks when there
// are enough tiles, else the phases of one block are split over channels or frequencies. Neither
// shows in the bits.
//
// A NaN or infinity of x reaches all outputs of every tile that reads it.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kMinChannels = 16;  // of input and output: 16->16 @56 is 2.6 times as fast

constexpr int64_t kBlockElements = 1 << 18;  // of V: 1 MiB
constexpr int64_t kMinBlockTiles = 56;
constexpr int64_t kMinShareTiles = 28;  // of a block, where every thread gets a whole one

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
  const WinogradTile wide = wide_tile(taps, s.n, s.grid[1], s.grid[2], cost(36));
  if (pays(wide)) return wide;
  const WinogradTile small{3, 2, 2};
  return taps == 3 && pays(small) ? small : WinogradTile{taps, 0, 0};
}

// Sizes that all phases share.
struct Plan {
  int64_t width, nr;
  WinogradTile tile;
  int64_t channel_blocks;  // vectors of channels
  int64_t panels;          // of nr rows
  int64_t tile_rows, tile_cols;
  int64_t u_step;  // distance of frequencies in U

  template <class T>
  static Plan of(const TapSum& s) {
    const KernelTable<T>& kernel = kernels<T>();
    Plan p;
    p.width = kernel.vec_width;
    p.nr = kernel.gemm_nr;
    p.tile = tile_of(s);
    p.channel_blocks = ceil_div(s.channels, p.width);
    p.panels = ceil_div(s.rows, p.nr);
    p.tile_rows = ceil_div(s.grid[1], p.tile.lines);
    p.tile_cols = ceil_div(s.grid[2], p.tile.columns);
    // One cache line more: frequencies at a distance of whole pages would share L1 sets.
    p.u_step = p.panels * p.panel_size() + 16;
    return p;
  }

  int64_t panel_size() const { return channel_blocks * width * nr; }
  int64_t row_blocks() const { return panels * (nr / width); }
};

template <class T>
bool applies(const TapSum& s) {
  if (sizeof(T) != sizeof(float) || s.exact) return false;
  if (s.x_size[0] != 1 || s.taps[0].count != 1 || s.taps[0].offset != 0 || s.grid[0] != 1)
    return false;
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
  const Plan p = Plan::of<T>(s);
  return s.groups * p.tile.frequencies() * p.u_step;
}

// U [groups][frequencies][panels][channels][nr]
template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  const Plan p = Plan::of<T>(s);
  // Taps by where they read, which goes backwards in an input gradient.
  int64_t tap[25];
  const int64_t taps = p.tile.taps;
  const int64_t tap_count = taps * taps;
  for (int64_t i = 0; i < tap_count; ++i) {
    const int64_t r = s.taps[1].step > 0 ? i / taps : taps - 1 - i / taps;
    const int64_t c = s.taps[2].step > 0 ? i % taps : taps - 1 - i % taps;
    tap[i] = taps * r + c;
  }
  const int64_t frequencies = p.tile.frequencies();
  const int64_t padding = p.panel_size() - s.channels * p.nr;
  // Channels [first, first + count) of a panel of all groups.
  const auto pack_panel = [&](int64_t panel, int64_t first, int64_t count, T* spatial) {
    T* u = packed + panel / p.panels * frequencies * p.u_step + panel % p.panels * p.panel_size() +
           first * p.nr;
    load_panel(s, w, panel, first, count, spatial);
    kernels<T>().winograd_weights(p.tile.reach(), taps, count, spatial, tap, u, p.u_step);
    if (first + count < s.channels || padding == 0) return;
    for (int64_t f = 0; f < frequencies; ++f) {
      T* rest = u + f * p.u_step + count * p.nr;
      std::fill(rest, rest + padding, T{0});
    }
  };
  // Some channels at a time: a stream per frequency is written.
  constexpr int64_t kChannels = 16;
  const int64_t chunks = ceil_div(s.channels, kChannels);
  const int64_t panels = s.groups * p.panels;
  // This waits for memory, one thread longer than another.
  parallel_chunks(panels * chunks, [&](int64_t i) {
    Scratch scratch;
    T* spatial = scratch.get<T>(kChannels * tap_count * p.nr);
    const int64_t first = i % chunks * kChannels;
    pack_panel(i / chunks, first, std::min(kChannels, s.channels - first), spatial);
  });
}

// Rows of tiles [first, last) of one group, counted through the images.
template <class T>
class Block {
 public:
  Block(const TapSum& s, const Plan& p, int64_t first, int64_t last, const T* x, const T* u,
        const T* bias, T* y)
      : s_(s),
        p_(p),
        first_(first),
        last_(last),
        x_(x),
        u_(u),
        bias_(bias),
        y_(y),
        map_{p.tile.lines,
             s.x_size[1],
             s.x_size[2],
             std::min(s.taps[1].offset, s.taps[1].offset + (p.tile.taps - 1) * s.taps[1].step),
             std::min(s.taps[2].offset, s.taps[2].offset + (p.tile.taps - 1) * s.taps[2].step),
             p.tile_rows,
             p.tile_cols,
             p.tile.columns,
             p.tile.reach()},
        frequencies_(p.tile.frequencies()),
        tiles_((last - first) * p.tile_cols),
        v_step_(p.channel_blocks * tiles_ * p.width + 16),
        m_step_(p.row_blocks() * tiles_ * p.width + 16) {}

  void run() {
    Scratch scratch;
    v_ = scratch.get<T>(frequencies_ * v_step_);
    m_ = scratch.get<T>(frequencies_ * m_step_);
    parallel_items(p_.channel_blocks, frequencies_ * 10 * tiles_ * p_.width,
                   [&](int64_t b) { transform_input(b); });
    parallel_items(frequencies_ * p_.panels, p_.panel_size() * tiles_,
                   [&](int64_t i) { multiply(i / p_.panels, i % p_.panels); });
    parallel_items(p_.row_blocks(), frequencies_ * 10 * tiles_ * p_.width,
                   [&](int64_t b) { transform_output(b); });
  }

 private:
  void transform_input(int64_t block) {
    const int64_t channel = block * p_.width;
    map_.transform(x_ + channel * s_.x_plane(), s_.groups * s_.channels * s_.x_plane(),
                   std::min(p_.width, s_.channels - channel), first_, last_,
                   v_ + block * tiles_ * p_.width, v_step_);
  }

  void multiply(int64_t frequency, int64_t panel) {
    const T* u = u_ + frequency * p_.u_step + panel * p_.panel_size();
    T* m = m_ + frequency * m_step_ + panel * p_.nr * tiles_;
    multiply_tiles(tiles_, p_.channel_blocks, p_.tile.chain() / p_.width, v_ + frequency * v_step_,
                   u, u + p_.panel_size(), m);
  }

  void transform_output(int64_t block) {
    write_tiles(s_, map_, map_.size, first_, last_, block * p_.width,
                m_ + block * tiles_ * p_.width, bias_, y_,
                [&](const T* m, const T* bias, int64_t lines, int64_t cols, T* pixels) {
                  kernels<T>().winograd_output(map_.reach, map_.columns, p_.tile_cols, m, m_step_,
                                               bias, lines, cols, pixels);
                });
  }

  const TapSum& s_;
  const Plan& p_;
  int64_t first_, last_;
  const T* x_;
  const T* u_;
  const T* bias_;
  T* y_;
  TileMap map_;
  int64_t frequencies_;
  int64_t tiles_;
  int64_t v_step_, m_step_;
  T* v_ = nullptr;
  T* m_ = nullptr;
};

template <class T>
void run(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  const Plan p = Plan::of<T>(s);
  const int64_t tile_rows = s.n * p.tile_rows;
  const int64_t block_tiles = std::max(
      kMinBlockTiles, kBlockElements / (p.tile.frequencies() * p.channel_blocks * p.width));
  tile_blocks(s.groups, tile_rows, p.tile_cols, block_tiles, kMinShareTiles,
              [&](int64_t group, int64_t first, int64_t last) {
                Block<T>(s, p, first, last, x + group * s.channels * s.x_plane(),
                         packed + group * p.tile.frequencies() * p.u_step,
                         bias == nullptr ? nullptr : bias + group * s.rows,
                         y + group * s.rows * s.grid_plane())
                    .run();
              });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_winograd() {
  return {"winograd", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_winograd();
template TapSumAlgorithm<double> tap_sum_winograd();

}  // namespace laminae
