// A TapSum with pixels in lanes (kernels/conv_pixels.inl): a tile of rows is multiplied with
// vectors of neighbouring pixels of a line of a strip (conv_strip.h), which go to y as they are.
//
// For few rows, which share neither a packed panel of columns (conv_gemm.cc) nor lanes
// (conv_channels.cc): the gradient of the input of a first layer, or a last layer that makes an
// image. And for few terms, as a first layer has, where storing is a large part of the work.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/ops/conv_strip.h"
#include "core/ops/tap_weights.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kFewRows = 8;
constexpr int64_t kFewTerms = 256;

// Not for 1x1, where gemm packs nothing twice, nor where vectors would be mostly empty.
template <class T>
bool applies(const TapSum& s) {
  return s.tap_count() > 1 && fills_vectors<T>(s.grid[2]);
}

template <class T>
bool few_rows(const TapSum& s) {
  return s.rows <= kFewRows && applies<T>(s);
}

template <class T>
bool few_terms(const TapSum& s) {
  return s.rows >= kFewRows && s.depth() <= kFewTerms && applies<T>(s);
}

template <class T>
using Weights = TapWeights<T, &KernelTable<T>::conv_pixels_rows>;

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t width = kernel.vec_width;
  const int64_t tile = Weights<T>::tile(s);
  const int64_t tiles = ceil_div(s.rows, tile);
  const int64_t most =
      std::min<int64_t>(kernel.conv_pixels_vectors, kernel.conv_pixels_registers / (tile + 1)) *
      width;
  Scratch scratch;
  const StripPlan p = strip_plan(s, tiles, 1, most, width, scratch);
  const ChannelsWindow window{s.channels, p.x_channel, s.tap_count(), p.offsets, 0};
  const int64_t plane = s.grid_plane();
  run_strips(p, x, [&](const StripBlock& b, int64_t t, const T* strip) {
    const int64_t rows = std::min(tile, s.rows - t * tile);
    const int64_t first_row = b.group * s.rows + t * tile;
    const T* w = weights + (b.group * tiles + t) * tile * s.depth();
    for (int64_t o0 = 0; o0 < b.count[0]; ++o0) {
      for (int64_t o1 = 0; o1 < b.count[1]; ++o1) {
        const T* from = strip + o0 * p.step[0] + o1 * p.step[1];
        T* to = y + (b.image * s.groups * s.rows + first_row) * plane +
                ((b.g[0] + o0) * s.grid[1] + b.g[1] + o1) * s.grid[2] + b.g[2];
        for (int64_t o2 = 0; o2 < b.count[2];) {
          // Whole vectors, shared out evenly.
          const int64_t left = ceil_div(b.count[2] - o2, width);
          const int64_t count =
              std::min(b.count[2] - o2, balanced_tile(left, most / width) * width);
          kernel.conv_pixels(rows, count, window, from + o2, w, tile,
                             bias == nullptr ? nullptr : bias + first_row, to + o2, plane);
          o2 += count;
        }
      }
    }
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_few_terms() {
  return {"few terms", few_terms<T>, Weights<T>::size, Weights<T>::pack, run<T>};
}

template <class T>
TapSumAlgorithm<T> tap_sum_few_rows() {
  return {"few rows", few_rows<T>, Weights<T>::size, Weights<T>::pack, run<T>};
}

template TapSumAlgorithm<float> tap_sum_few_terms();
template TapSumAlgorithm<double> tap_sum_few_terms();
template TapSumAlgorithm<float> tap_sum_few_rows();
template TapSumAlgorithm<double> tap_sum_few_rows();

}  // namespace laminae
