// Running sums and products along n of [outer, n, inner], in double.
//
//   cumulate, fn 0   y_i = x_0 + ... + x_i
//             fn 1   y_i = x_i + ... + x_(n-1)                 (the derivative of fn 0)
//             fn 2   y_i = product of all x_j with j != i      (the derivative of a product; right
//             for zeros too)
//   product          y = x_0 * ... * x_(n-1)
#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

namespace {

template <class T>
void running_sum(const T* x, T* y, int64_t first, int64_t n, int64_t step) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    sum += static_cast<double>(x[first + i * step]);
    y[first + i * step] = static_cast<T>(sum);
  }
}

template <class T>
void products_of_others(const T* x, T* y, int64_t n, int64_t step) {
  double before = 1;
  for (int64_t i = 0; i < n; ++i) {
    y[i * step] = static_cast<T>(before);
    before *= static_cast<double>(x[i * step]);
  }
  double after = 1;
  for (int64_t i = n - 1; i >= 0; --i) {
    y[i * step] = static_cast<T>(static_cast<double>(y[i * step]) * after);
    after *= static_cast<double>(x[i * step]);
  }
}

}  // namespace

void run_cumulate(const cumulate_desc& d, Call& call) {
  call.require(d.fn >= 0 && d.fn <= 2, "unknown function");
  dispatch_float(call, call.dtype(cumulate_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const int64_t total = volume(d.outer, d.n, d.inner);
    const T* x = call.in<T>(cumulate_buf::x, total);
    T* y = call.out<T>(cumulate_buf::y, total);
    if (total == 0) return;
    parallel_for(d.outer * d.inner, row_grain(4 * d.n), [&](int64_t begin, int64_t end) {
      for (int64_t l = begin; l < end; ++l) {
        const int64_t at = l / d.inner * d.n * d.inner + l % d.inner;
        if (d.fn == 0) running_sum(x + at, y + at, 0, d.n, d.inner);
        if (d.fn == 1) running_sum(x + at, y + at, (d.n - 1) * d.inner, d.n, -d.inner);
        if (d.fn == 2) products_of_others(x + at, y + at, d.n, d.inner);
      }
    });
  });
}

void run_product(const product_desc& d, Call& call) {
  dispatch_float(call, call.dtype(product_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(product_buf::x, volume(d.outer, d.n, d.inner));
    T* y = call.out<T>(product_buf::y, volume(d.outer, d.inner));
    parallel_for(d.outer * d.inner, row_grain(4 * d.n), [&](int64_t begin, int64_t end) {
      for (int64_t l = begin; l < end; ++l) {
        const T* line = x + l / d.inner * d.n * d.inner + l % d.inner;
        double total = 1;
        for (int64_t i = 0; i < d.n; ++i) total *= static_cast<double>(line[i * d.inner]);
        y[l] = static_cast<T>(total);
      }
    });
  });
}

}  // namespace laminae
