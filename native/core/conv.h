// Convolution: what the ops in ops/conv*.cc share. ops/conv_algorithms.cc lists the
// algorithms.
#pragma once
#include <cstdint>

#include "core/end_rows.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/tap_sum.h"

namespace laminae {

// One convolution; fields as in ops.def.
struct ConvShape {
  int64_t n, groups, c_in, c_out;
  int64_t in[3], kernel[3], out[3], stride[3], padding[3], dilation[3];
  bool exact;             // only algorithms that round like a sum of products
  bool in_lanes = false;  // see TapSum
  Ending ending;
  TilesBehind tiles;  // if any, y or dy is that of the means

  int64_t channels_in() const { return c_in / groups; }  // of a group
  int64_t channels_out() const { return c_out / groups; }
  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out[0] * out[1] * out[2]; }
  int64_t kernel_size() const { return kernel[0] * kernel[1] * kernel[2]; }
};

// A way to compute y of `Of` from x, w and bias (nullptr: none). `pack` brings the weights into the
// form that `run` reads, of packed_size elements; it may be kept as long as they do not change.
// Without `pack`, run reads them as they are. With `run_unpacked`, weights that are used once need
// not be packed: it makes the same y, bit by bit, unless it returns false, as packing is quicker.
// If it `ends`, run does the ending; else that is a pass of its own.
template <class T, class... Of>
struct ConvAlgorithm {
  const char* name;
  bool (*applies)(Of...);
  int64_t (*packed_size)(Of...);
  void (*pack)(Of..., const T* w, T* packed);
  void (*run)(Of..., const T* x, const T* packed, const T* bias, T* y);
  bool ends = false;
  bool (*run_unpacked)(Of..., const T* x, const T* w, const T* bias, T* y) = nullptr;
  bool in_lanes = false;  // also takes images that lie in lanes
};
template <class T>
using TapSumAlgorithm = ConvAlgorithm<T, const TapSum&>;
// Of a forward pass, or of an input gradient (y is dx, x is dy, the flag is set), as a whole.
template <class T>
using WholeConvAlgorithm = ConvAlgorithm<T, const ConvShape&, bool>;

// A way to compute the gradients of weight and bias (nullptr: not wanted) from x and dy.
template <class T>
struct WeightGradientAlgorithm {
  const char* name;
  bool (*applies)(const ConvShape& s);
  void (*run)(const ConvShape& s, const T* x, const T* dy, T* dw, T* db);
  bool in_lanes = false;  // as above
};

// Algorithms in the order they are tried; what no whole algorithm takes is computed as TapSums. The
// last of the other lists applies always.
template <class Algorithm>
struct Algorithms {
  const Algorithm* first;
  int64_t count;
};
template <class T>
Algorithms<WholeConvAlgorithm<T>> whole_conv_algorithms();
template <class T>
Algorithms<TapSumAlgorithm<T>> tap_sum_algorithms();
template <class T>
Algorithms<WeightGradientAlgorithm<T>> weight_gradient_algorithms();

// The input gradient as class_count(s) sums (conv_parity.cc). Sum `index` gives its y for `images`
// images as a plane of its own; interleave_classes makes dx [images, c_in, in] of those planes,
// which follow one another in `planes` as the sums do.
int64_t class_count(const ConvShape& s);
TapSum class_sum(const ConvShape& s, int64_t index, int64_t images);
template <class T>
void interleave_classes(const ConvShape& s, int64_t images, const T* planes, T* dx);

// y by make(plain), of s without its ending, which follows as a pass of its own.
template <class T, class Make>
inline void end_afterwards(const TapSum& s, T* y, Make&& make) {
  TapSum plain = s;
  plain.ending = {};
  make(plain);
  end_all(s.ending, s.results(), y);
}

// Multiply-adds worth a thread of their own.
constexpr int64_t kConvGrain = 500000;

// Items worth a thread of their own, for parallel_for.
inline int64_t conv_grain(int64_t work_per_item) {
  return work_per_item < kConvGrain ? kConvGrain / (work_per_item < 1 ? 1 : work_per_item) : 1;
}

// The weights of all groups in tiles of `tile` rows: [groups][tiles][depth][tile]. Rows beyond the
// last are not written.
template <class T>
void pack_tap_weights(const TapSum& s, const T* w, int64_t tile, T* packed);
inline int64_t tap_weights_size(const TapSum& s, int64_t tile) {
  return s.groups * round_up(s.rows, tile) * s.depth();
}

// ---- the algorithms, one file each ----

// conv_channels.cc
template <class T>
TapSumAlgorithm<T> tap_sum_channels();
template <class T>
WholeConvAlgorithm<T> input_gradient_channels();

// conv_depthwise.cc
template <class T>
WholeConvAlgorithm<T> depthwise();

// conv_depthwise_weight.cc
template <class T>
bool weight_gradient_depthwise_applies(const ConvShape& s);
template <class T>
void weight_gradient_depthwise(const ConvShape& s, const T* x, const T* dy, T* dw, T* db);

// conv_gemm.cc
template <class T>
TapSumAlgorithm<T> tap_sum_gemm();

// conv_weight.cc
template <class T>
void weight_gradient_taps(const ConvShape& s, const T* x, const T* dy, T* dw, T* db);

// conv_weight_pointwise.cc
template <class T>
bool weight_gradient_pointwise_applies(const ConvShape& s);
template <class T>
void weight_gradient_pointwise(const ConvShape& s, const T* x, const T* dy, T* dw, T* db);

// conv_winograd.cc
template <class T>
TapSumAlgorithm<T> tap_sum_winograd();

// conv_winograd_pairs.cc
template <class T>
TapSumAlgorithm<T> tap_sum_winograd_pairs();

// conv_winograd_strided.cc
template <class T>
TapSumAlgorithm<T> tap_sum_winograd_strided();

// conv_winograd_strided_input.cc
template <class T>
WholeConvAlgorithm<T> input_gradient_winograd_strided();

// conv_winograd_strided_weight.cc
template <class T>
WeightGradientAlgorithm<T> weight_gradient_winograd_strided();

// conv_winograd_weight.cc
template <class T>
WeightGradientAlgorithm<T> weight_gradient_winograd();

// conv_lanes.cc
template <class T>
TapSumAlgorithm<T> tap_sum_lanes();

// conv_lanes_winograd.cc
template <class T>
TapSumAlgorithm<T> tap_sum_lanes_winograd();

// conv_lanes_winograd_weight.cc
template <class T>
WeightGradientAlgorithm<T> weight_gradient_lanes_winograd();

// conv_lanes_weight.cc
template <class T>
bool weight_gradient_lanes_applies(const ConvShape& s);
template <class T>
void weight_gradient_lanes(const ConvShape& s, const T* x, const T* dy, T* dw, T* db);

// conv_pixels.cc
template <class T>
TapSumAlgorithm<T> tap_sum_few_terms();
template <class T>
TapSumAlgorithm<T> tap_sum_few_rows();

// conv_strassen.cc
template <class T>
TapSumAlgorithm<T> tap_sum_strassen();

// conv_reference.cc
template <class T>
TapSumAlgorithm<T> tap_sum_reference();
template <class T>
void weight_gradient_reference(const ConvShape& s, const T* x, const T* dy, T* dw, T* db);

}  // namespace laminae
