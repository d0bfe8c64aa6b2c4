// Winograd's transforms in one direction, of a row or column of vectors: B^T of pixels, G of a
// kernel, A^T of products, for the reach (pixels that a tile reads) of 4, 6, 8 and 9.
//
// Interpolation points for 6: 0, +-sqrt(1/2), +-sqrt(2), infinity, whatever the kernel, so B is the
// same: the error is half that of the usual 0, +-1, +-2 and stays near 1e-6 of the output's root
// mean square; for 4: 0, +-1, infinity; for 8: 0, +-1/2, +-1, +-2, infinity, the best of many that
// were tried, yet 8x8 has an error of 2.5e-6 and 3.5e-5 at worst; for 9: 0 and +-7/16, +-7/8,
// +-3/2,
// +-4, again the best of many: with infinity in the place of one, the error of 6x9 is twice as
// large. Lavin and Gray 2015 (arXiv:1509.09308); points after Barabasz et al. 2018
// (arXiv:1803.10986).

namespace winograd {
constexpr double kA = 0.70710678118654752440;  // sqrt(1/2)
constexpr double kB = 1.41421356237309504880;  // sqrt(2)
}  // namespace winograd

// B^T.
template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[6]) {
  using V = Vec<T>;
  const V a = V::set1(static_cast<T>(winograd::kA));
  const V b = V::set1(static_cast<T>(winograd::kB));
  const V two = V::set1(T(2));
  const V half = V::set1(T(0.5));
  const V c = V::set1(T(2.5));
  const V t1 = fnma(two, d[2], d[4]);
  const V t2 = fnma(half, d[2], d[4]);
  const V u1 = fnma(b, d[1], a * d[3]);
  const V u2 = fnma(a, d[1], b * d[3]);
  d[0] = fnma(c, d[2], d[0] + d[4]);
  d[5] = fnma(c, d[3], d[1] + d[5]);
  d[1] = t1 + u1;
  d[2] = t1 - u1;
  d[3] = t2 + u2;
  d[4] = t2 - u2;
}

template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[4]) {
  const Vec<T> d1 = d[1];
  d[0] = d[0] - d[2];
  d[1] = d1 + d[2];
  d[2] = d[2] - d1;
  d[3] = d[3] - d1;
}

// Points 0, +-1, +-2, +-1/2, infinity.
template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[8]) {
  using V = Vec<T>;
  const V quarter = V::set1(T(0.25));
  const V half = V::set1(T(0.5));
  const V two = V::set1(T(2));
  const V c1 = V::set1(T(4.25));
  const V c2 = V::set1(T(2.5));
  const V c3 = V::set1(T(5.25));
  const V even1 = fnma(c1, d[4], d[2] + d[6]);
  const V odd1 = fnma(c1, d[3], d[1] + d[5]);
  const V even2 = fma(quarter, d[2], fnma(V::set1(T(1.25)), d[4], d[6]));
  const V odd2 = fma(half, d[1], fnma(c2, d[3], two * d[5]));
  const V even3 = fma(V::set1(T(4)), d[2], fnma(V::set1(T(5)), d[4], d[6]));
  const V odd3 = fma(two, d[1], fnma(c2, d[3], half * d[5]));
  d[0] = fma(c3, d[4] - d[2], d[0] - d[6]);
  d[7] = fma(c3, d[3] - d[5], d[7] - d[1]);
  d[1] = even1 + odd1;
  d[2] = even1 - odd1;
  d[3] = even2 + odd2;
  d[4] = even2 - odd2;
  d[5] = even3 + odd3;
  d[6] = even3 - odd3;
}

// A^T, N outputs: powers of the points, the last output has infinity's too.
template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[6], Vec<T> (&y)[N]) {
  using V = Vec<T>;
  static_assert(N >= 2 && N <= 5, "powers are spelled out for these");
  const V s1 = m[1] + m[2];
  const V e1 = m[1] - m[2];
  const V s2 = m[3] + m[4];
  const V e2 = m[3] - m[4];
  const V a = V::set1(static_cast<T>(winograd::kA));
  const V b = V::set1(static_cast<T>(winograd::kB));
  y[0] = m[0] + (s1 + s2);
  y[1] = fma(a, e1, N == 2 ? fma(b, e2, m[5]) : b * e2);
  if constexpr (N >= 3) {
    y[2] = fma(V::set1(T(0.5)), s1, N == 3 ? fma(V::set1(T(2)), s2, m[5]) : s2 + s2);
  }
  if constexpr (N >= 4) {
    const V b2 = V::set1(static_cast<T>(2 * winograd::kB));
    y[3] = fma(V::set1(static_cast<T>(winograd::kA / 2)), e1, N == 4 ? fma(b2, e2, m[5]) : b2 * e2);
  }
  if constexpr (N >= 5) {
    y[4] = fma(V::set1(T(0.25)), s1, fma(V::set1(T(4)), s2, m[5]));
  }
}

