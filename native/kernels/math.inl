// exp, log, sigmoid, tanh, erf over Vec<float>: at most 2 ulp on every ISA, the same polynomials
// everywhere (results of ISAs with and without fused multiply-add differ in the last bit).
// Infinities, NaN, denormals and huge arguments give what the C library gives.
// Coefficients are minimax fits of our own, relative error given with each.
//
// The same functions over Vec<double> are in math_double.inl.

// Calls a function of the C library on every lane.
template <double (*F)(double), class T>
LAMINAE_INLINE Vec<T> each_lane(Vec<T> x) {
  T lanes[Vec<T>::kWidth];
  x.store(lanes);
  for (int i = 0; i < Vec<T>::kWidth; i++) lanes[i] = static_cast<T>(F(lanes[i]));
  return Vec<T>::load(lanes);
}

// c0 + x (c1 + x (c2 + ...))
template <int N>
LAMINAE_INLINE Vec<float> polynomial(Vec<float> x, const float (&c)[N]) {
  Vec<float> r = Vec<float>::set1(c[N - 1]);
  LAMINAE_UNROLL for (int i = N - 2; i >= 0; i--) r = fma(r, x, Vec<float>::set1(c[i]));
  return r;
}

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln(2)/2, exp(r) = 1 + r + r^2 q(r) (3e-9).
// ln 2 is split so that n * hi is exact without fused multiply-add (hi has 9 bits).
LAMINAE_INLINE Vec<float> exp(Vec<float> x) {
  using V = Vec<float>;
  // Past these ends the result is 0 or infinity anyway; min and max in this order keep NaN.
  x = min(V::set1(89.0f), max(V::set1(-104.0f), x));
  const V n = round(x * V::set1(1.44269504f));
  V r = fnma(n, V::set1(0.693359375f), x);
  r = fnma(n, V::set1(-2.12194440e-4f), r);
  constexpr float q[] = {0.49999994f, 0.16666520f, 0.041668393f, 0.0083687808f, 0.0013814467f};
  const V p = fma(r * r, polynomial(r, q), r);
  return scale_by_pow2(p + V::set1(1.0f), n);
}

// log(x) = e ln 2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt 2),
// log(1 + f) = f - f^2/2 + f^3 p(f) (9e-10).
LAMINAE_INLINE Vec<float> log(Vec<float> x) {
  using V = Vec<float>;
  const V one = V::set1(1.0f);
  const V::Mask denormal = lt(x, V::set1(FLT_MIN));
  const V scaled = select(denormal, x * V::set1(33554432.0f), x);  // 2^25
  V e = exponent(scaled) - select(denormal, V::set1(25.0f), V::zero());
  V m = mantissa(scaled);
  const V::Mask upper = gt(m, V::set1(1.41421356f));
  m = select(upper, m * V::set1(0.5f), m);
  e = select(upper, e + one, e);

  const V f = m - one;
  constexpr float p[] = {0.33333308f,  -0.24999973f, 0.20002513f,  -0.16670351f, 0.14213410f,
                         -0.12358912f, 0.11886605f,  -0.11962543f, 0.07105206f};
  const V f2 = f * f;
  V y = polynomial(f, p) * f * f2;
  y = fma(e, V::set1(-2.12194440e-4f), y);
  y = fnma(V::set1(0.5f), f2, y);
  V r = fma(e, V::set1(0.693359375f), f + y);

  r = select(lt(x, V::set1(INFINITY)), r, x);  // infinity and NaN return themselves
  r = select(eq(x, V::zero()), V::set1(-INFINITY), r);
  return select(lt(x, V::zero()), V::set1(NAN), r);
}

// 1 / (1 + exp(-x)) with e = exp(-|x|), which neither overflows nor cancels:
// x >= 0: q = 1 / (1 + e);  x < 0: q = e / (1 + e).
// Rounding d = 1 + e loses `lost`, which is put back to first order, -q lost / d, where 1 / d is q
// or 1 - q: without that the worst case is above 2 ulp.
template <class T>
LAMINAE_INLINE Vec<T> sigmoid_exp(Vec<T> x) {
  return exp(neg(abs(x)));
}
template <class T>
LAMINAE_INLINE Vec<T> sigmoid_of(Vec<T> x, Vec<T> e) {
  using V = Vec<T>;
  const V one = V::set1(T(1));
  const V d = one + e;
  const V lost = e - (d - one);
  const typename V::Mask negative = lt(x, V::zero());
  const V q = select(negative, e, one) / d;
  return fnma(q * lost, select(negative, one - q, q), q);
}
template <class T>
LAMINAE_INLINE Vec<T> sigmoid(Vec<T> x) {
  return sigmoid_of(x, sigmoid_exp(x));
}

// |x| < 0.625: x + x^3 p(x^2) (5e-9); beyond: 1 - 2 / (exp(2|x|) + 1), with the sign of x.
LAMINAE_INLINE Vec<float> tanh(Vec<float> x) {
  using V = Vec<float>;
  const V one = V::set1(1.0f);
  const V a = abs(x);
  const V e = exp(a + a);
  const V large = fnma(V::set1(2.0f), one / (e + one), one);
  constexpr float p[] = {-0.33333281f, 0.13331421f, -0.053737797f, 0.020632546f, -0.0056973840f};
  const V a2 = a * a;
  const V small = fma(polynomial(a2, p) * a2, a, a);
  return copysign(select(lt(a, V::set1(0.625f)), small, large), x);
}

// |x| < 1: x + x p(x^2) (1e-9); beyond: 1 - exp(q(|x|)), q = log(erfc) on [1, 3.95] (1e-9 of the
// result), 1 after that; with the sign of x.
LAMINAE_INLINE Vec<float> erf(Vec<float> x) {
  using V = Vec<float>;
  const V a = abs(x);
  constexpr float p[] = {0.12837917f,   -0.37612626f,    0.11283585f,  -0.026853813f,
                         0.0051883283f, -0.00080101937f, 7.8538615e-5f};
  const V small = fma(polynomial(a * a, p), a, a);
  constexpr float q[] = {-0.00033269310f, -1.1271225f,    -0.63809359f,  -0.10314795f,
                         0.021856301f,    -0.0029518739f, 0.00018677668f};
  const V t = min(V::set1(3.95f), a);  // keeps NaN
  const V large = V::set1(1.0f) - exp(polynomial(t, q));
  return copysign(select(lt(a, V::set1(1.0f)), small, large), x);
}
