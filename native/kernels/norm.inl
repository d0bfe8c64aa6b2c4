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

// sums[0] = sum of dy, sums[1] = sum of dy (x - mean), over runs as in shifted_sums.
template <class T>
void gradient_sums(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean,
                   double* sums) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const int64_t rest = n % kW;
  V s1[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  V s2[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  for (int64_t r = 0; r < rows; r++) {
    const T* x_row = x + r * row_step;
    const T* dy_row = dy + r * row_step;
    int64_t i = 0;
    for (; i + 4 * kW <= n; i += 4 * kW) {
      LAMINAE_UNROLL for (int u = 0; u < 4; u++) {
        const V g = V::load(dy_row + i + u * kW);
        s1[u] = s1[u] + g;
        s2[u] = fma(g, V::load(x_row + i + u * kW) - m, s2[u]);
      }
    }
    for (; i + kW <= n; i += kW) {
      const V g = V::load(dy_row + i);
      s1[0] = s1[0] + g;
      s2[0] = fma(g, V::load(x_row + i) - m, s2[0]);
    }
    if (rest > 0) {
      const V g = V::load_n(dy_row + i, rest);  // 0 beyond the end
      s1[1] = s1[1] + g;
      s2[1] = fma(g, V::load_n(x_row + i, rest) - m, s2[1]);
    }
  }
  sums[0] = reduce_add_wide((s1[0] + s1[1]) + (s1[2] + s1[3]));
  sums[1] = reduce_add_wide((s2[0] + s2[1]) + (s2[2] + s2[3]));
}

// y = (x - mean) a + b, over runs as above
template <class T>
void shifted_affine(int64_t rows, int64_t n, int64_t row_step, const T* x, T mean, T a, T b, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V av = V::set1(a);
  const V bv = V::set1(b);
  for (int64_t r = 0; r < rows; r++, x += row_step, y += row_step) {
    int64_t i = 0;
    for (; i + kW <= n; i += kW) fma(V::load(x + i) - m, av, bv).store(y + i);
    if (i < n) fma(V::load_n(x + i, n - i) - m, av, bv).store_n(y + i, n - i);
  }
}

// dx = a dy + b (x - mean) + c, over runs as above
template <class T>
void norm_gradient(int64_t rows, int64_t n, int64_t row_step, const T* x, const T* dy, T mean, T a,
                   T b, T c, T* dx) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V m = V::set1(mean);
  const V av = V::set1(a);
  const V bv = V::set1(b);
  const V cv = V::set1(c);
  for (int64_t r = 0; r < rows; r++, x += row_step, dy += row_step, dx += row_step) {
    int64_t i = 0;
    for (; i + kW <= n; i += kW) {
      fma(V::load(dy + i), av, fma(V::load(x + i) - m, bv, cv)).store(dx + i);
    }
    if (i == n) continue;
    const V t = fma(V::load_n(x + i, n - i) - m, bv, cv);
    fma(V::load_n(dy + i, n - i), av, t).store_n(dx + i, n - i);
  }
}

// ---- channels side by side: x [rows][channels][s], rows ld apart ----
//
// For s == 1 lanes are channels. For a few elements per channel rows are walked in the order of
// memory, each channel with its own vectors of sums: channel by channel, runs would be short, far
// apart and, when the distance is a power of two, in one another's way in the cache.

struct shifted_term {
  static constexpr bool kUsesGradient = false;
};
struct gradient_term {
  static constexpr bool kUsesGradient = true;
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
                                      const T* shift, int64_t m, double* s1, double* s2) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const bool partial = m < kNv * kW;
  V p[kNv], a[kNv], b[kNv];
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    p[u] = partial ? V::load_n(shift + u * kW, m) : V::load(shift + u * kW);
    a[u] = b[u] = V::zero();
  }
  for (int64_t i = 0; i < rows; i++) {
    LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
      const int64_t at = i * ld + u * kW;
      const V xv = partial ? V::load_n(x + at, m) : V::load(x + at);
      const V gv = Term::kUsesGradient ? (partial ? V::load_n(dy + at, m) : V::load(dy + at)) : xv;
      const V d = xv - p[u];
      const V t = Term::kUsesGradient ? gv : d;
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
                                const T* shift, double* s1, double* s2) {
  constexpr int64_t kW = Vec<T>::kWidth;
  int64_t j = 0;
  for (; j + 4 * kW <= cols; j += 4 * kW) {
    column_sums_strip<T, Term, 4>(rows, ld, x + j, dy + j, shift + j, 4 * kW, s1 + j, s2 + j);
  }
  for (; j < cols; j += kW) {
    const int64_t m = cols - j < kW ? cols - j : kW;
    column_sums_strip<T, Term, 1>(rows, ld, x + j, dy + j, shift + j, m, s1 + j, s2 + j);
  }
}

