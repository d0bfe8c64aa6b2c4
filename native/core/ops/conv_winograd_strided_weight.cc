// Weight gradient of a 3x3 convolution at stride 2 by Winograd: the places of x are those of the
// forward pass, dy is cut into tiles of 4x4 or 3x3, and 81 or 49 products over the tiles take the
// place of 144 or 81 (kernels/winograd_strided.inl).
//
//   V [81 or 49 places][channel blocks][tiles][width], U [25 or 16 frequencies][row blocks][tiles]
//   [width] of a block of tiles; products [channel groups][panels][81 or 49][channels][nr] are
//   summed over the blocks, in order, and give dw at the end.
//
// Threads: where products are few, blocks are cut into up to kChunks parts, each with products of
// its own, added up in order; where they are many, the transforms of a block are split over
// channels and its products over places. Both depend on the shape alone.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/ops/winograd_strided.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kMinChannels = 16;
constexpr int64_t kBlockElements = 1 << 18;  // of V: 1 MiB
constexpr int64_t kMinBlockTiles = 128;
constexpr int64_t kChunkElements = 1 << 18;  // of products: 1 MiB
constexpr int64_t kChunks = 8;
constexpr int64_t kGroupChannels = 64;  // share what is read of U

int64_t tile_of(const ConvShape& s) {
  return strided_tile(s.n, s.out[1], s.out[2], s.c_in * s.channels_out());
}

