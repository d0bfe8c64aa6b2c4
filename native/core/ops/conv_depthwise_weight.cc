// Weight gradient of a convolution of each channel for itself.
//
//   dw[c][k] = sum_{n, o} dy[n][c][o] x[n][c][o stride + k dilation - padding]
//
// Rows of dy times the shifted rows of x, as it is or in a strip (conv_depthwise.cc), all taps at
// once in registers. Sums of a plane run in lanes of T; they are added over images in double, in
// order. A thread makes whole channels, so the number of threads does not show in the bits.
#include <algorithm>

#include "core/integer.h"
#include "core/ops/conv_depthwise.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// Adds one image to the sums [rows][taps + 1] of a group, those of the bias last. x, dy: the planes
// of the group; the next image's are x_next, dy_next elements further on, or 0.
template <class T>
void add_image(const DepthwiseTaps<T>& t, const T* x, const T* dy, int64_t x_next, int64_t dy_next,
               bool weight, bool bias, T* strip, T* lanes, double* sums) {
  const KernelTable<T>& kernel = kernels<T>();
  const DepthwiseSum& d = t.d;
  const int64_t taps = t.kernel_size;
  const int64_t step = lines_at_once(d);
  for (int64_t y0 = 0; y0 < d.result[0]; ++y0) {
    for (int64_t line = 0; line < d.result[1]; line += t.band) {
      const int64_t rows = std::min(t.band, d.result[1] - line);
      const int64_t pieces = ceil_div(rows, step) * d.rows;
      const T* dy_rows = dy + (y0 * d.result[1] + line) * d.result[2];
      if (weight) fill_strip(t, y0, line, x, strip);
      const T* x_ahead = x + x_next + std::min(d.source[1], line * d.stride[1]) * d.source[2];
      Ahead<T> next_x(x_ahead, x + x_next + d.source_plane(),
                      x_next == 0 ? 0 : rows * d.stride[1] * d.source[2], pieces);
      for (int64_t row = 0; row < d.rows; ++row) {
        const T* from = dy_rows + row * d.result_plane();
        double* to = sums + row * (taps + 1);
        if (bias) to[taps] += kernel.sum(rows * d.result[2], from);
        if (!weight) continue;
        Ahead<T> next_dy(from + dy_next, from + dy_next + rows * d.result[2],
                         dy_next == 0 ? 0 : rows * d.result[2], pieces / d.rows);
        std::fill_n(lanes, taps * kernel.vec_width, T{0});
        for (int64_t l = 0; l < rows; l += step) {
          next_x.request();
          next_dy.request();
          kernel.tap_rows_gradient(std::min(step, rows - l), d.result[2], taps, t.offset,
                                   strip + l * t.strip.pitch(), t.strip.pitch(),
                                   from + l * d.result[2], d.result[2], lanes);
        }
        for (int64_t i = 0; i < taps; ++i) {
          to[i] += kernel.sum(kernel.vec_width, lanes + i * kernel.vec_width);
        }
      }
    }
  }
}

template <class T>
void add_strips(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  Scratch scratch;
  const DepthwiseSum d(s, false, scratch);
  const DepthwiseTaps<T> t(s, d, scratch);
  const int64_t taps = t.kernel_size;
  const int64_t work = s.n * d.result_plane() * d.rows * taps;
  parallel_for(s.groups, conv_grain(work), [&](int64_t begin, int64_t end) {
    Scratch own;
    T* strip = own.get<T>(t.strip_size() + t.strip.slack());
    T* lanes = own.get<T>(taps * kernels<T>().vec_width);
    double* sums = own.get<double>(d.rows * (taps + 1));
    std::fill_n(strip, t.strip_size() + t.strip.slack(), T{0});
    for (int64_t group = begin; group < end; ++group) {
      std::fill_n(sums, d.rows * (taps + 1), 0.0);
      for (int64_t image = 0; image < s.n; ++image) {
        const int64_t plane = image * s.groups + group;
        const int64_t next = image + 1 < s.n ? s.groups : 0;
        add_image(t, x + plane * d.source_plane(), dy + plane * d.rows * d.result_plane(),
                  next * d.source_plane(), next * d.rows * d.result_plane(), dw != nullptr,
                  db != nullptr, strip, lanes, sums);
      }
      for (int64_t row = 0; row < d.rows; ++row) {
        const double* from = sums + row * (taps + 1);
        const int64_t channel = group * d.rows + row;
        if (db != nullptr) db[channel] = static_cast<T>(from[taps]);
        if (dw == nullptr) continue;
        for (int64_t i = 0; i < taps; ++i) dw[channel * taps + i] = static_cast<T>(from[i]);
      }
    }
  });
}

// Image by image, so that memory is read in order; each sum gets its terms in the order of images
// all the same.
template <class T>
void add_planes(const ConvShape& s, const DepthwisePlane& p, const T* x, const T* dy, T* dw,
                T* db) {
  const int64_t rows = s.channels_out();
  const int64_t taps = p.kernel * p.kernel;
  const int64_t band = depthwise_plane_band(p, 1);
  const int64_t work = s.n * rows * p.rows * p.columns * taps;
  Scratch scratch;
  T* zeros = scratch.get<T>(p.width);
  std::fill_n(zeros, p.width, T{0});
  parallel_for(s.groups, conv_grain(work), [&](int64_t begin, int64_t end) {
    Scratch own;
    const int64_t channels = (end - begin) * rows;
    const int64_t planes = rows > 1 || band < p.rows ? 1 : channels;  // that go by a call
    double* sums = own.get<double>(channels * (taps + 1));
    std::fill_n(sums, channels * (taps + 1), 0.0);
    for (int64_t image = 0; image < s.n; ++image) {
      for (int64_t i = 0; i < channels; i += planes) {
        const T* from = x + (image * s.groups + begin + i / rows) * p.height * p.width;
        const T* d = dy + (image * s.c_out + begin * rows + i) * p.rows * p.columns;
        for (int64_t r = 0; r < p.rows; r += band) {
          kernels<T>().depthwise_gradient(p, planes, r, std::min(p.rows, r + band), from, zeros, d,
                                          sums + i * (taps + 1));
        }
      }
    }
    for (int64_t i = 0; i < channels; ++i) {
      const int64_t channel = begin * rows + i;
      const double* sum = sums + i * (taps + 1);
      if (db != nullptr) db[channel] = static_cast<T>(sum[taps]);
      if (dw == nullptr) continue;
      for (int64_t t = 0; t < taps; ++t) dw[channel * taps + t] = static_cast<T>(sum[t]);
    }
  });
}

}  // namespace

template <class T>
bool weight_gradient_depthwise_applies(const ConvShape& s) {
  return depthwise_applies<T>(s, false);
}

template <class T>
void weight_gradient_depthwise(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  DepthwisePlane plane;
  if (dw != nullptr && depthwise_plane_applies<T>(s, false, &plane)) {
    add_planes(s, plane, x, dy, dw, db);
  } else {
    add_strips(s, x, dy, dw, db);
  }
}

template bool weight_gradient_depthwise_applies<float>(const ConvShape&);
template bool weight_gradient_depthwise_applies<double>(const ConvShape&);
template void weight_gradient_depthwise<float>(const ConvShape&, const float*, const float*, float*,
                                               float*);
template void weight_gradient_depthwise<double>(const ConvShape&, const double*, const double*,
                                                double*, double*);

}  // namespace laminae
