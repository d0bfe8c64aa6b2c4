// scatter_planes and gather_planes: moving values to and from given positions within planes, for
// unpooling and for the backward of pools that save positions. Positions are checked: they may come
// from a user.
#include "core/kernels.h"
#include "core/ops/pool.h"
#include "core/parallel.h"

namespace laminae {

namespace {

constexpr int64_t kGrain = 16 * 1024;

// Throws before anything is written.
void check_positions(const Call& call, const int32_t* index, int64_t count, int64_t size) {
  for (int64_t i = 0; i < count; ++i) {
    if (index[i] >= 0 && index[i] < size) continue;
    call.fail("index " + std::to_string(index[i]) + " at element " + std::to_string(i) +
              " is outside 0.." + std::to_string(size - 1));
  }
}

}  // namespace

void run_scatter_planes(const scatter_planes_desc& d, Call& call) {
  using Buf = scatter_planes_buf;
  const int64_t count = volume(d.planes, d.n);
  call.require_apart(Buf::index, Buf::y);
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, count);
    const int32_t* index = call.in<int32_t>(Buf::index, count);
    T* y = call.out<T>(Buf::y, volume(d.planes, d.size));
    check_positions(call, index, count, d.size);
    parallel_for(d.planes, ceil_div(kGrain, std::max<int64_t>(1, std::max(d.n, d.size))),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t plane = begin; plane < end; ++plane) {
                     T* target = y + plane * d.size;
                     kernels<T>().fill(d.size, T{0}, target);
                     for (int64_t i = plane * d.n; i < (plane + 1) * d.n; ++i) {
                       T& t = target[index[i]];
                       t = d.accumulate != 0 ? t + x[i] : x[i];
                     }
                   }
                 });
  });
}

void run_gather_planes(const gather_planes_desc& d, Call& call) {
  using Buf = gather_planes_buf;
  const int64_t count = volume(d.planes, d.n);
  call.require_apart(Buf::index, Buf::y);
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, volume(d.planes, d.size));
    const int32_t* index = call.in<int32_t>(Buf::index, count);
    T* y = call.out<T>(Buf::y, count);
    check_positions(call, index, count, d.size);
    parallel_for(d.planes, ceil_div(kGrain, std::max<int64_t>(1, d.n)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin * d.n; i < end * d.n; ++i)
                     y[i] = x[i / d.n * d.size + index[i]];
                 });
  });
}

}  // namespace laminae
