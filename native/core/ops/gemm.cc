// gemm, gemm_then: c[i] = op(a[i]) op(b[i]) (+ c[i]) (+ bias along the columns), and an ending, i <
// batch. The matrices of one product are contiguous: a is [m, k] ([k, m] when transposed), b is [k,
// n] ([n, k]), c is [m, n].
#include "core/gemm.h"

#include <algorithm>

#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// ending_of(size, tag): the ending of `size` results of tag's type.
template <class Buf, class Desc, class EndingOf>
void run_products(const Desc& d, Call& call, EndingOf&& ending_of) {
  dispatch_float(call, call.dtype(Buf::a), [&](auto tag) {
    using T = decltype(tag);
    const int64_t sizes_a = volume(d.m, d.k);
    const int64_t sizes_b = volume(d.k, d.n);
    const int64_t sizes_c = volume(d.m, d.n);
    call.require(d.batch >= 0 && d.a_stride >= 0 && d.b_stride >= 0 && d.c_stride >= 0,
                 "negative size");
    if (d.batch == 0 || sizes_c == 0) return;
    call.require(d.batch == 1 || d.c_stride >= sizes_c, "batches of c overlap");
    const T* a = call.in<T>(Buf::a, volume(d.batch - 1, d.a_stride) + sizes_a);
    const T* b = call.in<T>(Buf::b, volume(d.batch - 1, d.b_stride) + sizes_b);
    const int64_t extent_c = volume(d.batch - 1, d.c_stride) + sizes_c;
    T* c = call.out<T>(Buf::c, extent_c);
    const Ending ending = ending_of(extent_c, tag);
    const T* bias = call.maybe_in<T>(Buf::bias, d.n);
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
      g.ending = ending;
      if (ending.add != nullptr) g.ending.add = static_cast<const T*>(ending.add) + i * d.c_stride;
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

}  // namespace

void run_gemm(const gemm_desc& d, Call& call) {
  run_products<gemm_buf>(d, call, [](int64_t, auto) { return Ending{}; });
}

void run_gemm_then(const gemm_then_desc& d, Call& call) {
  run_products<gemm_then_buf>(d, call, [&](int64_t size, auto tag) {
    return ending_of<decltype(tag)>(d, call, gemm_then_buf::add, size);
  });
}

}  // namespace laminae
