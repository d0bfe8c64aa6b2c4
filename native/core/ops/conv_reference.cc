// Convolution by its formula, one output after the other, summed in double: what every other
// algorithm is compared with.
#include <algorithm>

#include "core/conv.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// Calls visit(source position, kernel element) for the taps of grid position g that lie inside x.
template <class Visit>
void for_each_tap(const TapSum& s, int64_t g0, int64_t g1, int64_t g2, Visit visit) {
  const int64_t g[3] = {g0, g1, g2};
  int64_t t[3];
  for (t[0] = 0; t[0] < s.taps[0].count; ++t[0]) {
    for (t[1] = 0; t[1] < s.taps[1].count; ++t[1]) {
      for (t[2] = 0; t[2] < s.taps[2].count; ++t[2]) {
        int64_t position = 0;
        int64_t element = 0;
        bool inside = true;
        for (int d = 0; d < 3; ++d) {
          const int64_t p = g[d] * s.stride[d] + s.taps[d].offset + t[d] * s.taps[d].step;
          inside = inside && p >= 0 && p < s.x_size[d];
          position = position * s.x_size[d] + p;
          element = element * s.kernel[d] + s.taps[d].first + t[d] * s.taps[d].every;
        }
        if (inside) visit(position, element);
      }
    }
  }
}

template <class T>
double bias_gradient(const ConvShape& s, const T* dy, int64_t channel) {
  double sum = 0.0;
  for (int64_t i = 0; i < s.n; ++i) {
    const T* plane = dy + (i * s.c_out + channel) * s.out_plane();
    for (int64_t p = 0; p < s.out_plane(); ++p) sum += static_cast<double>(plane[p]);
  }
  return sum;
}

// sum over images and outputs of dy x, for one weight
template <class T>
double weight_gradient(const ConvShape& s, const T* x, const T* dy, int64_t oc, int64_t ic,
                       const int64_t (&k)[3]) {
  double sum = 0.0;
  const int64_t channel = oc / s.channels_out() * s.channels_in() + ic;
  for (int64_t i = 0; i < s.n; ++i) {
    const T* image = x + (i * s.c_in + channel) * s.in_plane();
    const T* gradient = dy + (i * s.c_out + oc) * s.out_plane();
    int64_t o[3];
    for (o[0] = 0; o[0] < s.out[0]; ++o[0]) {
      for (o[1] = 0; o[1] < s.out[1]; ++o[1]) {
        for (o[2] = 0; o[2] < s.out[2]; ++o[2], ++gradient) {
          int64_t position = 0;
          bool inside = true;
          for (int d = 0; d < 3; ++d) {
            const int64_t p = o[d] * s.stride[d] + k[d] * s.dilation[d] - s.padding[d];
            inside = inside && p >= 0 && p < s.in[d];
            position = position * s.in[d] + p;
          }
          if (inside) sum += static_cast<double>(*gradient) * static_cast<double>(image[position]);
        }
      }
    }
  }
  return sum;
}

bool applies(const TapSum&) { return true; }

// The weights as they are.
int64_t weight_size(const TapSum& s) { return s.groups * s.rows * s.channels * s.kernel_size(); }

template <class T>
void copy_weights(const TapSum& s, const T* w, T* packed) {
  std::copy(w, w + weight_size(s), packed);
}

template <class T>
void sum_all(const TapSum& s, const T* x, const T* w, const T* bias, T* y) {
  const int64_t channels = s.groups * s.channels;
  const int64_t rows = s.groups * s.rows;
  parallel_for(s.n * rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t i = item / rows;
      const int64_t row = item % rows;
      const int64_t group = row / s.rows;
      const T* image = x + (i * channels + group * s.channels) * s.x_plane();
      for (int64_t g0 = 0; g0 < s.grid[0]; ++g0) {
        for (int64_t g1 = 0; g1 < s.grid[1]; ++g1) {
          for (int64_t g2 = 0; g2 < s.grid[2]; ++g2) {
            double sum = 0.0;
            for (int64_t c = 0; c < s.channels; ++c) {
              const int64_t pair =
                  s.transposed ? c * s.rows + row % s.rows : row % s.rows * s.channels + c;
              const T* weights = w + (group * s.rows * s.channels + pair) * s.kernel_size();
              for_each_tap(s, g0, g1, g2, [&](int64_t position, int64_t element) {
                sum += static_cast<double>(weights[element]) *
                       static_cast<double>(image[c * s.x_plane() + position]);
              });
            }
            if (bias != nullptr) sum += static_cast<double>(bias[row]);
            y[((item * s.grid[0] + g0) * s.grid[1] + g1) * s.grid[2] + g2] = static_cast<T>(sum);
          }
        }
      }
    }
  });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_reference() {
  return {"reference", applies, weight_size, copy_weights<T>, sum_all<T>};
}

template <class T>
void weight_gradient_reference(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  parallel_for(s.c_out, 1, [&](int64_t begin, int64_t end) {
    for (int64_t oc = begin; oc < end; ++oc) {
      if (db != nullptr) db[oc] = static_cast<T>(bias_gradient(s, dy, oc));
      if (dw == nullptr) continue;
      T* to = dw + oc * s.channels_in() * s.kernel_size();
      int64_t k[3];
      for (int64_t ic = 0; ic < s.channels_in(); ++ic) {
        for (k[0] = 0; k[0] < s.kernel[0]; ++k[0]) {
          for (k[1] = 0; k[1] < s.kernel[1]; ++k[1]) {
            for (k[2] = 0; k[2] < s.kernel[2]; ++k[2]) {
              *to++ = static_cast<T>(weight_gradient(s, x, dy, oc, ic, k));
            }
          }
        }
      }
    }
  });
}

template TapSumAlgorithm<float> tap_sum_reference();
template TapSumAlgorithm<double> tap_sum_reference();
template void weight_gradient_reference<float>(const ConvShape&, const float*, const float*, float*,
                                               float*);
template void weight_gradient_reference<double>(const ConvShape&, const double*, const double*,
                                                double*, double*);

}  // namespace laminae