template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[4], Vec<T> (&y)[N]) {
  static_assert(N == 2 || N == 3, "powers are spelled out for these");
  const Vec<T> s = m[1] + m[2];
  const Vec<T> e = m[1] - m[2];
  y[0] = m[0] + s;
  y[1] = N == 2 ? e + m[3] : e;
  if constexpr (N == 3) y[2] = s + m[3];
}

template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[8], Vec<T> (&y)[N]) {
  using V = Vec<T>;
  static_assert(N == 4 || N == 5, "powers are spelled out for these");
  const V s1 = m[1] + m[2];
  const V e1 = m[1] - m[2];
  const V s2 = m[3] + m[4];
  const V e2 = m[3] - m[4];
  const V s3 = m[5] + m[6];
  const V e3 = m[5] - m[6];
  y[0] = (m[0] + s1) + (s2 + s3);
  y[1] = fma(V::set1(T(2)), e2, fma(V::set1(T(0.5)), e3, e1));
  y[2] = fma(V::set1(T(4)), s2, fma(V::set1(T(0.25)), s3, s1));
  y[3] = fma(V::set1(T(8)), e2, fma(V::set1(T(0.125)), e3, N == 4 ? e1 + m[7] : e1));
  if constexpr (N >= 5) {
    y[4] = fma(V::set1(T(16)), s2, fma(V::set1(T(0.0625)), s3, s1 + m[7]));
  }
}

// G of N elements: (g0 + p^2 g2 + p^4 g4) / f +- p (g1 + p^2 g3) / f at
// p^2 = 1/2, f = -3/2, and at p^2 = 2, f = 6.
template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[6]) {
  using V = Vec<T>;
  static_assert(N >= 2 && N <= 5, "powers are spelled out for these");
  constexpr double kA = winograd::kA;
  constexpr double kB = winograd::kB;
  V e1 = V::set1(static_cast<T>(-2.0 / 3)) * g[0];
  V o1 = V::set1(static_cast<T>(-2.0 / 3 * kA)) * g[1];
  V e2 = V::set1(static_cast<T>(1.0 / 6)) * g[0];
  V o2 = V::set1(static_cast<T>(1.0 / 6 * kB)) * g[1];
  if constexpr (N >= 3) {
    e1 = fma(V::set1(static_cast<T>(-1.0 / 3)), g[2], e1);
    e2 = fma(V::set1(static_cast<T>(1.0 / 3)), g[2], e2);
  }
  if constexpr (N >= 4) {
    o1 = fma(V::set1(static_cast<T>(-1.0 / 3 * kA)), g[3], o1);
    o2 = fma(V::set1(static_cast<T>(1.0 / 3 * kB)), g[3], o2);
  }
  if constexpr (N >= 5) {
    e1 = fma(V::set1(static_cast<T>(-1.0 / 6)), g[4], e1);
    e2 = fma(V::set1(static_cast<T>(2.0 / 3)), g[4], e2);
  }
  u[0] = g[0];
  u[1] = e1 + o1;
  u[2] = e1 - o1;
  u[3] = e2 + o2;
  u[4] = e2 - o2;
  u[5] = g[N - 1];
}

// (g0 +- g1 + g2) / 2
template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[4]) {
  using V = Vec<T>;
  static_assert(N == 2 || N == 3, "powers are spelled out for these");
  const V half = V::set1(T(0.5));
  const V o = half * g[1];
  const V e = half * (N == 3 ? g[0] + g[2] : g[0]);
  u[0] = g[0];
  u[1] = e + o;
  u[2] = e - o;
  u[3] = g[N - 1];
}

// The same with p^2 = 1, 4 and 1/4, f = -9/2, 90 and 45/32.
template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[8]) {
  using V = Vec<T>;
  static_assert(N == 4 || N == 5, "powers are spelled out for these");
  const V f1 = V::set1(static_cast<T>(-2.0 / 9));
  const V f2 = V::set1(static_cast<T>(1.0 / 90));
  const V f3 = V::set1(static_cast<T>(32.0 / 45));
  V even1 = g[0] + g[2];
  V even2 = fma(V::set1(T(4)), g[2], g[0]);
  V even3 = fma(V::set1(T(0.25)), g[2], g[0]);
  if constexpr (N >= 5) {
    even1 = even1 + g[4];
    even2 = fma(V::set1(T(16)), g[4], even2);
    even3 = fma(V::set1(T(0.0625)), g[4], even3);
  }
  const V odd1 = g[1] + g[3];
  const V odd2 = fma(V::set1(T(8)), g[3], g[1] + g[1]);
  const V odd3 = fma(V::set1(T(0.125)), g[3], V::set1(T(0.5)) * g[1]);
  u[0] = g[0];
  u[1] = f1 * (even1 + odd1);
  u[2] = f1 * (even1 - odd1);
  u[3] = f2 * (even2 + odd2);
  u[4] = f2 * (even2 - odd2);
  u[5] = f3 * (even3 + odd3);
  u[6] = f3 * (even3 - odd3);
  u[7] = g[N - 1];
}

