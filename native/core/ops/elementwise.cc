// Elementwise ops: unary and its derivative, binary and comparisons with broadcasting, where,
// axpby.
//
// float32 and float64 go through the kernel tables; integer operands, which appear only in
// bookkeeping (labels, counts, masks), through plain loops here.
#include <algorithm>
#include <type_traits>

#include "core/convert.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/ops/strided.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// Wraps around; of negative exponents only 1 and -1 have whole powers, the rest is 0.
template <class T>
T integer_pow(T a, T b) {
  int64_t exponent = static_cast<int64_t>(b);
  uint64_t base = static_cast<uint64_t>(static_cast<int64_t>(a));
  if (exponent < 0) {
    const int64_t value = static_cast<int64_t>(a);
    if (value != 1 && value != -1) return T{0};
    exponent = exponent % 2 == 0 ? 0 : 1;
  }
  uint64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return static_cast<T>(result);
}

template <class T>
T integer_binary(BinaryFn fn, T a, T b) {
  // Wrap-around arithmetic through the unsigned type; division by zero gives 0.
  using U = std::make_unsigned_t<T>;
  switch (fn) {
    case BinaryFn::add:
      return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
    case BinaryFn::sub:
      return static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
    case BinaryFn::mul:
      return static_cast<T>(static_cast<uint64_t>(static_cast<U>(a)) * static_cast<U>(b));
    case BinaryFn::div:
      return b == 0 ? T{0} : static_cast<T>(static_cast<int64_t>(a) / static_cast<int64_t>(b));
    case BinaryFn::max:
      return std::max(a, b);
    case BinaryFn::min:
      return std::min(a, b);
    case BinaryFn::pow:
      return integer_pow(a, b);
    case BinaryFn::count:
      break;
  }
  return T{0};
}

template <class T>
bool integer_compare(CompareFn fn, T a, T b) {
  switch (fn) {
    case CompareFn::gt:
      return a > b;
    case CompareFn::ge:
      return a >= b;
    case CompareFn::lt:
      return a < b;
    case CompareFn::le:
      return a <= b;
    case CompareFn::eq:
      return a == b;
    case CompareFn::ne:
      return a != b;
    case CompareFn::count:
      break;
  }
  return false;
}

template <class T>
void binary_row(BinaryFn fn, int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step,
                T* y) {
  if constexpr (std::is_floating_point<T>::value) {
    kernels<T>().binary(fn, n, a, a_step, b, b_step, y);
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = integer_binary(fn, a[i * a_step], b[i * b_step]);
  }
}

template <class T>
void compare_row(CompareFn fn, int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step,
                 uint8_t* y) {
  if constexpr (std::is_floating_point<T>::value) {
    kernels<T>().compare(fn, n, a, a_step, b, b_step, y);
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = integer_compare(fn, a[i * a_step], b[i * b_step]);
  }
}

// The kernels take steps 0 and 1; an operand with another step is gathered first.
template <class T>
const T* gathered(int64_t n, const T* p, int64_t* step, T* room) {
  if (*step == 0 || *step == 1) return p;
  for (int64_t i = 0; i < n; ++i) room[i] = p[i * *step];
  *step = 1;
  return room;
}

// Calls row(n, a, a_step, b, b_step, y) over the broadcast shape, steps 0 or 1, y contiguous.
template <class T, class Y, class Desc, class Row>
void broadcast_rows(const Desc& d, const T* a, const T* b, Y* y, Row&& row) {
  const StridedWalk<2> walk(d.rank, d.shape, {d.a_strides, d.b_strides});
  const int64_t n = walk.row_length();
  const bool direct =
      (walk.step(0) == 0 || walk.step(0) == 1) && (walk.step(1) == 0 || walk.step(1) == 1);
  if (walk.rows() == 1 && direct) {
    parallel_stream(n, kElementGrain, [&](int64_t begin, int64_t end) {
      row(end - begin, a + begin * walk.step(0), walk.step(0), b + begin * walk.step(1),
          walk.step(1), y + begin);
    });
    return;
  }
  parallel_for(walk.rows(), row_grain(n), [&](int64_t begin, int64_t end) {
    Scratch scratch;
    T* room_a = direct ? nullptr : scratch.get<T>(n);
    T* room_b = direct ? nullptr : scratch.get<T>(n);
    walk.each(begin, end, [&](int64_t r, const int64_t* offsets) {
      int64_t a_step = walk.step(0);
      int64_t b_step = walk.step(1);
      const T* pa = direct ? a + offsets[0] : gathered(n, a + offsets[0], &a_step, room_a);
      const T* pb = direct ? b + offsets[1] : gathered(n, b + offsets[1], &b_step, room_b);
      row(n, pa, a_step, pb, b_step, y + r * n);
    });
  });
}

}  // namespace

void run_unary(const unary_desc& d, Call& call) {
  const UnaryFn fn = checked_fn<UnaryFn>(call, d.fn);
  dispatch_float(call, call.dtype(unary_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(unary_buf::x, d.n);
    T* y = call.out<T>(unary_buf::y, d.n);
    parallel_stream(d.n, kElementGrain / 4, [&](int64_t begin, int64_t end) {
      kernels<T>().unary(fn, end - begin, x + begin, y + begin);
    });
  });
}