// `channels` <= kChannelStrip channels of s elements.
constexpr int kChannelStrip = 16;
template <class T, class Term>
LAMINAE_INLINE void channel_sums_strip(int64_t rows, int64_t channels, int64_t s, int64_t ld,
                                       const T* x, const T* dy, const T* shift, double* s1,
                                       double* s2) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V first[kChannelStrip], second[kChannelStrip];
  for (int64_t j = 0; j < channels; j++) first[j] = second[j] = V::zero();
  const int64_t rest = s % kW;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t j = 0; j < channels; j++) {
      const T* p = x + r * ld + j * s;
      const T* q = dy + r * ld + j * s;
      const V m = V::set1(shift[j]);
      V a = first[j], b = second[j];
      int64_t i = 0;
      for (; i + kW <= s; i += kW) {
        const V d = V::load(p + i) - m;
        const V t = Term::kUsesGradient ? V::load(q + i) : d;
        a = a + t;
        b = fma(t, d, b);
      }
      if (rest > 0) {
        // Lanes behind the end have to add nothing: dy is 0 there, and so is x less a shift of 0.
        V d = V::load_n(p + i, rest) - m;
        V t = d;
        if (Term::kUsesGradient) {
          t = V::load_n(q + i, rest);
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
                                 const T* dy, const T* shift, double* s1, double* s2) {
  if (s == 1) {
    column_sums<T, Term>(rows, channels, ld, x, dy, shift, s1, s2);
    return;
  }
  for (int64_t j = 0; j < channels; j += kChannelStrip) {
    const int64_t m = channels - j < kChannelStrip ? channels - j : kChannelStrip;
    channel_sums_strip<T, Term>(rows, m, s, ld, x + j * s, dy + j * s, shift + j, s1 + j, s2 + j);
  }
}

// s1[j] += sum of (x - pivot[j]), s2[j] += sum of (x - pivot[j])^2 over channel j of all rows,
// which the caller keeps to a few thousand elements a channel: they are added in T.
template <class T>
void channel_shifted_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                          const T* pivot, double* s1, double* s2) {
  channel_sums<T, shifted_term>(rows, channels, s, ld, x, x, pivot, s1, s2);
}

// s1[j] += sum of dy, s2[j] += sum of dy (x - mean[j])
template <class T>
void channel_gradient_sums(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, double* s1, double* s2) {
  channel_sums<T, gradient_term>(rows, channels, s, ld, x, dy, mean, s1, s2);
}

// y = (x - mean[j]) a[j] + b[j]
template <class T>
void channel_affine(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                    const T* mean, const T* a, const T* b, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t r = 0; r < rows; r++, x += ld, y += ld) {
    if (s > 1) {
      for (int64_t j = 0; j < channels; j++) {
        shifted_affine(1, s, 0, x + j * s, mean[j], a[j], b[j], y + j * s);
      }
      continue;
    }
    int64_t j = 0;
    for (; j + kW <= channels; j += kW) {
      fma(V::load(x + j) - V::load(mean + j), V::load(a + j), V::load(b + j)).store(y + j);
    }
    if (j == channels) continue;
    const int64_t m = channels - j;
    const V d = V::load_n(x + j, m) - V::load_n(mean + j, m);
    fma(d, V::load_n(a + j, m), V::load_n(b + j, m)).store_n(y + j, m);
  }
}

// dx = a[j] dy + b[j] (x - mean[j]) + c[j]
template <class T>
void channel_norm_gradient(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, const T* a, const T* b, const T* c, T* dx) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t r = 0; r < rows; r++, x += ld, dy += ld, dx += ld) {
    if (s > 1) {
      for (int64_t j = 0; j < channels; j++) {
        const int64_t at = j * s;
        norm_gradient(1, s, 0, x + at, dy + at, mean[j], a[j], b[j], c[j], dx + at);
      }
      continue;
    }
    int64_t j = 0;
    for (; j + kW <= channels; j += kW) {
      const V d = V::load(x + j) - V::load(mean + j);
      const V t = fma(d, V::load(b + j), V::load(c + j));
      fma(V::load(dy + j), V::load(a + j), t).store(dx + j);
    }
    if (j == channels) continue;
    const int64_t m = channels - j;
    const V d = V::load_n(x + j, m) - V::load_n(mean + j, m);
    const V t = fma(d, V::load_n(b + j, m), V::load_n(c + j, m));
    fma(V::load_n(dy + j, m), V::load_n(a + j, m), t).store_n(dx + j, m);
  }
}
