// Checks of one ISA's Vec against its contract (simd/vec.h), included by vec_<isa>_test.cc inside
// the target region. Everything here is plain loops over arrays, so that it compiles for any ISA;
// results come back as a count of wrong lanes, because doctest must stay outside the region.

template <class T>
struct Inputs {
  static constexpr int kCount = 12;
  T at[kCount];
};

// Ordinary values, ties, signed zeros, infinities, NaN: every pair of them is tried.
template <class T>
Inputs<T> make_inputs() {
  return {{T(0), T(-0.0), T(1), T(-1), T(2.5), T(-3.5), T(0.1), T(1e30), T(-7), T(INFINITY),
           T(-INFINITY), T(NAN)}};
}

template <class T>
bool same(T a, T b) {
  if (a != a || b != b) return a != a && b != b;
  return memcmp(&a, &b, sizeof(T)) == 0;
}

// Lanes of v that differ from the array.
template <class T>
int wrong_lanes(Vec<T> v, const T* expected) {
  T got[Vec<T>::kWidth];
  v.store(got);
  int wrong = 0;
  for (int i = 0; i < Vec<T>::kWidth; i++) wrong += same(got[i], expected[i]) ? 0 : 1;
  return wrong;
}

template <class T>
int wrong_mask_lanes(typename Vec<T>::Mask m, const bool* expected) {
  uint8_t got[Vec<T>::kWidth];
  store_mask(m, got);
  int wrong = 0;
  for (int i = 0; i < Vec<T>::kWidth; i++) wrong += got[i] == (expected[i] ? 1 : 0) ? 0 : 1;
  return wrong;
}

