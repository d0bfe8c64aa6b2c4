// Output channels in lanes (kernels/conv_channels.inl): a tile of pixels of a strip (conv_strip.h)
// is multiplied with gemm_nr channels, whose weights pass through L1 once per tile. For a TapSum,
// and for all classes of a strided input gradient (conv_parity.cc): they read one strip, and pixels
// of neighbouring classes are woven into lines of dx in registers.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/ops/conv_strip.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// Outputs whose position modulo `step` is `at` in the first two dimensions. All of them read the
// same strip, with taps of their own by their position modulo step[2] in the last dimension.
template <class T>
struct Lines {
  int64_t at[2];
  const ChannelsWindow* windows;  // [step[2]]
  const T* const* weights;
};

// What the outputs of some Lines have in common.
template <class T>
struct Outputs {
  int64_t size[3];  // y [n, groups * rows, size]
  int64_t step[3];
  const T* bias;
  T* y;
};

// One tile of output channels of a block, some lines of it.
template <class T>
void sum_block(const StripPlan& p, const StripBlock& b, int64_t tile, const T* strip,
               const Lines<T>& s, const Outputs<T>& out) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  const int64_t row = tile * nr;
  const int64_t rows = std::min(nr, p.s.rows - row);
  const int64_t first_row = b.group * p.s.rows + row;
  const T* bias = out.bias == nullptr ? nullptr : out.bias + first_row;
  const T* weights[kChannelsClasses];
  for (int64_t c = 0; c < out.step[2]; ++c) {
    const ChannelsWindow& w = s.windows[c];
    weights[c] = s.weights[c] + (b.group * p.tiles + tile) * nr * w.channels * w.taps;
  }
  const int64_t width = out.size[2];
  const int64_t plane = out.size[0] * out.size[1] * width;
  T* to = out.y + (b.image * p.s.groups * p.s.rows + first_row) * plane;
  // Outputs of this block in each dimension.
  const auto count = [&](int d) {
    return std::min(b.count[d], ceil_div(out.size[d] - s.at[d], out.step[d]) - b.g[d]);
  };
  const int64_t planes = count(0);
  const int64_t line_count = count(1);
  const int64_t first = b.g[2] * out.step[2];
  const int64_t end = std::min((b.g[2] + b.count[2]) * out.step[2], width);
  // Two lines at a time where they fit into one tile.
  const int64_t vectors = ceil_div(rows, kernel.vec_width);
  const int64_t most = kernel.gemm_mr * (kernel.gemm_nr / kernel.vec_width) / vectors;
  const int64_t pixels = balanced_tile(b.count[2], kernel.gemm_mr);
  const int64_t y_line = out.step[1] * width;
  for (int64_t o0 = 0; o0 < planes; ++o0) {
    const int64_t i0 = (b.g[0] + o0) * out.step[0] + s.at[0];
    for (int64_t o1 = 0; o1 < line_count;) {
      const int64_t lines = 2 * pixels <= most && o1 + 2 <= line_count ? 2 : 1;
      const int64_t i1 = (b.g[1] + o1) * out.step[1] + s.at[1];
      const T* from = strip + o0 * p.step[0] + o1 * p.step[1];
      T* line = to + (i0 * out.size[1] + i1) * width;
      for (int64_t o2 = 0; o2 < b.count[2]; o2 += pixels) {
        const int64_t at = first + o2 * out.step[2];
        const int64_t next = std::min(at + pixels * out.step[2], end);
        // Where the next tile will begin: it comes after thousands of cycles.
        kernel.prefetch_lanes(rows, next == end ? 1 : next - at,
                              line + (next == end ? first + lines * y_line : next), plane);
        // Everything up to the end of the block is still to be written, if it has whole lines.
        const bool whole = out.step[1] == 1 && b.count[2] * out.step[2] >= width;
        const int64_t lines_left = whole ? line_count - o1 - lines : 0;
        kernel.conv_channels(out.step[2], s.windows, weights, lines, next - at, rows, from + o2,
                             bias, line + at, plane, y_line, end - at + lines_left * width);
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
  const int64_t lanes = round_up(s.rows, width);
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
StripPlan plan_for(const TapSum& s, Scratch& scratch) {
  const KernelTable<T>& kernel = kernels<T>();
  return strip_plan(s, ceil_div(s.rows, kernel.gemm_nr), 1,
                    balanced_tile(s.grid[2], kernel.gemm_mr), 0, scratch);
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  Scratch scratch;
  const StripPlan p = plan_for<T>(s, scratch);
  const ChannelsWindow window{s.channels, p.x_channel, s.tap_count(), p.offsets, p.step[1]};
  const Outputs<T> out{{s.grid[0], s.grid[1], s.grid[2]}, {1, 1, 1}, bias, y};
  const Lines<T> lines{{0, 0}, &window, &weights};
  run_strips(p, x, [&](const StripBlock& b, int64_t tile, const T* strip) {
    sum_block(p, b, tile, strip, lines, out);
  });
}

// The sums of all classes as one that reaches wherever one of them does.
TapSum class_union(const ConvShape& s) {
  TapSum all = class_sum(s, 0, s.n);  // the largest grid
  for (int d = 0; d < 3; ++d) {
    int64_t low = 0, high = 0;
    bool any = false;
    for (int64_t i = 0; i < class_count(s); ++i) {
      const TapDim t = class_sum(s, i, s.n).taps[d];
      for (int64_t j = 0; j < t.count; ++j) {
        const int64_t at = t.offset + j * t.step;
        low = any ? std::min(low, at) : at;
        high = any ? std::max(high, at) : at;
        any = true;
      }
    }
    all.taps[d] = {high - low + 1, 0, 1, low, 1};
  }
  return all;
}

// A single vector of channels loses against images in lanes: 4x4 16->32 @14 of batch 64 takes 0.38
// ms against 0.33. The classes of a dilated kernel may reach far apart.
template <class T>
bool classes_apply(const ConvShape& s, bool backward_input) {
  if (!backward_input || class_count(s) == 1) return false;
  const int64_t width = kernels<T>().vec_width;
  if (s.channels_in() <= width && s.n >= width) return false;
  if (std::min(s.stride[2], s.in[2]) > kChannelsClasses) return false;
  const TapSum all = class_union(s);
  for (int d = 0; d < 3; ++d) {
    if (all.taps[d].count > s.kernel[d]) return false;
  }
  return applies<T>(all);
}

template <class T>
int64_t classes_packed_size(const ConvShape& s, bool) {
  int64_t size = 0;
  for (int64_t i = 0; i < class_count(s); ++i) size += packed_size<T>(class_sum(s, i, s.n));
  return size;
}

template <class T>
void pack_classes(const ConvShape& s, bool, const T* w, T* packed) {
  for (int64_t i = 0; i < class_count(s); ++i) {
    const TapSum t = class_sum(s, i, s.n);
    pack(t, w, packed);
    packed += packed_size<T>(t);
  }
}

template <class T>
void run_classes(const ConvShape& s, bool, const T* dy, const T* weights, const T* bias, T* dx) {
  Scratch scratch;
  const TapSum all = class_union(s);
  const StripPlan p = plan_for<T>(all, scratch);
  const int64_t count = class_count(s);
  ChannelsWindow* windows = scratch.get<ChannelsWindow>(count);
  const T** packed = scratch.get<const T*>(count);
  for (int64_t i = 0; i < count; ++i) {
    const TapSum t = class_sum(s, i, s.n);
    windows[i] = {t.channels, p.x_channel, t.tap_count(), strip_offsets(p, t, scratch), p.step[1]};
    packed[i] = weights;
    weights += packed_size<T>(t);
  }
  Outputs<T> out{{s.in[0], s.in[1], s.in[2]}, {}, bias, dx};
  for (int d = 0; d < 3; ++d) out.step[d] = std::min(s.stride[d], s.in[d]);
  run_strips(p, dy, [&](const StripBlock& b, int64_t tile, const T* strip) {
    for (int64_t i = 0; i < count; i += out.step[2]) {
      const int64_t line = i / out.step[2];
      const Lines<T> lines{{line / out.step[1], line % out.step[1]}, windows + i, packed + i};
      sum_block(p, b, tile, strip, lines, out);
    }
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_channels() {
  return {"channels", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template <class T>
WholeConvAlgorithm<T> input_gradient_channels() {
  return {"strided channels", classes_apply<T>, classes_packed_size<T>, pack_classes<T>,
          run_classes<T>};
}

template TapSumAlgorithm<float> tap_sum_channels();
template TapSumAlgorithm<double> tap_sum_channels();
template WholeConvAlgorithm<float> input_gradient_channels();
template WholeConvAlgorithm<double> input_gradient_channels();

}  // namespace laminae