void run_unary_backward(const unary_backward_desc& d, Call& call) {
  const UnaryFn fn = checked_fn<UnaryFn>(call, d.fn);
  dispatch_float(call, call.dtype(unary_backward_buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* saved = call.maybe_in<T>(unary_backward_buf::saved, d.n);
    const T* dy = call.in<T>(unary_backward_buf::dy, d.n);
    T* dx = call.out<T>(unary_backward_buf::dx, d.n);
    call.require(call.has(unary_backward_buf::saved) || fn == UnaryFn::neg || fn == UnaryFn::sign ||
                     fn == UnaryFn::floor || fn == UnaryFn::ceil || fn == UnaryFn::round ||
                     fn == UnaryFn::trunc,
                 "needs the saved input or output");
    parallel_stream(d.n, kElementGrain / 2, [&](int64_t begin, int64_t end) {
      kernels<T>().unary_backward(fn, end - begin, saved == nullptr ? nullptr : saved + begin,
                                  dy + begin, dx + begin);
    });
  });
}

void run_binary(const binary_desc& d, Call& call) {
  const BinaryFn fn = checked_fn<BinaryFn>(call, d.fn);
  dispatch_all(call.dtype(binary_buf::a), [&](auto tag) {
    using T = decltype(tag);
    const T* a = call.in<T>(binary_buf::a, strided_extent(d.rank, d.shape, d.a_strides));
    const T* b = call.in<T>(binary_buf::b, strided_extent(d.rank, d.shape, d.b_strides));
    const int64_t total = checked_product(d.shape, d.rank);
    T* y = call.out<T>(binary_buf::y, total);
    if (total == 0) return;
    broadcast_rows(d, a, b, y,
                   [&](int64_t n, const T* pa, int64_t sa, const T* pb, int64_t sb, T* py) {
                     binary_row(fn, n, pa, sa, pb, sb, py);
                   });
  });
}

void run_binary_scalar(const binary_scalar_desc& d, Call& call) {
  const BinaryFn fn = checked_fn<BinaryFn>(call, d.fn);
  dispatch_all(call.dtype(binary_scalar_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(binary_scalar_buf::x, d.n);
    T* y = call.out<T>(binary_scalar_buf::y, d.n);
    const T value = convert<T>(d.value);
    parallel_stream(d.n, kElementGrain, [&](int64_t begin, int64_t end) {
      if (d.reversed != 0) {
        binary_row(fn, end - begin, &value, 0, x + begin, 1, y + begin);
      } else {
        binary_row(fn, end - begin, x + begin, 1, &value, 0, y + begin);
      }
    });
  });
}

void run_compare(const compare_desc& d, Call& call) {
  const CompareFn fn = checked_fn<CompareFn>(call, d.fn);
  dispatch_all(call.dtype(compare_buf::a), [&](auto tag) {
    using T = decltype(tag);
    const T* a = call.in<T>(compare_buf::a, strided_extent(d.rank, d.shape, d.a_strides));
    const T* b = call.in<T>(compare_buf::b, strided_extent(d.rank, d.shape, d.b_strides));
    const int64_t total = checked_product(d.shape, d.rank);
    uint8_t* y = call.out<uint8_t>(compare_buf::y, total);
    if (total == 0) return;
    broadcast_rows(d, a, b, y,
                   [&](int64_t n, const T* pa, int64_t sa, const T* pb, int64_t sb, uint8_t* py) {
                     compare_row(fn, n, pa, sa, pb, sb, py);
                   });
  });
}

void run_where(const where_desc& d, Call& call) {
  dispatch_all(call.dtype(where_buf::a), [&](auto tag) {
    using T = decltype(tag);
    const uint8_t* c =
        call.in<uint8_t>(where_buf::condition, strided_extent(d.rank, d.shape, d.c_strides));
    const T* a = call.in<T>(where_buf::a, strided_extent(d.rank, d.shape, d.a_strides));
    const T* b = call.in<T>(where_buf::b, strided_extent(d.rank, d.shape, d.b_strides));
    const int64_t total = checked_product(d.shape, d.rank);
    T* y = call.out<T>(where_buf::y, total);
    if (total == 0) return;
    const StridedWalk<3> walk(d.rank, d.shape, {d.c_strides, d.a_strides, d.b_strides});
    const int64_t n = walk.row_length();
    parallel_for(walk.rows(), row_grain(n), [&](int64_t begin, int64_t end) {
      walk.each(begin, end, [&](int64_t r, const int64_t* o) {
        for (int64_t i = 0; i < n; ++i) {
          y[r * n + i] = c[o[0] + i * walk.step(0)] != 0 ? a[o[1] + i * walk.step(1)]
                                                         : b[o[2] + i * walk.step(2)];
        }
      });
    });
  });
}

void run_axpby(const axpby_desc& d, Call& call) {
  dispatch_float(call, call.dtype(axpby_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(axpby_buf::x, d.n);
    T* y = call.out<T>(axpby_buf::y, d.n);
    parallel_stream(d.n, kElementGrain, [&](int64_t begin, int64_t end) {
      kernels<T>().scale_add(end - begin, static_cast<T>(d.alpha), x + begin,
                             static_cast<T>(d.beta), y + begin);
    });
  });
}

}  // namespace laminae
