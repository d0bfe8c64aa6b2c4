// Normalisation: statistics, y = (x - mean) invstd weight + bias, and its derivative.
//
// Two layouts: "planes", where the elements of a channel are contiguous runs, and "columns", where
// a channel is a column of a matrix [rows, cols] and lanes are channels.
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
        const V d = V::load(x + j) - m;
        const V g = passing.of(V::load(dy + j), d, j);
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
  switch (kind_of(mask)) {
    case kUnmasked:
      return gradient_sums_of<T, kUnmasked>(rows, n, row_step, x, dy, mean, EndingMask<T>(), sums);
    case kAbove:
      return gradient_sums_of<T, kAbove>(rows, n, row_step, x, dy, mean, *mask, sums);
    case kWithin:
      return gradient_sums_of<T, kWithin>(rows, n, row_step, x, dy, mean, *mask, sums);
    default:
      return gradient_sums_of<T, kKept>(rows, n, row_step, x, dy, mean, *mask, sums);
  }
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
      normalized<T, kAdd, kLimited>(V::load(x + i), m, av, bv, r, lo, hi).store(y + i);
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
  const bool limited = low > -INFINITY || high < INFINITY;
  if (add == nullptr) {
    if (limited)
      return affine_rows<T, false, true>(rows, n, row_step, x, mean, a, b, x, low, high, y);
    return affine_rows<T, false, false>(rows, n, row_step, x, mean, a, b, x, low, high, y);
  }
  if (limited)
    return affine_rows<T, true, true>(rows, n, row_step, x, mean, a, b, add, low, high, y);
  affine_rows<T, true, false>(rows, n, row_step, x, mean, a, b, add, low, high, y);
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
      const V xv = V::load(x + i), g = V::load(dy + i);
      input_gradient<T, kTraining>(xv, g, m, av, bv, cv, passing).store(dx + i);
    }
    if (i == end) continue;
    const V xv = V::load_n(x + i, end - i), g = V::load_n(dy + i, end - i);
    input_gradient<T, kTraining>(xv, g, m, av, bv, cv, passing).store_n(dx + i, end - i);
  }
}

template <class T, int kMask>
LAMINAE_INLINE void norm_gradient_of(int64_t rows, int64_t n, int64_t row_step, const T* x,
                                     const T* dy, T mean, T a, const T* b, const T* c,
                                     const EndingMask<T>& mask, T* dx) {
  const T ya = remakes_y(kMask) ? *mask.a : a, yb = remakes_y(kMask) ? *mask.b : a;
  if (b == nullptr) {
    gradient_rows<T, kMask, false>(rows, n, row_step, x, dy, mean, a, a, a, mask, ya, yb, dx);
  } else {
    gradient_rows<T, kMask, true>(rows, n, row_step, x, dy, mean, a, *b, *c, mask, ya, yb, dx);
  }
}

// dx = a dy + b (x - mean) + c, or a dy if b and c are null, whatever x holds; over runs as above.
// With a mask, whose y is null: of what of dy passes. dx may be dy.
template <class T>
void norm_gradient(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean, T a,
                   const T* b, const T* c, const EndingMask<T>* mask, T* dx) {
  switch (kind_of(mask)) {
    case kUnmasked:
      return norm_gradient_of<T, kUnmasked>(rows, n, row_step, x, dy, mean, a, b, c,
                                            EndingMask<T>(), dx);
    case kAbove:
      return norm_gradient_of<T, kAbove>(rows, n, row_step, x, dy, mean, a, b, c, *mask, dx);
    default:
      return norm_gradient_of<T, kWithin>(rows, n, row_step, x, dy, mean, a, b, c, *mask, dx);
  }
}

// ---- channels side by side: x [rows][channels][s], rows ld apart ----
//
// For s == 1 lanes are channels. For a few elements per channel rows are walked in the order of
// memory, each channel with its own vectors of sums: channel by channel, runs would be short, far
// apart and, when the distance is a power of two, in one another's way in the cache.

// Adds lanes of T to sums in double.
template <class T>
LAMINAE_INLINE void add_lanes(Vec<T> v, double* acc, int64_t n) {
  T lanes[Vec<T>::kWidth];
  v.store(lanes);
  for (int64_t q = 0; q < n; q++) acc[q] += static_cast<double>(lanes[q]);
}

