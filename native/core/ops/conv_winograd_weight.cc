// Weight gradient of a 3x3 or 5x5 convolution at stride 1 by Winograd's F(3x3, 4x4), F(5x5, 2x5),
// F(5x5, 2x4) or F(5x5, 2x2): the frequencies of x are those of the forward pass, dy is cut into
// its tiles, and 36, 54, 48 or 36 products over them take the place of 144, 250, 200 or 100. The
// error is some 1e-6 to 2.5e-6 of the gradient's root mean square, 3e-5 at most.
//
//   V [frequencies][channel blocks][tiles][width], U [frequencies][row blocks][tiles][width] of a
//   block of tiles; products [panels][channel groups][frequencies][channels][nr] are summed over
//   the blocks, in order, and give dw at the end.
//
// Threads: where products are few, blocks are cut into kChunks parts or fewer, each with products
// of its own, added up in order; where they are many, the transforms of a block are split over
// channels and its products over (panel of rows, group of channels). Both depend on the shape
// alone. Two threads: 64->64 @56 batch 8 takes 1.4 ms instead of 2.7, 5x5 96->256 @10 batch 16 1.8
// instead of 3.2.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd_weight.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kMinChannels = 16;
// Products become weights while they are in L2, so that many cost as little as few.
constexpr int64_t kWeightCost = 10;

constexpr int64_t kBlockElements = 1 << 17;  // of V: 512 KiB
constexpr int64_t kMinBlockTiles = 128;
constexpr int64_t kChunkElements = 1 << 20;  // of products: 4 MiB
constexpr int64_t kChunks = 8;
constexpr int64_t kGroupChannels = 64;  // share what is read of U

WinogradTile tile_of(const ConvShape& s) {
  const int64_t results = s.c_out * s.channels_in() * s.kernel_size();
  return wide_tile(s.kernel[2], s.n, s.out[1], s.out[2], results, kWeightCost);
}

template <class T>
bool applies(const ConvShape& s) {
  if (!winograd_applies<T>(s)) return false;
  const int64_t taps = s.kernel[2];
  if (taps != 3 && taps != 5) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.kernel[d] != taps || s.stride[d] != 1 || s.dilation[d] != 1) return false;
  }
  if (s.channels_in() < kMinChannels || s.channels_out() < kMinChannels) return false;
  return winograd_pays(tile_of(s), s.n, s.out[1], s.out[2], s.c_in * s.channels_out(), kWeightCost);
}

// One group of the convolution. x, dy, dw: its first elements.
template <class T>
class Gradient {
 public:
  Gradient(const ConvShape& s, const T* x, const T* dy, T* dw)
      : s_(s),
        x_(x),
        dy_(dy),
        dw_(dw),
        taps_(s.kernel[2]),
        tile_(tile_of(s)),
        frequencies_(tile_.frequencies()),
        width_(kernels<T>().vec_width),
        nr_(kernels<T>().gemm_nr),
        channel_blocks_(ceil_div(s.channels_in(), width_)),
        panels_(ceil_div(s.channels_out(), nr_)),
        row_blocks_(panels_ * (nr_ / width_)),
        group_blocks_(std::min(channel_blocks_, kGroupChannels / width_)),
        groups_(ceil_div(channel_blocks_, group_blocks_)),
        map_{tile_.lines,
             s.in[1],
             s.in[2],
             -s.padding[1],
             -s.padding[2],
             ceil_div(s.out[1], tile_.lines),
             ceil_div(s.out[2], tile_.columns),
             tile_.columns,
             tile_.reach()},
        dy_map_{tile_.lines, s.out[1],       s.out[2],       0,
                0,           map_.tile_rows, map_.tile_cols, tile_.columns} {}

  void run() {
    const int64_t rows = s_.n * map_.tile_rows;
    const int64_t block_tiles =
        std::max(kMinBlockTiles, kBlockElements / (frequencies_ * channel_blocks_ * width_));
    int64_t blocks = ceil_div(rows, std::max<int64_t>(1, block_tiles / map_.tile_cols));
    m_step_ = frequency_step(group_blocks_ * width_ * nr_);
    const int64_t items = groups_ * panels_;
    const int64_t products = items * frequencies_ * m_step_;
    int64_t chunks = 1;
    if (blocks > 1 && products <= kChunkElements) {
      chunks = blocks >= kChunks ? kChunks : blocks > 2 ? kChunks / 2 : 2;
      blocks = ceil_div(blocks, chunks) * chunks;  // the same work for all, but for tiny maps
    }
    const int64_t most = ceil_div(rows, blocks) * map_.tile_cols;  // tiles of a block
    v_step_ = frequency_step(channel_blocks_ * most * width_);
    u_step_ = frequency_step(row_blocks_ * most * width_);
    if (blocks == 1) return run_block(rows);
    sum_blocks<T>(
        rows, blocks, chunks, items, frequencies_ * m_step_,
        [&](int64_t first, int64_t last, bool accumulate, T* m) {
          add_block(first, last, accumulate, m);
        },
        [&](int64_t i, const T* m) { finish(i % groups_, i / groups_, m); });
  }