// ---- reach 9 ----

namespace winograd {

// Points +-p of four pairs, squares z. The product of z minus the squares of the others is z^3 +
// c[2] z^2 + c[1] z + c[0]; G divides by f.
struct Pair {
  double p, c[3], f;
};

constexpr Pair pair_of(double p, double q, double r, double s) {
  const double z = p * p;
  const double a = q * q;
  const double b = r * r;
  const double c = s * s;
  return {p, {-a * b * c, a * b + b * c + c * a, -a - b - c}, 2 * z * (z - a) * (z - b) * (z - c)};
}

constexpr double kP[] = {7.0 / 16, 7.0 / 8, 3.0 / 2, 4};
constexpr Pair kPairs[] = {pair_of(kP[0], kP[1], kP[2], kP[3]), pair_of(kP[1], kP[2], kP[3], kP[0]),
                           pair_of(kP[2], kP[3], kP[0], kP[1]),
                           pair_of(kP[3], kP[0], kP[1], kP[2])};

constexpr double power(double p, int exponent) {
  return exponent == 0 ? 1 : p * power(p, exponent - 1);
}

}  // namespace winograd

template <class T>
LAMINAE_INLINE Vec<T> winograd_product_of(const winograd::Pair& pair, Vec<T> d0, Vec<T> d2,
                                          Vec<T> d4, Vec<T> d6) {
  const auto c = [&](int i) { return Vec<T>::set1(static_cast<T>(pair.c[i])); };
  return fma(c(0), d0, fma(c(1), d2, fma(c(2), d4, d6)));
}

template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[9]) {
  using V = Vec<T>;
  using winograd::kPairs;
  V even[4];
  V odd[4];
  LAMINAE_UNROLL for (int i = 0; i < 4; i++) {
    even[i] = winograd_product_of(kPairs[i], d[2], d[4], d[6], d[8]);
    odd[i] = winograd_product_of(kPairs[i], d[1], d[3], d[5], d[7]);
  }
  // 0 asks for the product of all four.
  const V z = V::set1(static_cast<T>(kPairs[0].p * kPairs[0].p));
  d[0] = fnma(z, winograd_product_of(kPairs[0], d[0], d[2], d[4], d[6]), even[0]);
  LAMINAE_UNROLL for (int i = 0; i < 4; i++) {
    const V p = V::set1(static_cast<T>(kPairs[i].p));
    d[2 * i + 1] = fma(p, odd[i], even[i]);
    d[2 * i + 2] = fnma(p, odd[i], even[i]);
  }
}

template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[9], Vec<T> (&y)[N]) {
  using V = Vec<T>;
  V sum[4];
  V difference[4];
  LAMINAE_UNROLL for (int i = 0; i < 4; i++) {
    sum[i] = m[2 * i + 1] + m[2 * i + 2];
    difference[i] = m[2 * i + 1] - m[2 * i + 2];
  }
  y[0] = (m[0] + sum[0]) + (sum[1] + sum[2]) + sum[3];
  LAMINAE_UNROLL for (int k = 1; k < N; k++) {
    y[k] = V::zero();
    LAMINAE_UNROLL for (int i = 0; i < 4; i++) {
      const V factor = V::set1(static_cast<T>(winograd::power(winograd::kPairs[i].p, k)));
      y[k] = fma(factor, k % 2 == 0 ? sum[i] : difference[i], y[k]);
    }
  }
}

template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[9]) {
  using V = Vec<T>;
  using winograd::kPairs;
  u[0] = V::set1(static_cast<T>(-1 / (kPairs[0].p * kPairs[0].p * kPairs[0].c[0]))) * g[0];
  LAMINAE_UNROLL for (int i = 0; i < 4; i++) {
    V part[2] = {V::zero(), V::zero()};  // of even and odd powers
    LAMINAE_UNROLL for (int k = 0; k < N; k++) {
      const V factor = V::set1(static_cast<T>(winograd::power(kPairs[i].p, k) / kPairs[i].f));
      part[k % 2] = fma(factor, g[k], part[k % 2]);
    }
    u[2 * i + 1] = part[0] + part[1];
    u[2 * i + 2] = part[0] - part[1];
  }
}
