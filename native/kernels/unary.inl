// Functions of one run of elements and their derivatives: LAMINAE_UNARY_FNS of
// core/elementwise_fns.h. One pass, a vector body and one partial vector; in-place safe: an output
// may be the same array as an input (but not overlap it shifted).

template <class T>
LAMINAE_INLINE Vec<T> sign(Vec<T> x) {
  const Vec<T> one = Vec<T>::set1(T(1));
  const Vec<T> zero = Vec<T>::zero();
  return select(gt(x, zero), one, select(lt(x, zero), neg(one), zero));
}

// Standard normal distribution function, (1 + erf(x / sqrt 2)) / 2.
template <class T>
LAMINAE_INLINE Vec<T> normal_cdf(Vec<T> x) {
  const Vec<T> half = Vec<T>::set1(T(0.5));
  return fma(half, erf(x * Vec<T>::set1(T(0.7071067811865476))), half);
}

// Its derivative, exp(-x^2 / 2) / sqrt(2 pi).
template <class T>
LAMINAE_INLINE Vec<T> normal_pdf(Vec<T> x) {
  return Vec<T>::set1(T(0.3989422804014327)) * exp(Vec<T>::set1(T(-0.5)) * x * x);
}

// d/dx x s(x) = s (1 + x (1 - s)), s = sigmoid(x)
template <class T>
LAMINAE_INLINE Vec<T> silu_derivative(Vec<T> x) {
  const Vec<T> one = Vec<T>::set1(T(1));
  const Vec<T> s = sigmoid(x);
  return s * fma(x, one - s, one);
}

// UNARY_FN(name, y as an expression in x, dx as an expression in dy and s), where s is what
// LAMINAE_UNARY_FNS lists as saved (x or y) and c(number) a constant.
#define UNARY_FN(name, y_of_x, dx_of_s_dy)                                     \
  template <class T>                                                           \
  struct name##_fn {                                                           \
    using V = Vec<T>;                                                          \
    static LAMINAE_INLINE V c(double v) { return V::set1(static_cast<T>(v)); } \
    static LAMINAE_INLINE V forward(V x) { return y_of_x; }                    \
    static LAMINAE_INLINE V backward(V s, V dy) {                              \
      (void)s;                                                                 \
      (void)dy;                                                                \
      return dx_of_s_dy;                                                       \
    }                                                                          \
  };
// (unformatted: clang-format would take the products for pointers)
// clang-format off
UNARY_FN(neg,        neg(x),                    neg(dy))
UNARY_FN(abs,        abs(x),                    dy * sign(s))
UNARY_FN(exp,        exp(x),                    dy * s)
UNARY_FN(expm1,      each_lane<::expm1>(x),     dy * (s + c(1)))
UNARY_FN(log,        log(x),                    dy / s)
UNARY_FN(log1p,      each_lane<::log1p>(x),     dy / (s + c(1)))
UNARY_FN(sqrt,       sqrt(x),                   dy / (s + s))
UNARY_FN(rsqrt,      c(1) / sqrt(x),            c(-0.5) * dy * (s * s * s))
UNARY_FN(square,     x * x,                     dy * (s + s))
UNARY_FN(reciprocal, c(1) / x,                  neg(dy) * (s * s))
UNARY_FN(sin,        each_lane<::sin>(x),       dy * each_lane<::cos>(s))
UNARY_FN(cos,        each_lane<::cos>(x),       neg(dy) * each_lane<::sin>(s))
UNARY_FN(relu,       max(V::zero(), x),         select(le(s, V::zero()), V::zero(), dy))
UNARY_FN(sigmoid,    sigmoid(x),                dy * (c(1) - s) * s)
UNARY_FN(tanh,       tanh(x),                   dy * fnma(s, s, c(1)))
UNARY_FN(erf,        erf(x),                    dy * c(1.1283791670955126) * exp(neg(s * s)))
UNARY_FN(gelu,       x * normal_cdf(x),         dy * fma(s, normal_pdf(s), normal_cdf(s)))
UNARY_FN(silu,       x * sigmoid(x),            dy * silu_derivative(s))
UNARY_FN(sign,       sign(x),                   V::zero())
UNARY_FN(floor,      floor(x),                  V::zero())
UNARY_FN(ceil,       ceil(x),                   V::zero())
UNARY_FN(round,      round(x),                  V::zero())
UNARY_FN(trunc,      copysign(floor(abs(x)), x), V::zero())
// clang-format on
#undef UNARY_FN

template <class T, class Fn>
LAMINAE_NOINLINE void map_forward(int64_t n, const T* x, T* y) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) Fn::forward(V::load_stream(x + i)).store(y + i);
  if (i < n) Fn::forward(V::load_n(x + i, n - i)).store_n(y + i, n - i);
}

// In two steps: the chain from x to its sigmoid is so long that the CPU cannot hold enough of them
// at once. On a Zen 5 core 11 cycles a vector so, 15 in one step.
template <class T>
LAMINAE_NOINLINE void map_sigmoid(int64_t n, const T* x, T* y) {
  using V = Vec<T>;
  constexpr int64_t kBlock = 512;
  T e[kBlock];
  for (int64_t first = 0; first < n; first += kBlock, x += kBlock, y += kBlock) {
    const int64_t count = n - first < kBlock ? n - first : kBlock;
    const int64_t whole = count / V::kWidth * V::kWidth;
    for (int64_t i = 0; i < whole; i += V::kWidth) sigmoid_exp(V::load(x + i)).store(e + i);
    for (int64_t i = 0; i < whole; i += V::kWidth) {
      sigmoid_of(V::load(x + i), V::load(e + i)).store(y + i);
    }
    const int64_t rest = count - whole;
    if (rest > 0) sigmoid(V::load_n(x + whole, rest)).store_n(y + whole, rest);
  }
}

template <class T, class Fn, SavedForBackward Saved>
LAMINAE_NOINLINE void map_backward(int64_t n, const T* saved, const T* dy, T* dx) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    const V s = Saved == SavedForBackward::none ? V::zero() : V::load_stream(saved + i);
    Fn::backward(s, V::load_stream(dy + i)).store(dx + i);
  }
  if (i < n) {
    const V s = Saved == SavedForBackward::none ? V::zero() : V::load_n(saved + i, n - i);
    Fn::backward(s, V::load_n(dy + i, n - i)).store_n(dx + i, n - i);
  }
}

// y[i] = fn(x[i])
template <class T>
void unary(UnaryFn fn, int64_t n, const T* x, T* y) {
  if (fn == UnaryFn::sigmoid) return map_sigmoid(n, x, y);
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
    return map_backward<T, name##_fn<T>, SavedForBackward::kind>(n, saved, dy, dx);
    LAMINAE_UNARY_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case UnaryFn::count:
      return;
  }
}
