// The input gradient of a 3x3 convolution at stride 2 by Winograd's F(4x4, 2x2) or F(3x3, 2x2): the
// even and odd pixels of dx, in both directions, are four sums over dx at stride 1 that share the
// frequencies of dy (kernels/winograd_strided.inl).
//
//   V [25 or 16 frequencies][row blocks][tiles][width] of a block of tiles of dy
//   M = V U, for each place [tiles, rows] [rows, channels]
//     -> M [81 or 49 places][channel blocks][tiles][width], by frequency
//   8x8 or 6x6 pixels of dx a tile
//
// Tiles cover all of dx, also pixels that no output read. Blocks and threads as in
// conv_winograd.cc.
#include <algorithm>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/ops/winograd_strided.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kBlockElements = 1 << 18;  // of M: 1 MiB
constexpr int64_t kMinBlockTiles = 56;
constexpr int64_t kMinShareTiles = 28;  // of a block, where every thread gets a whole one

// dx pixels 2k + 1 - padding and 2k + 2 - padding read dy pixels k and k + 1.
int64_t first_pixel(const ConvShape& s, int d) { return floor_div(s.padding[d] - 1, 2); }
int64_t pixels(const ConvShape& s, int d) {
  return floor_div(s.in[d] - 2 + s.padding[d], 2) - first_pixel(s, d) + 1;
}

int64_t tile_of(const ConvShape& s) {
  return strided_tile(s.n, pixels(s, 1), pixels(s, 2), s.c_in * s.channels_out());
}

// Sizes that all phases share.
template <class T>
struct Plan {
  int64_t width, nr;
  StridedPlaces places;
  int64_t row_blocks;  // vectors of output channels
  int64_t panels;      // of nr input channels
  int64_t tile_rows, tile_cols;

  explicit Plan(const ConvShape& s)
      : width(kernels<T>().vec_width),
        nr(kernels<T>().gemm_nr),
        places{tile_of(s)},
        row_blocks(ceil_div(s.channels_out(), width)),
        panels(ceil_div(s.channels_in(), nr)),
        tile_rows(ceil_div(pixels(s, 1), places.tile)),
        tile_cols(ceil_div(pixels(s, 2), places.tile)) {}

  int64_t place_size() const { return row_blocks * width * nr; }  // of U
  int64_t panel_size() const { return places.elements(place_size()); }
  int64_t channel_blocks() const { return panels * (nr / width); }
};

template <class T>
bool applies(const ConvShape& s, bool backward_input) {
  return backward_input && strided_applies<T>(s) && tile_of(s) != 0;
}

// Rows of tiles [first, last) of one group, counted through the images. dy, dx: its first elements.
template <class T>
class Block {
 public:
  Block(const ConvShape& s, const Plan<T>& p, int64_t first, int64_t last, const T* dy, const T* u,
        const T* bias, T* dx)
      : s_(s),
        p_(p),
        first_(first),
        last_(last),
        dy_(dy),
        u_(u),
        bias_(bias),
        dx_(dx),
        map_{p.places.tile,     s.out[1],    s.out[2],   first_pixel(s, 1),
             first_pixel(s, 2), p.tile_rows, p.tile_cols},
        tiles_((last - first) * p.tile_cols),
        v_step_(p.row_blocks * tiles_ * p.width + 16),
        m_size_(p.channel_blocks() * tiles_ * p.width) {}

  void run() {
    const int64_t frequencies = p_.places.frequencies();
    Scratch scratch;
    v_ = scratch.get<T>(frequencies * v_step_);
    m_ = scratch.get<T>(p_.places.elements(m_size_));
    parallel_items(p_.row_blocks, frequencies * 10 * tiles_ * p_.width,
                   [&](int64_t b) { transform_gradient(b); });
    parallel_items(p_.places.count() * p_.panels, p_.place_size() * tiles_,
                   [&](int64_t i) { multiply(i / p_.panels, i % p_.panels); });
    parallel_items(p_.channel_blocks(), p_.places.count() * 10 * tiles_ * p_.width,
                   [&](int64_t b) { make_pixels(b); });
  }

 private:
  void transform_gradient(int64_t block) {
    const int64_t width = p_.width;
    const int64_t row = block * width;
    const int64_t lanes = std::min(width, s_.channels_out() - row);
    const int64_t points = p_.places.points();
    Scratch scratch;
    T* tmp = scratch.get<T>(map_.strip_size<T>(points));
    map_.each_strip(points, dy_ + row * s_.out_plane(), s_.c_out * s_.out_plane(), lanes, first_,
                    last_, [&](const T* strip, int64_t line, int64_t tile) {
                      kernels<T>().winograd_strided_gradient(
                          map_.size, p_.tile_cols, strip, line, tmp,
                          v_ + (block * tiles_ + tile) * width, v_step_);
                    });
  }

