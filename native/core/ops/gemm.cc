// gemm: c[i] = op(a[i]) op(b[i]) (+ c[i]) (+ bias along the columns), i < batch. The matrices of
// one product are contiguous: a is [m, k] ([k, m] when transposed), b is [k, n] ([n, k]), c is [m,
// n].
#include "core/gemm.h"

#include <algorithm>

#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

void run_gemm(const gemm_desc& d, Call& call) {
  dispatch_float(call, call.dtype(gemm_buf::a), [&](auto tag) {
    using T = decltype(tag);
    const int64_t sizes_a = volume(d.m, d.k);
    const int64_t sizes_b = volume(d.k, d.n);
    const int64_t sizes_c = volume(d.m, d.n);
    call.require(d.batch >= 0 && d.a_stride >= 0 && d.b_stride >= 0 && d.c_stride >= 0,
                 "negative size");
    if (d.batch == 0 || sizes_c == 0) return;
    call.require(d.batch == 1 || d.c_stride >= sizes_c, "batches of c overlap");
    const T* a = call.in<T>(gemm_buf::a, volume(d.batch - 1, d.a_stride) + sizes_a);
    const T* b = call.in<T>(gemm_buf::b, volume(d.batch - 1, d.b_stride) + sizes_b);
    T* c = call.out<T>(gemm_buf::c, volume(d.batch - 1, d.c_stride) + sizes_c);
    const T* bias = call.maybe_in<T>(gemm_buf::bias, d.n);
    // Few large products run one after the other over all threads, many small ones side by side.
    const int64_t grain =
        std::max<int64_t>(1, 500000 / std::max<int64_t>(1, volume(d.m, d.n, d.k)));
    auto product = [&](int64_t i) {
      Gemm<T> g;
      g.m = d.m;
      g.n = d.n;
      g.k = d.k;
      g.a = {a + i * d.a_stride, d.transpose_a != 0 ? d.m : d.k, d.transpose_a != 0};
      g.b = {b + i * d.b_stride, d.transpose_b != 0 ? d.k : d.n, d.transpose_b != 0};
      g.c = c + i * d.c_stride;
      g.ldc = d.n;
      g.accumulate = d.accumulate != 0;
      g.col_bias = bias;
      gemm(g);
    };
    if (d.batch >= 4) {
      parallel_for(d.batch, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) product(i);
      });
    } else {
      for (int64_t i = 0; i < d.batch; ++i) product(i);
    }
  });
}

}  // namespace laminae
