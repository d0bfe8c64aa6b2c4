// The input gradient of a 3x3 convolution at stride 2 by Winograd's F(4x4, 2x2) or F(3x3, 2x2): the
// even and odd pixels of dx, in both directions, are four sums over dx at stride 1 that share the
// frequencies of dy (kernels/winograd_strided_gradient.inl).
//
//   V [25 or 16 frequencies][row blocks][tiles][width] of a block of tiles of dy
//   M = V U for each of 81 or 49 places, by frequency
//   8x8 or 6x6 pixels of dx a tile
//
// Tiles cover all of dx, also pixels that no output read. Blocks and threads: winograd_blocks.h.
#include "core/conv.h"
#include "core/kernels.h"
#include "core/ops/winograd_blocks.h"
#include "core/ops/winograd_strided.h"

namespace laminae {

namespace {

// dx pixels 2k + 1 - padding and 2k + 2 - padding read dy pixels k and k + 1.
int64_t first_pixel(const ConvShape& s, int d) { return floor_div(s.padding[d] - 1, 2); }
int64_t pixels(const ConvShape& s, int d) {
  return floor_div(s.in[d] - 2 + s.padding[d], 2) - first_pixel(s, d) + 1;
}

int64_t tile_of(const ConvShape& s) {
  return strided_tile(s.n, pixels(s, 1), pixels(s, 2), s.c_in * s.channels_out());
}

// Of a sum over output channels.
template <class T>
struct Plan {
  BlockSizes sizes;
  StridedPlaces places;
  TileMap x_map, y_map;  // of dy, dx

  explicit Plan(const ConvShape& s)
      : sizes{s.n,           s.groups,     s.channels_out(),       s.channels_in(),
              s.out_plane(), s.in_plane(), kernels<T>().vec_width, kernels<T>().gemm_nr},
        places{tile_of(s)},
        x_map{places.tile,
              s.out[1],
              s.out[2],
              first_pixel(s, 1),
              first_pixel(s, 2),
              ceil_div(pixels(s, 1), places.tile),
              ceil_div(pixels(s, 2), places.tile)},
        y_map{2 * places.tile,
              s.in[1],
              s.in[2],
              2 * x_map.top + 1 - s.padding[1],
              2 * x_map.left + 1 - s.padding[2],
              x_map.tile_rows,
              x_map.tile_cols} {}

  int64_t tile_elements() const { return places.count() * sizes.row_blocks() * sizes.width; }
  int64_t v_elements(int64_t size) const { return places.frequencies() * frequency_step(size); }
  int64_t m_elements(int64_t size) const { return places.elements(size); }
  int64_t u_panel() const { return places.elements(sizes.place_size()); }
  int64_t u_group() const { return sizes.panels * u_panel(); }
  int64_t products() const { return places.count(); }
  BlockProduct product(int64_t place, int64_t v_size, int64_t m_size) const {
    return {sizes.channel_blocks, places.frequency(place) * frequency_step(v_size),
            places.place_offset(place, sizes.place_size()), places.place_offset(place, m_size)};
  }

  void input(const TileRows<const T>& dy, T* v, int64_t v_size) const {
    Scratch scratch;
    T* tmp = scratch.get<T>(x_map.strip_size<T>(places.points()));
    x_map.each_strip(places.points(), dy, [&](const T* strip, int64_t line, int64_t tile) {
      kernels<T>().winograd_strided_gradient(x_map.size, x_map.tile_cols, strip, line, tmp,
                                             v + tile * sizes.width, frequency_step(v_size));
    });
  }

  void output(const T* m, int64_t m_size, const T* bias, const TileRows<T>& dx) const {
    int64_t at[kStridedPlaces];
    places.offsets(m_size, at);
    write_tiles(y_map, m, bias, dx,
                [&](const T* from, const T* b, int64_t top, int64_t lines, T* to) {
                  kernels<T>().winograd_strided_dx(places.tile, y_map.tile_cols, from, at, b, top,
                                                   lines, -y_map.left, y_map.width, to);
                });
  }
};

template <class T>
bool applies(const ConvShape& s, bool backward_input) {
  return backward_input && strided_applies<T>(s) && tile_of(s) != 0;
}

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
int64_t packed_size(const ConvShape& s, bool) {
  return s.groups * Plan<T>(s).u_group();
}

template <class T>
void pack(const ConvShape& s, bool, const T* w, T* u) {
  strided_weights(weights_of(s), StridedPlaces{tile_of(s)}, true, w, u);
}

template <class T>
void run(const ConvShape& s, bool, const T* dy, const T* u, const T* bias, T* dx) {
  run_blocks(Plan<T>(s), dy, u, bias, dx);
}

}  // namespace

template <class T>
WholeConvAlgorithm<T> input_gradient_winograd_strided() {
  return {"winograd strided input", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template WholeConvAlgorithm<float> input_gradient_winograd_strided();
template WholeConvAlgorithm<double> input_gradient_winograd_strided();

}  // namespace laminae
