// A TapSum with output channels in lanes (kernels/conv_channels.inl): a tile of pixels of a strip
// (conv_strip.h) is multiplied with gemm_nr channels, whose weights pass through L1 once per tile.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/ops/conv_strip.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// One tile of output channels of a block.
template <class T>
void sum_block(const StripPlan& p, const StripBlock& b, int64_t tile, const T* strip,
               const T* weights, const T* bias, T* y) {
  const TapSum& s = p.s;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  const int64_t row = tile * nr;
  const int64_t rows = std::min(nr, s.rows - row);
  const int64_t first_row = b.group * s.rows + row;
  const T* w = weights + (b.group * ((s.rows + nr - 1) / nr) + tile) * nr * s.depth();
  const T* own_bias = bias == nullptr ? nullptr : bias + first_row;
  const ChannelsWindow window{s.channels, p.x_channel, s.tap_count(), p.offsets, p.step[1]};
  const int64_t plane = s.grid_plane();
  T* to = y + (b.image * s.groups * s.rows + first_row) * plane;
  // Two lines at a time where they fit into one tile.
  const int64_t vectors = (rows + kernel.vec_width - 1) / kernel.vec_width;
  const int64_t most = kernel.gemm_mr * (kernel.gemm_nr / kernel.vec_width) / vectors;
  const int64_t pixels = balanced_tile(b.count[2], kernel.gemm_mr);
  for (int64_t o0 = 0; o0 < b.count[0]; ++o0) {
    for (int64_t o1 = 0; o1 < b.count[1];) {
      const int64_t lines = 2 * pixels <= most && o1 + 2 <= b.count[1] ? 2 : 1;
      const T* from = strip + o0 * p.step[0] + o1 * p.step[1];
      T* line = to + ((b.g[0] + o0) * s.grid[1] + b.g[1] + o1) * s.grid[2] + b.g[2];
      for (int64_t o2 = 0; o2 < b.count[2]; o2 += pixels) {
        const int64_t count = std::min(pixels, b.count[2] - o2);
        // The lines of y where the next tile will begin: it comes after thousands of cycles.
        kernel.prefetch_lanes(rows, 1, line + o2 + lines * count, plane);
        // Everything up to the end of the block is still to be written, if it has whole lines.
        const int64_t lines_left = b.count[2] == s.grid[2] ? b.count[1] - o1 - lines : 0;
        kernel.conv_channels(lines, count, rows, window, from + o2, w, own_bias, line + o2, plane,
                             s.grid[2], b.count[2] - o2 + lines_left * s.grid[2]);
      }
      o1 += lines;
    }
  }
}

template <class T>
bool applies(const TapSum& s) {
  const bool strided = s.stride[0] > 1 || s.stride[1] > 1 || s.stride[2] > 1;
  if (s.tap_count() == 1 && !strided) return false;  // the matrix product it is suits gemm better
  // Most lanes hold a channel, and there are enough sums at a time to hide the latency of one.
  const int64_t width = kernels<T>().vec_width;
  const int64_t lanes = (s.rows + width - 1) / width * width;
  return 4 * s.rows >= 3 * lanes && s.grid[2] * (s.grid[1] > 1 ? 2 : 1) >= 8;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return tap_weights_size(s, kernels<T>().gemm_nr);
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  pack_tap_weights(s, w, kernels<T>().gemm_nr, packed);
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  Scratch scratch;
  const int64_t tiles = ceil_div(s.rows, kernels<T>().gemm_nr);
  const StripPlan p =
      strip_plan(s, tiles, 1, balanced_tile(s.grid[2], kernels<T>().gemm_mr), 0, scratch);
  run_strips(p, x, [&](const StripBlock& b, int64_t tile, const T* strip) {
    sum_block(p, b, tile, strip, weights, bias, y);
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_channels() {
  return {"channels", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_channels();
template TapSumAlgorithm<double> tap_sum_channels();

}  // namespace laminae
