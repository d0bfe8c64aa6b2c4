// conv, conv_backward_input, conv_backward_weight: checks, and the choice of an algorithm.
//
// Layout [n, c, d, h, w], contiguous; weight [c_out, c_in / groups, kernel]. Each list below is
// tried from the top and the first algorithm that applies is taken; descriptor field `algorithm` 1,
// 2, ... forces one (for tests). All algorithms of a TapSum add the same terms in the same order,
// so which one runs does not show in the bits, except for Winograd's and the reference.
#include "core/conv.h"

#include <algorithm>
#include <string>

#include "core/op.h"
#include "core/ops/conv_trimmed.h"
#include "core/ops/strided.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

template <class Shape>
bool always(const Shape&) {
  return true;
}

constexpr int64_t kMaxSize =
    int64_t{1} << 32;  // of one dimension, padding or stride: keeps sums of products exact

template <class Desc>
ConvShape shape_of(const Desc& d, const Call& call) {
  ConvShape s;
  s.n = d.n;
  s.groups = d.groups;
  s.c_in = d.c_in;
  s.c_out = d.c_out;
  s.exact = d.exact != 0;
  call.require(s.n >= 0 && s.groups >= 1 && s.c_in >= 1 && s.c_out >= 1, "sizes must be positive");
  call.require(s.c_in % s.groups == 0 && s.c_out % s.groups == 0,
               "channels must be divisible by groups");
  for (int i = 0; i < 3; ++i) {
    s.in[i] = d.in[i];
    s.kernel[i] = d.kernel[i];
    s.out[i] = d.out[i];
    s.stride[i] = d.stride[i];
    s.padding[i] = d.padding[i];
    s.dilation[i] = d.dilation[i];
    for (int64_t size : {s.in[i], s.kernel[i], s.out[i], s.stride[i], s.dilation[i]}) {
      call.require(size >= 1 && size <= kMaxSize, "sizes must be positive");
    }
    call.require(s.padding[i] >= 0 && s.padding[i] <= kMaxSize, "padding must not be negative");
  }
  volume(s.n, s.c_in, s.in[0], s.in[1], s.in[2]);
  volume(s.n, s.c_out, s.out[0], s.out[1], s.out[2]);
  volume(s.c_out, s.channels_in(), s.kernel[0], s.kernel[1], s.kernel[2]);
  return s;
}

int64_t input_size(const ConvShape& s) { return s.n * s.c_in * s.in_plane(); }
int64_t output_size(const ConvShape& s) { return s.n * s.c_out * s.out_plane(); }
int64_t weight_size(const ConvShape& s) { return s.c_out * s.channels_in() * s.kernel_size(); }

template <class Algorithm, class Shape>
const Algorithm& choose(const Algorithm* list, int count, const Shape& s, int64_t forced,
                        const Call& call) {
  call.require(forced >= 0 && forced <= count, "unknown algorithm");
  if (forced > 0) {
    const Algorithm& algorithm = list[forced - 1];
    if (!algorithm.applies(s))
      call.fail(std::string("algorithm ") + algorithm.name + " does not apply");
    return algorithm;
  }
  int i = 0;
  while (!list[i].applies(s)) ++i;
  return list[i];
}

TapSum forward_sum(const ConvShape& s) {
  TapSum t;
  t.n = s.n;
  t.groups = s.groups;
  t.channels = s.channels_in();
  t.rows = s.channels_out();
  t.transposed = false;
  t.exact = s.exact;
  t.ending = s.ending;
  for (int d = 0; d < 3; ++d) {
    t.x_size[d] = s.in[d];
    t.grid[d] = s.out[d];
    t.stride[d] = s.stride[d];
    t.taps[d] = {s.kernel[d], 0, 1, -s.padding[d], s.dilation[d]};
    t.kernel[d] = s.kernel[d];
  }
  return t;
}

// Joins neighbouring dimensions in which nothing happens: longer rows.
void join_plain_dimensions(TapSum& t) {
  for (int d = 1; d >= 0; --d) {
    if (!t.is_plain(d) || !t.is_plain(2)) return;
    t.x_size[2] *= t.x_size[d];
    t.grid[2] *= t.grid[d];
    t.x_size[d] = t.grid[d] = 1;
  }
}

constexpr int64_t kPlaneElements = 1 << 19;  // of dx, computed before it is interleaved: 2 MiB

// The sums that make up a pass: one forward, one or more for the input gradient.
struct Sums {
  const ConvShape& s;
  bool backward;

