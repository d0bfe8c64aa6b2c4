// Means of 2x2 windows that tile a plane, and their backward. Rows lie next to each other, those of
// x are 2 n long and those of y n: a row of y belongs to two of x. The end of a row may be stored
// into the next one, which is written later: a gradient of 4096 planes of 10x10 takes 0.09 ms so,
// 0.14 with masked stores.

template <class T>
void mean_2x2_of_runs(int64_t rows, int64_t n, int64_t inner, const T* x, T* y) {
  using V = Vec<T>;
  const V quarter = V::set1(T(0.25));
  for (int64_t r = 0; r < rows; r++, x += 2 * n * inner) {
    const T* below = x + 2 * n * inner;
    for (int64_t i = 0; i < n; i++, x += 2 * inner, below += 2 * inner, y += inner) {
      for (int64_t j = 0; j < inner; j += V::kWidth) {
        const int64_t count = inner - j < V::kWidth ? inner - j : V::kWidth;
        const V above = V::load_n(x + j, count) + V::load_n(x + inner + j, count);
        const V sum = above + V::load_n(below + j, count) + V::load_n(below + inner + j, count);
        (sum * quarter).store_n(y + j, count);
      }
    }
  }
}

// y[r][i] = (x[2 r][2 i] + x[2 r][2 i + 1] + x[2 r + 1][2 i] + x[2 r + 1][2 i + 1]) / 4, each a run
// of `inner` elements
template <class T>
void mean_2x2(int64_t rows, int64_t n, int64_t inner, const T* x, T* y) {
  using V = Vec<T>;
  if (inner > 1) return mean_2x2_of_runs(rows, n, inner, x, y);
  constexpr int64_t kW = V::kWidth;
  const V quarter = V::set1(T(0.25));
  const T* end = y + rows * n;
  V a = V::zero(), b = V::zero(), c = V::zero(), d = V::zero();
  for (int64_t r = 0; r < rows; r++, x += 4 * n, y += n) {
    const T* below = x + 2 * n;
    for (int64_t i = 0; i < n; i += kW) {
      const int64_t at = 2 * i;
      if (i + kW <= n) {
        deinterleave(V::load(x + at), V::load(x + at + kW), a, b);
        deinterleave(V::load(below + at), V::load(below + at + kW), c, d);
      } else {
        const int64_t first = 2 * n - at < kW ? 2 * n - at : kW;
        const int64_t second = 2 * n - at - first;
        const int64_t next = second > 0 ? at + kW : at;  // not behind the last row
        deinterleave(V::load_n(x + at, first), V::load_n(x + next, second), a, b);
        deinterleave(V::load_n(below + at, first), V::load_n(below + next, second), c, d);
      }
      store_panel_row(((a + b) + c + d) * quarter, y + i, n - i, true, end);
    }
  }
}

template <class T>
void spread_2x2_of_runs(int64_t rows, int64_t n, int64_t inner, const T* dy, T* dx) {
  using V = Vec<T>;
  const V quarter = V::set1(T(0.25));
  for (int64_t r = 0; r < rows; r++, dx += 2 * n * inner) {
    T* below = dx + 2 * n * inner;
    for (int64_t i = 0; i < n; i++, dy += inner, dx += 2 * inner, below += 2 * inner) {
      for (int64_t j = 0; j < inner; j += V::kWidth) {
        const int64_t count = inner - j < V::kWidth ? inner - j : V::kWidth;
        const V v = V::load_n(dy + j, count) * quarter;
        v.store_n(dx + j, count);
        v.store_n(dx + inner + j, count);
        v.store_n(below + j, count);
        v.store_n(below + inner + j, count);
      }
    }
  }
}

// dx[2 r][2 i] and its three neighbours = dy[r][i] / 4, each a run of `inner` elements
template <class T>
void spread_2x2(int64_t rows, int64_t n, int64_t inner, const T* dy, T* dx) {
  using V = Vec<T>;
  if (inner > 1) return spread_2x2_of_runs(rows, n, inner, dy, dx);
  constexpr int64_t kW = V::kWidth;
  const V quarter = V::set1(T(0.25));
  const T* end = dx + rows * 4 * n;
  V lo = V::zero(), hi = V::zero();
  for (int64_t r = 0; r < rows; r++, dy += n, dx += 4 * n) {
    // The row above as a whole before the one below it, as stores may spill.
    for (int64_t half = 0; half < 2; half++) {
      T* row = dx + half * 2 * n;
      for (int64_t i = 0; i < n; i += kW) {
        const V v = (i + kW <= n ? V::load(dy + i) : V::load_n(dy + i, n - i)) * quarter;
        interleave(v, v, lo, hi);
        store_panel_row(lo, row + 2 * i, 2 * (n - i), true, end);
        if (2 * (n - i) > kW) store_panel_row(hi, row + 2 * i + kW, 2 * (n - i) - kW, true, end);
      }
    }
  }
}
