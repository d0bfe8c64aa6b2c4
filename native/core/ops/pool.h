// Windows of pooling, shared by the pool ops.
//
// A plane is [d, h, w]: pooling over one or two dimensions has sizes 1 in front. Output o of a
// dimension reads the inputs o * stride - padding + k * dilation for k in [0, kernel), those within
// [0, in): padding is never read. A cell of a window is numbered (k_d * kernel_h + k_h) * kernel_w
// + k_w.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/integer.h"
#include "core/op.h"
#include "core/scratch.h"

namespace laminae {

struct PoolDim {
  int64_t in, out, kernel, stride, padding, dilation;

  // Where the window of output o starts; negative in the padding.
  int64_t start(int64_t o) const { return o * stride - padding; }

  // Cells of output o that lie inside the input: [first_cell, end_cell). May be empty.
  int64_t first_cell(int64_t o) const {
    const int64_t s = start(o);
    return s >= 0 ? 0 : std::min(kernel, ceil_div(-s, dilation));
  }
  int64_t end_cell(int64_t o) const {
    const int64_t room = in - start(o);
    if (room > (kernel - 1) * dilation) return kernel;
    return std::max(room <= 0 ? 0 : ceil_div(room, dilation), first_cell(o));
  }

  // Outputs whose cell k may read input i: o with start(o) + k * dilation == i. -1 if there is
  // none.
  int64_t output_reading(int64_t i, int64_t k) const {
    const int64_t u = i + padding - k * dilation;
    return u >= 0 && u % stride == 0 && u / stride < out ? u / stride : -1;
  }

  // Inputs from the first to one past the last that outputs [o0, o1) may read, clipped to the
  // input.
  int64_t first_input(int64_t o0) const { return std::clamp<int64_t>(start(o0), 0, in); }
  int64_t end_input(int64_t o1) const {
    return std::clamp<int64_t>(start(o1 - 1) + (kernel - 1) * dilation + 1, 0, in);
  }
};

struct PoolGeometry {
  int64_t planes;
  PoolDim d, h, w;

  int64_t in_plane() const { return d.in * h.in * w.in; }
  int64_t out_plane() const { return d.out * h.out * w.out; }
  int64_t in_count() const { return volume(planes, d.in, h.in, w.in); }
  int64_t out_count() const { return volume(planes, d.out, h.out, w.out); }
  // Saturates: only asked whether it is small.
  int64_t cells() const {
    constexpr int64_t kMany = int64_t{1} << 20;
    return std::min(d.kernel, kMany) * std::min(h.kernel, kMany) * std::min(w.kernel, kMany);
  }
};

// From a descriptor with planes, in, out, kernel, stride, padding; refuses numbers whose products
// overflow.
template <class Desc>
PoolGeometry pool_geometry(const Call& call, const Desc& desc, const int64_t* dilation) {
  constexpr int64_t kMax = int64_t{1} << 31;
  PoolDim dims[3];
  for (int i = 0; i < 3; ++i) {
    dims[i] = {desc.in[i],     desc.out[i],     desc.kernel[i],
               desc.stride[i], desc.padding[i], dilation == nullptr ? 1 : dilation[i]};
    const PoolDim& p = dims[i];
    const int64_t least = std::min({p.in, p.out, p.kernel, p.stride, p.dilation});
    const int64_t largest = std::max({p.in, p.out, p.kernel, p.stride, p.dilation, p.padding});
    call.require(least >= 1 && p.padding >= 0 && largest < kMax, "sizes must lie in 1..2^31 - 1");
  }
  const PoolGeometry g{desc.planes, dims[0], dims[1], dims[2]};
  call.require(volume(g.d.in, g.h.in, g.w.in) < kMax, "a plane must have fewer than 2^31 elements");
  volume(g.d.out, g.h.out, g.w.out);  // no overflow, although there may be no plane
  return g;
}

// The bounds of every output's window in one dimension, for code that walks windows one by one.
struct WindowBounds {
  const int64_t* begin;  // first input
  const int64_t* end;    // one past the last input; begin == end if the window is empty
  const int64_t* size;   // what the dimension contributes to the divisor of an average
  int64_t step;          // from one input to the next
};

inline WindowBounds pool_bounds(Scratch& scratch, const PoolDim& p, bool count_padding) {
  int64_t* begin = scratch.get<int64_t>(p.out);
  int64_t* end = scratch.get<int64_t>(p.out);
  int64_t* size = scratch.get<int64_t>(p.out);
  for (int64_t o = 0; o < p.out; ++o) {
    const int64_t first = p.first_cell(o);
    const int64_t last = p.end_cell(o);
    begin[o] = std::min(p.start(o) + first * p.dilation, p.in);
    end[o] = first == last ? begin[o] : std::min(p.in, p.start(o) + (last - 1) * p.dilation + 1);
    // Padding counts, but not what ceilMode adds beyond it.
    const int64_t padded = std::min(p.kernel, p.in + p.padding - p.start(o));
    size[o] = count_padding ? padded : end[o] - begin[o];
  }
  return {begin, end, size, p.dilation};
}

// Refuses sizes of an adaptive pool whose products overflow.
template <class Desc>
void check_adaptive(const Call& call, const Desc& desc) {
  constexpr int64_t kMax = int64_t{1} << 31;
  for (int i = 0; i < 3; ++i) {
    const auto fits = [](int64_t n) { return n >= 1 && n < kMax; };
    call.require(fits(desc.in[i]) && fits(desc.out[i]), "sizes must lie in 1..2^31 - 1");
  }
  call.require(volume(desc.in[0], desc.in[1], desc.in[2]) < kMax,
               "a plane must have fewer than 2^31 elements");
  volume(desc.out[0], desc.out[1], desc.out[2]);
}

// Adaptive windows: output o covers [floor(o in / out), ceil((o + 1) in / out)). Only for outputs
// that are known to exist in a buffer: nothing else limits the table.
inline WindowBounds adaptive_bounds(Scratch& scratch, int64_t in, int64_t out) {
  int64_t* begin = scratch.get<int64_t>(out);
  int64_t* end = scratch.get<int64_t>(out);
  int64_t* size = scratch.get<int64_t>(out);
  for (int64_t o = 0; o < out; ++o) {
    begin[o] = o * in / out;
    end[o] = ceil_div((o + 1) * in, out);
    size[o] = end[o] - begin[o];
  }
  return {begin, end, size, 1};
}

}  // namespace laminae
