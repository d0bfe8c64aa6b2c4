// A TapSum of 3x3 taps at stride 2 by Winograd's F(4x4, 2x2) or F(3x3, 2x2) on the phases of the
// input: 1.8 or 1.65 times fewer multiplications, an error of about 1e-6 of the output's root mean
// square (kernels/winograd_strided.inl).
//
//   1. input     rows of the maps, transposed to channels in lanes and with zeros around them,
//                -> V [81 or 49 places][channel blocks][tiles][width], by frequency
//   2. product   for each of 25 or 16 frequencies M = V U, [tiles, places x channels]
//                [places x channels, rows] -> M [25 or 16][row blocks][tiles][width]
//   3. output    -> 4x4 or 3x3 pixels a tile, transposed back into y
//
// Blocks of tiles and threads as in conv_winograd.cc. A NaN or infinity of x reaches the other
// outputs of every tile that reads it.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/ops/winograd_strided.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kBlockElements = 1 << 18;  // of V: 1 MiB
constexpr int64_t kMinBlockTiles = 56;
constexpr int64_t kMinShareTiles = 28;  // of a block, where every thread gets a whole one

// Sizes that all phases share.
struct Plan {
  int64_t width, nr;
  StridedPlaces places;
  int64_t channel_blocks;  // vectors of channels
  int64_t panels;          // of nr rows
  int64_t tile_rows, tile_cols;

  template <class T>
  static Plan of(const TapSum& s) {
    const KernelTable<T>& kernel = kernels<T>();
    Plan p;
    p.width = kernel.vec_width;
    p.nr = kernel.gemm_nr;
    p.places = {strided_tile(s.n, s.grid[1], s.grid[2], s.groups * s.channels * s.rows)};
    p.channel_blocks = ceil_div(s.channels, p.width);
    p.panels = ceil_div(s.rows, p.nr);
    p.tile_rows = ceil_div(s.grid[1], p.places.tile);
    p.tile_cols = ceil_div(s.grid[2], p.places.tile);
    return p;
  }

  int64_t place_size() const { return channel_blocks * width * nr; }  // of U
  int64_t panel_size() const { return places.elements(place_size()); }
  int64_t row_blocks() const { return panels * (nr / width); }
};

template <class T>
bool applies(const TapSum& s) {
  if (sizeof(T) != sizeof(float) || s.exact) return false;
  if (s.x_size[0] != 1 || s.taps[0].count != 1 || s.taps[0].offset != 0 || s.grid[0] != 1)
    return false;
  for (int d = 1; d < 3; ++d) {
    if (s.stride[d] != 2 || s.taps[d].count != 3 || s.taps[d].step != 1) return false;
  }
  if (s.channels < kStridedMinChannels || s.rows < kStridedMinChannels) return false;
  return strided_tile(s.n, s.grid[1], s.grid[2], s.groups * s.channels * s.rows) != 0;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  const Plan p = Plan::of<T>(s);
  return s.groups * p.panels * p.panel_size();
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  strided_weights(s, Plan::of<T>(s).places, false, w, packed);
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
        map_{2 * p.places.tile, s.x_size[1], s.x_size[2], s.taps[1].offset,
             s.taps[2].offset,  p.tile_rows, p.tile_cols},
        tiles_((last - first) * p.tile_cols),
        v_size_(p.channel_blocks * tiles_ * p.width),
        m_step_(p.row_blocks() * tiles_ * p.width + 16) {}

  void run() {
    const int64_t frequencies = p_.places.frequencies();
    Scratch scratch;
    v_ = scratch.get<T>(p_.places.elements(v_size_));
    m_ = scratch.get<T>(frequencies * m_step_);
    parallel_items(p_.channel_blocks, p_.places.count() * 10 * tiles_ * p_.width,
                   [&](int64_t b) { transform_input(b); });
    parallel_items(frequencies * p_.panels, 2 * p_.place_size() * tiles_,
                   [&](int64_t i) { multiply(i / p_.panels, i % p_.panels); });
    parallel_items(p_.row_blocks(), frequencies * 10 * tiles_ * p_.width,
                   [&](int64_t b) { transform_output(b); });
  }

 private:
  void transform_input(int64_t block) {
    const int64_t channel = block * p_.width;
    strided_transform(map_, p_.places, x_ + channel * s_.x_plane(),
                      s_.groups * s_.channels * s_.x_plane(),
                      std::min(p_.width, s_.channels - channel), first_, last_,
                      v_ + block * tiles_ * p_.width, v_size_);
  }

  void multiply(int64_t frequency, int64_t panel) {
    const int64_t blocks = p_.places.terms(frequency) * p_.channel_blocks;
    const T* v = v_ + p_.places.offset(frequency, v_size_);
    const T* u = u_ + panel * p_.panel_size() + p_.places.offset(frequency, p_.place_size());
    T* m = m_ + frequency * m_step_ + panel * p_.nr * tiles_;
    multiply_tiles(tiles_, blocks, blocks, v, u, u + p_.panel_size(), m);
  }

  void transform_output(int64_t block) {
    write_tiles(s_, map_, p_.places.tile, first_, last_, block * p_.width,
                m_ + block * tiles_ * p_.width, bias_, y_,
                [&](const T* m, const T* bias, int64_t lines, int64_t cols, T* pixels) {
                  kernels<T>().winograd_strided_output(p_.places.tile, p_.tile_cols, m, m_step_,
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
  int64_t tiles_;
  int64_t v_size_, m_step_;
  T* v_ = nullptr;
  T* m_ = nullptr;
};

template <class T>
void run(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  const Plan p = Plan::of<T>(s);
  const int64_t tile_rows = s.n * p.tile_rows;
  const int64_t most =
      std::max(kMinBlockTiles, kBlockElements / (p.places.count() * p.channel_blocks * p.width));
  tile_blocks(s.groups, tile_rows, p.tile_cols, most, kMinShareTiles,
              [&](int64_t group, int64_t first, int64_t last) {
                Block<T>(s, p, first, last, x + group * s.channels * s.x_plane(),
                         packed + group * p.panels * p.panel_size(),
                         bias == nullptr ? nullptr : bias + group * s.rows,
                         y + group * s.rows * s.grid_plane())
                    .run();
              });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_winograd_strided() {
  return {"winograd strided", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_winograd_strided();
template TapSumAlgorithm<double> tap_sum_winograd_strided();

}  // namespace laminae
