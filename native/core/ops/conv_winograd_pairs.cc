// A TapSum of few terms, as a first layer has, by Winograd's F(2, 2..4) along columns
// (kernels/winograd_pairs.inl): two lines of 7x7 at stride 2 from 9 products of lines instead
// of 14.
//
// In a strip (conv_strip.h) the taps of each phase of the stride lie below one another without
// gaps, so each phase is a kernel of stride 1, and all of them are summed at the same points:
//
//   1. V [channel][phase][point][column] of the lines that two lines of y read; it stays in L1
//   2. for a tile of rows and pixels M [point][row][pixel] = sum over channels, phases and columns
//      (kernels/conv_pixels.inl)
//   3. two lines of the tile
//
// A phase with one tap less than others has no part in the point at infinity.
//
// A NaN or infinity of x reaches both lines.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/ops/conv_strip.h"
#include "core/ops/winograd.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kMinRows = 8;
constexpr int64_t kMinTerms = 32;           // of a point: 14 and 30 gain nothing, 24 loses 5 %
constexpr int64_t kLineElements = 1 << 13;  // of V: 32 KiB
constexpr int kMostTaps = 4;                // of a phase
constexpr int kMostPhases = 8;

// Interpolation points, infinity behind them.
constexpr double kPoints[kMostTaps + 1][kMostTaps] = {
    {},
    {},
    {1, -1},
    {0, 1, -1},
    {0.70710678118654752440, -0.70710678118654752440, 1.41421356237309504880,
     -1.41421356237309504880},
};

// The lines of a kernel by phase of the stride, phases with most taps first. A phase has its taps
// at neighbouring lines of a strip.
struct Phases {
  int64_t taps = 0;              // of the phases that have most
  int64_t count = 0, whole = 0;  // phases, and those with so many taps
  struct Phase {
    int64_t residue;  // of positions, modulo the stride
    int64_t first;    // position of the first, divided by the stride
    int64_t taps;
    int64_t tap[kMostTaps];  // by position
  } phase[kMostPhases];

  // False if the phases are too many, or too long.
  bool init(const TapDim& t, int64_t stride) {
    taps = ceil_div(t.count, stride);
    count = std::min(t.count, stride);
    if (taps < 2 || taps > kMostTaps || count > kMostPhases || (t.step != 1 && t.step != -1))
      return false;
    whole = t.count - (taps - 1) * count;
    // Neighbouring taps fall into the phases in turn, so the first ones have one more.
    for (int64_t i = 0; i < count; ++i) {
      Phase& f = phase[i];
      f.taps = i < whole ? taps : taps - 1;
      const int64_t low = t.step > 0 ? i : i + (f.taps - 1) * stride;
      const int64_t at = t.offset + low * t.step;
      f.first = floor_div(at, stride);
      f.residue = at - f.first * stride;
      for (int64_t q = 0; q < f.taps; ++q) f.tap[q] = low + q * stride * t.step;
    }
    return true;
  }

  int64_t points() const { return taps + 1; }
  // Phases that take part in a point.
  int64_t at(int64_t point) const { return point < taps ? count : whole; }
};

struct Plan {
  Phases phases;
  int64_t tile, tiles;  // of rows

  template <class T>
  static Plan of(const TapSum& s) {
    Plan p;
    p.phases.init(s.taps[1], s.stride[1]);
    p.tile = balanced_tile(s.rows, kernels<T>().conv_pixels_rows);
    p.tiles = ceil_div(s.rows, p.tile);
    return p;
  }

  // Weights of a tile of rows for one point, and for all.
  int64_t point_size(const TapSum& s, int64_t point) const {
    return s.channels * phases.at(point) * s.taps[2].count * tile;
  }
  int64_t tile_size(const TapSum& s) const {
    return phases.taps * point_size(s, 0) + point_size(s, phases.taps);
  }
};

