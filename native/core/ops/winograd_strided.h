// What the passes of a 3x3 convolution at stride 2 by Winograd's F(4x4, 2x2) and F(3x3, 2x2) share:
// where the places of a tile are (kernels/winograd_strided.inl).
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/strided.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

constexpr int64_t kStridedTile = 4;  // the largest, outputs in each direction
constexpr int64_t kStridedPlaces = (2 * kStridedTile + 1) * (2 * kStridedTile + 1);

// The (2 tile + 1)^2 places of a tile, ordered by the frequency they add to: (tile + 1)^2 of them.
struct StridedPlaces {
  int64_t tile;

  int64_t points() const { return tile + 1; }
  int64_t reach() const { return 2 * tile + 1; }  // pixels in each direction
  int64_t frequencies() const { return points() * points(); }
  int64_t count() const { return reach() * reach(); }

  // Places of frequency f: of the even pixels and, but for infinity, the odd ones in each
  // direction.
  int64_t first(int64_t f) const {
    return f / points() * 2 * reach() + f % points() * (f / points() < tile ? 4 : 2);
  }
  int64_t terms(int64_t f) const {
    return (f / points() < tile ? 2 : 1) * (f % points() < tile ? 2 : 1);
  }

  int64_t frequency(int64_t place) const {
    const int64_t row = place / (2 * reach());
    return row * points() + place % (2 * reach()) / (row < tile ? 4 : 2);
  }

  // Distance of a frequency from the first in elements, with `size` for a place. A cache line more
  // each: frequencies at a distance of whole pages would share L1 sets.
  int64_t offset(int64_t f, int64_t size) const { return first(f) * size + f * 16; }
  int64_t elements(int64_t size) const { return count() * size + frequencies() * 16; }

  int64_t place_offset(int64_t place, int64_t size) const {
    return place * size + frequency(place) * 16;
  }

  // The same for all places, by row and column.
  void offsets(int64_t size, int64_t (&at)[kStridedPlaces]) const {
    for (int64_t r = 0; r < reach(); ++r) {
      for (int64_t c = 0; c < reach(); ++c) {
        const int64_t column = c % points();
        const int64_t term = r / points() * (column < tile ? 2 : 1) + c / points();
        at[r * reach() + c] = offset(r % points() * points() + column, size) + term * size;
      }
    }
  }
};

// What the weights of one pair of channels cost for every place, in the time of multiply-adds: they
// are transformed in every training step, and beyond the last cache each pass waits for them.
// Measured: 0.03 ms for 64x128 and tiles of 4, 0.7 + 1 ms for 256x512 and tiles of 3.
constexpr int64_t kStridedWeightCost = 8;
constexpr int64_t kStridedFarWeightCost = 32;
// Multiply-adds below which the exact sum is quick enough: 0.13 ms.
constexpr int64_t kStridedLeastWork = 16 << 20;

// The tile for n images of height x width outputs with `pairs` of channels in all, or 0 if none
// saves enough. Per product the direct sum is 1.2 times as fast.
inline int64_t strided_tile(int64_t n, int64_t height, int64_t width, int64_t pairs) {
  const int64_t direct = 9 * n * height * width;
  if (direct * pairs < kStridedLeastWork) return 0;
  int64_t best = 0;
  int64_t least = direct - direct / 6;
  for (const int64_t tile : {int64_t{4}, int64_t{3}}) {
    const int64_t places = StridedPlaces{tile}.count();
    const bool near = pairs * places <= (16 << 20) / static_cast<int64_t>(sizeof(float));
    const int64_t cost = places * (n * ceil_div(height, tile) * ceil_div(width, tile) +
                                   (near ? kStridedWeightCost : kStridedFarWeightCost));
    if (cost >= least) continue;
    least = cost;
    best = tile;
  }
  return best;
}

constexpr int64_t kStridedMinChannels = 16;  // of input and output

// Whether a convolution is 3x3 at stride 2 in a plane, may round as Winograd's does, and has
// channels enough.
template <class T>
bool strided_applies(const ConvShape& s) {
  if (!winograd_applies<T>(s)) return false;
  for (int d = 1; d < 3; ++d) {
    if (s.kernel[d] != 3 || s.stride[d] != 2 || s.dilation[d] != 1) return false;
  }
  return s.channels_in() >= kStridedMinChannels && s.channels_out() >= kStridedMinChannels;
}

// The weights of all groups, [groups][panels of gemm_nr rows][places][channels][gemm_nr] with the
// channels filled up to whole vectors. Mirrored: taps in the opposite order.
template <class T>
void strided_weights(const TapSum& s, const StridedPlaces& places, bool mirrored, const T* w,
                     T* packed) {
  const int64_t width = kernels<T>().vec_width;
  const int64_t nr = kernels<T>().gemm_nr;
  const int64_t panels = ceil_div(s.rows, nr);
  const int64_t place_size = round_up(s.channels, width) * nr;
  int64_t tap[9];
  for (int64_t i = 0; i < 9; ++i) tap[i] = mirrored ? 8 - i : i;
  int64_t at[kStridedPlaces];
  places.offsets(place_size, at);
  // Some channels at a time: as many streams as places are written.
  constexpr int64_t kChannels = 16;
  const int64_t chunks = ceil_div(s.channels, kChannels);
  parallel_for(s.groups * panels * chunks, row_grain(places.count() * kChannels * nr),
               [&](int64_t begin, int64_t end) {
                 Scratch scratch;
                 T* spatial = scratch.get<T>(kChannels * 9 * nr);
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t panel = i / chunks;  // of all groups
                   const int64_t first = i % chunks * kChannels;
                   const int64_t count = std::min(kChannels, s.channels - first);
                   T* u = packed + panel * places.elements(place_size) + first * nr;
                   load_panel(s, w, panel, first, count, spatial);
                   kernels<T>().winograd_strided_weights(places.tile, count, spatial, tap, u, at);
                   if (first + count < s.channels) continue;
                   for (int64_t k = 0; k < places.count(); ++k) {
                     std::fill(u + at[k] + count * nr, u + at[k] + place_size - first * nr, T{0});
                   }
                 }
               });
}

// The places of tiles: v their block of vectors, v_size elements a place.
template <class T>
void strided_transform(const TileMap& map, const StridedPlaces& places, const TileRows<const T>& x,
                       T* v, int64_t v_size) {
  int64_t at[kStridedPlaces];
  places.offsets(v_size, at);
  Scratch scratch;
  T* tmp = scratch.get<T>(map.strip_size<T>(places.reach()));
  map.each_strip(places.reach(), x, [&](const T* strip, int64_t line, int64_t tile) {
    kernels<T>().winograd_strided_input(places.tile, map.tile_cols, strip, line, tmp,
                                        v + tile * kernels<T>().vec_width, at);
  });
}

}  // namespace laminae
