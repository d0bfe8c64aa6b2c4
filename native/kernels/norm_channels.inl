// Normalisation (norm.inl) of channels side by side: x [rows][channels][s], rows ld apart.
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
  with_kind<false>(mask, [&](auto kind, const EndingMask<T>& m) {
    const ChannelTerms<T> t{x, dy, mean, m};
    channel_sums<T, true, value_of<decltype(kind)>>(rows, channels, s, ld, t, s1, s2);
  });
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
  with_ending(add, low, high, [&](auto adds, auto limits) {
    affine_channels<T, value_of<decltype(adds)>, value_of<decltype(limits)>>(
        rows, channels, s, ld, x, mean, a, b, add == nullptr ? x : add, low, high, y);
  });
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

// dx = a[j] dy + b[j] (x - mean[j]) + c[j]; null for b and c, and mask, as in norm_gradient
template <class T>
void channel_norm_gradient(int64_t rows, int64_t channels, int64_t s, int64_t ld, const T* x,
                           const T* dy, const T* mean, const T* a, const T* b, const T* c,
                           const EndingMask<T>* mask, T* dx) {
  with_kind<false>(mask, [&](auto kind, const EndingMask<T>& m) {
    constexpr int kMask = value_of<decltype(kind)>;
    if (b == nullptr)
      gradient_channels<T, kMask, false>(rows, channels, s, ld, x, dy, mean, a, a, a, m, dx);
    else
      gradient_channels<T, kMask, true>(rows, channels, s, ld, x, dy, mean, a, b, c, m, dx);
  });
}
