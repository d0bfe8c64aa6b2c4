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

// A ReLU behind the normalisation lets dy pass unless y <= 0. y is made again of x, which is read
// anyway, by the operation that made it: the same bits, and no third array to read.
template <class T, bool kRelu>
LAMINAE_INLINE Vec<T> passing(Vec<T> dy, Vec<T> shifted, Vec<T> y_a, Vec<T> y_b) {
  return kRelu ? select(le(fma(shifted, y_a, y_b), Vec<T>::zero()), Vec<T>::zero(), dy) : dy;
}

template <class T, bool kRelu>
LAMINAE_NOINLINE void gradient_sums_of(int64_t rows, int64_t n, int64_t row_step, const T* x,
                                       const T* dy, T mean, T y_a, T y_b, double* sums) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V a = V::set1(y_a);
  const V b = V::set1(y_b);
  const int64_t rest = n % kW;
  V s1[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  V s2[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  for (int64_t r = 0; r < rows; r++) {
    const T* x_row = x + r * row_step;
    const T* dy_row = dy + r * row_step;
    int64_t i = 0;
    for (; i + 4 * kW <= n; i += 4 * kW) {
      LAMINAE_UNROLL for (int u = 0; u < 4; u++) {
        const V d = V::load(x_row + i + u * kW) - m;
        const V g = passing<T, kRelu>(V::load(dy_row + i + u * kW), d, a, b);
        s1[u] = s1[u] + g;
        s2[u] = fma(g, d, s2[u]);
      }
    }
    for (; i + kW <= n; i += kW) {
      const V d = V::load(x_row + i) - m;
      const V g = passing<T, kRelu>(V::load(dy_row + i), d, a, b);
      s1[0] = s1[0] + g;
      s2[0] = fma(g, d, s2[0]);
    }
    if (rest > 0) {
      const V d = V::load_n(x_row + i, rest) - m;
      const V g = passing<T, kRelu>(V::load_n(dy_row + i, rest), d, a, b);  // 0 beyond the end
      s1[1] = s1[1] + g;
      s2[1] = fma(g, d, s2[1]);
    }
  }
  sums[0] = reduce_add_wide((s1[0] + s1[1]) + (s1[2] + s1[3]));
  sums[1] = reduce_add_wide((s2[0] + s2[1]) + (s2[2] + s2[3]));
}

// sums[0] = sum of dy, sums[1] = sum of dy (x - mean), over runs as in shifted_sums. With y_a and
// y_b only what of dy passes the ReLU behind y = (x - mean) y_a[0] + y_b[0].
template <class T>
void gradient_sums(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean,
                   const T* y_a, const T* y_b, double* sums) {
  if (y_a == nullptr) {
    gradient_sums_of<T, false>(rows, n, row_step, x, dy, mean, T(0), T(0), sums);
  } else {
    gradient_sums_of<T, true>(rows, n, row_step, x, dy, mean, *y_a, *y_b, sums);
  }
}

// One vector of y = relu((x - mean) a + b + add).
template <class T, bool kAdd, bool kRelu>
LAMINAE_INLINE Vec<T> normalized(Vec<T> x, Vec<T> mean, Vec<T> a, Vec<T> b, Vec<T> add) {
  const Vec<T> y = fma(x - mean, a, b);
  const Vec<T> sum = kAdd ? y + add : y;
  return kRelu ? max(Vec<T>::zero(), sum) : sum;  // NaN stays NaN
}

template <class T, bool kAdd, bool kRelu>
LAMINAE_INLINE void affine_rows(int64_t rows, int64_t n, int64_t row_step, const T* x, T mean, T a,
                                T b, const T* add, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V av = V::set1(a);
  const V bv = V::set1(b);
  for (int64_t at = 0; at < rows * row_step; at += row_step) {
    int64_t i = at;
    const int64_t end = at + n;
    for (; i + kW <= end; i += kW) {
      const V r = kAdd ? V::load(add + i) : bv;
      normalized<T, kAdd, kRelu>(V::load(x + i), m, av, bv, r).store(y + i);
    }
    if (i == end) continue;
    const V r = kAdd ? V::load_n(add + i, end - i) : bv;
    normalized<T, kAdd, kRelu>(V::load_n(x + i, end - i), m, av, bv, r).store_n(y + i, end - i);
  }
}

// y = (x - mean) a + b, plus add unless that is null, through a ReLU if there is one; over runs as
// above, add like y. y may be x or add.
template <class T>
void shifted_affine(int64_t rows, int64_t n, int64_t row_step, const T* x, T mean, T a, T b,
                    const T* add, bool relu, T* y) {
  if (add == nullptr) {
    if (relu) return affine_rows<T, false, true>(rows, n, row_step, x, mean, a, b, x, y);
    return affine_rows<T, false, false>(rows, n, row_step, x, mean, a, b, x, y);
  }
  if (relu) return affine_rows<T, true, true>(rows, n, row_step, x, mean, a, b, add, y);
  affine_rows<T, true, false>(rows, n, row_step, x, mean, a, b, add, y);
}

// One vector of dx.
template <class T, bool kRelu, bool kTraining>
LAMINAE_INLINE Vec<T> input_gradient(Vec<T> x, Vec<T> dy, Vec<T> mean, Vec<T> a, Vec<T> b, Vec<T> c,
                                     Vec<T> y_a, Vec<T> y_b) {
  const Vec<T> d = x - mean;
  const Vec<T> g = passing<T, kRelu>(dy, d, y_a, y_b);
  return kTraining ? fma(g, a, fma(d, b, c)) : g * a;
}

template <class T, bool kRelu, bool kTraining>
LAMINAE_INLINE void gradient_rows(int64_t rows, int64_t n, int64_t row_step, const T* x,
                                  const T* dy, T mean, T a, T b, T c, T y_a, T y_b, T* dx) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V av = V::set1(a);
  const V bv = V::set1(b);
  const V cv = V::set1(c);
  const V ya = V::set1(y_a);
  const V yb = V::set1(y_b);
  for (int64_t at = 0; at < rows * row_step; at += row_step) {
    int64_t i = at;
    const int64_t end = at + n;
    for (; i + kW <= end; i += kW) {
      input_gradient<T, kRelu, kTraining>(V::load(x + i), V::load(dy + i), m, av, bv, cv, ya, yb)
          .store(dx + i);
    }
    if (i == end) continue;
    const V xv = V::load_n(x + i, end - i);
    const V g = V::load_n(dy + i, end - i);
    input_gradient<T, kRelu, kTraining>(xv, g, m, av, bv, cv, ya, yb).store_n(dx + i, end - i);
  }
}