 private:
  // All rows of tiles at once: the products of an item are used up while they are in cache.
  void run_block(int64_t rows) const {
    Scratch scratch;
    T* v = scratch.get<T>(frequencies_ * v_step_);
    T* u = scratch.get<T>(frequencies_ * u_step_);
    transform_block(0, rows, v, u);
    const int64_t tiles = rows * map_.tile_cols;
    each_item(tiles, [&](int64_t begin, int64_t end) {
      Scratch own;
      T* m = own.get<T>(frequencies_ * m_step_);
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t f = 0; f < frequencies_; ++f)
          correlate(f, i % groups_, i / groups_, tiles, false, v, u, m + f * m_step_);
        finish(i % groups_, i / groups_, m);
      }
    });
  }

  // The products of rows of tiles [first, last), into or onto m.
  void add_block(int64_t first, int64_t last, bool accumulate, T* m) const {
    Scratch scratch;
    T* v = scratch.get<T>(frequencies_ * v_step_);
    T* u = scratch.get<T>(frequencies_ * u_step_);
    transform_block(first, last, v, u);
    const int64_t tiles = (last - first) * map_.tile_cols;
    // A frequency of V and U stays in L1 and L2 for all the items of a thread.
    each_item(tiles, [&](int64_t begin, int64_t end) {
      for (int64_t f = 0; f < frequencies_; ++f) {
        for (int64_t i = begin; i < end; ++i) {
          correlate(f, i % groups_, i / groups_, tiles, accumulate, v, u,
                    m + (i * frequencies_ + f) * m_step_);
        }
      }
    });
  }

  template <class F>
  void each_item(int64_t tiles, F&& fn) const {
    parallel_for(groups_ * panels_, conv_grain(frequencies_ * group_blocks_ * width_ * nr_ * tiles),
                 fn);
  }

  void transform_block(int64_t first, int64_t last, T* v, T* u) const {
    const int64_t tiles = (last - first) * map_.tile_cols;
    const int64_t count = channel_blocks_ + row_blocks_;
    parallel_for(count, row_grain(frequencies_ * tiles * width_), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        // Both in turns: a thread makes most of U that it reads.
        const int64_t row_block = i * row_blocks_ / count;
        if ((i + 1) * row_blocks_ / count > row_block) {
          transform_gradient(row_block, first, last, tiles, u + row_block * tiles * width_);
        } else {
          const int64_t block = i - row_block;
          transform_input(block, first, last, v + block * tiles * width_);
        }
      }
    });
  }

  void transform_input(int64_t block, int64_t first, int64_t last, T* v) const {
    const int64_t channel = block * width_;
    map_.transform({x_ + channel * s_.in_plane(), s_.c_in * s_.in_plane(),
                    std::min(width_, s_.channels_in() - channel), first, last},
                   v, v_step_);
  }

  void transform_gradient(int64_t block, int64_t first, int64_t last, int64_t tiles, T* u) const {
    const int64_t row = block * width_;
    const int64_t lanes = std::min(width_, s_.channels_out() - row);
    if (lanes <= 0) {
      for (int64_t f = 0; f < frequencies_; ++f)
        std::fill(u + f * u_step_, u + f * u_step_ + tiles * width_, T{0});
      return;
    }
    const TileRows<const T> dy{dy_ + row * s_.out_plane(), s_.c_out * s_.out_plane(), lanes, first,
                               last};
    dy_map_.each_strip(tile_.lines, dy, [&](const T* strip, int64_t line, int64_t tile) {
      kernels<T>().winograd_gradient(map_.reach, tile_.columns, map_.tile_cols, strip, line,
                                     u + tile * width_, u_step_);
    });
  }

  int64_t blocks_of(int64_t group) const {
    return std::min(group_blocks_, channel_blocks_ - group * group_blocks_);
  }

  // m [channels of the group][nr] of a frequency
  void correlate(int64_t f, int64_t group, int64_t panel, int64_t tiles, bool accumulate,
                 const T* all_v, const T* all_u, T* m) const {
    const int64_t rows = kernels<T>().winograd_rows;
    const T* v = all_v + f * v_step_ + group * group_blocks_ * tiles * width_;
    const T* u = all_u + f * u_step_ + panel * nr_ * tiles;
    const int64_t chain = tile_.chain();
    for (int64_t b = 0; b < blocks_of(group); ++b) {
      for (int64_t i = 0; i < width_; i += rows) {
        for (int64_t t = 0; t == 0 || t < tiles; t += chain) {
          kernels<T>().winograd_correlate(
              std::min(chain, tiles - t), v + (b * tiles + t) * width_ + i, u + t * width_,
              tiles * width_, accumulate || t > 0, m + (b * width_ + i) * nr_);
        }
      }
    }
  }

  void finish(int64_t group, int64_t panel, const T* m) const {
    const int64_t channel = group * group_blocks_ * width_;
    const int64_t row = panel * nr_;
    const int64_t channels = std::min(group_blocks_ * width_, s_.channels_in() - channel);
    const int64_t depth = s_.channels_in() * taps_ * taps_;
    Scratch scratch;
    T* spatial = scratch.get<T>(channels * taps_ * taps_ * nr_);
    kernels<T>().winograd_weight_gradient(map_.reach, taps_, channels, m, m_step_, spatial);
    kernels<T>().transpose(channels * taps_ * taps_, std::min(nr_, s_.channels_out() - row),
                           spatial, nr_, dw_ + row * depth + channel * taps_ * taps_, depth);
  }

  const ConvShape& s_;
  const T* x_;
  const T* dy_;
  T* dw_;
  int64_t taps_;  // in each direction
  WinogradTile tile_;
  int64_t frequencies_;
  int64_t width_, nr_;
  int64_t channel_blocks_, panels_, row_blocks_;
  int64_t group_blocks_, groups_;  // channel blocks that make an item together
  TileMap map_, dy_map_;
  int64_t v_step_ = 0, u_step_ = 0, m_step_ = 0;
};

}  // namespace

template <class T>
WeightGradientAlgorithm<T> weight_gradient_winograd() {
  return {"winograd", applies<T>, run_weight_gradient<Gradient<T>, T>};
}

template WeightGradientAlgorithm<float> weight_gradient_winograd();
template WeightGradientAlgorithm<double> weight_gradient_winograd();

}  // namespace laminae
