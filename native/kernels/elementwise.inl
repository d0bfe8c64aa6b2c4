// Elementwise kernels: one pass, a vector body and one partial vector. All are in-place safe: an
// output may be the same array as an input (but not overlap it shifted).

// One struct per function of LAMINAE_UNARY_FNS:
//   forward(x) and backward(saved, dy), saved being x or y as listed there.
#define UNARY_FN(name)                                \
  template <class T>                                  \
  struct name##_fn {                                  \
    using V = Vec<T>;                                 \
    static LAMINAE_INLINE V c(double s) { return V::set1(static_cast<T>(s)); }

UNARY_FN(neg)
  static LAMINAE_INLINE V forward(V x) { return neg(x); }
  static LAMINAE_INLINE V backward(V, V dy) { return neg(dy); }
};
UNARY_FN(sign)
  static LAMINAE_INLINE V forward(V x) {
    return select(gt(x, V::zero()), c(1), select(lt(x, V::zero()), c(-1), V::zero()));
  }
  static LAMINAE_INLINE V backward(V, V) { return V::zero(); }
};
UNARY_FN(abs)
  static LAMINAE_INLINE V forward(V x) { return abs(x); }
  static LAMINAE_INLINE V backward(V x, V dy) { return dy * sign_fn<T>::forward(x); }
};
UNARY_FN(exp)
  static LAMINAE_INLINE V forward(V x) { return exp(x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return dy * y; }
};
UNARY_FN(expm1)
  static LAMINAE_INLINE V forward(V x) { return each_lane<::expm1>(x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return dy * (y + c(1)); }
};
UNARY_FN(log)
  static LAMINAE_INLINE V forward(V x) { return log(x); }
  static LAMINAE_INLINE V backward(V x, V dy) { return dy / x; }
};
UNARY_FN(log1p)
  static LAMINAE_INLINE V forward(V x) { return each_lane<::log1p>(x); }
  static LAMINAE_INLINE V backward(V x, V dy) { return dy / (x + c(1)); }
};
UNARY_FN(sqrt)
  static LAMINAE_INLINE V forward(V x) { return sqrt(x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return dy / (y + y); }
};
UNARY_FN(rsqrt)
  static LAMINAE_INLINE V forward(V x) { return c(1) / sqrt(x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return c(-0.5) * dy * (y * y * y); }
};
UNARY_FN(square)
  static LAMINAE_INLINE V forward(V x) { return x * x; }
  static LAMINAE_INLINE V backward(V x, V dy) { return dy * (x + x); }
};
UNARY_FN(reciprocal)
  static LAMINAE_INLINE V forward(V x) { return c(1) / x; }
  static LAMINAE_INLINE V backward(V y, V dy) { return neg(dy) * (y * y); }
};
UNARY_FN(sin)
  static LAMINAE_INLINE V forward(V x) { return each_lane<::sin>(x); }
  static LAMINAE_INLINE V backward(V x, V dy) { return dy * each_lane<::cos>(x); }
};
UNARY_FN(cos)
  static LAMINAE_INLINE V forward(V x) { return each_lane<::cos>(x); }
  static LAMINAE_INLINE V backward(V x, V dy) { return neg(dy) * each_lane<::sin>(x); }
};
UNARY_FN(relu)
  static LAMINAE_INLINE V forward(V x) { return max(V::zero(), x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return select(le(y, V::zero()), V::zero(), dy); }
};
UNARY_FN(sigmoid)
  static LAMINAE_INLINE V forward(V x) { return sigmoid(x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return dy * (c(1) - y) * y; }
};
UNARY_FN(tanh)
  static LAMINAE_INLINE V forward(V x) { return tanh(x); }
  static LAMINAE_INLINE V backward(V y, V dy) { return dy * fnma(y, y, c(1)); }
};
UNARY_FN(erf)
  static LAMINAE_INLINE V forward(V x) { return erf(x); }
  static LAMINAE_INLINE V backward(V x, V dy) {  // 2 / sqrt(pi) exp(-x^2)
    return dy * c(1.1283791670955126) * exp(neg(x * x));
  }
};
UNARY_FN(gelu)
  static LAMINAE_INLINE V forward(V x) {
    return c(0.5) * x * (c(1) + erf(x * c(0.7071067811865476)));
  }
  static LAMINAE_INLINE V backward(V x, V dy) {  // Phi(x) + x phi(x)
    const V cdf = c(0.5) * (c(1) + erf(x * c(0.7071067811865476)));
    const V pdf = c(0.3989422804014327) * exp(c(-0.5) * x * x);
    return dy * fma(x, pdf, cdf);
  }
};
UNARY_FN(silu)
  static LAMINAE_INLINE V forward(V x) { return x * sigmoid(x); }
  static LAMINAE_INLINE V backward(V x, V dy) {
    const V s = sigmoid(x);
    return dy * s * fma(x, c(1) - s, c(1));
  }
};
UNARY_FN(floor)
  static LAMINAE_INLINE V forward(V x) { return floor(x); }
  static LAMINAE_INLINE V backward(V, V) { return V::zero(); }
};
UNARY_FN(ceil)
  static LAMINAE_INLINE V forward(V x) { return ceil(x); }
  static LAMINAE_INLINE V backward(V, V) { return V::zero(); }
};
UNARY_FN(round)
  static LAMINAE_INLINE V forward(V x) { return round(x); }
  static LAMINAE_INLINE V backward(V, V) { return V::zero(); }
};
UNARY_FN(trunc)
  static LAMINAE_INLINE V forward(V x) { return copysign(floor(abs(x)), x); }
  static LAMINAE_INLINE V backward(V, V) { return V::zero(); }
};
#undef UNARY_FN

