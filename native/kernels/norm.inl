// Normalisation: statistics, y = (x - mean) invstd weight + bias, and its derivative.
//
// Here channels whose elements are contiguous runs; channels side by side are in norm_channels.inl.
//
// Values are shifted before anything is multiplied: by a number near the mean for statistics, by
// the mean itself (as T; the caller folds what T cannot hold of it into the constant term)
// elsewhere. So nothing large cancels, whatever the ratio of mean to deviation.

// sums[0] = sum of (x - pivot), sums[1] = sum of (x - pivot)^2 over `rows` runs of n elements,
// row_step apart. In lanes of T: the caller keeps rows * n to a few thousand and adds up in double.
template <class T>
void shifted_sums(int64_t rows, int64_t n, int64_t row_step, const T* x, T pivot, double* sums) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V p = V::set1(pivot);
  // The pivot in the lanes of a partial vector, 0 elsewhere, so that the rest adds nothing.
  T pivots[kW];
  p.store(pivots);
  const int64_t rest = n % kW;
  const V p_rest = V::load_n(pivots, rest);
  V s1[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  V s2[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  for (int64_t r = 0; r < rows; r++) {
    const T* row = x + r * row_step;
    int64_t i = 0;
    for (; i + 4 * kW <= n; i += 4 * kW) {
      LAMINAE_UNROLL for (int u = 0; u < 4; u++) {
        const V d = V::load(row + i + u * kW) - p;
        s1[u] = s1[u] + d;
        s2[u] = fma(d, d, s2[u]);
      }
    }
    for (; i + kW <= n; i += kW) {
      const V d = V::load(row + i) - p;
      s1[0] = s1[0] + d;
      s2[0] = fma(d, d, s2[0]);
    }
    if (rest > 0) {
      const V d = V::load_n(row + i, rest) - p_rest;
      s1[1] = s1[1] + d;
      s2[1] = fma(d, d, s2[1]);
    }
  }
  sums[0] = reduce_add_wide((s1[0] + s1[1]) + (s1[2] + s1[3]));
  sums[1] = reduce_add_wide((s2[0] + s2[1]) + (s2[2] + s2[3]));
}

// How a kernel tells what of dy passes the ending behind the normalisation: there is none; y is
// made again of x, which is read anyway, by the operation that made it: the same bits, and no third
// array to read (a ReLU's single bound for itself, as two comparisons take 5 to 10 per cent
// longer); or y was kept, and what passes is written.
constexpr int kUnmasked = 0, kAbove = 1, kWithin = 2, kKept = 3;

template <class T>
LAMINAE_INLINE int kind_of(const EndingMask<T>* mask) {
  if (mask == nullptr) return kUnmasked;
  if (mask->y != nullptr) return kKept;
  return mask->high == mask->high ? kWithin : kAbove;
}
constexpr bool remakes_y(int mask) { return mask == kAbove || mask == kWithin; }

// A number known to the compiler, for a lambda that calls the instance made for it.
template <int N>
struct Constant {
  static constexpr int value = N;
};
template <class C>
constexpr int value_of = C::value;

// fn(kind, mask), the kind of `mask` as a Constant and some mask even if there is none. Where y is
// never kept, nothing is made for it.
template <bool kMayBeKept, class T, class Fn>
LAMINAE_INLINE void with_kind(const EndingMask<T>* mask, Fn&& fn) {
  const int kind = kind_of(mask);
  if (kind == kUnmasked) return fn(Constant<kUnmasked>(), EndingMask<T>());
  if (kind == kAbove) return fn(Constant<kAbove>(), *mask);
  if constexpr (kMayBeKept) {
    if (kind == kKept) return fn(Constant<kKept>(), *mask);
  }
  fn(Constant<kWithin>(), *mask);
}

// fn(adds, limits), whether the ending min(max(y + add, low), high) does so, as Constants.
template <class T, class Fn>
LAMINAE_INLINE void with_ending(const T* add, T low, T high, Fn&& fn) {
  const bool limits = low > -INFINITY || high < INFINITY;
  if (add == nullptr) {
    if (limits) return fn(Constant<false>(), Constant<true>());
    return fn(Constant<false>(), Constant<false>());
  }
  if (limits) return fn(Constant<true>(), Constant<true>());
  fn(Constant<true>(), Constant<false>());
}

// What of dy passes. `shifted` is x - mean, `at` the place of the vector in mask.y.
template <class T, int kMask>
struct Passing {
  using V = Vec<T>;
  const EndingMask<T>& mask;
  V low, high, a, b;

  // a, b: those of the mask, if it makes y again
  LAMINAE_INLINE Passing(const EndingMask<T>& m, V y_a, V y_b)
      : mask(m), low(V::set1(m.low)), high(V::set1(m.high)), a(y_a), b(y_b) {}

  LAMINAE_INLINE V inside(V dy, V y) const {
    const auto out = kMask == kAbove ? le(y, low) : le(y, low) | le(high, y);
    return select(out, V::zero(), dy);
  }
  LAMINAE_INLINE V of(V dy, V shifted, int64_t at) const {
    if (kMask == kUnmasked) return dy;
    if (remakes_y(kMask)) return inside(dy, fma(shifted, a, b));
    const V g = inside(dy, V::load(mask.y + at));
    g.store(mask.passed + at);
    return g;
  }
  // Of the first n lanes.
  LAMINAE_INLINE V of(V dy, V shifted, int64_t at, int64_t n) const {
    if (kMask != kKept) return of(dy, shifted, at);
    const V g = inside(dy, V::load_n(mask.y + at, n));
    g.store_n(mask.passed + at, n);
    return g;
  }
};

// Requests the cache lines 2 KiB behind the N elements at `at`: of three arrays that are read and
// one that is written in runs of some pages the hardware does not keep ahead. 8 images of 256
// channels of 56 x 56, in place, take 3.25 ms so, sums and gradient of x, and 4.02 without.
template <class T, int N>
LAMINAE_INLINE void request_ahead(int64_t at, const T* p, const T* q, const T* r) {
  constexpr int kLine = 64 / sizeof(T), kAhead = 2048 / sizeof(T);
  LAMINAE_UNROLL for (int i = 0; i < N; i += kLine) {
    LAMINAE_PREFETCH(p + at + i + kAhead);
    LAMINAE_PREFETCH(q + at + i + kAhead);
    LAMINAE_PREFETCH(r + at + i + kAhead);
  }
}

template <class T, int kMask>
LAMINAE_NOINLINE void gradient_sums_of(int64_t rows, int64_t n, int64_t row_step, const T* x,
                                       const T* dy, T mean, const EndingMask<T>& mask,
                                       double* sums) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const Passing<T, kMask> passing(mask, remakes_y(kMask) ? V::set1(*mask.a) : m,
                                  remakes_y(kMask) ? V::set1(*mask.b) : m);
  V s1[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  V s2[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  for (int64_t at = 0; at < rows * row_step; at += row_step) {
    const int64_t end = at + n;
    int64_t i = at;
    for (; i + 4 * kW <= end; i += 4 * kW) {
      if (kMask == kKept) request_ahead<T, 4 * kW>(i, x, dy, mask.y);
      LAMINAE_UNROLL for (int u = 0; u < 4; u++) {
        const int64_t j = i + u * kW;
        const V d = V::load_stream(x + j) - m;
        const V g = passing.of(V::load_stream(dy + j), d, j);
        s1[u] = s1[u] + g;
        s2[u] = fma(g, d, s2[u]);
      }
    }
    for (; i + kW <= end; i += kW) {
      const V d = V::load(x + i) - m;
      const V g = passing.of(V::load(dy + i), d, i);
      s1[0] = s1[0] + g;
      s2[0] = fma(g, d, s2[0]);
    }
    if (i == end) continue;
    const V d = V::load_n(x + i, end - i) - m;
    const V g = passing.of(V::load_n(dy + i, end - i), d, i, end - i);  // 0 beyond the end
    s1[1] = s1[1] + g;
    s2[1] = fma(g, d, s2[1]);
  }
  sums[0] = reduce_add_wide((s1[0] + s1[1]) + (s1[2] + s1[3]));
  sums[1] = reduce_add_wide((s2[0] + s2[1]) + (s2[2] + s2[3]));
}

// sums[0] = sum of dy, sums[1] = sum of dy (x - mean), over runs as in shifted_sums. With a mask
// only of what of dy passes; mask->a and mask->b are one number each.
template <class T>
void gradient_sums(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean,
                   const EndingMask<T>* mask, double* sums) {
  with_kind<true>(mask, [&](auto kind, const EndingMask<T>& m) {
    gradient_sums_of<T, value_of<decltype(kind)>>(rows, n, row_step, x, dy, mean, m, sums);
  });
}

// One vector of y = min(max((x - mean) a + b + add, low), high). NaN stays NaN.
template <class T, bool kAdd, bool kLimited>
LAMINAE_INLINE Vec<T> normalized(Vec<T> x, Vec<T> mean, Vec<T> a, Vec<T> b, Vec<T> add, Vec<T> low,
                                 Vec<T> high) {
  const Vec<T> y = fma(x - mean, a, b);
  const Vec<T> sum = kAdd ? y + add : y;
  return kLimited ? min(high, max(low, sum)) : sum;
}

template <class T, bool kAdd, bool kLimited>
LAMINAE_INLINE void affine_rows(int64_t rows, int64_t n, int64_t row_step, const T* x, T mean, T a,
                                T b, const T* add, T low, T high, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V av = V::set1(a);
  const V bv = V::set1(b);
  const V lo = V::set1(low), hi = V::set1(high);
  for (int64_t at = 0; at < rows * row_step; at += row_step) {
    int64_t i = at;
    const int64_t end = at + n;
    for (; i + kW <= end; i += kW) {
      const V r = kAdd ? V::load(add + i) : bv;
      normalized<T, kAdd, kLimited>(V::load_stream(x + i), m, av, bv, r, lo, hi).store(y + i);
    }
    if (i == end) continue;
    const V r = kAdd ? V::load_n(add + i, end - i) : bv;
    const V xv = V::load_n(x + i, end - i);
    normalized<T, kAdd, kLimited>(xv, m, av, bv, r, lo, hi).store_n(y + i, end - i);
  }
}

// y = min(max((x - mean) a + b + add, low), high), add nothing if null; over runs as above, add
// like y. y may be x or add.
template <class T>
void shifted_affine(int64_t rows, int64_t n, int64_t row_step, const T* x, T mean, T a, T b,
                    const T* add, T low, T high, T* y) {
  with_ending(add, low, high, [&](auto adds, auto limits) {
    affine_rows<T, value_of<decltype(adds)>, value_of<decltype(limits)>>(
        rows, n, row_step, x, mean, a, b, add == nullptr ? x : add, low, high, y);
  });
}

// One vector of dx.
template <class T, bool kTraining, int kMask>
LAMINAE_INLINE Vec<T> input_gradient(Vec<T> x, Vec<T> dy, Vec<T> mean, Vec<T> a, Vec<T> b, Vec<T> c,
                                     const Passing<T, kMask>& passing) {
  const Vec<T> d = x - mean;
  const Vec<T> g = passing.of(dy, d, 0);
  return kTraining ? fma(g, a, fma(d, b, c)) : g * a;
}

template <class T, int kMask, bool kTraining>
LAMINAE_INLINE void gradient_rows(int64_t rows, int64_t n, int64_t row_step, const T* x,
                                  const T* dy, T mean, T a, T b, T c, const EndingMask<T>& mask,
                                  T y_a, T y_b, T* dx) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V av = V::set1(a), bv = V::set1(b), cv = V::set1(c);
  const Passing<T, kMask> passing(mask, V::set1(y_a), V::set1(y_b));
  for (int64_t at = 0; at < rows * row_step; at += row_step) {
    int64_t i = at;
    const int64_t end = at + n;
    for (; i + kW <= end; i += kW) {
      const V xv = V::load_stream(x + i), g = V::load_stream(dy + i);
      input_gradient<T, kTraining>(xv, g, m, av, bv, cv, passing).store(dx + i);
    }
    if (i == end) continue;
    const V xv = V::load_n(x + i, end - i), g = V::load_n(dy + i, end - i);
    input_gradient<T, kTraining>(xv, g, m, av, bv, cv, passing).store_n(dx + i, end - i);
  }
}

// dx = a dy + b (x - mean) + c, or a dy if b and c are null, whatever x holds; over runs as above.
// With a mask, whose y is null: of what of dy passes. dx may be dy.
template <class T>
void norm_gradient(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean, T a,
                   const T* b, const T* c, const EndingMask<T>* mask, T* dx) {
  with_kind<false>(mask, [&](auto kind, const EndingMask<T>& m) {
    constexpr int kMask = value_of<decltype(kind)>;
    const T y_a = remakes_y(kMask) ? *m.a : a, y_b = remakes_y(kMask) ? *m.b : a;
    if (b == nullptr)
      gradient_rows<T, kMask, false>(rows, n, row_step, x, dy, mean, a, a, a, m, y_a, y_b, dx);
    else
      gradient_rows<T, kMask, true>(rows, n, row_step, x, dy, mean, a, *b, *c, m, y_a, y_b, dx);
  });
}