  int64_t count() const { return backward ? class_count(s) : 1; }
  // Images that a sum is about: with several sums a block, so that what they make stays in cache.
  int64_t images() const {
    if (count() == 1) return s.n;
    const int64_t most = std::max<int64_t>(1, kPlaneElements / (s.c_in * s.in_plane()));
    const int64_t blocks = (s.n + most - 1) / most;
    const int64_t block = (s.n + blocks - 1) / blocks;
    return most < 16 ? block : std::min(s.n, (block + 15) / 16 * 16);  // 16: lanes of a vector
  }
  TapSum at(int64_t index) const {
    TapSum t = backward ? class_sum(s, index, images()) : forward_sum(s);
    join_plain_dimensions(t);
    return t;
  }
};

// Weights in the form that the algorithms chosen for some sums read, one after the other: in memory
// that the caller keeps between calls, or else in scratch memory.
template <class T>
class PackedWeights {
 public:
  PackedWeights(T* kept, bool ready) : kept_(kept), ready_(ready) {}

  // Those of `size` elements that pack(to) makes.
  template <class Pack>
  const T* get(int64_t size, Scratch& scratch, Pack&& pack) {
    T* packed = kept_ == nullptr ? scratch.get<T>(size) : kept_ + used_;
    used_ += size;
    if (!ready_) pack(packed);
    return packed;
  }

 private:
  T* kept_;
  bool ready_;
  int64_t used_ = 0;
};

// The whole algorithm to use, if any. Forced numbers count them behind those for TapSums.
template <class T>
const WholeConvAlgorithm<T>* whole_algorithm_for(const Sums& sums, int64_t forced,
                                                 const Call& call) {
  int sum_count, count;
  tap_sum_algorithms<T>(&sum_count);
  const WholeConvAlgorithm<T>* list = whole_conv_algorithms<T>(&count);
  for (int i = 0; i < count; ++i) {
    if (forced != 0 && forced != sum_count + i + 1) continue;
    if (list[i].applies(sums.s, sums.backward)) return list + i;
    if (forced != 0) call.fail(std::string("algorithm ") + list[i].name + " does not apply");
  }
  return nullptr;
}

template <class T>
const TapSumAlgorithm<T>& algorithm_for(const TapSum& s, int64_t forced, const Call& call) {
  int count;
  const TapSumAlgorithm<T>* list = tap_sum_algorithms<T>(&count);
  return choose(list, count, s, forced, call);
}

// Elements of the packed weights of all sums.
template <class T>
int64_t packed_size(const Sums& sums, int64_t forced, const Call& call) {
  const WholeConvAlgorithm<T>* whole = whole_algorithm_for<T>(sums, forced, call);
  if (whole != nullptr) {
    return whole->pack == nullptr ? 0 : whole->packed_size(sums.s, sums.backward);
  }
  int64_t size = 0;
  for (int64_t i = 0; i < sums.count(); ++i) {
    const TapSum t = sums.at(i);
    size += algorithm_for<T>(t, forced, call).packed_size(t);
  }
  return size;
}

template <class T>
void fill_rows(const TapSum& t, const T* bias, T* y) {
  const int64_t plane = t.grid_plane();
  for (int64_t i = 0; i < t.n; ++i) {
    for (int64_t r = 0; r < t.groups * t.rows; ++r, y += plane) {
      std::fill(y, y + plane, bias == nullptr ? T{0} : bias[r]);
    }
  }
}

