// Vec<float> of 4 lanes and Vec<double> of 2 lanes for any CPU: the vector extension of GCC and
// clang, which becomes SSE2 on x86-64 and NEON on AArch64, or plain arrays (MSVC; with GCC and
// clang on -DLAMINAE_PLAIN_LANES, to test them). Contract: simd/vec.h.

template <class T>
struct Lanes;  // integer type as wide as T, and the register types of both

#if (defined(_MSC_VER) && !defined(__clang__)) || defined(LAMINAE_PLAIN_LANES)

// N lanes in an array with the operators of the vector extension that this file uses.
template <class T, class I, int N>
struct PlainLanes {
  T at[N];
  LAMINAE_INLINE T& operator[](int i) { return at[i]; }
  LAMINAE_INLINE const T& operator[](int i) const { return at[i]; }
};
#define LAMINAE_PLAIN_OPERATOR(op)                                                               \
  template <class T, class I, int N>                                                             \
  LAMINAE_INLINE PlainLanes<T, I, N> operator op(PlainLanes<T, I, N> a, PlainLanes<T, I, N> b) { \
    PlainLanes<T, I, N> r;                                                                       \
    for (int i = 0; i < N; i++) r.at[i] = a.at[i] op b.at[i];                                    \
    return r;                                                                                    \
  }
LAMINAE_PLAIN_OPERATOR(+)
LAMINAE_PLAIN_OPERATOR(-)
LAMINAE_PLAIN_OPERATOR(*)
LAMINAE_PLAIN_OPERATOR(/)
LAMINAE_PLAIN_OPERATOR(&)
LAMINAE_PLAIN_OPERATOR(|)
#undef LAMINAE_PLAIN_OPERATOR
#define LAMINAE_PLAIN_COMPARE(op)                                                                \
  template <class T, class I, int N>                                                             \
  LAMINAE_INLINE PlainLanes<I, I, N> operator op(PlainLanes<T, I, N> a, PlainLanes<T, I, N> b) { \
    PlainLanes<I, I, N> r;                                                                       \
    for (int i = 0; i < N; i++) r.at[i] = a.at[i] op b.at[i] ? I(-1) : I(0);                     \
    return r;                                                                                    \
  }
LAMINAE_PLAIN_COMPARE(<)
LAMINAE_PLAIN_COMPARE(<=)
LAMINAE_PLAIN_COMPARE(==)
#undef LAMINAE_PLAIN_COMPARE
template <class T, class I, int N>
LAMINAE_INLINE PlainLanes<T, I, N> operator>>(PlainLanes<T, I, N> a, int by) {
  for (int i = 0; i < N; i++) a.at[i] >>= by;
  return a;
}
template <class T, class I, int N>
LAMINAE_INLINE PlainLanes<T, I, N> operator<<(PlainLanes<T, I, N> a, int by) {
  for (int i = 0; i < N; i++) a.at[i] = static_cast<T>(static_cast<uint32_t>(a.at[i]) << by);
  return a;
}
template <class T, class I, int N>
LAMINAE_INLINE PlainLanes<T, I, N> operator~(PlainLanes<T, I, N> a) {
  for (int i = 0; i < N; i++) a.at[i] = ~a.at[i];
  return a;
}
template <>
struct Lanes<float> {
  using Int = int32_t;
  using Reals = PlainLanes<float, int32_t, 4>;
  using Ints = PlainLanes<int32_t, int32_t, 4>;
};
template <>
struct Lanes<double> {
  using Int = int64_t;
  using Reals = PlainLanes<double, int64_t, 2>;
  using Ints = PlainLanes<int64_t, int64_t, 2>;
};

#else

template <>
struct Lanes<float> {
  using Int = int32_t;
  typedef float Reals __attribute__((vector_size(16)));
  typedef int32_t Ints __attribute__((vector_size(16)));
};
template <>
struct Lanes<double> {
  using Int = int64_t;
  typedef double Reals __attribute__((vector_size(16)));
  typedef int64_t Ints __attribute__((vector_size(16)));
};

#endif

