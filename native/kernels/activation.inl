// Activations with up to three parameters and their derivatives: LAMINAE_ACTIVATION_FNS of
// core/activation_fns.h. One pass; in-place safe (an output may be the same array as an input).
//
// exp is taken of negative numbers only, or cut where the result no longer depends on it, so
// nothing overflows.

// exp(x) - 1 for x <= 0, accurate near 0: with t = tanh(x / 2) it is 2 t / (1 - t), which does not
// cancel.
template <class T>
LAMINAE_INLINE Vec<T> expm1_negative(Vec<T> x) {
  const Vec<T> t = tanh(Vec<T>::set1(T(0.5)) * x);
  return (t + t) / (Vec<T>::set1(T(1)) - t);
}

// log(1 + e) for e in [0, 1]: rounding u = 1 + e loses d = e - (u - 1), put back to first order, d
// / u.
template <class T>
LAMINAE_INLINE Vec<T> log1p_unit(Vec<T> e) {
  const Vec<T> u = Vec<T>::set1(T(1)) + e;
  const Vec<T> d = e - (u - Vec<T>::set1(T(1)));
  return log(u) + d / u;
}

// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))
template <class T>
LAMINAE_INLINE Vec<T> log1p_exp(Vec<T> x) {
  return max(Vec<T>::zero(), x) + log1p_unit(exp(neg(abs(x))));
}

// The value and slope of x inside [lo, hi], flat outside; NaN stays NaN.
template <class T>
LAMINAE_INLINE Vec<T> clip(Vec<T> x, Vec<T> lo, Vec<T> hi) {
  return min(hi, max(lo, x));
}
template <class T>
LAMINAE_INLINE Vec<T> inside(Vec<T> x, Vec<T> lo, Vec<T> hi, Vec<T> slope) {
  return select(gt(x, lo) & lt(x, hi), slope, Vec<T>::zero());
}

// gelu_tanh = x (1 + tanh u) / 2, u = k (x + 0.044715 x^3), k = sqrt(2 / pi)
// derivative: (1 + t) / 2 + x (1 - t^2) k (1 + 3 0.044715 x^2) / 2, t = tanh u
template <class T>
LAMINAE_INLINE Vec<T> gelu_tanh_inner(Vec<T> x) {
  const Vec<T> k = Vec<T>::set1(T(0.7978845608028654));
  return k * fma(Vec<T>::set1(T(0.044715)) * x * x, x, x);
}
template <class T>
LAMINAE_INLINE Vec<T> gelu_tanh_derivative(Vec<T> x) {
  using V = Vec<T>;
  const V t = tanh(gelu_tanh_inner(x));
  const V slope =
      V::set1(T(0.7978845608028654)) * fma(V::set1(T(3 * 0.044715)) * x, x, V::set1(T(1)));
  const V half = V::set1(T(0.5));
  // Far out 1 - t^2 is 0 but its factor may be infinite.
  const V bent =
      select(lt(abs(t), V::set1(T(1))), half * x * fnma(t, t, V::set1(T(1))) * slope, V::zero());
  return fma(half, t, half) + bent;
}

// mish = x tanh(log(1 + e)), e = exp(x): tanh(...) = n / (n + 2) with n = e (e + 2), and 1 past x
// = 20. derivative: t + x (1 - t^2) e / (1 + e), 1 - t^2 = 4 (n + 1) / (n + 2)^2
template <class T>
LAMINAE_INLINE Vec<T> mish_value(Vec<T> x) {
  using V = Vec<T>;
  const V limit = V::set1(T(20));
  const V e = exp(min(limit, x));
  const V n = e * (e + V::set1(T(2)));
  return select(gt(x, limit), x, x * (n / (n + V::set1(T(2)))));
}
template <class T>
LAMINAE_INLINE Vec<T> mish_derivative(Vec<T> x) {
  using V = Vec<T>;
  const V one = V::set1(T(1));
  const V limit = V::set1(T(20));
  const V e = exp(min(limit, x));
  const V n = e * (e + V::set1(T(2)));
  const V m = n + V::set1(T(2));
  const V bent = x * (V::set1(T(4)) * (n + one) / (m * m)) * (e / (one + e));
  return select(gt(x, limit), one, n / m + bent);
}

