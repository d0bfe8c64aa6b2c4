// Convolution in which each channel is convolved for itself: one input channel per group, and a few
// output channels. Arithmetic is a few multiply-adds per element here, so what counts is to read
// and write memory once, and not to pack, transpose or scatter anything.
//
// 3 x 3 and 5 x 5 kernels read planes as they are (kernels/depthwise_plane.inl). For all others a
// plane (or a band of its lines) is copied into a strip with zeros around (ops/plane_strip.h),
// where it stays in L1; rows of results are sums of its shifted rows (kernels/depthwise.inl). The
// input gradient does all parity classes (core/tap_sum.h) of the plane from the same strip and
// interleaves two of them in registers. Terms are added in the order of all other algorithms.
#include <algorithm>

#include "core/integer.h"
#include "core/ops/conv_depthwise.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// Grid lines [line, line + count) of one plane of results at position y0; y points to the plane,
// `strip` to what the first of them reads.
template <class T>
void sum_lines(const DepthwiseTaps<T>& t, int64_t y0, int64_t line, int64_t count, const T* strip,
               const T* w, const T* bias, T* y, T* apart) {
  const DepthwiseSum& d = t.d;
  const int64_t end = std::min(d.result[1], (line + count) * d.every[1]);
  const int64_t width = d.result[2];
  const int64_t pitch = t.strip.pitch();
  const int64_t y_row = d.every[1] * width;
  for (int64_t p1 = 0; p1 < d.phases[1]; ++p1) {
    const int64_t rows = d.grid_below(1, p1, end) - line;
    if (rows <= 0) continue;
    T* to = y + (y0 * d.result[1] + line * d.every[1] + p1) * width;
    const int64_t index = t.class_at(y0 % d.every[0], p1);
    const int64_t* first = t.first + index;
    const int64_t* offset = t.offset + first[0];
    if (d.every[2] == 1 || d.phases[2] == 1) {
      kernels<T>().tap_rows(rows, width, first[1] - first[0], offset, w + first[0], strip, pitch,
                            bias, to, y_row);
    } else if (d.every[2] == 2) {
      const int64_t taps[2] = {first[1] - first[0], first[2] - first[1]};
      kernels<T>().tap_row_pairs(rows, width, taps, offset, w + first[0], strip, pitch, bias, to,
                                 y_row);
    } else {
      for (int64_t p2 = 0; p2 < d.phases[2]; ++p2, ++first) {
        const int64_t n = d.grid_below(2, p2, width);
        kernels<T>().tap_rows(rows, n, first[1] - first[0], t.offset + first[0], w + first[0],
                              strip, pitch, bias, apart, n);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t i = 0; i < n; ++i) to[r * y_row + p2 + i * d.every[2]] = apart[r * n + i];
        }
      }
    }
  }
}