// dx = a dy + b (x - mean) + c, or a dy if b and c are null, whatever x holds; over runs as above.
// With y_a and y_b: of what of dy passes the ReLU. dx may be dy.
template <class T>
void norm_gradient(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean, T a,
                   const T* b, const T* c, const T* y_a, const T* y_b, T* dx) {
  const T none = T(0);
  const T bv = b == nullptr ? none : *b, cv = b == nullptr ? none : *c;
  const T ya = y_a == nullptr ? none : *y_a, yb = y_a == nullptr ? none : *y_b;
  if (y_a == nullptr) {
    if (b == nullptr) {
      return gradient_rows<T, false, false>(rows, n, row_step, x, dy, mean, a, bv, cv, ya, yb, dx);
    }
    return gradient_rows<T, false, true>(rows, n, row_step, x, dy, mean, a, bv, cv, ya, yb, dx);
  }
  if (b == nullptr) {
    return gradient_rows<T, true, false>(rows, n, row_step, x, dy, mean, a, bv, cv, ya, yb, dx);
  }
  gradient_rows<T, true, true>(rows, n, row_step, x, dy, mean, a, bv, cv, ya, yb, dx);
}

// ---- channels side by side: x [rows][channels][s], rows ld apart ----
//
// For s == 1 lanes are channels. For a few elements per channel rows are walked in the order of
// memory, each channel with its own vectors of sums: channel by channel, runs would be short, far
// apart and, when the distance is a power of two, in one another's way in the cache.