// Written out because GCC turns a loop over the lanes into a chain of inserts.
LAMINAE_INLINE Lanes<float>::Reals all_lanes(float s) {
  const Lanes<float>::Reals r = {s, s, s, s};
  return r;
}
LAMINAE_INLINE Lanes<double>::Reals all_lanes(double s) {
  const Lanes<double>::Reals r = {s, s};
  return r;
}

#if (defined(__clang__) || __GNUC__ >= 12) && !defined(LAMINAE_PLAIN_LANES)
// As a shuffle, because GCC turns the generic form below into four scalar loads.
template <int Lane>
LAMINAE_INLINE Lanes<float>::Reals broadcast_lane(Lanes<float>::Reals a) {
  return __builtin_shufflevector(a, a, Lane, Lane, Lane, Lane);
}
template <int Lane>
LAMINAE_INLINE Lanes<double>::Reals broadcast_lane(Lanes<double>::Reals a) {
  return __builtin_shufflevector(a, a, Lane, Lane);
}
template <int N>
LAMINAE_INLINE Lanes<float>::Reals lanes_from(Lanes<float>::Reals a, Lanes<float>::Reals b) {
  return __builtin_shufflevector(a, b, N, N + 1, N + 2, N + 3);
}
template <int N>
LAMINAE_INLINE Lanes<double>::Reals lanes_from(Lanes<double>::Reals a, Lanes<double>::Reals b) {
  return __builtin_shufflevector(a, b, N, N + 1);
}
#else
template <int Lane, class Reals>
LAMINAE_INLINE Reals broadcast_lane(Reals a) {
  return all_lanes(a[Lane]);
}
template <int N, class Reals>
LAMINAE_INLINE Reals lanes_from(Reals a, Reals b) {
  constexpr int kWidth = 16 / static_cast<int>(sizeof(a[0]));
  Reals r = a;
  for (int i = 0; i < kWidth; i++)
    r[i] = N + i < kWidth ? a[(N + i) % kWidth] : b[(N + i) % kWidth];
  return r;
}
#endif

template <class T>
struct Vec {
  static constexpr int kWidth = 16 / static_cast<int>(sizeof(T));
  using Element = T;
  static constexpr bool kLaneFma = true;  // one shuffle, where a broadcast from memory takes two
  using Reals = typename Lanes<T>::Reals;
  using Ints = typename Lanes<T>::Ints;
  struct Mask {
    Ints m;  // each lane 0 or -1
    friend LAMINAE_INLINE Mask operator&(Mask a, Mask b) { return {a.m & b.m}; }
    friend LAMINAE_INLINE Mask operator|(Mask a, Mask b) { return {a.m | b.m}; }
    friend LAMINAE_INLINE Mask operator!(Mask a) { return {~a.m}; }
  };

  Reals v;

  static LAMINAE_INLINE Vec zero() { return set1(T(0)); }
  static LAMINAE_INLINE Vec set1(T s) { return {all_lanes(s)}; }
  static LAMINAE_INLINE Vec load(const T* p) {
    Vec r;
    memcpy(&r.v, p, sizeof(r.v));
    return r;
  }
  static LAMINAE_INLINE Vec load_stream(const T* p) { return load(p); }
  static LAMINAE_INLINE Vec load_n(const T* p, int64_t n) {
    if (n >= kWidth) return load(p);
    Vec r = zero();
    for (int i = 0; i < kWidth; i++) {
      if (i < n) r.v[i] = p[i];
    }
    return r;
  }
  template <int Lane>
  static LAMINAE_INLINE Vec fma_lane(Vec b, Vec a, Vec acc) {
    return {broadcast_lane<Lane>(a.v) * b.v + acc.v};
  }
  static constexpr bool kCheapParts = false;
  struct Part {
    int64_t begin, end;
  };
  static LAMINAE_INLINE Part part(int64_t begin, int64_t end) { return {begin, end}; }
  static LAMINAE_INLINE Vec load_part(const T* p, Part part) {
    if (part.begin <= 0 && part.end >= kWidth) return load(p);
    Vec r = zero();
    if (part.end <= part.begin) return r;
    for (int i = 0; i < kWidth; i++) {
      if (i >= part.begin && i < part.end) r.v[i] = p[i];
    }
    return r;
  }
  template <int N>
  static LAMINAE_INLINE Vec window(Vec a, Vec b) {
    return {lanes_from<N>(a.v, b.v)};
  }
  LAMINAE_INLINE Vec first(int64_t n) const {
    Vec r = zero();
    for (int i = 0; i < kWidth; i++) {
      if (i < n) r.v[i] = v[i];
    }
    return r;
  }
  LAMINAE_INLINE void store(T* p) const { memcpy(p, &v, sizeof(v)); }
  LAMINAE_INLINE void store_n(T* p, int64_t n) const {
    if (n >= kWidth) return store(p);
    for (int i = 0; i < kWidth; i++) {
      if (i < n) p[i] = v[i];
    }
  }
};