template <class T>
void sum_strips(const ConvShape& s, bool backward, const T* x, const T* w, const T* bias, T* y) {
  Scratch scratch;
  const DepthwiseSum d(s, backward, scratch);
  const DepthwiseTaps<T> t(s, d, scratch);
  const int64_t bands = t.bands();
  const int64_t work = d.result_plane() * s.channels_out() * t.kernel_size / bands;
  const int64_t taps = t.count();  // some may meet nothing
  const int64_t step = lines_at_once(d);
  const int64_t x_planes = d.planes * d.source_plane();  // of a group
  const T* x_end = x + s.n * s.groups * x_planes;
  const T* y_end = y + s.n * s.groups * d.rows * d.result_plane();
  auto make = [&](int64_t item, T* strip, T* weights, T* apart) {
    const int64_t plane = item / bands;  // image and group
    const int64_t group = plane % s.groups;
    const int64_t line = item % bands * t.band;
    const int64_t lines = std::min(t.band, d.grid(1) - line);
    const int64_t pieces = ceil_div(lines, step);
    for (int64_t y0 = 0; y0 < d.result[0]; ++y0) {
      const T* source = x + plane * x_planes;
      fill_strip(t, y0, line, source, strip);
      Ahead<T> next_x(source + std::min(d.source[1], (line + lines) * d.stride[1]) * d.source[2],
                      x_end, d.planes * lines * d.stride[1] * d.source[2], pieces * d.rows);
      for (int64_t row = 0; row < d.rows; ++row) {
        const T* w_row = w + (group * s.channels_out() + row) * t.kernel_size;
        for (int64_t i = 0; i < taps; ++i) weights[i] = w_row[t.element[i]];
        const T* b = bias == nullptr ? nullptr : bias + group * d.rows + row;
        T* to = y + (plane * d.rows + row) * d.result_plane();
        const int64_t piece = step * d.every[1] * d.result[2];
        Ahead<T> next_y(to + (y0 * d.result[1] + line * d.every[1]) * d.result[2] + piece, y_end,
                        piece * pieces, pieces);
        for (int64_t l = 0; l < lines; l += step) {
          next_x.request();
          next_y.request();
          sum_lines(t, y0, line + l, std::min(step, lines - l), strip + l * t.strip.pitch(),
                    weights, b, to, apart);
        }
        if (!backward) {
          const int64_t width = d.result[2];
          end_rows(s.ending, 1, lines * width, y, to + (y0 * d.result[1] + line) * width, 0);
        }
      }
    }
  };
  parallel_for(s.n * s.groups * bands, conv_grain(work), [&](int64_t begin, int64_t end) {
    Scratch own;
    T* strip = own.get<T>(t.strip_size() + t.strip.slack());
    T* weights = own.get<T>(taps);
    T* apart = own.get<T>(d.every[2] > 2 ? step * d.grid(2) : 0);
    std::fill_n(strip, t.strip_size() + t.strip.slack(), T{0});
    for (int64_t item = begin; item < end; ++item) make(item, strip, weights, apart);
  });
}

template <class T>
void sum_planes(const ConvShape& s, bool backward, const DepthwisePlane& p, const T* x, const T* w,
                const T* bias, T* y) {
  const bool spread = backward && p.stride == 2;
  const int64_t step = spread ? 2 : 1;  // rows of y that are made together
  const int64_t rows = ceil_div(p.rows, step);
  const int64_t band = depthwise_plane_band(p, step);
  const int64_t bands = ceil_div(rows, band);
  const int64_t channels = spread || p.mirrored ? 1 : s.channels_out();
  const int64_t taps = p.kernel * p.kernel;
  const int64_t work = channels * p.rows * p.columns * taps / bands;
  // Planes a call: not more than stay in the cache for the ending.
  const int64_t ended = std::max<int64_t>(1, kDepthwiseBand / (p.rows * p.columns));
  const int64_t most = bands > 1 || channels > 1 ? 1 : s.ending.is_any() ? ended : s.groups;
  Scratch scratch;
  T* zeros = scratch.get<T>(p.width);
  std::fill_n(zeros, p.width, T{0});
  parallel_for(s.n * s.groups * bands, conv_grain(work), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end;) {
      const int64_t plane = item / bands;  // image and group
      const int64_t group = plane % s.groups;
      const int64_t first = item % bands * band;
      const int64_t last = std::min(rows, first + band);
      const T* from = x + plane * p.height * p.width;
      const int64_t planes = std::min({most, end - item, s.groups - group});
      for (int64_t i = 0; i < channels; ++i) {
        const int64_t channel = group * channels + i;
        const T* b = bias == nullptr ? nullptr : bias + channel;
        T* to = y + (plane * channels + i) * p.rows * p.columns;
        const auto make = spread ? kernels<T>().depthwise_spread : kernels<T>().depthwise_plane;
        make(p, planes, first, last, from, zeros, w + channel * taps, b, to);
        if (!backward) {
          end_rows(s.ending, 1, planes * (last - first) * p.columns, y, to + first * p.columns, 0);
        }
      }
      item += planes;
    }
  });
}

template <class T>
void sum_all(const ConvShape& s, bool backward, const T* x, const T* w, const T* bias, T* y) {
  DepthwisePlane plane;
  if (depthwise_plane_applies<T>(s, backward, &plane)) {
    sum_planes(s, backward, plane, x, w, bias, y);
  } else {
    sum_strips(s, backward, x, w, bias, y);
  }
}

}  // namespace

template <class T>
WholeConvAlgorithm<T> depthwise() {
  return {"depthwise", depthwise_applies<T>, nullptr, nullptr, sum_all<T>, true};
}

template WholeConvAlgorithm<float> depthwise();
template WholeConvAlgorithm<double> depthwise();

}  // namespace laminae