template <class T>
bool applies(const TapSum& s) {
  if (!winograd_applies<T>(s) || s.rows < kMinRows || s.tap_count() == 0) return false;
  Phases phases;
  if (!phases.init(s.taps[1], s.stride[1]) || s.grid[1] < 2) return false;
  const int64_t lines = s.channels * phases.count;
  const int64_t columns = (s.grid[2] + s.taps[2].count) * s.stride[2];
  return lines * s.taps[2].count >= kMinTerms && fills_vectors<T>(s.grid[2]) &&
         lines * phases.points() * columns <= kLineElements;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  const Plan p = Plan::of<T>(s);
  return s.groups * p.tiles * p.tile_size(s);
}

// [groups][tiles][point][channels][phases][columns][tile]
template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  const Plan p = Plan::of<T>(s);
  const int64_t columns = s.taps[2].count;
  const double* points = kPoints[p.phases.taps];
  Scratch scratch;
  T* spatial = scratch.get<T>(tap_weights_size(s, p.tile));
  if (s.rows % p.tile != 0) std::fill(spatial, spatial + tap_weights_size(s, p.tile), T{0});
  pack_tap_weights(s, w, p.tile, spatial);
  for (int64_t t = 0; t < s.groups * p.tiles; ++t) {
    for (int64_t point = 0; point < p.phases.points(); ++point) {
      double scale = 1;  // 1 / product of (point - others)
      for (int64_t q = 0; q < p.phases.taps; ++q) {
        if (point < p.phases.taps && q != point) scale /= points[point] - points[q];
      }
      for (int64_t c = 0; c < s.channels; ++c) {
        for (int64_t f = 0; f < p.phases.at(point); ++f) {
          const Phases::Phase& phase = p.phases.phase[f];
          for (int64_t i = 0; i < columns * p.tile; ++i) {
            auto g = [&](int64_t q) {
              return static_cast<double>(
                  spatial[((t * s.channels + c) * s.taps[1].count + phase.tap[q]) * columns *
                              p.tile +
                          i]);
            };
            double sum = g(phase.taps - 1);
            if (point < p.phases.taps) {
              for (int64_t q = phase.taps - 2; q >= 0; --q) sum = sum * points[point] + g(q);
            }
            *packed++ = static_cast<T>(sum * scale);
          }
        }
      }
    }
  }
}

TapSum with_even_lines(TapSum s) {
  s.grid[1] += s.grid[1] % 2;
  return s;
}

// Two lines of y at a time.
template <class T>
class PairedLines {
 public:
  PairedLines(const TapSum& s, Scratch& scratch)
      : s_(s),
        plan_(Plan::of<T>(s)),
        most_(std::min<int64_t>(kernel_.conv_pixels_vectors,
                                kernel_.conv_pixels_registers / (plan_.tile + 1)) *
              kernel_.vec_width),
        pairs_(with_even_lines(s)),
        strip_(strip_plan(pairs_, 1, 2, most_, kernel_.vec_width, scratch)),
        columns_(s.taps[2].count),
        v_point_(round_up(row(), kernel_.vec_width) + kernel_.vec_width),
        v_phase_(plan_.phases.points() * v_point_) {
    const Phases& phases = plan_.phases;
    const int64_t width = kernel_.vec_width;
    int64_t* offsets = scratch.get<int64_t>(phases.count * columns_);
    start_ = scratch.get<int64_t>(phases.count);
    for (int64_t f = 0; f < phases.count; ++f) {
      const StripDim& d = strip_.dim[1];
      const int64_t at = std::find(d.phase, d.phase + d.phases, phases.phase[f].residue) - d.phase;
      start_[f] = at * strip_.phase_step[1] + (phases.phase[f].first - d.low) * row();
    }
    // Taps of the first line of the kernel, without where that line is: the first or last of a
    // phase.
    const int64_t line = start_[0] + (s.taps[1].step > 0 ? 0 : (phases.taps - 1) * row());
    for (int64_t i = 0; i < phases.count * columns_; ++i) {
      offsets[i] = i / columns_ * v_phase_ + strip_.offsets[i % columns_] - line;
    }
    offsets_ = offsets;
    // Whole vectors, shared out evenly.
    const int64_t vectors = ceil_div(strip_.dim[2].grid, width);
    const int64_t pieces = ceil_div(strip_.dim[2].grid, most_);
    end_ = scratch.get<int64_t>(pieces);
    for (int64_t i = 0; i < pieces; ++i) end_[i] = (i + 1) * vectors / pieces * width;
  }

