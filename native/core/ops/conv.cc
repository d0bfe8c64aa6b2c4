// conv, conv_backward_input, conv_backward_weight: checks, and one run of what was chosen
// (conv_plan.h, from the lists of conv_algorithms.cc).
//
// Layout [n, c, d, h, w], contiguous; weight [c_out, c_in / groups, kernel]. Descriptor field
// `algorithm` 1, 2, ... forces an algorithm (for tests). All algorithms of a TapSum add the same
// terms in the same order, so which one runs does not show in the bits, except for Winograd's,
// Strassen's and the reference.
#include "core/conv.h"

#include <algorithm>

#include "core/op.h"
#include "core/ops/conv_plan.h"
#include "core/ops/conv_trimmed.h"
#include "core/scratch.h"

namespace laminae {

namespace {

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
  s.in_lanes = d.lanes != 0;
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

// Images that lie in lanes are those of vectors of T.
template <class T, class Desc>
void check_lanes(const Desc& d, const ConvShape& s, const Call& call) {
  if (!s.in_lanes) return;
  call.require(d.lanes == kernels<T>().vec_width, "lanes must be those of a vector");
  call.require(s.groups == 1 && s.n % d.lanes == 0, "lanes need one group and whole vectors");
}

// What conv and conv_backward_input share. `packed`: the buffer for packed weights that the caller
// keeps, or else they are in scratch memory.
template <class T, class Desc>
void run_plan(const Desc& d, const ConvShape& s, bool backward, const Call& call, int packed,
              const T* x, const T* w, const T* bias, T* y) {
  const Trimmed trimmed(s, d.algorithm);
  Scratch scratch;
  const ConvPlan<T> plan(trimmed.s, backward, d.algorithm, call, scratch);
  const int64_t size = plan.packed_size();
  const bool kept = call.has(packed);
  if (!kept || d.packed_ready == 0 || size == 0) w = trimmed.weights(w, scratch);
  if (!kept && plan.run_unpacked(x, w, bias, y)) return;
  T* weights = kept ? call.out<T>(packed, size) : scratch.get<T>(size);
  if (size > 0 && (!kept || d.packed_ready == 0)) plan.pack(w, weights);
  plan.run(x, size > 0 ? weights : w, bias, y);
}

// The tiles behind a convolution, with f from `buffer`.
template <class T, class Desc>
void set_tiles(const Desc& d, const Call& call, int buffer, ConvShape& s) {
  const UnaryFn fn = checked_fn<UnaryFn>(call, d.fn);
  call.require(s.in_lanes && s.out[0] == 1 && s.out[1] % 2 == 0 && s.out[2] % 2 == 0,
               "tiles need planes in lanes, of even height and width");
  s.tiles = {true, fn, call.maybe_out<T>(buffer, output_size(s))};
}

// Elements of y or dy.
int64_t y_size(const ConvShape& s) { return s.tiles.any ? output_size(s) / 4 : output_size(s); }

// run(s, tag) for the type of `buffer`, with the checked shape. complete(s, tag): what else the op
// does.
template <class Desc, class Complete, class Run>
void with_shape(const Desc& d, const Call& call, int buffer, Complete&& complete, Run&& run) {
  dispatch_float(call, call.dtype(buffer), [&](auto tag) {
    ConvShape s = shape_of(d, call);
    check_lanes<decltype(tag)>(d, s, call);
    complete(s, tag);
    run(s, tag);
  });
}

template <class Buf, class Desc, class Complete>
void run_forward(const Desc& d, Call& call, Complete&& complete) {
  with_shape(d, call, Buf::x, complete, [&](const ConvShape& s, auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, input_size(s));
    const T* w = call.in<T>(Buf::weight, weight_size(s));
    const T* bias = call.maybe_in<T>(Buf::bias, s.c_out);
    T* y = call.out<T>(Buf::y, y_size(s));
    if (s.n == 0) return;
    run_plan(d, s, false, call, Buf::packed, x, w, bias, y);
  });
}

// bias: of the transposed convolution; -1: none.
template <class Buf, class Desc, class Complete>
void run_backward_input(const Desc& d, Call& call, int bias, Complete&& complete) {
  with_shape(d, call, Buf::dy, complete, [&](const ConvShape& s, auto tag) {
    using T = decltype(tag);
    const T* dy = call.in<T>(Buf::dy, y_size(s));
    const T* w = call.in<T>(Buf::weight, weight_size(s));
    const T* b = bias < 0 ? nullptr : call.maybe_in<T>(bias, s.c_in);
    T* dx = call.out<T>(Buf::dx, input_size(s));
    if (s.n == 0) return;
    run_plan(d, s, true, call, Buf::packed, dy, w, b, dx);
  });
}

template <class Buf, class Desc, class Complete>
void run_backward_weight(const Desc& d, Call& call, Complete&& complete) {
  with_shape(d, call, Buf::x, complete, [&](const ConvShape& s, auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, input_size(s));
    const T* dy = call.in<T>(Buf::dy, y_size(s));
    T* dw = call.maybe_out<T>(Buf::dw, weight_size(s));
    T* db = call.maybe_out<T>(Buf::db, s.c_out);
    if (s.n == 0) {
      if (dw != nullptr) std::fill(dw, dw + weight_size(s), T{0});
      if (db != nullptr) std::fill(db, db + s.c_out, T{0});
      return;
    }
    const Trimmed trimmed(s, d.algorithm);
    Scratch scratch;
    T* left = dw;
    if (dw != nullptr && trimmed.is_any()) left = scratch.get<T>(weight_size(trimmed.s));
    chosen(weight_gradient_algorithms<T>(), d.algorithm, call, trimmed.s)
        .run(trimmed.s, x, dy, left, db);
    if (left != dw) trimmed.spread(left, dw);
  });
}