template <class T>
LAMINAE_INLINE typename Vec<T>::Ints to_bits(Vec<T> a) {
  typename Vec<T>::Ints bits;
  memcpy(&bits, &a.v, sizeof(bits));
  return bits;
}
template <class T>
LAMINAE_INLINE Vec<T> from_bits(typename Vec<T>::Ints bits) {
  Vec<T> r;
  memcpy(&r.v, &bits, sizeof(bits));
  return r;
}
template <class T>
LAMINAE_INLINE typename Vec<T>::Ints set1_bits(T s) {
  return to_bits(Vec<T>::set1(s));
}

template <class T>
LAMINAE_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return {a.v + b.v};
}
template <class T>
LAMINAE_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  return {a.v - b.v};
}
template <class T>
LAMINAE_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  return {a.v * b.v};
}
template <class T>
LAMINAE_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return {a.v / b.v};
}
template <class T>
LAMINAE_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {a.v * b.v + c.v};
}
template <class T>
LAMINAE_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return {c.v - a.v * b.v};
}

template <class T>
LAMINAE_INLINE typename Vec<T>::Mask lt(Vec<T> a, Vec<T> b) {
  return {a.v < b.v};
}
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask le(Vec<T> a, Vec<T> b) {
  return {a.v <= b.v};
}
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask gt(Vec<T> a, Vec<T> b) {
  return {b.v < a.v};
}
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask ge(Vec<T> a, Vec<T> b) {
  return {b.v <= a.v};
}
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask eq(Vec<T> a, Vec<T> b) {
  return {a.v == b.v};
}
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask unordered(Vec<T> a, Vec<T> b) {
  return !(eq(a, a) & eq(b, b));
}
template <class Mask>
LAMINAE_INLINE bool any(Mask a) {
  bool r = false;
  for (int i = 0; i < static_cast<int>(sizeof(a.m) / sizeof(a.m[0])); i++) r |= a.m[i] != 0;
  return r;
}
template <class T>
LAMINAE_INLINE Vec<T> select(typename Vec<T>::Mask m, Vec<T> a, Vec<T> b) {
  return from_bits<T>((m.m & to_bits(a)) | (~m.m & to_bits(b)));
}
template <class Mask>
LAMINAE_INLINE void store_mask(Mask a, uint8_t* p) {
  for (int i = 0; i < static_cast<int>(sizeof(a.m) / sizeof(a.m[0])); i++) {
    p[i] = static_cast<uint8_t>(a.m[i] & 1);
  }
}
template <class T>
LAMINAE_INLINE void store_bytes(Vec<T> a, uint8_t* p, int64_t n) {
  for (int i = 0; i < Vec<T>::kWidth; i++) {
    if (i < n) p[i] = static_cast<uint8_t>(static_cast<int>(a.v[i]));
  }
}
// All bytes in every lane, less those that are equal to code; then each lane looks at its own.
// Needs the byte order of x86 and AArch64.
template <class V>
LAMINAE_INLINE typename V::Mask equal_bytes(const uint8_t* p, uint8_t code) {
  using Int = typename Lanes<typename V::Element>::Int;
  uint32_t bytes = 0;
  memcpy(&bytes, p, V::kWidth);
  bytes ^= code * 0x01010101u;
  typename V::Ints all{}, own{};
  for (int i = 0; i < V::kWidth; i++) {
    all[i] = static_cast<Int>(bytes);
    own[i] = static_cast<Int>(0xffu << (8 * i));
  }
  return {(all & own) == typename V::Ints{}};
}