// What conv and conv_backward_input share: weights are packed once, then the sums.
template <class T, class Desc>
void run_sums(const Desc& d, const ConvShape& shape, bool backward, Call& call, int packed_buffer,
              const T* x, const T* w, const T* bias, T* y) {
  const Trimmed trimmed(shape, d.algorithm);
  const Sums sums{trimmed.s, backward};
  const bool ready = call.has(packed_buffer) && d.packed_ready != 0;
  Scratch scratch;
  if (!ready) w = trimmed.weights(w, scratch);
  T* kept = nullptr;
  if (call.has(packed_buffer)) {
    kept = call.out<T>(packed_buffer, packed_size<T>(sums, d.algorithm, call));
  }
  PackedWeights<T> weights(kept, ready);
  const WholeConvAlgorithm<T>* whole = whole_algorithm_for<T>(sums, d.algorithm, call);
  if (whole != nullptr) {
    if (whole->pack != nullptr) {
      w = weights.get(whole->packed_size(sums.s, backward), scratch,
                      [&](T* to) { whole->pack(sums.s, backward, w, to); });
    }
    whole->run(sums.s, sums.backward, x, w, bias, y);
    if (!whole->ends) end_all(sums.s.ending, output_size(sums.s), y);
    return;
  }
  const int64_t count = sums.count();
  const T** packed = scratch.get<const T*>(count);
  for (int64_t i = 0; i < count; ++i) {
    const TapSum t = sums.at(i);
    const TapSumAlgorithm<T>& algorithm = algorithm_for<T>(t, d.algorithm, call);
    packed[i] =
        weights.get(algorithm.packed_size(t), scratch, [&](T* to) { algorithm.pack(t, w, to); });
  }
  auto run = [&](const TapSumAlgorithm<T>& algorithm, const TapSum& t, const T* from,
                 const T* weights, T* to) {
    if (t.tap_count() == 0) {
      fill_rows(t, bias, to);
    } else {
      algorithm.run(t, from, weights, bias, to);
    }
  };
  if (count == 1) {
    const TapSum t = sums.at(0);
    const TapSumAlgorithm<T>& algorithm = algorithm_for<T>(t, d.algorithm, call);
    run(algorithm, t, x, packed[0], y);
    if (!algorithm.ends || t.tap_count() == 0) end_all(t.ending, output_size(sums.s), y);
    return;
  }
  const ConvShape& s = sums.s;
  const int64_t block = sums.images();
  const int64_t image = s.c_in * s.in_plane();
  T* planes = scratch.get<T>(block * image);
  for (int64_t first = 0; first < s.n; first += block) {
    const int64_t images = std::min(block, s.n - first);
    T* plane = planes;
    for (int64_t i = 0; i < count; ++i) {
      TapSum t = sums.at(i);
      const TapSumAlgorithm<T>& algorithm = algorithm_for<T>(t, d.algorithm, call);
      t.n = images;  // the last block may be smaller: its weights are packed all the same
      run(algorithm, t, x + first * s.c_out * s.out_plane(), packed[i], plane);
      plane += images * s.c_in * t.grid_plane();
    }
    interleave_classes(s, images, planes, y + first * image);
  }
}

}  // namespace

template <class T>
void end_all(const Ending& ending, int64_t count, T* y) {
  if (!ending.is_any()) return;
  parallel_for(count, kElementGrain, [&](int64_t begin, int64_t end) {
    end_rows(ending, 1, end - begin, y, y + begin, 0);
  });
}

template void end_all<float>(const Ending&, int64_t, float*);
template void end_all<double>(const Ending&, int64_t, double*);

// Times are of one thread of a Zen 5 core (AVX-512, peak 230 GFLOP/s), batch 256 unless said
// otherwise.
template <class T>
const WholeConvAlgorithm<T>* whole_conv_algorithms(int* count) {
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
  *count = sizeof(kList) / sizeof(kList[0]);
  return kList;
}

template <class T>
const TapSumAlgorithm<T>* tap_sum_algorithms(int* count) {
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
      // 0.65.
      tap_sum_lanes_winograd<T>(),
      // Pixels in lanes, up to 256 terms: storing is a large part of the work, and they are stored
      // as they are. Batch 8, 3x3 3->64 @112 takes 2.1 ms against 3.8 with channels in lanes; batch
      // 64, 3x3 3->64 @32 1.8 against 3.2 with images in lanes.
      tap_sum_few_terms<T>(),
      // From vec_width images on, while what a line reads fits into L2. 5x5 1->6 @28 takes 0.32 ms
      // against 0.9 with gemm, 6->16 @12 0.41 against 1.15, its input gradient 0.52 against 5.0. At
      // batch 64, 3x3 64->64 @7 1.2 against 2.8, 32->32 @14 1.4 against 3.9, 128->128 @4 1.4
      // against 3.1: taps outside small maps are left out. A 1x1 256->256 @4 loses, 1.35 against
      // 0.78.
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
  *count = sizeof(kList) / sizeof(kList[0]);
  return kList;
}

template <class T>
const WeightGradientAlgorithm<T>* weight_gradient_algorithms(int* count) {
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
      {"lanes", weight_gradient_lanes_applies<T>, weight_gradient_lanes<T>},
      // 1x1: 89-97 % of the peak at stride 1. Batch 8, 2048->512 @7 takes 3.43 ms against 3.97 with
      // taps, 64->256 @56 3.33 against 3.50; batch 16, 384->384 @4 0.293 against 0.334.
      {"pointwise", weight_gradient_pointwise_applies<T>, weight_gradient_pointwise<T>},
      // Everything else: 82-92 % of the peak for 3x3 with 64 and more channels.
      {"taps", always<ConvShape>, weight_gradient_taps<T>},
      {"reference", always<ConvShape>, weight_gradient_reference<T>},
  };
  *count = sizeof(kList) / sizeof(kList[0]);
  return kList;
}

