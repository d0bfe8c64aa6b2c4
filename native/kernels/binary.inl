// Functions of two runs of elements, and comparisons: LAMINAE_BINARY_FNS and LAMINAE_COMPARE_FNS of
// core/elementwise_fns.h. One pass, a vector body and one partial vector; y may be the same array
// as a or b.

#define BINARY_FN(name, expression)                                \
  template <class T>                                               \
  struct name##_fn {                                               \
    using V = Vec<T>;                                              \
    static LAMINAE_INLINE V apply(V a, V b) { return expression; } \
  };
BINARY_FN(add, a + b)
BINARY_FN(sub, a - b)
BINARY_FN(mul, a* b)
BINARY_FN(div, a / b)
BINARY_FN(max, select(unordered(a, b), a + b, max(a, b)))
BINARY_FN(min, select(unordered(a, b), a + b, min(a, b)))
#undef BINARY_FN

template <class T>
struct pow_fn {
  using V = Vec<T>;
  static LAMINAE_INLINE V apply(V a, V b) {
    T x[V::kWidth], e[V::kWidth];
    a.store(x);
    b.store(e);
    for (int i = 0; i < V::kWidth; i++) {
      x[i] = static_cast<T>(::pow(static_cast<double>(x[i]), static_cast<double>(e[i])));
    }
    return V::load(x);
  }
};

// An operand of a run: n elements (step 1), or one repeated (step 0), kept in a register.
template <class T, bool Step>
LAMINAE_INLINE Vec<T> operand(const T* p, Vec<T> repeated, int64_t i) {
  return Step ? Vec<T>::load_stream(p + i) : repeated;
}
template <class T, bool Step>
LAMINAE_INLINE Vec<T> operand_n(const T* p, Vec<T> repeated, int64_t i, int64_t n) {
  return Step ? Vec<T>::load_n(p + i, n) : repeated;
}

template <class T, class Fn, bool AStep, bool BStep>
void map_binary_steps(int64_t n, const T* a, const T* b, T* y) {
  using V = Vec<T>;
  const V a0 = V::set1(a[0]);
  const V b0 = V::set1(b[0]);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    Fn::apply(operand<T, AStep>(a, a0, i), operand<T, BStep>(b, b0, i)).store(y + i);
  }
  if (i < n) {
    Fn::apply(operand_n<T, AStep>(a, a0, i, n - i), operand_n<T, BStep>(b, b0, i, n - i))
        .store_n(y + i, n - i);
  }
}

template <class T, class Fn>
void map_binary(int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step, T* y) {
  if (a_step != 0 && b_step != 0) return map_binary_steps<T, Fn, true, true>(n, a, b, y);
  if (a_step != 0) return map_binary_steps<T, Fn, true, false>(n, a, b, y);
  if (b_step != 0) return map_binary_steps<T, Fn, false, true>(n, a, b, y);
  return map_binary_steps<T, Fn, false, false>(n, a, b, y);
}

// y[i] = fn(a[i * a_step], b[i * b_step]), steps 0 or 1
template <class T>
void binary(BinaryFn fn, int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step, T* y) {
  if (n <= 0) return;
  // Squares are by far the most common power; the C library's pow gives the same value.
  if (fn == BinaryFn::pow && b_step == 0 && b[0] == T(2)) {
    return map_binary<T, mul_fn<T>>(n, a, a_step, a, a_step, y);
  }
  switch (fn) {
#define LAMINAE_CASE(name) \
  case BinaryFn::name:     \
    return map_binary<T, name##_fn<T>>(n, a, a_step, b, b_step, y);
    LAMINAE_BINARY_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case BinaryFn::count:
      return;
  }
}

#define COMPARE_FN(name, expression)                                              \
  template <class T>                                                              \
  struct name##_fn {                                                              \
    using V = Vec<T>;                                                             \
    static LAMINAE_INLINE typename V::Mask apply(V a, V b) { return expression; } \
  };
COMPARE_FN(gt, gt(a, b))
COMPARE_FN(ge, ge(a, b))
COMPARE_FN(lt, lt(a, b))
COMPARE_FN(le, le(a, b))
COMPARE_FN(eq, eq(a, b))
COMPARE_FN(ne, !eq(a, b))
#undef COMPARE_FN

template <class T, class Fn>
void map_compare(int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step, uint8_t* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  if (n <= 0) return;
  const V a0 = V::set1(a[0]);
  const V b0 = V::set1(b[0]);
  int64_t i = 0;
  for (; i + kW <= n; i += kW) {
    const V av = a_step == 0 ? a0 : V::load(a + i);
    const V bv = b_step == 0 ? b0 : V::load(b + i);
    store_mask(Fn::apply(av, bv), y + i);
  }
  if (i < n) {
    const V av = a_step == 0 ? a0 : V::load_n(a + i, n - i);
    const V bv = b_step == 0 ? b0 : V::load_n(b + i, n - i);
    uint8_t bytes[kW];
    store_mask(Fn::apply(av, bv), bytes);
    for (int64_t q = 0; i + q < n; q++) y[i + q] = bytes[q];
  }
}

// y[i] = fn(a[i * a_step], b[i * b_step]) as 0 or 1, steps 0 or 1
template <class T>
void compare(CompareFn fn, int64_t n, const T* a, int64_t a_step, const T* b, int64_t b_step,
             uint8_t* y) {
  switch (fn) {
#define LAMINAE_CASE(name) \
  case CompareFn::name:    \
    return map_compare<T, name##_fn<T>>(n, a, a_step, b, b_step, y);
    LAMINAE_COMPARE_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case CompareFn::count:
      return;
  }
}
