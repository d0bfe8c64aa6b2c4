// Weight gradient of a 3x3 convolution at stride 1 by Winograd's F(3x3, 4x4): the frequencies of x
// are those of the forward pass, dy is cut into tiles of 4x4, and 36 products over the tiles take
// the place of 144. The error is some 4e-6 of the gradient's root mean square, 1.5e-5 at most.
//
//   V [36][channel blocks][tiles][width], U [36][row blocks][tiles][width] of a block of tiles;
//   products [channel groups][panels][36][channels][nr] are summed over the blocks, in order, and
//   give dw once the last block is added.
//
// The two transforms are split over channels, the products over (group of channels, panel of
// rows): neither shows in the bits.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kMinChannels = 16;
constexpr int64_t kBlockElements = 1 << 17;  // of V: 512 KiB
constexpr int64_t kMinBlockTiles = 128;
constexpr int64_t kGroupChannels = 64;  // share what is read of U

int64_t grain_of(int64_t work) {
  return std::max<int64_t>(1, kConvGrain / std::max<int64_t>(1, work));
}

template <class T>
bool applies(const ConvShape& s) {
  if (sizeof(T) != sizeof(float) || s.exact) return false;
  if (s.in[0] != 1 || s.kernel[0] != 1 || s.out[0] != 1 || s.padding[0] != 0) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.kernel[d] != 3 || s.stride[d] != 1 || s.dilation[d] != 1) return false;
  }
  if (s.channels_in() < kMinChannels || s.channels_out() < kMinChannels) return false;
  return winograd_pays(s.n, s.out[1], s.out[2], s.c_in * s.channels_out());
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
        width_(kernels<T>().vec_width),
        nr_(kernels<T>().gemm_nr),
        channel_blocks_(ceil_div(s.channels_in(), width_)),
        panels_(ceil_div(s.channels_out(), nr_)),
        row_blocks_(panels_ * (nr_ / width_)),
        group_blocks_(std::min(channel_blocks_, kGroupChannels / width_)),
        groups_(ceil_div(channel_blocks_, group_blocks_)),
        map_{s.in[1],
             s.in[2],
             -s.padding[1],
             -s.padding[2],
             ceil_div(s.out[1], kTile),
             ceil_div(s.out[2], kTile)},
        dy_map_{s.out[1], s.out[2], 0, 0, map_.tile_rows, map_.tile_cols} {}

  void run() {
    const int64_t rows = s_.n * map_.tile_rows;
    const int64_t block_tiles =
        std::max(kMinBlockTiles, kBlockElements / (kFrequencies * channel_blocks_ * width_));
    const int64_t blocks = ceil_div(rows, std::max<int64_t>(1, block_tiles / map_.tile_cols));
    const int64_t most = ceil_div(rows, blocks) * map_.tile_cols;  // tiles of a block
    // A cache line more: frequencies at a distance of whole pages would share L1 sets.
    v_step_ = channel_blocks_ * most * width_ + 16;
    u_step_ = row_blocks_ * most * width_ + 16;
    m_step_ = group_blocks_ * width_ * nr_ + 16;
    Scratch scratch;
    v_ = scratch.get<T>(kFrequencies * v_step_);
    u_ = scratch.get<T>(kFrequencies * u_step_);
    // With a single block, products of one item at a time are enough.
    m_ = scratch.get<T>(blocks > 1 ? groups_ * panels_ * kFrequencies * m_step_ : 0);
    for (int64_t b = 0; b < blocks; ++b) {
      add_block(b * rows / blocks, (b + 1) * rows / blocks, b == 0, b + 1 == blocks);
    }
  }

 private:
  // Rows of tiles [first, last).
  void add_block(int64_t first, int64_t last, bool is_first, bool is_last) {
    const int64_t tiles = (last - first) * map_.tile_cols;
    const int64_t transforms = channel_blocks_ + row_blocks_;
    parallel_for(transforms, grain_of(kFrequencies * 10 * tiles * width_),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     if (i < channel_blocks_) {
                       transform_input(i, first, last, tiles);
                     } else {
                       transform_gradient(i - channel_blocks_, first, last, tiles);
                     }
                   }
                 });
    const int64_t channels = group_blocks_ * width_;
    parallel_for(groups_ * panels_, grain_of(kFrequencies * channels * nr_ * tiles),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) {
                     Scratch scratch;
                     T* m = is_first && is_last ? scratch.get<T>(kFrequencies * m_step_)
                                                : m_ + i * kFrequencies * m_step_;
                     correlate(i / panels_, i % panels_, tiles, !is_first, m);
                     if (is_last) finish(i / panels_, i % panels_, m);
                   }
                 });
  }

  void transform_input(int64_t block, int64_t first, int64_t last, int64_t tiles) {
    const int64_t channel = block * width_;
    map_.transform(x_ + channel * s_.in_plane(), s_.c_in * s_.in_plane(),
                   std::min(width_, s_.channels_in() - channel), first, last,
                   v_ + block * tiles * width_, v_step_);
  }

  void transform_gradient(int64_t block, int64_t first, int64_t last, int64_t tiles) {
    const int64_t row = block * width_;
    T* u = u_ + block * tiles * width_;
    const int64_t lanes = std::min(width_, s_.channels_out() - row);
    if (lanes <= 0) {
      for (int64_t f = 0; f < kFrequencies; ++f)
        std::fill(u + f * u_step_, u + f * u_step_ + tiles * width_, T{0});
      return;
    }
    const int64_t cols = map_.tile_cols * kTile;
    Scratch scratch;
    T* strip = scratch.get<T>(kTile * cols * width_);
    dy_map_.each_image(
        first, last, [&](int64_t image, int64_t tile_row, int64_t count, int64_t tile) {
          const T* dy = dy_ + (image * s_.c_out + row) * s_.out_plane();
          for (int64_t i = 0; i < count; ++i) {
            for (int64_t r = 0; r < kTile; ++r)
              dy_map_.read_line(dy, lanes, (tile_row + i) * kTile + r, cols,
                                strip + r * cols * width_);
            kernels<T>().winograd_gradient(map_.tile_cols, strip, cols * width_,
                                           u + (tile + i * map_.tile_cols) * width_, u_step_);
          }
        });
  }

  int64_t blocks_of(int64_t group) const {
    return std::min(group_blocks_, channel_blocks_ - group * group_blocks_);
  }

  // m [36][channels of the group][nr]
  void correlate(int64_t group, int64_t panel, int64_t tiles, bool accumulate, T* m) const {
    const int64_t rows = kernels<T>().winograd_rows;
    for (int64_t f = 0; f < kFrequencies; ++f) {
      const T* v = v_ + f * v_step_ + group * group_blocks_ * tiles * width_;
      const T* u = u_ + f * u_step_ + panel * nr_ * tiles;
      for (int64_t b = 0; b < blocks_of(group); ++b) {
        for (int64_t i = 0; i < width_; i += rows) {
          kernels<T>().winograd_correlate(tiles, v + b * tiles * width_ + i, u, tiles * width_,
                                          accumulate, m + f * m_step_ + (b * width_ + i) * nr_);
        }
      }
    }
  }

  void finish(int64_t group, int64_t panel, const T* m) const {
    const int64_t channel = group * group_blocks_ * width_;
    const int64_t row = panel * nr_;
    const int64_t channels = std::min(group_blocks_ * width_, s_.channels_in() - channel);
    const int64_t depth = s_.channels_in() * 9;
    Scratch scratch;
    T* spatial = scratch.get<T>(channels * 9 * nr_);
    kernels<T>().winograd_weight_gradient(channels, m, m_step_, spatial);
    kernels<T>().transpose(channels * 9, std::min(nr_, s_.channels_out() - row), spatial, nr_,
                           dw_ + row * depth + channel * 9, depth);
  }

  const ConvShape& s_;
  const T* x_;
  const T* dy_;
  T* dw_;
  int64_t width_, nr_;
  int64_t channel_blocks_, panels_, row_blocks_;
  int64_t group_blocks_, groups_;  // channel blocks that make an item together
  TileMap map_, dy_map_;
  int64_t v_step_ = 0, u_step_ = 0, m_step_ = 0;
  T* v_ = nullptr;
  T* u_ = nullptr;
  T* m_ = nullptr;
};

// Sums over images in order of sums over planes.
template <class T>
void bias_gradient(const ConvShape& s, const T* dy, T* db) {
  parallel_for(s.c_out, grain_of(s.n * s.out_plane()), [&](int64_t begin, int64_t end) {
    for (int64_t oc = begin; oc < end; ++oc) {
      double sum = 0;
      for (int64_t i = 0; i < s.n; ++i)
        sum += kernels<T>().sum(s.out_plane(), dy + (i * s.c_out + oc) * s.out_plane());
      db[oc] = static_cast<T>(sum);
    }
  });
}

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
WeightGradientAlgorithm<T> weight_gradient_winograd() {
  return {"winograd", applies<T>, run<T>};
}

template WeightGradientAlgorithm<float> weight_gradient_winograd();
template WeightGradientAlgorithm<double> weight_gradient_winograd();

}  // namespace laminae
