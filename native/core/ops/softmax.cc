// softmax and log-softmax over the middle of [outer, n, inner], and their derivatives.
//
// inner == 1: rows of n. inner > 1: columns, in strips that one thread owns. Formulas:
// kernels/softmax.inl. Rows and columns do not share anything, so results do not depend on the
// number of threads.
#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

namespace {

constexpr int64_t kStrip = 512;

// An exp costs about as much as this many additions.
constexpr int64_t kExpWeight = 4;

// rows(begin, end) when inner is 1, else strip(offset of its first element, columns).
template <class Rows, class Strip>
void split(int64_t outer, int64_t n, int64_t inner, Rows&& rows, Strip&& strip) {
  if (outer == 0 || n == 0 || inner == 0) return;
  if (inner == 1) {
    parallel_for(outer, row_grain(n * kExpWeight), rows);
    return;
  }
  const int64_t strips = ceil_div(inner, kStrip);
  const int64_t width = inner < kStrip ? inner : kStrip;
  parallel_for(outer * strips, row_grain(n * width * kExpWeight), [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      const int64_t first = item % strips * kStrip;
      strip(item / strips * n * inner + first, inner - first < kStrip ? inner - first : kStrip);
    }
  });
}

}  // namespace

void run_softmax(const softmax_desc& d, Call& call) {
  const bool log_form = d.log != 0;
  dispatch_float(call, call.dtype(softmax_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const int64_t total = volume(d.outer, d.n, d.inner);
    const T* x = call.in<T>(softmax_buf::x, total);
    T* y = call.out<T>(softmax_buf::y, total);
    split(
        d.outer, d.n, d.inner,
        [&](int64_t begin, int64_t end) {
          kernels<T>().softmax_rows(end - begin, d.n, x + begin * d.n, y + begin * d.n, log_form);
        },
        [&](int64_t at, int64_t cols) {
          kernels<T>().softmax_columns(d.n, cols, d.inner, x + at, y + at, log_form);
        });
  });
}

void run_softmax_backward(const softmax_backward_desc& d, Call& call) {
  const bool log_form = d.log != 0;
  dispatch_float(call, call.dtype(softmax_backward_buf::y), [&](auto tag) {
    using T = decltype(tag);
    const int64_t total = volume(d.outer, d.n, d.inner);
    const T* y = call.in<T>(softmax_backward_buf::y, total);
    const T* dy = call.in<T>(softmax_backward_buf::dy, total);
    T* dx = call.out<T>(softmax_backward_buf::dx, total);
    split(
        d.outer, d.n, d.inner,
        [&](int64_t begin, int64_t end) {
          const int64_t at = begin * d.n;
          kernels<T>().softmax_rows_backward(end - begin, d.n, y + at, dy + at, dx + at, log_form);
        },
        [&](int64_t at, int64_t cols) {
          kernels<T>().softmax_columns_backward(d.n, cols, d.inner, y + at, dy + at, dx + at,
                                                log_form);
        });
  });
}

}  // namespace laminae