struct shifted_term {
  static constexpr bool kUsesGradient = false;
  static constexpr bool kRelu = false;
};
struct gradient_term {
  static constexpr bool kUsesGradient = true;
  static constexpr bool kRelu = false;
};
struct relu_gradient_term {
  static constexpr bool kUsesGradient = true;
  static constexpr bool kRelu = true;
};

// What column_sums and channel_sums read of channel j: shift[j] is taken from x; y_a and y_b are
// those of passing(), read by relu_gradient_term alone.
template <class T>
struct ChannelTerms {
  const T *shift, *y_a, *y_b;
  LAMINAE_INLINE ChannelTerms from(int64_t j) const { return {shift + j, y_a + j, y_b + j}; }
};

// Adds lanes of T to sums in double.
template <class T>
LAMINAE_INLINE void add_lanes(Vec<T> v, double* acc, int64_t n) {
  T lanes[Vec<T>::kWidth];
  v.store(lanes);
  for (int64_t q = 0; q < n; q++) acc[q] += static_cast<double>(lanes[q]);
}

// One strip of kNv vectors (`m` columns) of a column reduction: Term gives what row i adds to the
// two sums of a column.
template <class T, class Term, int kNv>
LAMINAE_INLINE void column_sums_strip(int64_t rows, int64_t ld, const T* x, const T* dy,
                                      const ChannelTerms<T>& terms, int64_t m, double* s1,
                                      double* s2) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const bool partial = m < kNv * kW;
  V p[kNv], a[kNv], b[kNv], ya[kNv], yb[kNv];
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    p[u] = partial ? V::load_n(terms.shift + u * kW, m) : V::load(terms.shift + u * kW);
    a[u] = b[u] = ya[u] = yb[u] = V::zero();
    if (!Term::kRelu) continue;
    ya[u] = partial ? V::load_n(terms.y_a + u * kW, m) : V::load(terms.y_a + u * kW);
    yb[u] = partial ? V::load_n(terms.y_b + u * kW, m) : V::load(terms.y_b + u * kW);
  }
  for (int64_t i = 0; i < rows; i++) {
    LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
      const int64_t at = i * ld + u * kW;
      const V xv = partial ? V::load_n(x + at, m) : V::load(x + at);
      const V gv = Term::kUsesGradient ? (partial ? V::load_n(dy + at, m) : V::load(dy + at)) : xv;
      const V d = xv - p[u];
      const V t = Term::kUsesGradient ? passing<T, Term::kRelu>(gv, d, ya[u], yb[u]) : d;
      a[u] = a[u] + t;
      b[u] = fma(t, d, b[u]);
    }
  }
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    const int64_t n = partial ? m : kW;
    add_lanes(a[u], s1 + u * kW, n);
    add_lanes(b[u], s2 + u * kW, n);
  }
}

template <class T, class Term>
LAMINAE_INLINE void column_sums(int64_t rows, int64_t cols, int64_t ld, const T* x, const T* dy,
                                const ChannelTerms<T>& terms, double* s1, double* s2) {
  constexpr int64_t kW = Vec<T>::kWidth;
  int64_t j = 0;
  for (; j + 4 * kW <= cols; j += 4 * kW) {
    column_sums_strip<T, Term, 4>(rows, ld, x + j, dy + j, terms.from(j), 4 * kW, s1 + j, s2 + j);
  }
  for (; j < cols; j += kW) {
    const int64_t m = cols - j < kW ? cols - j : kW;
    column_sums_strip<T, Term, 1>(rows, ld, x + j, dy + j, terms.from(j), m, s1 + j, s2 + j);
  }
}

