// Pooling as arithmetic on rows. core/ops/pool_rows.h lays the input out so that each cell ("tap")
// of a window becomes a row in which the values of neighbouring outputs lie side by side:
//   y[i] = fold over t of tap[t][i]
// whatever the stride, padding or dilation. Rows are taken many at a time: row r of an array begins
// r steps behind its first. Inputs named `tap`, `dy`, `chosen`, `divisor` may be read up to the
// next multiple of the vector width behind the end of a row.

template <class T>
LAMINAE_INLINE void store_up_to(Vec<T> v, T* p, int64_t n) {
  if (n >= Vec<T>::kWidth) {
    v.store(p);
  } else if (n > 0) {
    v.store_n(p, n);
  }
}

// y = x, or x / (divisor[i] scale) unless divisor is null. x is not read behind the end of a row.
template <class T>
void copy_rows(int64_t rows, int64_t n, const T* x, int64_t x_step, const T* divisor, T scale, T* y,
               int64_t y_step) {
  using V = Vec<T>;
  const V scales = V::set1(scale);
  for (int64_t r = 0; r < rows; r++, x += x_step, y += y_step) {
    int64_t i = 0;
    for (; i + V::kWidth <= n; i += V::kWidth) {
      const V v = V::load(x + i);
      (divisor == nullptr ? v : v / (V::load(divisor + i) * scales)).store(y + i);
    }
    if (i == n) continue;
    const V v = V::load_n(x + i, n - i);
    (divisor == nullptr ? v : v / (V::load(divisor + i) * scales)).store_n(y + i, n - i);
  }
}

// even[i] = x[2 i], odd[i] = x[2 i + 1] for the n elements of each row of x.
template <class T>
void deinterleave_rows(int64_t rows, int64_t n, const T* x, int64_t x_step, T* even, T* odd,
                       int64_t y_step) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V e = V::zero(), o = V::zero();
  const int64_t whole = n / (2 * kW) * (2 * kW);
  const int64_t rest = n - whole;
  const int64_t rest_a = rest < kW ? rest : kW;
  for (int64_t r = 0; r < rows; r++, x += x_step, even += y_step, odd += y_step) {
    for (int64_t i = 0; i < whole; i += 2 * kW) {
      deinterleave(V::load(x + i), V::load(x + i + kW), e, o);
      e.store(even + i / 2);
      o.store(odd + i / 2);
    }
    if (rest == 0) continue;
    const V a = V::load_n(x + whole, rest_a);
    const V b = V::load_n(x + whole + rest_a, rest - rest_a);
    deinterleave(a, b, e, o);
    e.store_n(even + whole / 2, (rest + 1) / 2);
    o.store_n(odd + whole / 2, rest / 2);
  }
}

// y[2 i] = even[i], y[2 i + 1] = odd[i] for the n elements of each row of y. Rows of even and odd
// lie one behind the other.
template <class T>
void interleave_rows(int64_t rows, int64_t n, const T* even, const T* odd, T* y, int64_t y_step) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V lo = V::zero(), hi = V::zero();
  const int64_t whole = n / (2 * kW) * (2 * kW);
  const int64_t rest = n - whole;
  for (int64_t r = 0; r < rows; r++, even += (n + 1) / 2, odd += n / 2, y += y_step) {
    for (int64_t i = 0; i < whole; i += 2 * kW) {
      interleave(V::load(even + i / 2), V::load(odd + i / 2), lo, hi);
      lo.store(y + i);
      hi.store(y + i + kW);
    }
    if (rest == 0) continue;
    interleave(V::load_n(even + whole / 2, (rest + 1) / 2), V::load_n(odd + whole / 2, rest / 2),
               lo, hi);
    store_up_to(lo, y + whole, rest);
    store_up_to(hi, y + whole + kW, rest - kW);
  }
}

// ---- maximum ----

// One vector of outputs, NaN and all: a tap replaces the best so far if it is larger, or NaN. So
// the first maximum wins, and of several NaN the last, as in PyTorch.
template <class T>
LAMINAE_NOINLINE void max_taps_with_nan(int64_t taps, const T* const* tap, int64_t at,
                                        const T* code, T* best_out, T* which_out) {
  using V = Vec<T>;
  V best = V::load(tap[0] + at);
  V which = V::set1(code[0]);
  for (int64_t t = 1; t < taps; t++) {
    const V v = V::load(tap[t] + at);
    const typename V::Mask m = gt(v, best) | unordered(v, v);
    best = select(m, v, best);
    which = select(m, V::set1(code[t]), which);
  }
  best.store(best_out);
  which.store(which_out);
}