template <class T>
bool applies(const ConvShape& s) {
  if (sizeof(T) != sizeof(float) || s.exact) return false;
  if (s.in[0] != 1 || s.kernel[0] != 1 || s.out[0] != 1 || s.padding[0] != 0) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.kernel[d] != 3 || s.stride[d] != 2 || s.dilation[d] != 1) return false;
  }
  if (s.channels_in() < kMinChannels || s.channels_out() < kMinChannels) return false;
  return tile_of(s) != 0;
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
        group_blocks_(std::min(channel_blocks_, kGroupChannels / width_)),
        groups_(ceil_div(channel_blocks_, group_blocks_)),
        map_{2 * places_.tile,
             s.in[1],
             s.in[2],
             -s.padding[1],
             -s.padding[2],
             ceil_div(s.out[1], places_.tile),
             ceil_div(s.out[2], places_.tile)},
        dy_map_{places_.tile, s.out[1], s.out[2], 0, 0, map_.tile_rows, map_.tile_cols},
        m_size_(group_blocks_ * width_ * nr_) {}

  void run() {
    const int64_t rows = s_.n * map_.tile_rows;
    const int64_t block_tiles =
        std::max(kMinBlockTiles, kBlockElements / (places_.count() * channel_blocks_ * width_));
    const int64_t items = groups_ * panels_;
    const int64_t item_size = places_.elements(m_size_);
    const int64_t products = items * item_size;
    int64_t blocks = ceil_div(rows, std::max<int64_t>(1, block_tiles / map_.tile_cols));
    int64_t chunks = 1;
    if (blocks > 1 && products <= kChunkElements) {
      // As many blocks in every chunk, and an even number of chunks.
      chunks = std::min(kChunks, blocks + blocks % 2);
      blocks = ceil_div(blocks, chunks) * chunks;
    }
    const int64_t most = ceil_div(rows, blocks) * map_.tile_cols;  // tiles of a block
    v_size_ = channel_blocks_ * most * width_;
    u_step_ = row_blocks_ * most * width_ + 16;
    if (blocks == 1) return run_block(rows);
    Scratch scratch;
    T* m = scratch.get<T>(chunks * products);
    const auto add_chunk = [&](int64_t chunk) {
      Scratch own;
      T* v = own.get<T>(places_.elements(v_size_));
      T* u = own.get<T>(places_.frequencies() * u_step_);
      const int64_t begin = blocks * chunk / chunks;
      const int64_t end = blocks * (chunk + 1) / chunks;
      for (int64_t b = begin; b < end; ++b) {
        add_block(b * rows / blocks, (b + 1) * rows / blocks, b > begin, v, u,
                  m + chunk * products);
      }
    };
    if (chunks > 1) {
      parallel_chunks(chunks, add_chunk);
    } else {
      add_chunk(0);
    }
    parallel_for(items, conv_grain(item_size), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        T* total = m + i * item_size;
        for (int64_t chunk = 1; chunk < chunks; ++chunk) {
          // Not the gaps between frequencies: nobody has written them.
          for (int64_t f = 0; f < places_.frequencies(); ++f) {
            T* sum = total + places_.offset(f, m_size_);
            kernels<T>().scale_add(places_.terms(f) * m_size_, T{1}, sum + chunk * products, T{1},
                                   sum);
          }
        }
        finish(i / panels_, i % panels_, total);
      }
    });
  }

 private:
  // All rows of tiles at once: the products of an item are used up while they are in cache.
  void run_block(int64_t rows) const {
    const int64_t tiles = rows * map_.tile_cols;
    Scratch scratch;
    T* v = scratch.get<T>(places_.elements(v_size_));
    T* u = scratch.get<T>(places_.frequencies() * u_step_);
    transform_block(0, rows, v, u);
    parallel_for(groups_ * panels_, conv_grain(places_.count() * m_size_ * tiles),
                 [&](int64_t begin, int64_t end) {
                   Scratch own;
                   T* m = own.get<T>(places_.elements(m_size_));
                   for (int64_t i = begin; i < end; ++i) {
                     for (int64_t place = 0; place < places_.count(); ++place)
                       correlate(i / panels_, i % panels_, place, tiles, false, v, u, m);
                     finish(i / panels_, i % panels_, m);
                   }
                 });
  }

  // The products of rows of tiles [first, last), into or onto m.
  void add_block(int64_t first, int64_t last, bool accumulate, T* v, T* u, T* m) const {
    transform_block(first, last, v, u);
    const int64_t tiles = (last - first) * map_.tile_cols;
    const int64_t items = groups_ * panels_;
    parallel_for(places_.count() * items, conv_grain(m_size_ * tiles),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     const int64_t item = i % items;
                     correlate(item / panels_, item % panels_, i / items, tiles, accumulate, v, u,
                               m + item * places_.elements(m_size_));
                   }
                 });
  }

  void transform_block(int64_t first, int64_t last, T* v, T* u) const {
    const int64_t tiles = (last - first) * map_.tile_cols;
    parallel_for(
        channel_blocks_ + row_blocks_, conv_grain(places_.frequencies() * 20 * tiles * width_),
        [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            if (i < channel_blocks_) {
              transform_input(i, first, last, v + i * tiles * width_);
            } else {
              const int64_t row_block = i - channel_blocks_;
              transform_gradient(row_block, first, last, tiles, u + row_block * tiles * width_);
            }
          }
        });
  }

  void transform_input(int64_t block, int64_t first, int64_t last, T* v) const {
    const int64_t channel = block * width_;
    strided_transform(map_, places_, x_ + channel * s_.in_plane(), s_.c_in * s_.in_plane(),
                      std::min(width_, s_.channels_in() - channel), first, last, v, v_size_);
  }

  void transform_gradient(int64_t block, int64_t first, int64_t last, int64_t tiles, T* u) const {
    const int64_t row = block * width_;
    const int64_t lanes = std::min(width_, s_.channels_out() - row);
    if (lanes <= 0) {
      for (int64_t f = 0; f < places_.frequencies(); ++f)
        std::fill(u + f * u_step_, u + f * u_step_ + tiles * width_, T{0});
      return;
    }
    const int64_t tile = places_.tile;
    const int64_t line = map_.tile_cols * tile * width_;
    Scratch scratch;
    T* strip = scratch.get<T>(tile * line);
    dy_map_.each_image(
        first, last, [&](int64_t image, int64_t tile_row, int64_t count, int64_t at) {
          const T* dy = dy_ + (image * s_.c_out + row) * s_.out_plane();
          for (int64_t i = 0; i < count; ++i) {
            for (int64_t r = 0; r < tile; ++r)
              dy_map_.read_line(dy, lanes, (tile_row + i) * tile + r, map_.tile_cols * tile,
                                strip + r * line);
            kernels<T>().winograd_strided_points(tile, map_.tile_cols, strip, line,
                                                 u + (at + i * map_.tile_cols) * width_, u_step_);
          }
        });
  }

  // One place: m [places][channels of the group][nr]
  void correlate(int64_t group, int64_t panel, int64_t place, int64_t tiles, bool accumulate,
                 const T* all_v, const T* all_u, T* all_m) const {
    const int64_t rows = kernels<T>().winograd_rows;
    const int64_t blocks = std::min(group_blocks_, channel_blocks_ - group * group_blocks_);
    const T* v =
        all_v + places_.place_offset(place, v_size_) + group * group_blocks_ * tiles * width_;
    const T* u = all_u + places_.frequency(place) * u_step_ + panel * nr_ * tiles;
    T* m = all_m + places_.place_offset(place, m_size_);
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t i = 0; i < width_; i += rows) {
        kernels<T>().winograd_correlate(tiles, v + b * tiles * width_ + i, u, tiles * width_,
                                        accumulate, m + (b * width_ + i) * nr_);
      }
    }
  }

  void finish(int64_t group, int64_t panel, const T* m) const {
    const int64_t channel = group * group_blocks_ * width_;
    const int64_t row = panel * nr_;
    const int64_t channels = std::min(group_blocks_ * width_, s_.channels_in() - channel);
    const int64_t depth = s_.channels_in() * 9;
    int64_t at[kStridedPlaces];
    places_.offsets(m_size_, at);
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
  int64_t group_blocks_, groups_;  // channel blocks that make an item together
  TileMap map_, dy_map_;
  int64_t m_size_;
  int64_t v_size_ = 0, u_step_ = 0;
};

template <class T>
void run(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  if (db != nullptr) bias_gradient(s, dy, db);
  if (dw == nullptr) return;
  for (int64_t g = 0; g < s.groups; ++g) {
    Gradient<T>(s, x + g * s.channels_in() * s.in_plane(),
                dy + g * s.channels_out() * s.out_plane(),
                dw + g * s.channels_out() * s.channels_in() * 9)
        .run();
  }
}

}  // namespace

template <class T>
WeightGradientAlgorithm<T> weight_gradient_winograd_strided() {
  return {"winograd strided", applies<T>, run<T>};
}

template WeightGradientAlgorithm<float> weight_gradient_winograd_strided();
template WeightGradientAlgorithm<double> weight_gradient_winograd_strided();

}  // namespace laminae
