// Weight gradient of a 3x3 convolution at stride 2 by Winograd: the places of x are those of the
// forward pass, dy is cut into tiles of 4x4 or 3x3, and 81 or 49 products over the tiles take the
// place of 144 or 81 (kernels/winograd_strided_gradient.inl).
//
//   U [25 or 16 frequencies][row blocks][tiles][width] of a block of tiles; for every block of
//   channels V [81 or 49 places][tiles][width]; products [channel blocks][panels][81 or 49][width]
//   [nr] are summed over the blocks of tiles, in order, and give dw at the end.
//
// Threads: where products are few, blocks are cut into up to kChunks parts, each with products of
// its own, added up in order. Where they are many, every thread makes the products of some blocks
// of channels with a V of its own, which stays in L2; if that is too coarse, V is made first and
// shared. The latter does not show in the bits, the former depends on the shape alone.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd_strided.h"
#include "core/ops/winograd_weight.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kBlockElements = 1 << 18;  // of V: 1 MiB
constexpr int64_t kMinBlockTiles = 128;
constexpr int64_t kChunkElements = 1 << 18;  // of products: 1 MiB
constexpr int64_t kChunks = 8;

int64_t tile_of(const ConvShape& s) {
  return strided_tile(s.n, s.out[1], s.out[2], s.c_in * s.channels_out());
}