// kNv vectors of outputs at once. Values without NaN, the usual case, need one comparison per tap;
// whether there are any is asked of two taps at a time. Then the slow way is taken.
template <class T, int kNv, bool kCodes>
LAMINAE_INLINE void max_taps_strip(int64_t taps, const T* const* tap, int64_t at, const T* code,
                                   Vec<T> (&best)[kNv], Vec<T> (&which)[kNv]) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  typename V::Mask nan[kNv];
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    best[u] = V::load(tap[0] + at + u * kW);
    nan[u] = unordered(best[u], best[u]);
    if (kCodes) which[u] = V::set1(code[0]);
  }
  int64_t t = 1;
  for (; t + 2 <= taps; t += 2) {
    const T* p = tap[t] + at;
    const T* q = tap[t + 1] + at;
    const V code_p = V::set1(code[t]);
    const V code_q = V::set1(code[t + 1]);
    LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
      const V a = V::load(p + u * kW);
      const V b = V::load(q + u * kW);
      nan[u] = nan[u] | unordered(a, b);
      if (kCodes) which[u] = select(gt(a, best[u]), code_p, which[u]);
      best[u] = max(a, best[u]);
      if (kCodes) which[u] = select(gt(b, best[u]), code_q, which[u]);
      best[u] = max(b, best[u]);
    }
  }
  if (t < taps) {
    LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
      const V a = V::load(tap[t] + at + u * kW);
      nan[u] = nan[u] | unordered(a, a);
      if (kCodes) which[u] = select(gt(a, best[u]), V::set1(code[t]), which[u]);
      best[u] = max(a, best[u]);
    }
  }
  LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
    if (!any(nan[u])) continue;
    T values[kW], codes[kW];
    max_taps_with_nan(taps, tap, at + u * kW, code, values, codes);
    best[u] = V::load(values);
    which[u] = V::load(codes);
  }
}

// Codes travel as lanes of T, which holds small integers exactly.
template <class T, bool kCodes>
LAMINAE_INLINE void max_taps_rows(int64_t rows, int64_t n, int64_t taps, const T* const* tap,
                                  int64_t tap_step, const T* code, T* y, int64_t y_step,
                                  uint8_t* chosen) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t r = 0; r < rows; r++, y += y_step) {
    int64_t i = 0;
    for (; i + kW < n; i += 2 * kW) {
      V best[2], which[2] = {V::zero(), V::zero()};
      max_taps_strip<T, 2, kCodes>(taps, tap, r * tap_step + i, code, best, which);
      const int64_t rest = n - i - kW < kW ? n - i - kW : kW;
      best[0].store(y + i);
      store_up_to(best[1], y + i + kW, rest);
      if (kCodes) {
        store_bytes(which[0], chosen + r * y_step + i, kW);
        store_bytes(which[1], chosen + r * y_step + i + kW, rest);
      }
    }
    if (i >= n) continue;
    V best[1], which[1] = {V::zero()};
    max_taps_strip<T, 1, kCodes>(taps, tap, r * tap_step + i, code, best, which);
    store_up_to(best[0], y + i, n - i);
    if (kCodes) store_bytes(which[0], chosen + r * y_step + i, n - i);
  }
}

// y[r][i] = max over t of tap[t][r][i], and in chosen[r][i] (unless null) the code[t] of the tap
// that gave it; rows of y and chosen are y_step apart. taps >= 1, codes integers in 0..255.
template <class T>
void max_taps(int64_t rows, int64_t n, int64_t taps, const T* const* tap, int64_t tap_step,
              const T* code, T* y, int64_t y_step, uint8_t* chosen) {
  if (chosen != nullptr) {
    max_taps_rows<T, true>(rows, n, taps, tap, tap_step, code, y, y_step, chosen);
  } else {
    max_taps_rows<T, false>(rows, n, taps, tap, tap_step, code, y, y_step, chosen);
  }
}

// ---- sums ----

// y[r][i] = (sum over t of tap[t][r][i]) / (divisor[i] scale)
template <class T>
void mean_taps(int64_t rows, int64_t n, int64_t taps, const T* const* tap, int64_t tap_step,
               const T* divisor, T scale, T* y, int64_t y_step) {
  using V = Vec<T>;
  const V scales = V::set1(scale);
  for (int64_t r = 0; r < rows; r++, y += y_step) {
    for (int64_t i = 0; i < n; i += V::kWidth) {
      const int64_t at = r * tap_step + i;
      V s = V::load(tap[0] + at);
      for (int64_t t = 1; t < taps; t++) s = s + V::load(tap[t] + at);
      store_up_to(s / (V::load(divisor + i) * scales), y + i, n - i);
    }
  }
}

