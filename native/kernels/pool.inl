// Pooling as arithmetic on rows. core/ops/pool_rows.h lays the input out so that each cell ("tap")
// of a window becomes a row in which the values of neighbouring outputs lie side by side:
//   y[i] = fold over t of tap[t][i]
// whatever the stride, padding or dilation. Rows that are read here have room for reading up to the
// next multiple of the vector width behind their end.

// even[i] = x[2 i], odd[i] = x[2 i + 1] for all n elements of x.
template <class T>
void deinterleave_row(int64_t n, const T* x, T* even, T* odd) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  int64_t i = 0;
  V e = V::zero(), o = V::zero();
  for (; i + 2 * kW <= n; i += 2 * kW) {
    deinterleave(V::load(x + i), V::load(x + i + kW), e, o);
    e.store(even + i / 2);
    o.store(odd + i / 2);
  }
  const int64_t m = n - i;
  if (m == 0) return;
  const V a = V::load_n(x + i, m < kW ? m : kW);
  const V b = m > kW ? V::load_n(x + i + kW, m - kW) : V::zero();
  deinterleave(a, b, e, o);
  e.store_n(even + i / 2, (m + 1) / 2);
  o.store_n(odd + i / 2, m / 2);
}

// Its inverse: y has n elements; even and odd are read up to a multiple of the vector width.
template <class T>
void interleave_row(int64_t n, const T* even, const T* odd, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  int64_t i = 0;
  V lo = V::zero(), hi = V::zero();
  for (; i + 2 * kW <= n; i += 2 * kW) {
    interleave(V::load(even + i / 2), V::load(odd + i / 2), lo, hi);
    lo.store(y + i);
    hi.store(y + i + kW);
  }
  const int64_t m = n - i;
  if (m == 0) return;
  interleave(V::load(even + i / 2), V::load(odd + i / 2), lo, hi);
  lo.store_n(y + i, m < kW ? m : kW);
  if (m > kW) hi.store_n(y + i + kW, m - kW);
}

template <class T>
LAMINAE_INLINE void store_up_to(Vec<T> v, T* p, int64_t n) {
  if (n >= Vec<T>::kWidth) {
    v.store(p);
  } else {
    v.store_n(p, n);
  }
}

// The tap in v replaces the best so far if it is larger, or NaN: the first maximum wins, and of
// several NaN the last, as in PyTorch.
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask replaces(Vec<T> v, Vec<T> best) {
  return gt(v, best) | unordered(v, v);
}

// One row of max_taps. Codes travel as lanes of T, which holds small integers exactly, and become
// bytes in blocks that stay in L1.
template <class T>
LAMINAE_INLINE void max_taps_with_codes(int64_t n, int64_t taps, const T* const* tap, int64_t at,
                                        const T* code, T* y, uint8_t* chosen) {
  using V = Vec<T>;
  constexpr int64_t kBlock = 256;
  T codes[kBlock];
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = n - start < kBlock ? n : start + kBlock;
    for (int64_t i = start; i < end; i += V::kWidth) {
      V best = V::load(tap[0] + at + i);
      V which = V::set1(code[0]);
      for (int64_t t = 1; t < taps; t++) {
        const V v = V::load(tap[t] + at + i);
        const typename V::Mask m = replaces(v, best);
        best = select(m, v, best);
        which = select(m, V::set1(code[t]), which);
      }
      store_up_to(best, y + i, end - i);
      which.store(codes + (i - start));
    }
    for (int64_t i = start; i < end; i++) {
      chosen[i] = static_cast<uint8_t>(static_cast<int32_t>(codes[i - start]));
    }
  }
}

// y[r][i] = max over t of tap[t][r * tap_step + i], and in chosen[r][i] (unless null) the code[t]
// of the tap that gave it; rows of y and chosen are y_step apart. taps >= 1, codes integers in
// 0..255.
template <class T>
void max_taps(int64_t rows, int64_t n, int64_t taps, const T* const* tap, int64_t tap_step,
              const T* code, T* y, int64_t y_step, uint8_t* chosen) {
  using V = Vec<T>;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t at = r * tap_step;
    T* row = y + r * y_step;
    if (chosen != nullptr) {
      max_taps_with_codes(n, taps, tap, at, code, row, chosen + r * y_step);
      continue;
    }
    for (int64_t i = 0; i < n; i += V::kWidth) {
      V best = V::load(tap[0] + at + i);
      for (int64_t t = 1; t < taps; t++) {
        const V v = V::load(tap[t] + at + i);
        best = select(replaces(v, best), v, best);
      }
      store_up_to(best, row + i, n - i);
    }
  }
}

// y[r][i] = (sum over t of tap[t][r * tap_step + i]) / (divisor[i] * scale); divisor null: not
// divided.
template <class T>
void sum_taps(int64_t rows, int64_t n, int64_t taps, const T* const* tap, int64_t tap_step,
              const T* divisor, T scale, T* y, int64_t y_step) {
  using V = Vec<T>;
  for (int64_t r = 0; r < rows; r++) {
    const int64_t at = r * tap_step;
    T* row = y + r * y_step;
    for (int64_t i = 0; i < n; i += V::kWidth) {
      V s = V::load(tap[0] + at + i);
      for (int64_t t = 1; t < taps; t++) s = s + V::load(tap[t] + at + i);
      if (divisor != nullptr) s = s / (V::load(divisor + i) * V::set1(scale));
      store_up_to(s, row + i, n - i);
    }
  }
}

// y[i] = sum over t of dy[t][i] where chosen[t][i] == code[t]: what an element that is cell code[t]
// of window i gets back from it.
template <class T>
void sum_chosen_taps(int64_t n, int64_t taps, const T* const* dy, const T* const* chosen,
                     const T* code, T* y) {
  using V = Vec<T>;
  for (int64_t i = 0; i < n; i += V::kWidth) {
    V s = V::zero();
    for (int64_t t = 0; t < taps; t++) {
      const typename V::Mask m = eq(V::load(chosen[t] + i), V::set1(code[t]));
      s = s + select(m, V::load(dy[t] + i), V::zero());
    }
    store_up_to(s, y + i, n - i);
  }
}

// y[i] = bytes[i]
template <class T>
void bytes_to_reals(int64_t n, const uint8_t* bytes, T* y) {
  for (int64_t i = 0; i < n; i++) y[i] = static_cast<T>(bytes[i]);
}