// What a reduction reads of its channels: shift is taken from x. With dy the sums are those of a
// gradient, whose mask there may be one of.
template <class T>
struct ChannelTerms {
  const T *x, *dy, *shift;
  const EndingMask<T>& mask;
};

// One strip of kNv vectors (`m` columns from j on) of a column reduction.
template <class T, bool kGradient, int kMask, int kNv>
LAMINAE_INLINE void column_sums_strip(int64_t rows, int64_t ld, const ChannelTerms<T>& t, int64_t j,
                                      int64_t m, double* s1, double* s2) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const bool partial = m < kNv * kW;
  const auto load = [&](const T* p) { return partial ? V::load_n(p, m) : V::load(p); };
  V p[kNv], a[kNv], b[kNv], ya[kNv], yb[kNv];
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    p[u] = ya[u] = yb[u] = load(t.shift + j + u * kW);
    a[u] = b[u] = V::zero();
    if (!remakes_y(kMask)) continue;
    ya[u] = load(t.mask.a + j + u * kW);
    yb[u] = load(t.mask.b + j + u * kW);
  }
  for (int64_t i = 0; i < rows; i++) {
    LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
      const int64_t at = i * ld + j + u * kW;
      const V d = load(t.x + at) - p[u];
      V g = d;
      if (kGradient) {
        const Passing<T, kMask> passing(t.mask, ya[u], yb[u]);
        g = passing.of(load(t.dy + at), d, at);
      }
      a[u] = a[u] + g;
      b[u] = fma(g, d, b[u]);
    }
  }
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    const int64_t n = partial ? m : kW;
    add_lanes(a[u], s1 + j + u * kW, n);
    add_lanes(b[u], s2 + j + u * kW, n);
  }
}

template <class T, bool kGradient, int kMask>
LAMINAE_INLINE void column_sums(int64_t rows, int64_t cols, int64_t ld, const ChannelTerms<T>& t,
                                double* s1, double* s2) {
  constexpr int64_t kW = Vec<T>::kWidth;
  int64_t j = 0;
  for (; j + 4 * kW <= cols; j += 4 * kW) {
    column_sums_strip<T, kGradient, kMask, 4>(rows, ld, t, j, 4 * kW, s1, s2);
  }
  for (; j < cols; j += kW) {
    const int64_t m = cols - j < kW ? cols - j : kW;
    column_sums_strip<T, kGradient, kMask, 1>(rows, ld, t, j, m, s1, s2);
  }
}

// Channels [begin, end), up to kChannelStrip, of s elements.
constexpr int kChannelStrip = 16;
template <class T, bool kGradient, int kMask>
LAMINAE_INLINE void channel_sums_strip(int64_t rows, int64_t begin, int64_t end, int64_t s,
                                       int64_t ld, const ChannelTerms<T>& t, double* s1,
                                       double* s2) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V first[kChannelStrip], second[kChannelStrip];
  for (int64_t j = begin; j < end; j++) first[j - begin] = second[j - begin] = V::zero();
  const int64_t rest = s % kW;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t j = begin; j < end; j++) {
      const V m = V::set1(t.shift[j]);
      const Passing<T, kMask> passing(t.mask, remakes_y(kMask) ? V::set1(t.mask.a[j]) : m,
                                      remakes_y(kMask) ? V::set1(t.mask.b[j]) : m);
      V a = first[j - begin], b = second[j - begin];
      int64_t at = r * ld + j * s;
      for (const int64_t whole = at + s - rest; at < whole; at += kW) {
        const V d = V::load(t.x + at) - m;
        const V g = kGradient ? passing.of(V::load(t.dy + at), d, at) : d;
        a = a + g;
        b = fma(g, d, b);
      }
      if (rest > 0) {
        // Lanes behind the end have to add nothing: dy is 0 there, and so is x less a shift of 0.
        V d = V::load_n(t.x + at, rest) - m;
        V g = d;
        if (kGradient) {
          g = passing.of(V::load_n(t.dy + at, rest), d, at);
        } else {
          T lanes[kW];
          d.store(lanes);
          d = g = V::load_n(lanes, rest);
        }
        a = a + g;
        b = fma(g, d, b);
      }
      first[j - begin] = a;
      second[j - begin] = b;
    }
  }
  for (int64_t j = begin; j < end; j++) {
    s1[j] += reduce_add_wide(first[j - begin]);
    s2[j] += reduce_add_wide(second[j - begin]);
  }
}