template <class T>
bool applies(const ConvShape& s) {
  return strided_applies<T>(s) && tile_of(s) != 0;
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
        places_{tile_of(s)},
        width_(kernels<T>().vec_width),
        nr_(kernels<T>().gemm_nr),
        channel_blocks_(ceil_div(s.channels_in(), width_)),
        panels_(ceil_div(s.channels_out(), nr_)),
        row_blocks_(panels_ * (nr_ / width_)),
        map_{2 * places_.tile,
             s.in[1],
             s.in[2],
             -s.padding[1],
             -s.padding[2],
             ceil_div(s.out[1], places_.tile),
             ceil_div(s.out[2], places_.tile)},
        dy_map_{places_.tile, s.out[1], s.out[2], 0, 0, map_.tile_rows, map_.tile_cols},
        item_size_(places_.elements(width_ * nr_)) {}

  void run() {
    const int64_t rows = s_.n * map_.tile_rows;
    const int64_t block_tiles =
        std::max(kMinBlockTiles, kBlockElements / (places_.count() * channel_blocks_ * width_));
    const int64_t items = channel_blocks_ * panels_;
    const int64_t products = items * item_size_;
    int64_t blocks = ceil_div(rows, std::max<int64_t>(1, block_tiles / map_.tile_cols));
    int64_t chunks = 1;
    if (blocks > 1 && products <= kChunkElements) {
      // As many blocks in every chunk, and an even number of chunks.
      chunks = std::min(kChunks, blocks + blocks % 2);
      blocks = ceil_div(blocks, chunks) * chunks;
    }
    const int64_t most = ceil_div(rows, blocks) * map_.tile_cols;  // tiles of a block
    v_size_ = most * width_;
    u_step_ = frequency_step(row_blocks_ * most * width_);
    if (blocks == 1) return add_block(0, rows, false, nullptr);
    sum_blocks<T>(
        rows, blocks, chunks, items, item_size_,
        [&](int64_t first, int64_t last, bool accumulate, T* m) {
          add_block(first, last, accumulate, m);
        },
        [&](int64_t i, const T* m) { finish(i / panels_, i % panels_, m); });
  }

 private:
  // The products of rows of tiles [first, last), into or onto m; with m null they are all and are
  // used up while they are in cache.
  void add_block(int64_t first, int64_t last, bool accumulate, T* m) const {
    const int64_t tiles = (last - first) * map_.tile_cols;
    const int64_t v_elements = places_.elements(v_size_);
    const bool shared = channel_blocks_ < 4 * num_threads() && channel_blocks_ % num_threads() != 0;
    Scratch scratch;
    T* u = scratch.get<T>(places_.frequencies() * u_step_);
    T* all_v = shared ? scratch.get<T>(channel_blocks_ * v_elements) : nullptr;
    parallel_for(row_blocks_ + (shared ? channel_blocks_ : 0),
                 row_grain(2 * places_.frequencies() * tiles * width_),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     if (i < row_blocks_) {
                       transform_gradient(i, first, last, tiles, u + i * tiles * width_);
                     } else {
                       const int64_t block = i - row_blocks_;
                       transform_input(block, first, last, all_v + block * v_elements);
                     }
                   }
                 });
    const int64_t items = channel_blocks_ * panels_;
    const auto sums_of = [&](int64_t block, int64_t panel) {
      return m + (block * panels_ + panel) * item_size_;
    };
    const int64_t work = width_ * nr_ * tiles;
    if (shared && m != nullptr) {
      parallel_for(items * places_.count(), conv_grain(work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t block = i / places_.count() / panels_;
          const int64_t panel = i / places_.count() % panels_;
          correlate(i % places_.count(), tiles, all_v + block * v_elements, u + panel * nr_ * tiles,
                    accumulate, sums_of(block, panel));
        }
      });
      return;
    }
    const auto make = [&](int64_t block, int64_t panel, const T* v) {
      Scratch own;
      T* sums = m == nullptr ? own.get<T>(item_size_) : sums_of(block, panel);
      for (int64_t place = 0; place < places_.count(); ++place)
        correlate(place, tiles, v, u + panel * nr_ * tiles, accumulate, sums);
      if (m == nullptr) finish(block, panel, sums);
    };
    if (shared) {
      parallel_for(items, conv_grain(places_.count() * work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          make(i / panels_, i % panels_, all_v + i / panels_ * v_elements);
      });
      return;
    }
    parallel_for(channel_blocks_, conv_grain(places_.count() * work * panels_),
                 [&](int64_t begin, int64_t end) {
                   Scratch own;
                   T* v = own.get<T>(v_elements);
                   for (int64_t i = begin; i < end; ++i) {
                     transform_input(i, first, last, v);
                     for (int64_t panel = 0; panel < panels_; ++panel) make(i, panel, v);
                   }
                 });
  }

  void transform_input(int64_t block, int64_t first, int64_t last, T* v) const {
    const int64_t channel = block * width_;
    strided_transform(map_, places_,
                      {x_ + channel * s_.in_plane(), s_.c_in * s_.in_plane(),
                       std::min(width_, s_.channels_in() - channel), first, last},
                      v, v_size_);
  }

  void transform_gradient(int64_t block, int64_t first, int64_t last, int64_t tiles, T* u) const {
    const int64_t row = block * width_;
    const int64_t lanes = std::min(width_, s_.channels_out() - row);
    if (lanes <= 0) {
      for (int64_t f = 0; f < places_.frequencies(); ++f)
        std::fill(u + f * u_step_, u + f * u_step_ + tiles * width_, T{0});
      return;
    }
    const TileRows<const T> dy{dy_ + row * s_.out_plane(), s_.c_out * s_.out_plane(), lanes, first,
                               last};
    dy_map_.each_strip(places_.tile, dy, [&](const T* strip, int64_t line, int64_t tile) {
      kernels<T>().winograd_strided_points(places_.tile, map_.tile_cols, strip, line,
                                           u + tile * width_, u_step_);
    });
  }

  // v [places][tiles][width], u [frequencies][nr / width][tiles][width], m [places][width][nr]
  void correlate(int64_t place, int64_t tiles, const T* v, const T* u, bool accumulate,
                 T* m) const {
    const int64_t rows = kernels<T>().winograd_rows;
    v += places_.place_offset(place, v_size_);
    u += places_.frequency(place) * u_step_;
    m += places_.place_offset(place, width_ * nr_);
    for (int64_t i = 0; i < width_; i += rows)
      kernels<T>().winograd_correlate(tiles, v + i, u, tiles * width_, accumulate, m + i * nr_);
  }

  void finish(int64_t block, int64_t panel, const T* m) const {
    const int64_t channel = block * width_;
    const int64_t row = panel * nr_;
    const int64_t channels = std::min(width_, s_.channels_in() - channel);
    const int64_t depth = s_.channels_in() * 9;
    int64_t at[kStridedPlaces];
    places_.offsets(width_ * nr_, at);
    Scratch scratch;
    T* spatial = scratch.get<T>(channels * 9 * nr_);
    kernels<T>().winograd_strided_dw(places_.tile, channels, m, at, spatial);
    kernels<T>().transpose(channels * 9, std::min(nr_, s_.channels_out() - row), spatial, nr_,
                           dw_ + row * depth + channel * 9, depth);
  }

  const ConvShape& s_;
  const T* x_;
  const T* dy_;
  T* dw_;
  StridedPlaces places_;
  int64_t width_, nr_;
  int64_t channel_blocks_, panels_, row_blocks_;
  TileMap map_, dy_map_;
  int64_t item_size_;  // of the products of a block of channels and a panel
  int64_t v_size_ = 0, u_step_ = 0;
};

}  // namespace

template <class T>
WeightGradientAlgorithm<T> weight_gradient_winograd_strided() {
  return {"winograd strided", applies<T>, run_weight_gradient<Gradient<T>, T>};
}

template WeightGradientAlgorithm<float> weight_gradient_winograd_strided();
template WeightGradientAlgorithm<double> weight_gradient_winograd_strided();

}  // namespace laminae
