// What the sums of conv_depthwise.cc and the weight gradient of conv_depthwise_weight.cc share: the
// geometry, and a plane on its way through the strip.
#pragma once
#include <algorithm>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/plane_strip.h"
#include "core/scratch.h"

namespace laminae {

constexpr int64_t kDepthwiseBand = 1 << 13;   // of a strip: 32 KiB
constexpr int64_t kDepthwiseStrip = 1 << 18;  // for one line of results, at most
constexpr int64_t kDepthwiseMultiplier = 8;   // output channels of a group, at most

// Forward (rows = output channels of a group, planes = 1), or the input gradient (rows = 1, planes
// = output channels of a group): what is read is `source`, what is made `result`.
struct DepthwiseSum {
  bool backward;
  int64_t planes, rows;
  int64_t source[3], result[3];
  int64_t stride[3];      // of the grid in the source
  int64_t every[3];       // of the grid in the result
  int64_t phases[3];      // parity classes
  const TapDim* taps[3];  // of each
  int64_t slots;          // most taps of dimension 0

  DepthwiseSum(const ConvShape& s, bool is_backward, Scratch& scratch) : backward(is_backward) {
    planes = backward ? s.channels_out() : 1;
    rows = backward ? 1 : s.channels_out();
    for (int d = 0; d < 3; ++d) {
      source[d] = backward ? s.out[d] : s.in[d];
      result[d] = backward ? s.in[d] : s.out[d];
      stride[d] = backward ? 1 : s.stride[d];
      every[d] = backward ? s.stride[d] : 1;
      phases[d] = std::min(every[d], result[d]);
      TapDim* list = scratch.get<TapDim>(phases[d]);
      if (!backward) {
        list[0] = {s.kernel[d], 0, 1, -s.padding[d], s.dilation[d]};
      } else {
        int64_t index = 1;  // distance of classes that differ in d alone
        for (int e = d + 1; e < 3; ++e) index *= std::min(s.stride[e], s.in[e]);
        for (int64_t p = 0; p < phases[d]; ++p) {
          list[p] = class_sum(s, p * index, 1).taps[d];
        }
      }
      taps[d] = list;
    }
    slots = 1;
    for (int64_t p = 0; p < phases[0]; ++p) slots = std::max(slots, taps[0][p].count);
  }

  int64_t grid(int d) const { return ceil_div(result[d], every[d]); }
  // Grid positions [0, count) of parity p that lie within the first `end` results.
  int64_t grid_below(int d, int64_t p, int64_t end) const {
    return end <= p ? 0 : ceil_div(end - p, every[d]);
  }
  StripAxis axis(int d) const { return {source[d], grid(d), stride[d], taps[d], phases[d]}; }
  int64_t source_plane() const { return source[0] * source[1] * source[2]; }
  int64_t result_plane() const { return result[0] * result[1] * result[2]; }
};

// Where the taps of every parity class read in the strip, and the weights they take.
template <class T>
struct DepthwiseTaps {
  const DepthwiseSum& d;
  StripAxis lines, columns;
  int64_t band;  // grid lines
  PlaneStrip<T> strip;
  int64_t kernel_size;
  int64_t* first;    // [class]: its first tap; one more at the end
  int64_t* offset;   // [tap]
  int64_t* element;  // [tap]: in the weights of a group (and row)

  DepthwiseTaps(const ConvShape& s, const DepthwiseSum& direction, Scratch& scratch)
      : d(direction),
        lines(d.axis(1)),
        columns(d.axis(2)),
        band(band_of(d)),
        strip(lines, columns, band),
        kernel_size(s.kernel_size()) {
    first = scratch.get<int64_t>(d.phases[0] * d.phases[1] * d.phases[2] + 1);
    offset = scratch.get<int64_t>(d.planes * kernel_size);
    element = scratch.get<int64_t>(d.planes * kernel_size);
    int64_t count = 0;
    int64_t parity[3];
    int64_t index = 0;
    for (parity[0] = 0; parity[0] < d.phases[0]; ++parity[0]) {
      for (parity[1] = 0; parity[1] < d.phases[1]; ++parity[1]) {
        for (parity[2] = 0; parity[2] < d.phases[2]; ++parity[2]) {
          first[index++] = count;
          count = add_class(s, parity, count);
        }
      }
    }
    first[index] = count;
  }

  static int64_t band_of(const DepthwiseSum& d) {
    const PlaneStrip<T> one(d.axis(1), d.axis(2), 1), two(d.axis(1), d.axis(2), 2);
    const int64_t line = d.planes * d.slots * (two.size() - one.size());
    const int64_t rest = kDepthwiseBand - d.planes * d.slots * one.size();
    return std::clamp<int64_t>(rest / line + 1, 1, d.grid(1));
  }

  int64_t strip_size() const { return d.planes * d.slots * strip.size(); }
  int64_t bands() const { return ceil_div(d.grid(1), band); }
  int64_t count() const { return first[d.phases[0] * d.phases[1] * d.phases[2]]; }
  int64_t class_at(int64_t p0, int64_t p1) const { return (p0 * d.phases[1] + p1) * d.phases[2]; }

