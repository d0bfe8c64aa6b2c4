// The algorithms of convolutions in the order in which they are tried: the first that applies is
// taken.
//
// Times are of one thread of a Zen 5 core (AVX-512, peak 230 GFLOP/s), batch 256 unless said
// otherwise.
#include <iterator>

#include "core/conv.h"

namespace laminae {

namespace {

bool always(const ConvShape&) { return true; }

}  // namespace

template <class T>
Algorithms<WholeConvAlgorithm<T>> whole_conv_algorithms() {
  static const WholeConvAlgorithm<T> kList[] = {
      // One input channel per group. Batch 8, 3x3 of 144 channels @56: 0.6 ms against 8 with gemm,
      // its input gradient the same; at stride 2 0.3 ms against 4, its input gradient the same.
      depthwise<T>(),
      // The input gradient of 3x3 at stride 2 from 16 channels on. Batch 8, 64->128 @56 takes
      // 2.4 ms against 3.9 with channels in lanes.
      input_gradient_winograd_strided<T>(),
      // Other strided input gradients whose channels fill the lanes, and transposed convolutions.
      // Batch 8, 4x4 64->64 @28 at stride 2 takes 0.86 ms against 1.40 as sums of their own, 5x5
      // 32->64 @56 2.6 against 3.0, exact 3x3 64->128 @56 3.9 against 4.8; batch 64, 4x4 32->64
      // @32 5.0 against 7.4 with images in lanes.
      input_gradient_channels<T>(),
  };
  return {kList, std::size(kList)};
}

template <class T>
Algorithms<TapSumAlgorithm<T>> tap_sum_algorithms() {
  static const TapSumAlgorithm<T> kList[] = {
      // 3x3 and 5x5 at stride 1 from 16 channels on. Batch 8, 64->64 @56 takes 2.4 ms against 11.7
      // with gemm, 128->128 @28 2.0 against 10.7, 256->256 @14 2.5 against 10.0, 512->512 @7 2.5
      // against 10.3, with weights packed before; 5x5 96->256 @10 batch 16 2.9 against 9.1 with
      // channels in lanes.
      tap_sum_winograd<T>(),
      // 3x3 at stride 2 from 16 channels on. Batch 8, 64->128 @56 takes 2.4 ms against 3.7 with
      // channels in lanes, 128->256 @28 2.6 against 3.6; batch 32, 128->256 @12 1.7 against 2.8.
      tap_sum_winograd_strided<T>(),
      // Two lines at a time, for first layers with large kernels. Batch 8, 7x7 3->64 @224 at
      // stride 2 takes 6.1 ms against 7.4 with pixels in lanes; batch 16, 11x11 1->96 @96 at
      // stride 4 1.0 against 1.2.
      tap_sum_winograd_pairs<T>(),
      // 5 taps a line at stride 1 for few channels and vec_width images or more. 5x5 6->16 @14
      // takes 0.36 ms against 0.56 with plain images in lanes, its input gradient 0.45 against
      // 0.65; one input channel gains less: 1->6 @28 0.68 against 0.76 (a Zen 4 core), AVX2 level.
      // Tiles of 5 in place of 4: 6->16 @14 0.59 against 0.73 (the Zen 4 core).
      tap_sum_lanes_winograd<T>(),
      // 1x1 from 256 channels to 256 and more, of planes that are mostly pairs of panels. Batch 8,
      // 1024->256 @14 takes 3.00 ms against 3.24 with gemm, 256->1024 3.02 against 3.30, 256->512
      // @28 5.98 against 6.40, with weights packed every time 768->768 @28 batch 1 3.40 against
      // 3.69; AVX2 6.03 against 6.57, portable 20.3 against 22.3 (the first).
      tap_sum_strassen<T>(),
      // Pixels in lanes, up to 256 terms: storing is a large part of the work, and they are stored
      // as they are. Batch 8, 3x3 3->64 @112 takes 2.1 ms against 3.8 with channels in lanes; batch
      // 64, 3x3 3->64 @32 1.8 against 3.2 with images in lanes.
      tap_sum_few_terms<T>(),
      // From vec_width images on, while what a line reads fits into L2. Exact 5x5 1->6 @28 takes
      // 0.32 ms against 0.9 with gemm, 6->16 @12 0.41 against 1.15, its input gradient 0.52 against
      // 5.0. At batch 64, 3x3 64->64 @7 1.2 against 2.8, 32->32 @14 1.4 against 3.9, 128->128 @4
      // 1.4 against 3.1: taps outside small maps are left out. A 1x1 256->256 @4 loses, 1.35
      // against 0.78.
      tap_sum_lanes<T>(),
      // The same for up to 8 rows. Batch 8: 5x5 16->6 @64 takes 0.75 ms against 2.35 with gemm, 3x3
      // 32->8 @56 0.8 against 1.7, 64->3 @112 4.3 against 47, the input gradient of 7x7 3->64 @224
      // at stride 2 21 against 129.
      tap_sum_few_rows<T>(),
      // Everything with taps or a stride whose output channels fill the lanes: 89-96 % of the peak
      // for exact 3x3 of 64 and more channels.
      tap_sum_channels<T>(),
      // Everything else: 1x1 with 93-95 % of the peak for 64->256 @56 and 1024->256 @14, batch 8.
      tap_sum_gemm<T>(),
      tap_sum_reference<T>(),
  };
  return {kList, std::size(kList)};
}

template <class T>
Algorithms<WeightGradientAlgorithm<T>> weight_gradient_algorithms() {
  static const WeightGradientAlgorithm<T> kList[] = {
      // 3x3 and 5x5 at stride 1 from 16 channels on. Batch 8, 64->64 @56 takes 2.7 ms against 11.4
      // with taps; batch 16, 5x5 96->256 @10 3.2 against 10.7.
      weight_gradient_winograd<T>(),
      // 3x3 at stride 2 from 16 channels on. Batch 8, 64->128 @56 takes 2.7 ms against 4.0 with
      // taps, 128->256 @28 2.9 against 3.9; batch 32, 128->256 @12 2.0 against 3.0.
      weight_gradient_winograd_strided<T>(),
      // One input channel per group: 0.6 ms for batch 8, 3x3 of 144 channels @56.
      {"depthwise", weight_gradient_depthwise_applies<T>, weight_gradient_depthwise<T>},
      // 5 taps a line at stride 1 for few channels and vec_width images or more. 5x5 6->16 @14
      // takes 0.47 ms against 0.61 with taps, 1->6 @28 0.35 against 0.43 with plain images in
      // lanes.
      weight_gradient_lanes_winograd<T>(),
      // Output channels would leave vectors part empty and there are images to fill them: 5x5 1->6
      // @28 takes 0.39 ms against 1.0. With 16 channels taps win: 6->16 @12 0.43 against 0.48.
      {"lanes", weight_gradient_lanes_applies<T>, weight_gradient_lanes<T>, true},
      // 1x1: 89-97 % of the peak at stride 1. Batch 8, 2048->512 @7 takes 3.43 ms against 3.97 with
      // taps, 64->256 @56 3.33 against 3.50; batch 16, 384->384 @4 0.293 against 0.334.
      {"pointwise", weight_gradient_pointwise_applies<T>, weight_gradient_pointwise<T>},
      // Everything else: 82-92 % of the peak for 3x3 with 64 and more channels.
      {"taps", always, weight_gradient_taps<T>},
      {"reference", always, weight_gradient_reference<T>},
  };
  return {kList, std::size(kList)};
}

template Algorithms<WholeConvAlgorithm<float>> whole_conv_algorithms();
template Algorithms<WholeConvAlgorithm<double>> whole_conv_algorithms();
template Algorithms<TapSumAlgorithm<float>> tap_sum_algorithms();
template Algorithms<TapSumAlgorithm<double>> tap_sum_algorithms();
template Algorithms<WeightGradientAlgorithm<float>> weight_gradient_algorithms();
template Algorithms<WeightGradientAlgorithm<double>> weight_gradient_algorithms();

}  // namespace laminae
