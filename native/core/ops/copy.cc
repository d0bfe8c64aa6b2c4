// copy: y[i...] = x[i...] over one shape with any strides, converting between element types; fill.
#include <cstring>
#include <type_traits>

#include "core/convert.h"
#include "core/op.h"
#include "core/ops/strided.h"
#include "core/parallel.h"

namespace laminae {

namespace {

template <class From, class To>
void copy_row(int64_t n, const From* x, int64_t x_step, To* y, int64_t y_step) {
  if constexpr (std::is_same<From, To>::value) {
    if (x_step == 1 && y_step == 1) {
      std::memmove(y, x, static_cast<size_t>(n) * sizeof(To));  // views of one tensor may overlap
      return;
    }
  }
  for (int64_t i = 0; i < n; ++i) y[i * y_step] = convert<To>(x[i * x_step]);
}

// Two-dimensional core of a transposed copy: 16 x 16 blocks keep both sides in the L1 cache.
template <class From, class To>
void copy_block(int64_t rows, int64_t cols, const From* x, int64_t x_row, int64_t x_col, To* y,
                int64_t y_row, int64_t y_col) {
  constexpr int64_t kBlock = 16;
  for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    const int64_t r1 = r0 + kBlock < rows ? r0 + kBlock : rows;
    for (int64_t c0 = 0; c0 < cols; c0 += kBlock) {
      const int64_t c1 = c0 + kBlock < cols ? c0 + kBlock : cols;
      for (int64_t r = r0; r < r1; ++r)
        copy_row(c1 - c0, x + r * x_row + c0 * x_col, x_col, y + r * y_row + c0 * y_col, y_col);
    }
  }
}

template <class From, class To>
void copy_typed(const copy_desc& d, Call& call) {
  const From* x = call.in<From>(copy_buf::x, strided_extent(d.rank, d.shape, d.x_strides));
  const int64_t y_extent = strided_extent(d.rank, d.shape, d.y_strides);
  To* y = call.out<To>(copy_buf::y, y_extent);
  const int64_t total = checked_product(d.shape, d.rank);
  if (total == 0) return;
  // Else 2^50 elements at strides of 0 are a day's work.
  call.require(total <= y_extent, "must write every element once");
  const StridedWalk<2> walk(d.rank, d.shape, {d.x_strides, d.y_strides});
  const int64_t n = walk.row_length();
  if (walk.rows() == 1) {
    parallel_for(n, kElementGrain, [&](int64_t begin, int64_t end) {
      copy_row(end - begin, x + begin * walk.step(0), walk.step(0), y + begin * walk.step(1),
               walk.step(1));
    });
    return;
  }
  // A plain transpose [r, c] -> [c, r] is one block walk.
  if (d.rank == 2 && (walk.step(0) != 1 || walk.step(1) != 1)) {
    parallel_for(d.shape[0], row_grain(d.shape[1]), [&](int64_t begin, int64_t end) {
      copy_block(end - begin, d.shape[1], x + begin * d.x_strides[0], d.x_strides[0],
                 d.x_strides[1], y + begin * d.y_strides[0], d.y_strides[0], d.y_strides[1]);
    });
    return;
  }
  parallel_for(walk.rows(), row_grain(n), [&](int64_t begin, int64_t end) {
    walk.each(begin, end, [&](int64_t, const int64_t* offsets) {
      copy_row(n, x + offsets[0], walk.step(0), y + offsets[1], walk.step(1));
    });
  });
}

}  // namespace

void run_copy(const copy_desc& d, Call& call) {
  dispatch_all(call.dtype(copy_buf::x), [&](auto from) {
    dispatch_all(call.dtype(copy_buf::y),
                 [&](auto to) { copy_typed<decltype(from), decltype(to)>(d, call); });
  });
}

void run_fill(const fill_desc& d, Call& call) {
  dispatch_all(call.dtype(fill_buf::y), [&](auto tag) {
    using T = decltype(tag);
    T* y = call.out<T>(fill_buf::y, d.n);
    const T value = convert<T>(d.value);
    parallel_for(d.n, kElementGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = value;
    });
  });
}

}  // namespace laminae