template const WholeConvAlgorithm<float>* whole_conv_algorithms<float>(int*);
template const WholeConvAlgorithm<double>* whole_conv_algorithms<double>(int*);
template const TapSumAlgorithm<float>* tap_sum_algorithms<float>(int*);
template const TapSumAlgorithm<double>* tap_sum_algorithms<double>(int*);
template const WeightGradientAlgorithm<float>* weight_gradient_algorithms<float>(int*);
template const WeightGradientAlgorithm<double>* weight_gradient_algorithms<double>(int*);

namespace {

// ending_of(s, tag): the ending of results of tag's type.
template <class Buf, class Desc, class EndingOf>
void run_forward(const Desc& d, Call& call, EndingOf&& ending_of) {
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    ConvShape s = shape_of(d, call);
    s.ending = ending_of(s, tag);
    const T* x = call.in<T>(Buf::x, input_size(s));
    const T* w = call.in<T>(Buf::weight, weight_size(s));
    const T* bias = call.maybe_in<T>(Buf::bias, s.c_out);
    T* y = call.out<T>(Buf::y, output_size(s));
    if (s.n == 0) return;
    run_sums(d, s, false, call, Buf::packed, x, w, bias, y);
  });
}

}  // namespace

void run_conv(const conv_desc& d, Call& call) {
  run_forward<conv_buf>(d, call, [](const ConvShape&, auto) { return Ending{}; });
}

void run_conv_then(const conv_then_desc& d, Call& call) {
  run_forward<conv_then_buf>(d, call, [&](const ConvShape& s, auto tag) {
    return ending_of<decltype(tag)>(d, call, conv_then_buf::add, output_size(s));
  });
}

void run_conv_backward_input(const conv_backward_input_desc& d, Call& call) {
  dispatch_float(call, call.dtype(conv_backward_input_buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const ConvShape s = shape_of(d, call);
    const T* dy = call.in<T>(conv_backward_input_buf::dy, output_size(s));
    const T* w = call.in<T>(conv_backward_input_buf::weight, weight_size(s));
    const T* bias = call.maybe_in<T>(conv_backward_input_buf::bias, s.c_in);
    T* dx = call.out<T>(conv_backward_input_buf::dx, input_size(s));
    if (s.n == 0) return;
    run_sums(d, s, true, call, conv_backward_input_buf::packed, dy, w, bias, dx);
  });
}

void run_conv_packed_size(const conv_packed_size_desc& d, Call& call) {
  const ConvShape s = shape_of(d, call);
  const Trimmed trimmed(s, d.algorithm);
  const Sums sums{trimmed.s, d.backward_input != 0};
  const int64_t size = s.n == 0 ? 0 : packed_size<float>(sums, d.algorithm, call);
  *call.out<double>(conv_packed_size_buf::size, 1) = static_cast<double>(size);
}

void run_conv_backward_weight(const conv_backward_weight_desc& d, Call& call) {
  dispatch_float(call, call.dtype(conv_backward_weight_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const ConvShape s = shape_of(d, call);
    const T* x = call.in<T>(conv_backward_weight_buf::x, input_size(s));
    const T* dy = call.in<T>(conv_backward_weight_buf::dy, output_size(s));
    T* dw = call.maybe_out<T>(conv_backward_weight_buf::dw, weight_size(s));
    T* db = call.maybe_out<T>(conv_backward_weight_buf::db, s.c_out);
    if (s.n == 0) {
      if (dw != nullptr) std::fill(dw, dw + weight_size(s), T{0});
      if (db != nullptr) std::fill(db, db + s.c_out, T{0});
      return;
    }
    int count;
    const WeightGradientAlgorithm<T>* list = weight_gradient_algorithms<T>(&count);
    const Trimmed trimmed(s, d.algorithm);
    Scratch scratch;
    T* left = dw;
    if (dw != nullptr && trimmed.is_any()) left = scratch.get<T>(weight_size(trimmed.s));
    choose(list, count, trimmed.s, d.algorithm, call).run(trimmed.s, x, dy, left, db);
    if (left != dw) trimmed.spread(left, dw);
  });
}

}  // namespace laminae