// `channels` <= kChannelStrip channels of s elements.
constexpr int kChannelStrip = 16;
template <class T, class Term>
LAMINAE_INLINE void channel_sums_strip(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                       const T* x, const T* dy, const ChannelTerms<T>& terms,
                                       double* s1, double* s2) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V first[kChannelStrip], second[kChannelStrip];
  for (int64_t j = 0; j < channels; j++) first[j] = second[j] = V::zero();
  const int64_t rest = s % kW;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t j = 0; j < channels; j++) {
      const T* p = x + r * ld + j * s;
      const T* q = dy + r * ld + j * s;
      const V m = V::set1(terms.shift[j]);
      const V ya = Term::kRelu ? V::set1(terms.y_a[j]) : m;
      const V yb = Term::kRelu ? V::set1(terms.y_b[j]) : m;
      V a = first[j], b = second[j];
      int64_t i = 0;
      for (; i + kW <= s; i += kW) {
        const V d = V::load(p + i) - m;
        const V t = Term::kUsesGradient ? passing<T, Term::kRelu>(V::load(q + i), d, ya, yb) : d;
        a = a + t;
        b = fma(t, d, b);
      }
      if (rest > 0) {
        // Lanes behind the end have to add nothing: dy is 0 there, and so is x less a shift of 0.
        V d = V::load_n(p + i, rest) - m;
        V t = d;
        if (Term::kUsesGradient) {
          t = passing<T, Term::kRelu>(V::load_n(q + i, rest), d, ya, yb);
        } else {
          T lanes[kW];
          d.store(lanes);
          d = t = V::load_n(lanes, rest);
        }
        a = a + t;
        b = fma(t, d, b);
      }
      first[j] = a;
      second[j] = b;
    }
  }
  for (int64_t j = 0; j < channels; j++) {
    s1[j] += reduce_add_wide(first[j]);
    s2[j] += reduce_add_wide(second[j]);
  }
}

template <class T, class Term>
LAMINAE_INLINE void channel_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                                 const T* dy, const ChannelTerms<T>& terms, double* s1,
                                 double* s2) {
  if (s == 1) {
    column_sums<T, Term>(rows, channels, ld, x, dy, terms, s1, s2);
    return;
  }
  for (int64_t j = 0; j < channels; j += kChannelStrip) {
    const int64_t m = channels - j < kChannelStrip ? channels - j : kChannelStrip;
    channel_sums_strip<T, Term>(rows, m, s, ld, x + j * s, dy + j * s, terms.from(j), s1 + j,
                                s2 + j);
  }
}

// s1[j] += sum of (x - pivot[j]), s2[j] += sum of (x - pivot[j])^2 over channel j of all rows,
// which the caller keeps to a few thousand elements a channel: they are added in T.
template <class T>
void channel_shifted_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                          const T* pivot, double* s1, double* s2) {
  channel_sums<T, shifted_term>(rows, channels, s, ld, x, x, {pivot, pivot, pivot}, s1, s2);
}

// s1[j] += sum of dy, s2[j] += sum of dy (x - mean[j]); y_a and y_b, one a channel, as in
// gradient_sums
template <class T>
void channel_gradient_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, const T* y_a, const T* y_b, double* s1,
                           double* s2) {
  if (y_a == nullptr) {
    channel_sums<T, gradient_term>(rows, channels, s, ld, x, dy, {mean, mean, mean}, s1, s2);
  } else {
    channel_sums<T, relu_gradient_term>(rows, channels, s, ld, x, dy, {mean, y_a, y_b}, s1, s2);
  }
}

template <class T, bool kAdd, bool kRelu>
LAMINAE_INLINE void affine_channels(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                    const T* x, const T* mean, const T* a, const T* b, const T* add,
                                    T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t r = 0; r < rows; r++, x += ld, add += ld, y += ld) {
    if (s > 1) {
      for (int64_t j = 0; j < channels; j++) {
        const int64_t at = j * s;
        affine_rows<T, kAdd, kRelu>(1, s, s, x + at, mean[j], a[j], b[j], add + at, y + at);
      }
      continue;
    }
    int64_t j = 0;
    for (; j + kW <= channels; j += kW) {
      const V mv = V::load(mean + j), av = V::load(a + j), bv = V::load(b + j);
      const V r1 = kAdd ? V::load(add + j) : bv;
      normalized<T, kAdd, kRelu>(V::load(x + j), mv, av, bv, r1).store(y + j);
    }
    if (j == channels) continue;
    const int64_t m = channels - j;
    const V mv = V::load_n(mean + j, m), av = V::load_n(a + j, m), bv = V::load_n(b + j, m);
    const V r1 = kAdd ? V::load_n(add + j, m) : bv;
    normalized<T, kAdd, kRelu>(V::load_n(x + j, m), mv, av, bv, r1).store_n(y + j, m);
  }
}