template <class T, bool kGradient, int kMask>
LAMINAE_INLINE void channel_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                 const ChannelTerms<T>& t, double* s1, double* s2) {
  if (s == 1) return column_sums<T, kGradient, kMask>(rows, channels, ld, t, s1, s2);
  for (int64_t j = 0; j < channels; j += kChannelStrip) {
    const int64_t end = channels - j < kChannelStrip ? channels : j + kChannelStrip;
    channel_sums_strip<T, kGradient, kMask>(rows, j, end, s, ld, t, s1, s2);
  }
}

// What of dy passes, where y was kept. In place, rows of a few elements, each with a store of part
// of a vector that the next load would have to wait for, took 1.3 to 1.9 times as long in the sums.
template <class T>
void passing_rows(int64_t rows, int64_t n, int64_t row_step, const T* dy,
                  const EndingMask<T>& mask) {
  using V = Vec<T>;
  const Passing<T, kKept> passing(mask, V::zero(), V::zero());
  for (int64_t at = 0; at < rows * row_step; at += row_step) {
    int64_t i = at;
    const int64_t end = at + n;
    for (; i + V::kWidth <= end; i += V::kWidth) passing.of(V::load(dy + i), V::zero(), i);
    if (i < end) passing.of(V::load_n(dy + i, end - i), V::zero(), i, end - i);
  }
}

// s1[j] += sum of (x - pivot[j]), s2[j] += sum of (x - pivot[j])^2 over channel j of all rows,
// which the caller keeps to a few thousand elements a channel: they are added in T.
template <class T>
void channel_shifted_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                          const T* pivot, double* s1, double* s2) {
  const ChannelTerms<T> t{x, x, pivot, EndingMask<T>()};
  channel_sums<T, false, kUnmasked>(rows, channels, s, ld, t, s1, s2);
}

// s1[j] += sum of dy, s2[j] += sum of dy (x - mean[j]); mask as in norm_gradient, with a and b for
// each channel
template <class T>
void channel_gradient_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, const EndingMask<T>* mask, double* s1,
                           double* s2) {
  const EndingMask<T> none;
  const ChannelTerms<T> t{x, dy, mean, mask == nullptr ? none : *mask};
  switch (kind_of(mask)) {
    case kUnmasked:
      return channel_sums<T, true, kUnmasked>(rows, channels, s, ld, t, s1, s2);
    case kAbove:
      return channel_sums<T, true, kAbove>(rows, channels, s, ld, t, s1, s2);
    default:
      return channel_sums<T, true, kWithin>(rows, channels, s, ld, t, s1, s2);
  }
}

template <class T, bool kAdd, bool kLimited>
LAMINAE_INLINE void affine_channels(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                    const T* x, const T* mean, const T* a, const T* b, const T* add,
                                    T low, T high, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V lo = V::set1(low), hi = V::set1(high);
  for (int64_t r = 0; r < rows; r++, x += ld, add += ld, y += ld) {
    if (s > 1) {
      for (int64_t j = 0; j < channels; j++) {
        const int64_t at = j * s;
        affine_rows<T, kAdd, kLimited>(1, s, s, x + at, mean[j], a[j], b[j], add + at, low, high,
                                       y + at);
      }
      continue;
    }
    int64_t j = 0;
    for (; j + kW <= channels; j += kW) {
      const V mv = V::load(mean + j), av = V::load(a + j), bv = V::load(b + j);
      const V r1 = kAdd ? V::load(add + j) : bv;
      normalized<T, kAdd, kLimited>(V::load(x + j), mv, av, bv, r1, lo, hi).store(y + j);
    }
    if (j == channels) continue;
    const int64_t m = channels - j;
    const V mv = V::load_n(mean + j, m), av = V::load_n(a + j, m), bv = V::load_n(b + j, m);
    const V r1 = kAdd ? V::load_n(add + j, m) : bv;
    normalized<T, kAdd, kLimited>(V::load_n(x + j, m), mv, av, bv, r1, lo, hi).store_n(y + j, m);
  }
}