const auto kNothingElse = [](const ConvShape&, auto) {};

}  // namespace

void run_conv(const conv_desc& d, Call& call) { run_forward<conv_buf>(d, call, kNothingElse); }

void run_conv_then(const conv_then_desc& d, Call& call) {
  run_forward<conv_then_buf>(d, call, [&](ConvShape& s, auto tag) {
    s.ending = ending_of<decltype(tag)>(d, call, conv_then_buf::add, output_size(s));
  });
}

void run_conv_backward_input(const conv_backward_input_desc& d, Call& call) {
  using Buf = conv_backward_input_buf;
  run_backward_input<Buf>(d, call, Buf::bias, kNothingElse);
}

void run_conv_backward_weight(const conv_backward_weight_desc& d, Call& call) {
  run_backward_weight<conv_backward_weight_buf>(d, call, kNothingElse);
}

void run_conv_tiles(const conv_tiles_desc& d, Call& call) {
  run_forward<conv_tiles_buf>(d, call, [&](ConvShape& s, auto tag) {
    set_tiles<decltype(tag)>(d, call, conv_tiles_buf::f, s);
  });
}

void run_conv_tiles_backward_input(const conv_tiles_backward_input_desc& d, Call& call) {
  using Buf = conv_tiles_backward_input_buf;
  run_backward_input<Buf>(d, call, -1, [&](ConvShape& s, auto tag) {
    set_tiles<decltype(tag)>(d, call, Buf::f, s);
    call.require(s.tiles.f != nullptr, "needs what the function gave");
  });
}

void run_conv_tiles_backward_weight(const conv_tiles_backward_weight_desc& d, Call& call) {
  using Buf = conv_tiles_backward_weight_buf;
  run_backward_weight<Buf>(d, call, [&](ConvShape& s, auto tag) {
    set_tiles<decltype(tag)>(d, call, Buf::f, s);
    call.require(s.tiles.f != nullptr, "needs what the function gave");
  });
}

void run_conv_packed_size(const conv_packed_size_desc& d, Call& call) {
  const ConvShape s = shape_of(d, call);
  double* size = call.out<double>(conv_packed_size_buf::size, 1);
  *size = 0;
  if (s.n == 0) return;
  const Trimmed trimmed(s, d.algorithm);
  Scratch scratch;
  const ConvPlan<float> plan(trimmed.s, d.backward_input != 0, d.algorithm, call, scratch);
  *size = static_cast<double>(plan.packed_size());
}

void run_conv_lanes(const conv_lanes_desc& d, Call& call) {
  dispatch_float(call, call.dtype(conv_lanes_buf::x), [&](auto tag) {
    using T = decltype(tag);
    ConvShape s = shape_of(d, call);
    s.in_lanes = false;
    const int64_t lanes = kernels<T>().vec_width;
    double* width = call.out<double>(conv_lanes_buf::width, 1);
    *width = 0;
    if (s.n == 0 || s.n % lanes != 0 || s.groups > 1) return;
    const Trimmed trimmed(s, d.algorithm);
    for (const bool backward : {false, true}) {
      Scratch scratch;
      if (!ConvPlan<T>(trimmed.s, backward, d.algorithm, call, scratch).takes_lanes()) return;
    }
    if (chosen(weight_gradient_algorithms<T>(), d.algorithm, call, trimmed.s).in_lanes)
      *width = static_cast<double>(lanes);
  });
}

}  // namespace laminae