template <class T>
LAMINAE_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return select(lt(a, b), a, b);
}
template <class T>
LAMINAE_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return select(gt(a, b), a, b);
}
LAMINAE_INLINE float scalar_sqrt(float a) { return sqrtf(a); }
LAMINAE_INLINE double scalar_sqrt(double a) { return ::sqrt(a); }
template <class T>
LAMINAE_INLINE Vec<T> sqrt(Vec<T> a) {
  for (int i = 0; i < Vec<T>::kWidth; i++) a.v[i] = scalar_sqrt(a.v[i]);
  return a;
}
template <class T>
LAMINAE_INLINE Vec<T> abs(Vec<T> a) {
  return from_bits<T>(to_bits(a) & ~set1_bits(T(-0.0)));
}
template <class T>
LAMINAE_INLINE Vec<T> copysign(Vec<T> a, Vec<T> s) {
  const typename Vec<T>::Ints sign = set1_bits(T(-0.0));
  return from_bits<T>((to_bits(a) & ~sign) | (to_bits(s) & sign));
}
template <class T>
LAMINAE_INLINE Vec<T> neg(Vec<T> a) {
  const typename Vec<T>::Ints sign = set1_bits(T(-0.0));
  return from_bits<T>((to_bits(a) & ~sign) | (~to_bits(a) & sign));
}

// Adding 2^(mantissa bits) leaves no fraction bits, so the addition rounds to an integer (ties to
// even); larger magnitudes are integral already.
LAMINAE_INLINE float rounding_shift(float) { return 8388608.0f; }
LAMINAE_INLINE double rounding_shift(double) { return 4503599627370496.0; }
template <class T>
LAMINAE_INLINE Vec<T> round(Vec<T> a) {
  const Vec<T> shift = Vec<T>::set1(rounding_shift(T(0)));
  const Vec<T> magnitude = abs(a);
  const Vec<T> r = copysign((magnitude + shift) - shift, a);
  return select(lt(magnitude, shift), r, a);
}
template <class T>
LAMINAE_INLINE Vec<T> floor(Vec<T> a) {
  const Vec<T> r = round(a);
  return select(gt(r, a), r - Vec<T>::set1(T(1)), r);
}
template <class T>
LAMINAE_INLINE Vec<T> ceil(Vec<T> a) {
  const Vec<T> r = round(a);
  return select(lt(r, a), copysign(r + Vec<T>::set1(T(1)), a), r);
}