  void make(const T* x, const T* packed, const T* bias, T* y) const {
    run_strips(strip_, x, [&](const StripBlock& b, int64_t, const T* strip) {
      Scratch own;
      T* v = own.get<T>(s_.channels * v_channel() + kernel_.vec_width);
      T* m = own.get<T>(plan_.phases.points() * m_point());
      for (int64_t line = 0; line < b.count[1]; line += 2) {
        const bool two = b.g[1] + line + 1 < s_.grid[1];
        transform(strip + line * row(), two, v);
        for (int64_t t = 0; t < plan_.tiles; ++t) {
          const int64_t first = b.group * s_.rows + t * plan_.tile;
          const T* w = packed + (b.group * plan_.tiles + t) * plan_.tile_size(s_);
          T* to = y + (b.image * s_.groups * s_.rows + first) * s_.grid_plane() +
                  (b.g[1] + line) * s_.grid[2] + b.g[2];
          make_tile(v, w, t, b.count[2], two, bias == nullptr ? nullptr : bias + first, m, to);
        }
      }
    });
  }

 private:
  int64_t row() const { return strip_.step[1]; }  // elements of a line of the strip
  int64_t v_channel() const { return plan_.phases.count * v_phase_; }
  int64_t m_point() const { return plan_.tile * most_; }

  // V of one line of y, or two, from where they begin in the strip.
  void transform(const T* strip, bool two, T* v) const {
    const Phases& phases = plan_.phases;
    for (int64_t c = 0; c < s_.channels; ++c) {
      for (int64_t f = 0; f < phases.count; ++f) {
        kernel_.winograd_pair_input(phases.taps, two && f < phases.whole, row(),
                                    strip + c * strip_.x_channel + start_[f], row(),
                                    v + c * v_channel() + f * v_phase_, v_point_);
      }
    }
  }

  // `pixels` of the lines of tile t of rows. m: room for their products.
  void make_tile(const T* v, const T* w, int64_t t, int64_t pixels, bool two, const T* bias, T* m,
                 T* to) const {
    const Phases& phases = plan_.phases;
    const int64_t rows = std::min(plan_.tile, s_.rows - t * plan_.tile);
    const int64_t plane = s_.grid_plane();
    const int64_t next = two ? s_.grid[2] : 0;
    for (int64_t i = 0, o = 0; o < pixels; o = end_[i++]) {
      const int64_t count = std::min(pixels, end_[i]) - o;
      kernel_.prefetch_lanes(rows, count, to + o, plane);
      if (two) kernel_.prefetch_lanes(rows, count, to + o + next, plane);
      for (int64_t point = 0; point < phases.taps + (two ? 1 : 0); ++point) {
        const ChannelsWindow window{s_.channels, v_channel(), phases.at(point) * columns_, offsets_,
                                    0};
        kernel_.conv_pixels(rows, count, window, v + point * v_point_ + o,
                            w + point * plan_.point_size(s_, 0), plan_.tile, nullptr,
                            m + point * m_point(), most_);
      }
      kernel_.winograd_pair_output(phases.taps, rows, count, m, m_point(), most_, bias, to + o,
                                   plane, next);
    }
  }

  const KernelTable<T>& kernel_ = kernels<T>();
  const TapSum& s_;
  const Plan plan_;
  const int64_t most_;  // pixels at a time
  const TapSum pairs_;
  const StripPlan strip_;
  const int64_t columns_;            // of the kernel
  const int64_t v_point_, v_phase_;  // distances in V
  int64_t* start_;                   // of a phase in a channel of the strip
  const int64_t* offsets_;           // of the taps of a point in V
  int64_t* end_;                     // of each piece of a line
};

template <class T>
void run(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  Scratch scratch;
  PairedLines<T>(s, scratch).make(x, packed, bias, y);
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_winograd_pairs() {
  return {"winograd pairs", applies<T>, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_winograd_pairs();
template TapSumAlgorithm<double> tap_sum_winograd_pairs();

}  // namespace laminae