 private:
  int64_t add_class(const ConvShape& s, const int64_t (&parity)[3], int64_t count) const {
    const TapDim& t0 = d.taps[0][parity[0]];
    const TapDim& t1 = d.taps[1][parity[1]];
    const TapDim& t2 = d.taps[2][parity[2]];
    for (int64_t plane = 0; plane < d.planes; ++plane) {
      for (int64_t a = 0; a < t0.count; ++a) {
        for (int64_t b = 0; b < t1.count; ++b) {
          for (int64_t c = 0; c < t2.count; ++c) {
            const int64_t k0 = plane * s.kernel[0] + t0.first + a * t0.every;
            const int64_t k1 = k0 * s.kernel[1] + t1.first + b * t1.every;
            element[count] = k1 * s.kernel[2] + t2.first + c * t2.every;
            offset[count++] = (plane * d.slots + a) * strip.size() +
                              strip.line(lines.position(t1, b)) +
                              strip.column(columns.position(t2, c));
          }
        }
      }
    }
    return count;
  }
};

// Copies the planes that position y0 of the result reads, grid lines from `line` on.
template <class T>
void fill_strip(const DepthwiseTaps<T>& t, int64_t y0, int64_t line, const T* x, T* strip) {
  const DepthwiseSum& d = t.d;
  const TapDim& t0 = d.taps[0][y0 % d.every[0]];
  for (int64_t plane = 0; plane < d.planes; ++plane) {
    for (int64_t a = 0; a < t0.count; ++a) {
      const int64_t p = y0 / d.every[0] * d.stride[0] + t0.offset + a * t0.step;
      const bool inside = p >= 0 && p < d.source[0];
      const T* from =
          inside ? x + plane * d.source_plane() + p * d.source[1] * d.source[2] : nullptr;
      t.strip.copy(from, line, strip + (plane * d.slots + a) * t.strip.size());
    }
  }
}

// Requests memory from `from` on, a piece at a time, while there is work between the pieces: when
// planes are copied and summed by turns, neither the hardware's prefetcher nor the stores keep up.
template <class T>
class Ahead {
 public:
  // `count` elements in `pieces` pieces, but nothing from `end` on.
  Ahead(const T* from, const T* end, int64_t count, int64_t pieces)
      : at_(from),
        left_(std::max<int64_t>(0, std::min<int64_t>(end - from, count))),
        piece_(ceil_div(count, pieces)) {}

  void request() {
    const int64_t count = std::min(piece_, left_);
    kernels<T>().prefetch_lanes(1, count, at_, 0);
    at_ += count;
    left_ -= count;
  }

 private:
  const T* at_;
  int64_t left_;
  int64_t piece_;
};

// Grid lines summed between two requests: four rows, or more if those are a few cache lines.
inline int64_t lines_at_once(const DepthwiseSum& d) {
  const int64_t elements = std::max(d.source[2] * d.stride[1], d.result[2] * d.every[1]);
  return std::max<int64_t>(1, 256 / (4 * elements)) * 4;
}

template <class T>
bool depthwise_applies(const ConvShape& s, bool backward_input) {
  // A single group is a first layer, where images in lanes are faster: 5x5 1->6 @28 at batch 256
  // takes 0.4 ms against 0.64.
  if (s.groups == 1 || s.channels_in() != 1 || s.channels_out() > kDepthwiseMultiplier)
    return false;
  Scratch scratch;
  const DepthwiseSum d(s, backward_input, scratch);
  return d.planes * d.slots * PlaneStrip<T>(d.axis(1), d.axis(2), 1).size() <= kDepthwiseStrip;
}

// ---- planes as they are (kernels/depthwise_plane.inl) ----

// Whether the kernels for whole planes take this convolution, or its input gradient; then also how.
template <class T>
bool depthwise_plane_applies(const ConvShape& s, bool backward_input, DepthwisePlane* plane) {
  const int64_t kernel = s.kernel[1];
  const int64_t stride = s.stride[1];
  const bool flat = s.in[0] == 1 && s.kernel[0] == 1 && s.out[0] == 1 && s.padding[0] == 0;
  const bool fits = kernel == s.kernel[2] && (kernel == 3 || kernel == 5) &&
                    kernel <= kernels<T>().depthwise_kernel && stride == s.stride[2] &&
                    stride <= 2 && s.dilation[1] == 1 && s.dilation[2] == 1;
  if (!flat || !fits) return false;
  if (!backward_input) {
    *plane = {kernel,   stride,   false,         s.in[1],      s.in[2],
              s.out[1], s.out[2], -s.padding[1], -s.padding[2]};
    return true;
  }
  // Several planes are summed into one, or the paddings are of different parity.
  if (s.channels_out() != 1 || (stride == 2 && (s.padding[1] - s.padding[2]) % 2 != 0))
    return false;
  const int64_t before = stride == 2 ? 0 : kernel - 1;
  *plane = {kernel,
            stride,
            stride == 1,
            s.out[1],
            s.out[2],
            s.in[1],
            s.in[2],
            s.padding[1] - before,
            s.padding[2] - before};
  return true;
}

// Rows made at a time, of `step` lines each: as many as a band of a strip has elements.
inline int64_t depthwise_plane_band(const DepthwisePlane& p, int64_t step) {
  const int64_t tile = 8;  // of whole tiles, whatever the ISA
  const int64_t elements = std::max(p.columns, p.width) * step;
  return std::max<int64_t>(1, kDepthwiseBand / elements / tile) * tile;
}

}  // namespace laminae
