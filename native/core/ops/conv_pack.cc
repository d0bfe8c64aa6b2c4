// Weights of a TapSum as gemm_tile and conv_lanes read them: tiles of rows, [tile][depth][rows of a
// tile].
#include <algorithm>
#include <cstring>

#include "core/conv.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kChannelsAhead = 8;  // that the transposition asks for in advance

// One tile: rows [row, row + rows) of the group at w as [depth][tile].
template <class T>
void pack_tile(const TapSum& s, const T* w, int64_t row, int64_t rows, int64_t tile, T* panel) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t size = s.kernel_size();
  if (!s.transposed) {
    const int64_t depth = s.channels * size;  // all taps take part, in order
    kernel.pack_panel_transposed(depth, rows, w + row * depth, depth, panel, tile);
    return;
  }
  if (size == 1 && s.tap_count() == 1) {
    kernel.pack_panel(s.channels, rows, w + row, s.rows, panel, tile);
    return;
  }
  // [channels][rows][kernel] -> [channels][taps][tile]: per channel a transposition, of the taps
  // that take part.
  Scratch scratch;
  T* all = scratch.get<T>(size * tile);
  const bool every_tap = s.tap_count() == size;
  for (int64_t c = 0; c < s.channels; ++c) {
    const T* from = w + (c * s.rows + row) * size;
    // Channels lie further apart than prefetchers of the CPU reach: 512->512 3x3 takes 1.1 ms so,
    // 1.9 without.
    if (c + kChannelsAhead < s.channels) {
      kernel.prefetch_lanes(1, rows * size, from + kChannelsAhead * s.rows * size, 0);
    }
    if (every_tap) {
      kernel.transpose(rows, size, from, size, panel, tile);
      panel += size * tile;
      continue;
    }
    kernel.transpose(rows, size, from, size, all, tile);
    for (int64_t t0 = 0; t0 < s.taps[0].count; ++t0) {
      for (int64_t t1 = 0; t1 < s.taps[1].count; ++t1) {
        const int64_t k0 = s.taps[0].first + t0 * s.taps[0].every;
        const int64_t k1 = s.taps[1].first + t1 * s.taps[1].every;
        for (int64_t t2 = 0; t2 < s.taps[2].count; ++t2, panel += tile) {
          const int64_t k2 = s.taps[2].first + t2 * s.taps[2].every;
          std::memcpy(panel, all + ((k0 * s.kernel[1] + k1) * s.kernel[2] + k2) * tile,
                      static_cast<size_t>(rows) * sizeof(T));
        }
      }
    }
  }
}

}  // namespace

template <class T>
void pack_tap_weights(const TapSum& s, const T* w, int64_t tile, T* packed) {
  const int64_t tiles = (s.rows + tile - 1) / tile;
  const int64_t depth = s.depth();
  const int64_t group = s.rows * s.channels * s.kernel_size();
  const int64_t grain = std::max<int64_t>(1, kConvGrain / std::max<int64_t>(1, 4 * tile * depth));
  parallel_for(s.groups * tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i % tiles * tile;
      pack_tile(s, w + i / tiles * group, row, std::min(tile, s.rows - row), tile,
                packed + i * tile * depth);
    }
  });
}

template void pack_tap_weights<float>(const TapSum&, const float*, int64_t, float*);
template void pack_tap_weights<double>(const TapSum&, const double*, int64_t, double*);

}  // namespace laminae