// ACTIVATION(name, y, dy/dx) as expressions in x and the parameters a, b, c; k(number) is a
// constant.
#define ACTIVATION(name, value_of_x, derivative_at_x)                          \
  template <class T>                                                           \
  struct name##_activation {                                                   \
    using V = Vec<T>;                                                          \
    V a, b, c;                                                                 \
    static LAMINAE_INLINE V k(double v) { return V::set1(static_cast<T>(v)); } \
    LAMINAE_INLINE V value(V x) const { return value_of_x; }                   \
    LAMINAE_INLINE V derivative(V x) const { return derivative_at_x; }         \
  };
// (unformatted: clang-format would take the products for pointers)
// clang-format off
ACTIVATION(leaky_relu,  select(gt(x, V::zero()), x, a * x),  select(gt(x, V::zero()), k(1), a))
ACTIVATION(elu,         select(gt(x, V::zero()), a * x, b * expm1_negative(c * x)),
                        select(gt(x, V::zero()), a, b * c * exp(c * x)))
ACTIVATION(gelu_tanh,   k(0.5) * x * (k(1) + tanh(gelu_tanh_inner(x))),  gelu_tanh_derivative(x))
ACTIVATION(mish,        mish_value(x),  mish_derivative(x))
ACTIVATION(hardswish,   x * clip(x + k(3), k(0), k(6)) / k(6),
                        select(ge(x, k(3)), k(1), select(le(x, k(-3)), k(0), x / k(3) + k(0.5))))
ACTIVATION(hardsigmoid, clip(x + k(3), k(0), k(6)) / k(6),  inside(x, k(-3), k(3), k(1.0 / 6.0)))
ACTIVATION(hardtanh,    clip(x, a, b),  inside(x, a, b, k(1)))
ACTIVATION(softplus,    select(gt(a * x, b), x, log1p_exp(a * x) / a),
                        select(gt(a * x, b), k(1), sigmoid(a * x)))
ACTIVATION(softsign,    x / (k(1) + abs(x)),  k(1) / ((k(1) + abs(x)) * (k(1) + abs(x))))
ACTIVATION(log_sigmoid, V::zero() - log1p_exp(neg(x)),  sigmoid(neg(x)))
// clang-format on
#undef ACTIVATION

template <class T, class Fn>
LAMINAE_NOINLINE void activate_forward(const Fn& fn, int64_t n, const T* x, T* y) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) fn.value(V::load(x + i)).store(y + i);
  if (i < n) fn.value(V::load_n(x + i, n - i)).store_n(y + i, n - i);
}

template <class T, class Fn>
LAMINAE_NOINLINE void activate_backward(const Fn& fn, int64_t n, const T* x, const T* dy, T* dx) {
  using V = Vec<T>;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    (V::load(dy + i) * fn.derivative(V::load(x + i))).store(dx + i);
  }
  if (i < n) {
    (V::load_n(dy + i, n - i) * fn.derivative(V::load_n(x + i, n - i))).store_n(dx + i, n - i);
  }
}

// y[i] = fn(x[i])
template <class T>
void activation(ActivationFn fn, int64_t n, const T* x, T* y, double a, double b, double c) {
  using V = Vec<T>;
  switch (fn) {
#define LAMINAE_CASE(name)                                                           \
  case ActivationFn::name:                                                           \
    return activate_forward<T>(                                                      \
        name##_activation<T>{V::set1(static_cast<T>(a)), V::set1(static_cast<T>(b)), \
                             V::set1(static_cast<T>(c))},                            \
        n, x, y);
    LAMINAE_ACTIVATION_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case ActivationFn::count:
      return;
  }
}

// dx[i] = dy[i] fn'(x[i])
template <class T>
void activation_backward(ActivationFn fn, int64_t n, const T* x, const T* dy, T* dx, double a,
                         double b, double c) {
  using V = Vec<T>;
  switch (fn) {
#define LAMINAE_CASE(name)                                                           \
  case ActivationFn::name:                                                           \
    return activate_backward<T>(                                                     \
        name##_activation<T>{V::set1(static_cast<T>(a)), V::set1(static_cast<T>(b)), \
                             V::set1(static_cast<T>(c))},                            \
        n, x, dy, dx);
    LAMINAE_ACTIVATION_FNS(LAMINAE_CASE)
#undef LAMINAE_CASE
    case ActivationFn::count:
      return;
  }
}