enum SavedKind { kSaved_none, kSaved_x, kSaved_y };

template <class T, class Fn>
LAMINAE_NOINLINE void map_forward(int64_t n, const T* x, T* y) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) Fn::forward(V::load(x + i)).store(y + i);
  if (i < n) Fn::forward(V::load_n(x + i, n - i)).store_n(y + i, n - i);
}

template <class T, class Fn, SavedKind Saved>
LAMINAE_NOINLINE void map_backward(int64_t n, const T* saved, const T* dy, T* dx) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    const V s = Saved == kSaved_none ? V::zero() : V::load(saved + i);
    Fn::backward(s, V::load(dy + i)).store(dx + i);
  }
  if (i < n) {
    const V s = Saved == kSaved_none ? V::zero() : V::load_n(saved + i, n - i);
    Fn::backward(s, V::load_n(dy + i, n - i)).store_n(dx + i, n - i);
  }
}

// y[i] = fn(x[i])
template <class T>
void unary(UnaryFn fn, int64_t n, const T* x, T* y) {
  switch (fn) {
#define LAMINAE_CASE(name, saved) \
  case UnaryFn::name:             \
    return map_forward<T, name##_fn<T>>(n, x, y);
    LAMINAE_UNARY_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case UnaryFn::count:
      return;
  }
}

// dx[i] = dy[i] * fn'(...) from what LAMINAE_UNARY_FNS lists as saved
template <class T>
void unary_backward(UnaryFn fn, int64_t n, const T* saved, const T* dy, T* dx) {
  switch (fn) {
#define LAMINAE_CASE(name, kind) \
  case UnaryFn::name:            \
    return map_backward<T, name##_fn<T>, kSaved_##kind>(n, saved, dy, dx);
    LAMINAE_UNARY_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case UnaryFn::count:
      return;
  }
}

#define BINARY_FN(name, expression)                                      \
  template <class T>                                                     \
  struct name##_fn {                                                     \
    using V = Vec<T>;                                                    \
    static LAMINAE_INLINE V apply(V a, V b) { return expression; }       \
  };
BINARY_FN(add, a + b)
BINARY_FN(sub, a - b)
BINARY_FN(mul, a * b)
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
  return Step ? Vec<T>::load(p + i) : repeated;
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
  for (int64_t i = 0; i < n; i += kW) {
    const int64_t m = n - i < kW ? n - i : kW;
    const V av = a_step == 0 ? V::set1(a[0]) : V::load_n(a + i, m);
    const V bv = b_step == 0 ? V::set1(b[0]) : V::load_n(b + i, m);
    const typename V::Mask result = Fn::apply(av, bv);
    if (m == kW) {
      store_mask(result, y + i);
    } else {
      uint8_t bytes[kW];
      store_mask(result, bytes);
      for (int64_t q = 0; q < m; q++) y[i + q] = bytes[q];
    }
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

// y = alpha x + beta y; beta 1 accumulates, and with beta 0 y is not read, so it may hold anything.
template <class T>
void scale_add(int64_t n, T alpha, const T* x, T beta, T* y) {
  using V = Vec<T>;
  if (beta == T(0)) {
    const V a = V::set1(alpha);
    int64_t i = 0;
    for (; i + V::kWidth <= n; i += V::kWidth) (a * V::load(x + i)).store(y + i);
    if (i < n) (a * V::load_n(x + i, n - i)).store_n(y + i, n - i);
    return;
  }
  const V a = V::set1(alpha);
  const V b = V::set1(beta);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    fma(a, V::load(x + i), b * V::load(y + i)).store(y + i);
  }
  if (i < n) {
    fma(a, V::load_n(x + i, n - i), b * V::load_n(y + i, n - i)).store_n(y + i, n - i);
  }
}

// y = a x + b
template <class T>
void affine(int64_t n, T a, const T* x, T b, T* y) {
  using V = Vec<T>;
  const V av = V::set1(a);
  const V bv = V::set1(b);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) fma(av, V::load(x + i), bv).store(y + i);
  if (i < n) fma(av, V::load_n(x + i, n - i), bv).store_n(y + i, n - i);
}

template <class T>
void fill(int64_t n, T value, T* y) {
  using V = Vec<T>;
  const V v = V::set1(value);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) v.store(y + i);
  if (i < n) v.store_n(y + i, n - i);
}