// One operation at a time: `expected` is written with scalar a = p[i], b = q[i].
#define CHECK_VEC(vector_form, scalar_form)                \
  {                                                        \
    T expected[W];                                         \
    for (int i = 0; i < W; i++) {                          \
      const T a = p[i], b = q[i];                          \
      (void)a, (void)b;                                    \
      expected[i] = static_cast<T>(scalar_form);           \
    }                                                      \
    const int bad = wrong_lanes<T>(vector_form, expected); \
    if (bad != 0) report(#vector_form, bad);               \
  }
#define CHECK_MASK(vector_form, scalar_form)                    \
  {                                                             \
    bool expected[W];                                           \
    for (int i = 0; i < W; i++) {                               \
      const T a = p[i], b = q[i];                               \
      (void)a, (void)b;                                         \
      expected[i] = scalar_form;                                \
    }                                                           \
    const int bad = wrong_mask_lanes<T>(vector_form, expected); \
    if (bad != 0) report(#vector_form, bad);                    \
  }

template <class T>
void check_arithmetic(void (*report)(const char*, int)) {
  using V = Vec<T>;
  constexpr int W = V::kWidth;
  const Inputs<T> in = make_inputs<T>();
  constexpr int kPairs = Inputs<T>::kCount * Inputs<T>::kCount;
  for (int start = 0; start < kPairs; start += W) {
    T p[W], q[W];
    for (int i = 0; i < W; i++) {
      const int pair = (start + i) % kPairs;
      p[i] = in.at[pair / Inputs<T>::kCount];
      q[i] = in.at[pair % Inputs<T>::kCount];
    }
    const V x = V::load(p), y = V::load(q);
    CHECK_VEC(x + y, a + b)
    CHECK_VEC(x - y, a - b)
    CHECK_VEC(x * y, a * b)
    CHECK_VEC(x / y, a / b)
    CHECK_VEC(min(x, y), a < b ? a : b)
    CHECK_VEC(max(x, y), a > b ? a : b)
    CHECK_VEC(sqrt(x), ::sqrt(static_cast<double>(a)))
    CHECK_VEC(abs(x), ::fabs(static_cast<double>(a)))
    CHECK_VEC(neg(x), -a)
    CHECK_VEC(copysign(x, y), ::copysign(static_cast<double>(a), static_cast<double>(b)))
    CHECK_VEC(round(x), ::nearbyint(static_cast<double>(a)))
    CHECK_VEC(floor(x), ::floor(static_cast<double>(a)))
    CHECK_VEC(ceil(x), ::ceil(static_cast<double>(a)))
    CHECK_MASK(gt(x, y), a > b)
    CHECK_MASK(ge(x, y), a >= b)
    CHECK_MASK(lt(x, y), a < b)
    CHECK_MASK(le(x, y), a <= b)
    CHECK_MASK(eq(x, y), a == b)
    CHECK_MASK(unordered(x, y), a != a || b != b)
    CHECK_MASK(!eq(x, y), !(a == b))
    CHECK_MASK(gt(x, y) & gt(x, V::zero()), a > b && a > 0)
    CHECK_MASK(gt(x, y) | lt(x, V::zero()), a > b || a < 0)
    CHECK_VEC(select(gt(x, y), x, y), a > b ? a : b)
    CHECK_VEC(V::zero(), 0)
    CHECK_VEC(V::set1(T(3)), 3)
    bool some = false;
    for (int i = 0; i < W; i++) some = some || p[i] > q[i];
    if (any(gt(x, y)) != some) report("any", 1);
    // Small integers, where fused and unfused agree.
    for (int i = 0; i < W; i++) {
      p[i] = T((start + i) % 7 - 3);
      q[i] = T((start + 2 * i) % 5);
    }
    const V u = V::load(p), w = V::load(q);
    CHECK_VEC(fma(u, w, V::set1(T(2))), a * b + 2)
    CHECK_VEC(fnma(u, w, V::set1(T(2))), 2 - a * b)
    T sum = T(0), largest = p[0], smallest = p[0];
    for (int i = 0; i < W; i++) {
      sum += p[i];
      largest = p[i] > largest ? p[i] : largest;
      smallest = p[i] < smallest ? p[i] : smallest;
    }
    if (reduce_add(u) != sum) report("reduce_add", 1);
    if (reduce_max(u) != largest) report("reduce_max", 1);
    if (reduce_min(u) != smallest) report("reduce_min", 1);
  }
}

template <class T, int N>
void check_windows(const T* p, void (*report)(const char*, int)) {
  using V = Vec<T>;
  const V window = V::template window<N>(V::load(p), V::load(p + V::kWidth));
  if (wrong_lanes<T>(window, p + N) != 0) report("window", N);
  if constexpr (N < V::kWidth) check_windows<T, N + 1>(p, report);
}

template <class T>
void check_split(const T* p, void (*report)(const char*, int)) {
  using V = Vec<T>;
  constexpr int W = V::kWidth;
  T even[W], odd[W], next[W], last[W];
  for (int i = 0; i < W; i++) {
    even[i] = p[2 * i];
    odd[i] = p[2 * i + 1];
    next[i] = i + 1 < W ? p[2 * i + 2] : T(77);
    last[i] = i > 0 ? p[2 * i - 1] : T(77);
  }
  V a = V::zero(), b = V::zero();
  split(V::load(p), V::load(p + W), a, b);
  if (wrong_lanes<T>(from_split(a), even) != 0) report("split", 0);
  if (wrong_lanes<T>(from_split(b), odd) != 0) report("split", 1);
  if (wrong_lanes<T>(from_split(to_split(V::load(odd))), odd) != 0) report("to_split", 0);
  T lanes[W];
  b.store(lanes);
  if (wrong_lanes<T>(to_split(V::load(odd)), lanes) != 0) report("to_split", 1);
  const V s = V::set1(T(77));
  if (wrong_lanes<T>(from_split(split_before(a, s)), next) != 0) report("split_before", 0);
  if (wrong_lanes<T>(from_split(split_after(s, b)), last) != 0) report("split_after", 0);
}

template <class T>
void check_moves(void (*report)(const char*, int)) {
  using V = Vec<T>;
  constexpr int W = V::kWidth;
  T p[2 * W], expected[2 * W], got[2 * W];
  for (int i = 0; i < 2 * W; i++) p[i] = T(i + 1);
  for (int n = 0; n <= W; n++) {
    for (int i = 0; i < W; i++) expected[i] = i < n ? p[i] : T(0);
    if (wrong_lanes<T>(V::load_n(p, n), expected) != 0) report("load_n", n);
    for (int i = 0; i < W; i++) {
      got[i] = T(-1);
      expected[i] = i < n ? p[i] : T(-1);
    }
    V::load(p).store_n(got, n);
    if (wrong_lanes<T>(V::load(got), expected) != 0) report("store_n", n);
  }
  for (int b = 0; b <= W; b++) {
    for (int e = 0; e <= W; e++) {
      for (int i = 0; i < W; i++) expected[i] = i >= b && i < e ? p[i] : T(0);
      if (wrong_lanes<T>(V::load_part(p, V::part(b, e)), expected) != 0)
        report("load_part", b * 100 + e);
    }
    p[W - 1] = T(NAN);
    for (int i = 0; i < W; i++) expected[i] = i < b ? p[i] : T(0);
    if (wrong_lanes<T>(V::load(p).first(b), expected) != 0) report("first", b);
    p[W - 1] = T(W);
  }
  check_windows<T, 0>(p, report);
  check_split<T>(p, report);
  uint8_t bytes[W];
  for (int n = 0; n <= W; n++) {
    T codes[W];
    bool equal[W];
    for (int i = 0; i < W; i++) {
      codes[i] = T((i * 37 + 200) % 256);
      bytes[i] = 77;
    }
    store_bytes(V::load(codes), bytes, n);
    for (int i = 0; i < W; i++) {
      const uint8_t wanted = i < n ? static_cast<uint8_t>((i * 37 + 200) % 256) : 77;
      if (bytes[i] != wanted) report("store_bytes", n);
    }
    for (int code = 0; code < 256; code++) {
      for (int i = 0; i < W; i++) equal[i] = bytes[i] == code;
      const typename V::Mask m = equal_bytes<V>(bytes, static_cast<uint8_t>(code));
      if (wrong_mask_lanes<T>(m, equal) != 0) report("equal_bytes", code);
    }
  }
  V even, odd, lo, hi;
  deinterleave(V::load(p), V::load(p + W), even, odd);
  for (int i = 0; i < W; i++) {
    expected[i] = p[2 * i];
    expected[W + i] = p[2 * i + 1];
  }
  if (wrong_lanes<T>(even, expected) + wrong_lanes<T>(odd, expected + W) != 0) {
    report("deinterleave", 1);
  }
  interleave(even, odd, lo, hi);
  if (wrong_lanes<T>(lo, p) + wrong_lanes<T>(hi, p + W) != 0) report("interleave", 1);
  V rows[W];
  T matrix[W * W];
  for (int i = 0; i < W * W; i++) matrix[i] = T(i);
  for (int i = 0; i < W; i++) rows[i] = V::load(matrix + i * W);
  transpose(rows);
  for (int j = 0; j < W; j++) {
    for (int i = 0; i < W; i++) expected[i] = matrix[i * W + j];
    if (wrong_lanes<T>(rows[j], expected) != 0) report("transpose", j);
  }
}

// scale_by_pow2, exponent and mantissa, which only Vec<float> has.
void check_float_parts(void (*report)(const char*, int)) {
  using V = Vec<float>;
  constexpr int W = V::kWidth;
  float expected[W];
  for (int n = -250; n <= 250; n++) {
    for (int i = 0; i < W; i++) expected[i] = static_cast<float>(ldexp(1.0 + i / 16.0, n));
    float p[W];
    for (int i = 0; i < W; i++) p[i] = static_cast<float>(1.0 + i / 16.0);
    const V scaled = scale_by_pow2(V::load(p), V::set1(static_cast<float>(n)));
    if (wrong_lanes<float>(scaled, expected) != 0) report("scale_by_pow2", n);
    if (n < -126 || n > 127) continue;
    if (wrong_lanes<float>(mantissa(V::load(expected)), p) != 0) report("mantissa", n);
    for (int i = 0; i < W; i++) p[i] = static_cast<float>(n);
    if (wrong_lanes<float>(exponent(V::load(expected)), p) != 0) report("exponent", n);
  }
}

#undef CHECK_VEC
#undef CHECK_MASK

template <class T>
void check_vec(void (*report)(const char*, int)) {
  check_arithmetic<T>(report);
  check_moves<T>(report);
}