// y = min(max((x - mean[j]) a[j] + b[j] + add, low), high); add as in shifted_affine
template <class T>
void channel_affine(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                    const T* mean, const T* a, const T* b, const T* add, T low, T high, T* y) {
  const bool limited = low > -INFINITY || high < INFINITY;
  if (add == nullptr) {
    if (limited)
      return affine_channels<T, false, true>(rows, channels, s, ld, x, mean, a, b, x, low, high, y);
    return affine_channels<T, false, false>(rows, channels, s, ld, x, mean, a, b, x, low, high, y);
  }
  if (limited)
    return affine_channels<T, true, true>(rows, channels, s, ld, x, mean, a, b, add, low, high, y);
  affine_channels<T, true, false>(rows, channels, s, ld, x, mean, a, b, add, low, high, y);
}

template <class T, int kMask, bool kTraining>
LAMINAE_INLINE void gradient_channels(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                      const T* x, const T* dy, const T* mean, const T* a,
                                      const T* b, const T* c, const EndingMask<T>& mask, T* dx) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  // Where there is no mask, any numbers will do.
  const T *y_a = remakes_y(kMask) ? mask.a : a, *y_b = remakes_y(kMask) ? mask.b : a;
  for (int64_t r = 0; r < rows; r++, x += ld, dy += ld, dx += ld) {
    if (s > 1) {
      for (int64_t j = 0; j < channels; j++) {
        const int64_t at = j * s;
        gradient_rows<T, kMask, kTraining>(1, s, s, x + at, dy + at, mean[j], a[j], b[j], c[j],
                                           mask, y_a[j], y_b[j], dx + at);
      }
      continue;
    }
    int64_t j = 0;
    for (; j + kW <= channels; j += kW) {
      const V xv = V::load(x + j), g = V::load(dy + j), mv = V::load(mean + j), av = V::load(a + j);
      const V bv = V::load(b + j), cv = V::load(c + j);
      const Passing<T, kMask> passing(mask, V::load(y_a + j), V::load(y_b + j));
      input_gradient<T, kTraining>(xv, g, mv, av, bv, cv, passing).store(dx + j);
    }
    if (j == channels) continue;
    const int64_t m = channels - j;
    const V xv = V::load_n(x + j, m), g = V::load_n(dy + j, m);
    const V mv = V::load_n(mean + j, m), av = V::load_n(a + j, m);
    const V bv = V::load_n(b + j, m), cv = V::load_n(c + j, m);
    const Passing<T, kMask> passing(mask, V::load_n(y_a + j, m), V::load_n(y_b + j, m));
    input_gradient<T, kTraining>(xv, g, mv, av, bv, cv, passing).store_n(dx + j, m);
  }
}

template <class T, int kMask>
LAMINAE_INLINE void channel_norm_gradient_of(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                             const T* x, const T* dy, const T* mean, const T* a,
                                             const T* b, const T* c, const EndingMask<T>& mask,
                                             T* dx) {
  if (b == nullptr) {
    gradient_channels<T, kMask, false>(rows, channels, s, ld, x, dy, mean, a, a, a, mask, dx);
  } else {
    gradient_channels<T, kMask, true>(rows, channels, s, ld, x, dy, mean, a, b, c, mask, dx);
  }
}

// dx = a[j] dy + b[j] (x - mean[j]) + c[j]; null for b and c, and mask, as in norm_gradient
template <class T>
void channel_norm_gradient(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, const T* a, const T* b, const T* c,
                           const EndingMask<T>* mask, T* dx) {
  switch (kind_of(mask)) {
    case kUnmasked:
      return channel_norm_gradient_of<T, kUnmasked>(rows, channels, s, ld, x, dy, mean, a, b, c,
                                                    EndingMask<T>(), dx);
    case kAbove:
      return channel_norm_gradient_of<T, kAbove>(rows, channels, s, ld, x, dy, mean, a, b, c, *mask,
                                                 dx);
    default:
      return channel_norm_gradient_of<T, kWithin>(rows, channels, s, ld, x, dy, mean, a, b, c,
                                                  *mask, dx);
  }
}