  void multiply(int64_t place, int64_t panel) {
    const T* v = v_ + p_.places.frequency(place) * v_step_;
    const T* u = u_ + panel * p_.panel_size() + p_.places.place_offset(place, p_.place_size());
    T* m = m_ + p_.places.place_offset(place, m_size_) + panel * p_.nr * tiles_;
    multiply_tiles(tiles_, p_.row_blocks, p_.row_blocks, v, u, u + p_.panel_size(), m);
  }

  void make_pixels(int64_t block) {
    const int64_t width = p_.width;
    const int64_t size = 2 * p_.places.tile;
    const int64_t channel = block * width;
    if (channel >= s_.channels_in()) return;
    const int64_t lanes = std::min(width, s_.channels_in() - channel);
    const int64_t cols = s_.in[2];
    // Lines and columns of the first tile in front of dx.
    const int64_t above = s_.padding[1] - 1 - 2 * map_.top;
    const int64_t left = s_.padding[2] - 1 - 2 * map_.left;
    int64_t at[kStridedPlaces];
    p_.places.offsets(m_size_, at);
    Scratch scratch;
    T* bias = scratch.get<T>(width);
    T* lines = scratch.get<T>(size * cols * width);
    std::fill(bias, bias + width, T{0});
    if (bias_ != nullptr) std::copy(bias_ + channel, bias_ + channel + lanes, bias);
    map_.each_image(first_, last_,
                    [&](int64_t image, int64_t tile_row, int64_t count, int64_t tile) {
                      T* dx = dx_ + (image * s_.c_in + channel) * s_.in_plane();
                      for (int64_t i = 0; i < count; ++i) {
                        const int64_t line = (tile_row + i) * size - above;
                        const int64_t top = line < 0 ? -line : 0;
                        const int64_t rows = std::min(line + size, s_.in[1]) - line - top;
                        T* to = dx + (line + top) * cols;
                        kernels<T>().prefetch_lanes(lanes, rows * cols, to, s_.in_plane());
                        kernels<T>().winograd_strided_dx(
                            p_.places.tile, p_.tile_cols,
                            m_ + (block * tiles_ + tile + i * p_.tile_cols) * width, at, bias, top,
                            rows, left, cols, lines);
                        kernels<T>().lanes_to_images(lanes, rows * cols, lines, to, s_.in_plane());
                      }
                    });
  }

  const ConvShape& s_;
  const Plan<T>& p_;
  int64_t first_, last_;
  const T* dy_;
  const T* u_;
  const T* bias_;
  T* dx_;
  TileMap map_;
  int64_t tiles_;
  int64_t v_step_, m_size_;
  T* v_ = nullptr;
  T* m_ = nullptr;
};

// All weights, to be transformed with output channels summed over.
TapSum weights_of(const ConvShape& s) {
  TapSum t{};
  t.groups = s.groups;
  t.channels = s.channels_out();
  t.rows = s.channels_in();
  t.transposed = true;
  for (int d = 0; d < 3; ++d) {
    t.taps[d] = {s.kernel[d], 0, 1, 0, 1};
    t.kernel[d] = s.kernel[d];
  }
  return t;
}

template <class T>
void run(const ConvShape& s, bool, const T* dy, const T* w, const T* bias, T* dx) {
  const Plan<T> p(s);
  Scratch scratch;
  T* u = scratch.get<T>(s.groups * p.panels * p.panel_size());
  strided_weights(weights_of(s), p.places, true, w, u);
  const int64_t most =
      std::max(kMinBlockTiles, kBlockElements / (p.places.count() * p.channel_blocks() * p.width));
  tile_blocks(s.groups, s.n * p.tile_rows, p.tile_cols, most, kMinShareTiles,
              [&](int64_t group, int64_t first, int64_t last) {
                Block<T>(s, p, first, last, dy + group * s.channels_out() * s.out_plane(),
                         u + group * p.panels * p.panel_size(),
                         bias == nullptr ? nullptr : bias + group * s.channels_in(),
                         dx + group * s.channels_in() * s.in_plane())
                    .run();
              });
}

}  // namespace

template <class T>
WholeConvAlgorithm<T> input_gradient_winograd_strided() {
  return {"winograd strided input", applies<T>, run<T>};
}

template WholeConvAlgorithm<float> input_gradient_winograd_strided();
template WholeConvAlgorithm<double> input_gradient_winograd_strided();

}  // namespace laminae