// Sums over t of dy[t], where chosen[t] == code[t] if there is a chosen.
template <class T, bool kChosen, int kNv>
LAMINAE_INLINE void spread_sums(int64_t taps, const T* const* dy, int64_t dy_at,
                                const uint8_t* const* chosen, int64_t chosen_at,
                                const uint8_t* code, Vec<T> (&s)[kNv]) {
  using V = Vec<T>;
  LAMINAE_UNROLL for (int v = 0; v < kNv; v++) s[v] = V::zero();
  for (int64_t t = 0; t < taps; t++) {
    const T* from = dy[t] + dy_at;
    const uint8_t* codes = kChosen ? chosen[t] + chosen_at : nullptr;
    LAMINAE_UNROLL for (int v = 0; v < kNv; v++) {
      const V g = V::load(from + v * V::kWidth);
      s[v] = s[v] +
             (kChosen ? select(equal_bytes<V>(codes + v * V::kWidth, code[t]), g, V::zero()) : g);
    }
  }
}

// The n elements of y from i on, n <= kNv vectors of each phase; fewer vectors if those are enough.
template <class T, bool kChosen, int kNv>
LAMINAE_INLINE void spread_strip(int64_t n, int64_t phases, const int64_t* taps, const T* const* dy,
                                 int64_t dy_at, const uint8_t* const* chosen, int64_t chosen_at,
                                 const uint8_t* code, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  if constexpr (kNv > 1) {
    if (n <= phases * (kNv - 1) * kW) {
      spread_strip<T, kChosen, kNv - 1>(n, phases, taps, dy, dy_at, chosen, chosen_at, code, y);
      return;
    }
  }
  V even[kNv], odd[kNv];
  spread_sums<T, kChosen>(taps[0], dy, dy_at, chosen, chosen_at, code, even);
  if (phases == 1) {
    LAMINAE_UNROLL for (int v = 0; v < kNv; v++) store_up_to(even[v], y + v * kW, n - v * kW);
    return;
  }
  const uint8_t* const* odd_chosen = kChosen ? chosen + taps[0] : nullptr;
  spread_sums<T, kChosen>(taps[1], dy + taps[0], dy_at, odd_chosen, chosen_at, code + taps[0], odd);
  LAMINAE_UNROLL for (int v = 0; v < kNv; v++) {
    V lo = V::zero(), hi = V::zero();
    interleave(even[v], odd[v], lo, hi);
    store_up_to(lo, y + 2 * v * kW, n - 2 * v * kW);
    store_up_to(hi, y + (2 * v + 1) * kW, n - (2 * v + 1) * kW);
  }
}

template <class T, bool kChosen>
LAMINAE_INLINE void spread_taps_rows(int64_t rows, int64_t kinds, int64_t n, int64_t phases,
                                     const int64_t* taps, const T* const* dy, int64_t dy_step,
                                     const uint8_t* const* chosen, int64_t chosen_step,
                                     const uint8_t* code, T* y, int64_t y_step) {
  constexpr int kNv = 4;  // pointers and codes are read once for all of them
  const int64_t strip = phases * kNv * Vec<T>::kWidth;
  for (int64_t r = 0; r < rows; r++) {
    int64_t t = 0;
    for (int64_t k = 0; k < kinds; k++, y += y_step) {
      const int64_t* counts = taps + k * phases;
      for (int64_t i = 0; i < n; i += strip) {
        spread_strip<T, kChosen, kNv>(n - i < strip ? n - i : strip, phases, counts, dy + t,
                                      r * dy_step + i / phases, kChosen ? chosen + t : nullptr,
                                      r * chosen_step + i / phases, code + t, y + i);
      }
      t += counts[0] + (phases == 2 ? counts[1] : 0);
    }
  }
}

// What elements get back from the windows they are in. With one phase
//   y[r][i] = sum over t in [0, taps[0]) of dy[t][r][i] where chosen[t][r][i] == code[t],
// with two, y[r][2 i] is that and y[r][2 i + 1] the same over the next taps[1] taps. n is the
// number of elements of a row of y. chosen null: everything counts.
//
// Rows of y are of `kinds` kinds that take turns, `rows` of each; the taps of one kind follow those
// of the other. So they are written in their order, as memory wants it: 25 MB, the even rows of
// each 32 before the odd ones, take 2.3 ms on a Zen 4 core, and 0.6 in order.
template <class T>
void spread_taps(int64_t rows, int64_t kinds, int64_t n, int64_t phases, const int64_t* taps,
                 const T* const* dy, int64_t dy_step, const uint8_t* const* chosen,
                 int64_t chosen_step, const uint8_t* code, T* y, int64_t y_step) {
  if (chosen != nullptr) {
    spread_taps_rows<T, true>(rows, kinds, n, phases, taps, dy, dy_step, chosen, chosen_step, code,
                              y, y_step);
  } else {
    spread_taps_rows<T, false>(rows, kinds, n, phases, taps, dy, dy_step, chosen, chosen_step, code,
                               y, y_step);
  }
}
