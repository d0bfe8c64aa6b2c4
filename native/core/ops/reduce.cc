// reduce: y[o, i] = fold over r of x[o, r, i], for x [outer, n, inner].
//
// inner == 1: each output is one contiguous run (blocked sums in double, see kernels/reduce.inl).
// inner > 1:  columns are summed in double over a fixed order of rows, in strips of columns that
// one thread owns. Either way an output is computed by one thread in one order, so the number of
// threads does not show in the bits. max and min: a NaN wins, the first occurrence gives the index
// (PyTorch's rule). The mean of nothing is NaN.
#include <cmath>
#include <limits>

#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

enum class ReduceFn : int64_t { kSum, kMean, kMax, kMin, kSumOfSquares };

template <class T>
double run_value(ReduceFn fn, int64_t n, const T* x) {
  const double s =
      fn == ReduceFn::kSumOfSquares ? kernels<T>().sum_of_squares(n, x) : kernels<T>().sum(n, x);
  return fn == ReduceFn::kMean ? s / static_cast<double>(n) : s;
}

template <class T>
bool better(ReduceFn fn, T candidate, T best) {
  if (std::isnan(best)) return false;
  if (std::isnan(candidate)) return true;
  return fn == ReduceFn::kMax ? candidate > best : candidate < best;
}

// Strip of columns whose double sums stay in the L1 cache.
constexpr int64_t kStrip = 512;

template <class T>
void reduce_sums(ReduceFn fn, const reduce_desc& d, const T* x, T* y) {
  if (d.inner == 1) {
    parallel_for(d.outer, row_grain(d.n), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) y[o] = static_cast<T>(run_value(fn, d.n, x + o * d.n));
    });
    return;
  }
  const int64_t strips = ceil_div(d.inner, kStrip);
  parallel_for(d.outer * strips, row_grain(d.n * (d.inner < kStrip ? d.inner : kStrip)),
               [&](int64_t begin, int64_t end) {
                 Scratch scratch;
                 double* acc = scratch.get<double>(kStrip);
                 T* squares = fn == ReduceFn::kSumOfSquares ? scratch.get<T>(kStrip) : nullptr;
                 for (int64_t item = begin; item < end; ++item) {
                   const int64_t o = item / strips;
                   const int64_t c0 = item % strips * kStrip;
                   const int64_t cols = d.inner - c0 < kStrip ? d.inner - c0 : kStrip;
                   const T* p = x + o * d.n * d.inner + c0;
                   for (int64_t c = 0; c < cols; ++c) acc[c] = 0;
                   if (squares == nullptr) {
                     kernels<T>().sum_columns(d.n, cols, p, d.inner, acc);
                   } else {
                     for (int64_t r = 0; r < d.n; ++r) {
                       kernels<T>().unary(UnaryFn::square, cols, p + r * d.inner, squares);
                       kernels<T>().sum_columns(1, cols, squares, cols, acc);
                     }
                   }
                   const double scale =
                       fn == ReduceFn::kMean ? 1.0 / static_cast<double>(d.n) : 1.0;
                   T* q = y + o * d.inner + c0;
                   for (int64_t c = 0; c < cols; ++c) q[c] = static_cast<T>(acc[c] * scale);
                 }
               });
}

template <class T>
void reduce_extreme(ReduceFn fn, const reduce_desc& d, const T* x, T* y, int32_t* index) {
  parallel_for(d.outer, row_grain(d.n * d.inner), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const T* p = x + o * d.n * d.inner;
      T* q = y + o * d.inner;
      if (d.inner == 1) {
        int64_t at = 0;
        *q = fn == ReduceFn::kMax ? kernels<T>().max_with_index(d.n, p, &at)
                                  : kernels<T>().min_with_index(d.n, p, &at);
        if (index != nullptr) index[o] = static_cast<int32_t>(at);
        continue;
      }
      for (int64_t c = 0; c < d.inner; ++c) {
        q[c] = p[c];
        if (index != nullptr) index[o * d.inner + c] = 0;
      }
      for (int64_t r = 1; r < d.n; ++r) {
        for (int64_t c = 0; c < d.inner; ++c) {
          const T v = p[r * d.inner + c];
          if (!better(fn, v, q[c])) continue;
          q[c] = v;
          if (index != nullptr) index[o * d.inner + c] = static_cast<int32_t>(r);
        }
      }
    }
  });
}

}  // namespace

void run_reduce(const reduce_desc& d, Call& call) {
  call.require(d.fn >= 0 && d.fn <= 4, "unknown function");
  const ReduceFn fn = static_cast<ReduceFn>(d.fn);
  const bool extreme = fn == ReduceFn::kMax || fn == ReduceFn::kMin;
  call.require(!extreme || d.n > 0, "needs at least one element to reduce over");
  call.require(d.n <= std::numeric_limits<int32_t>::max() || !call.has(reduce_buf::index),
               "too long for int32 indices");
  dispatch_float(call, call.dtype(reduce_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(reduce_buf::x, volume(d.outer, d.n, d.inner));
    T* y = call.out<T>(reduce_buf::y, volume(d.outer, d.inner));
    int32_t* index = call.maybe_out<int32_t>(reduce_buf::index, volume(d.outer, d.inner));
    if (d.outer == 0 || d.inner == 0) return;
    if (extreme) {
      reduce_extreme(fn, d, x, y, index);
    } else {
      reduce_sums(fn, d, x, y);
    }
  });
}

}  // namespace laminae
