// Weights of a TapSum as gemm_tiles and conv_lanes read them: tiles of rows, [tile][depth][rows of
// a tile].
#include <algorithm>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kTilesAtOnce = 8;  // that are gathered side by side
constexpr int64_t kChannelsAtOnce = 16;

// Where each element of a tile of one channel, [taps][tile], lies in [rows][kernel]. Rows of the
// tile beyond `rows` repeat the last: nobody reads them.
void gather_table(const TapSum& s, int64_t rows, int64_t tile, int64_t* from) {
  for (int64_t t0 = 0; t0 < s.taps[0].count; ++t0) {
    for (int64_t t1 = 0; t1 < s.taps[1].count; ++t1) {
      for (int64_t t2 = 0; t2 < s.taps[2].count; ++t2) {
        const int64_t k0 = s.taps[0].first + t0 * s.taps[0].every;
        const int64_t k1 = s.taps[1].first + t1 * s.taps[1].every;
        const int64_t k2 = s.taps[2].first + t2 * s.taps[2].every;
        const int64_t k = (k0 * s.kernel[1] + k1) * s.kernel[2] + k2;
        for (int64_t r = 0; r < tile; ++r) *from++ = std::min(r, rows - 1) * s.kernel_size() + k;
      }
    }
  }
}

// Tiles [begin, end) of the weights w [channels][rows][kernel] of a group. Some go side by side, so
// that what is read of a channel is one long run: 512->512 3x3 in tiles of 6 takes 1.5 ms, as a
// transposition per tile and channel it took 5.9.
template <class T>
void gather_tiles(const TapSum& s, const T* w, int64_t begin, int64_t end, int64_t tile,
                  T* packed) {
  const int64_t size = s.kernel_size();
  const int64_t count = s.tap_count() * tile;
  Scratch scratch;
  int64_t* from = scratch.get<int64_t>(count);
  const int64_t full = s.rows / tile;
  for (int64_t first = begin; first < end;) {
    const int64_t tiles = first == full ? 1 : std::min({kTilesAtOnce, full - first, end - first});
    gather_table(s, std::min(tile, s.rows - first * tile), tile, from);
    for (int64_t c = 0; c < s.channels; ++c) {
      for (int64_t t = first; t < first + tiles; ++t) {
        const T* source = w + (c * s.rows + t * tile) * size;
        T* to = packed + t * tile * s.depth() + c * count;
        for (int64_t i = 0; i < count; ++i) to[i] = source[from[i]];
      }
    }
    first += tiles;
  }
}

// Tiles [begin, end) of the weights w of a group, which are packed at `packed`.
template <class T>
void pack_tiles(const TapSum& s, const T* w, int64_t begin, int64_t end, int64_t tile, T* packed) {
  if (s.transposed && s.kernel_size() > 1) {
    gather_tiles(s, w, begin, end, tile, packed);
    return;
  }
  const int64_t depth = s.depth();
  // All tiles of some channels at a time, so that whole cache lines are read.
  const int64_t block = s.transposed ? kChannelsAtOnce : depth;
  for (int64_t first = 0; first < depth; first += block) {
    for (int64_t t = begin; t < end; ++t) {
      const int64_t row = t * tile;
      const int64_t rows = std::min(tile, s.rows - row);
      T* to = packed + row * depth + first * tile;
      if (s.transposed) {
        kernels<T>().pack_panel(std::min(block, depth - first), rows, w + first * s.rows + row,
                                s.rows, to, tile);
      } else {  // all taps take part, in order
        kernels<T>().pack_panel_transposed(depth, rows, w + row * depth, depth, to, tile);
      }
    }
  }
}

}  // namespace

template <class T>
void pack_tap_weights(const TapSum& s, const T* w, int64_t tile, T* packed) {
  const int64_t depth = s.depth();
  if (depth == 0) return;
  const int64_t tiles = ceil_div(s.rows, tile);
  const int64_t group = s.rows * s.channels * s.kernel_size();
  parallel_for(s.groups * tiles, row_grain(tile * depth), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t first = i % tiles;
      const int64_t last = std::min(tiles, first + end - i);
      pack_tiles(s, w + i / tiles * group, first, last, tile, packed + (i - first) * tile * depth);
      i += last - first;
    }
  });
}

template void pack_tap_weights<float>(const TapSum&, const float*, int64_t, float*);
template void pack_tap_weights<double>(const TapSum&, const double*, int64_t, double*);

}  // namespace laminae