// y = (x - mean[j]) a[j] + b[j]; add and relu as in shifted_affine
template <class T>
void channel_affine(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                    const T* mean, const T* a, const T* b, const T* add, bool relu, T* y) {
  if (add == nullptr) {
    if (relu) return affine_channels<T, false, true>(rows, channels, s, ld, x, mean, a, b, x, y);
    return affine_channels<T, false, false>(rows, channels, s, ld, x, mean, a, b, x, y);
  }
  if (relu) return affine_channels<T, true, true>(rows, channels, s, ld, x, mean, a, b, add, y);
  affine_channels<T, true, false>(rows, channels, s, ld, x, mean, a, b, add, y);
}

template <class T, bool kRelu, bool kTraining>
LAMINAE_INLINE void gradient_channels(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                      const T* x, const T* dy, const T* mean, const T* a,
                                      const T* b, const T* c, const T* y_a, const T* y_b, T* dx) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t r = 0; r < rows; r++, x += ld, dy += ld, dx += ld) {
    if (s > 1) {
      for (int64_t j = 0; j < channels; j++) {
        const int64_t at = j * s;
        gradient_rows<T, kRelu, kTraining>(1, s, s, x + at, dy + at, mean[j], a[j], b[j], c[j],
                                           y_a[j], y_b[j], dx + at);
      }
      continue;
    }
    int64_t j = 0;
    for (; j + kW <= channels; j += kW) {
      const V xv = V::load(x + j), g = V::load(dy + j), mv = V::load(mean + j), av = V::load(a + j);
      const V bv = kTraining ? V::load(b + j) : av, cv = kTraining ? V::load(c + j) : av;
      const V ya = kRelu ? V::load(y_a + j) : av, yb = kRelu ? V::load(y_b + j) : av;
      input_gradient<T, kRelu, kTraining>(xv, g, mv, av, bv, cv, ya, yb).store(dx + j);
    }
    if (j == channels) continue;
    const int64_t m = channels - j;
    const V xv = V::load_n(x + j, m), g = V::load_n(dy + j, m);
    const V mv = V::load_n(mean + j, m), av = V::load_n(a + j, m);
    const V bv = kTraining ? V::load_n(b + j, m) : av, cv = kTraining ? V::load_n(c + j, m) : av;
    const V ya = kRelu ? V::load_n(y_a + j, m) : av, yb = kRelu ? V::load_n(y_b + j, m) : av;
    input_gradient<T, kRelu, kTraining>(xv, g, mv, av, bv, cv, ya, yb).store_n(dx + j, m);
  }
}

// dx = a[j] dy + b[j] (x - mean[j]) + c[j]; null for b and c, or y_a and y_b, as in norm_gradient
template <class T>
void channel_norm_gradient(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, const T* a, const T* b, const T* c,
                           const T* y_a, const T* y_b, T* dx) {
  const int64_t m = channels;
  if (y_a == nullptr) {
    if (b == nullptr) {
      return gradient_channels<T, false, false>(rows, m, s, ld, x, dy, mean, a, a, a, a, a, dx);
    }
    return gradient_channels<T, false, true>(rows, m, s, ld, x, dy, mean, a, b, c, a, a, dx);
  }
  if (b == nullptr) {
    return gradient_channels<T, true, false>(rows, m, s, ld, x, dy, mean, a, a, a, y_a, y_b, dx);
  }
  gradient_channels<T, true, true>(rows, m, s, ld, x, dy, mean, a, b, c, y_a, y_b, dx);
}
