// gather: y[i...] = x[i..., index[i...] in place of dimension d]; scatter: the way back,
// overwriting or adding.
//
// `shape` is the shape of index (and y, src); the strides of x (gather) or y (scatter) along d come
// in `along`, those in x_strides / y_strides are 0 there. Threads share the first dimension if it
// is not d: then they write to different places, and repeated places are written in row-major order
// by one thread.
#include "core/op.h"
#include "core/ops/strided.h"
#include "core/ops/wrapping.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// One past the last element that an indexed walk may touch, for indices in [0, size).
int64_t indexed_extent(int64_t rank, const int64_t* shape, const int64_t* strides, int64_t size,
                       int64_t along) {
  const int64_t base = strided_extent(rank, shape, strides);
  const int64_t dimension[] = {size};
  const int64_t stride[] = {along};
  return base + strided_extent(1, dimension, stride) - 1;
}

void check_index(const Call& call, int32_t index, int64_t size) {
  if (index < 0 || index >= size) {
    call.fail("index " + std::to_string(index) + " is outside 0.." + std::to_string(size - 1));
  }
}

}  // namespace

void run_gather(const gather_desc& d, Call& call) {
  const int64_t total = checked_product(d.shape, d.rank);
  const int32_t* index =
      call.in<int32_t>(gather_buf::index, strided_extent(d.rank, d.shape, d.index_strides));
  call.require_apart(gather_buf::index, gather_buf::y);
  dispatch_all(call.dtype(gather_buf::x), [&](auto tag) {
    using T = decltype(tag);
    T* y = call.out<T>(gather_buf::y, total);
    if (total == 0) return;
    const T* x =
        call.in<T>(gather_buf::x, indexed_extent(d.rank, d.shape, d.x_strides, d.size, d.along));
    const StridedWalk<2> walk(d.rank, d.shape, {d.x_strides, d.index_strides});
    const int64_t n = walk.row_length();
    parallel_for(walk.rows(), row_grain(n), [&](int64_t begin, int64_t end) {
      walk.each(begin, end, [&](int64_t r, const int64_t* at) {
        for (int64_t i = 0; i < n; ++i) {
          const int32_t k = index[at[1] + i * walk.step(1)];
          check_index(call, k, d.size);
          y[r * n + i] = x[at[0] + i * walk.step(0) + k * d.along];
        }
      });
    });
  });
}

void run_scatter(const scatter_desc& d, Call& call) {
  const int64_t total = checked_product(d.shape, d.rank);
  const int32_t* index =
      call.in<int32_t>(scatter_buf::index, strided_extent(d.rank, d.shape, d.index_strides));
  call.require_apart(scatter_buf::index, scatter_buf::y);
  dispatch_all(call.dtype(scatter_buf::y), [&](auto tag) {
    using T = decltype(tag);
    const T* src = call.in<T>(scatter_buf::src, strided_extent(d.rank, d.shape, d.src_strides));
    if (total == 0) return;
    T* y =
        call.out<T>(scatter_buf::y, indexed_extent(d.rank, d.shape, d.y_strides, d.size, d.along));
    const auto part = [&](int64_t first, int64_t count) {
      int64_t shape[kMaxRank] = {1};
      for (int64_t k = 0; k < d.rank; ++k) shape[k] = d.shape[k];
      if (d.rank > 0) shape[0] = count;
      const StridedWalk<3> walk(d.rank, shape, {d.y_strides, d.index_strides, d.src_strides});
      const int64_t n = walk.row_length();
      T* to = y + first * d.y_strides[0];
      const int32_t* named = index + first * d.index_strides[0];
      const T* from = src + first * d.src_strides[0];
      walk.each(0, walk.rows(), [&](int64_t, const int64_t* at) {
        for (int64_t i = 0; i < n; ++i) {
          const int32_t k = named[at[1] + i * walk.step(1)];
          check_index(call, k, d.size);
          T& place = to[at[0] + i * walk.step(0) + k * d.along];
          const T value = from[at[2] + i * walk.step(2)];
          place = d.accumulate != 0 ? wrapping_add(place, value) : value;
        }
      });
    };
    if (d.rank > 1 && d.y_strides[0] > 0) {
      parallel_for(d.shape[0], row_grain(total / d.shape[0]),
                   [&](int64_t begin, int64_t end) { part(begin, end - begin); });
    } else {
      part(0, d.rank == 0 ? 1 : d.shape[0]);
    }
  });
}

}  // namespace laminae