LAMINAE_INLINE float reduce_add(Vec<float> a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
LAMINAE_INLINE double reduce_add(Vec<double> a) { return a.v[0] + a.v[1]; }
template <class T>
LAMINAE_INLINE T reduce_max(Vec<T> a) {
  T r = a.v[0];
  for (int i = 1; i < Vec<T>::kWidth; i++) r = a.v[i] > r ? a.v[i] : r;
  return r;
}
template <class T>
LAMINAE_INLINE T reduce_min(Vec<T> a) {
  T r = a.v[0];
  for (int i = 1; i < Vec<T>::kWidth; i++) r = a.v[i] < r ? a.v[i] : r;
  return r;
}

#if (defined(__clang__) || __GNUC__ >= 12) && !defined(LAMINAE_PLAIN_LANES)
// Said outright: from the loops below compilers make one move per lane.
LAMINAE_INLINE void deinterleave(Vec<float> a, Vec<float> b, Vec<float>& even, Vec<float>& odd) {
  even.v = __builtin_shufflevector(a.v, b.v, 0, 2, 4, 6);
  odd.v = __builtin_shufflevector(a.v, b.v, 1, 3, 5, 7);
}
LAMINAE_INLINE void interleave(Vec<float> a, Vec<float> b, Vec<float>& lo, Vec<float>& hi) {
  lo.v = __builtin_shufflevector(a.v, b.v, 0, 4, 1, 5);
  hi.v = __builtin_shufflevector(a.v, b.v, 2, 6, 3, 7);
}
#endif
template <class T>
LAMINAE_INLINE void deinterleave(Vec<T> a, Vec<T> b, Vec<T>& even, Vec<T>& odd) {
  constexpr int h = Vec<T>::kWidth / 2;
  for (int i = 0; i < h; i++) {
    even.v[i] = a.v[2 * i];
    odd.v[i] = a.v[2 * i + 1];
    even.v[h + i] = b.v[2 * i];
    odd.v[h + i] = b.v[2 * i + 1];
  }
}
template <class T>
LAMINAE_INLINE void split(Vec<T> a, Vec<T> b, Vec<T>& even, Vec<T>& odd) {
  deinterleave(a, b, even, odd);
}
template <class T>
LAMINAE_INLINE Vec<T> to_split(Vec<T> a) {
  return a;
}
template <class T>
LAMINAE_INLINE Vec<T> from_split(Vec<T> a) {
  return a;
}
template <class T>
LAMINAE_INLINE Vec<T> split_after(Vec<T> s, Vec<T> a) {
  return Vec<T>::template window<Vec<T>::kWidth - 1>(s, a);
}
template <class T>
LAMINAE_INLINE Vec<T> split_before(Vec<T> a, Vec<T> s) {
  return Vec<T>::template window<1>(a, s);
}
template <class T>
LAMINAE_INLINE void interleave(Vec<T> a, Vec<T> b, Vec<T>& lo, Vec<T>& hi) {
  constexpr int h = Vec<T>::kWidth / 2;
  for (int i = 0; i < h; i++) {
    lo.v[2 * i] = a.v[i];
    lo.v[2 * i + 1] = b.v[i];
    hi.v[2 * i] = a.v[h + i];
    hi.v[2 * i + 1] = b.v[h + i];
  }
}
LAMINAE_INLINE void transpose(Vec<double> (&r)[2]) {
  const Vec<double> a = r[0];
  const Vec<double> b = r[1];
  interleave(a, b, r[0], r[1]);
}
LAMINAE_INLINE void transpose(Vec<float> (&r)[4]) {
  Vec<float> a, b, c, d;
  interleave(r[0], r[2], a, b);
  interleave(r[1], r[3], c, d);
  interleave(a, c, r[0], r[1]);
  interleave(b, d, r[2], r[3]);
}

LAMINAE_INLINE Lanes<float>::Ints all_lanes_int(int32_t s) {
  const Lanes<float>::Ints r = {s, s, s, s};
  return r;
}

// 2^n may lie outside the normal range (denormal results), so it is applied as two factors.
LAMINAE_INLINE Vec<float> scale_by_pow2(Vec<float> a, Vec<float> n) {
  // n + 1.5 * 2^23 has the integer n in its low bits.
  const Vec<float> shift = Vec<float>::set1(12582912.0f);
  const Vec<float>::Ints i = to_bits(n + shift) - to_bits(shift);
  const Vec<float>::Ints half = i >> 1;
  const Vec<float>::Ints bias = all_lanes_int(127);
  const Vec<float> f1 = from_bits<float>((half + bias) << 23);
  const Vec<float> f2 = from_bits<float>((i - half + bias) << 23);
  return a * f1 * f2;
}
LAMINAE_INLINE Vec<float> exponent(Vec<float> a) {
  // The biased exponent in the low bits of 2^23 is the number 2^23 + that exponent.
  const Vec<float> shift = Vec<float>::set1(8388608.0f);
  const Vec<float>::Ints biased = (to_bits(a) >> 23) | to_bits(shift);
  return from_bits<float>(biased) - (shift + Vec<float>::set1(127.0f));
}
LAMINAE_INLINE Vec<float> mantissa(Vec<float> a) {
  return from_bits<float>((to_bits(a) & all_lanes_int(0x007fffff)) | set1_bits(1.0f));
}
