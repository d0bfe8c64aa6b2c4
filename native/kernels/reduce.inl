// Reductions. Sums run in lanes of T over blocks of at most 4096 elements whose totals are added in
// double, so the rounding error does not grow with n. The order is fixed for a given ISA: the same
// input gives the same bits whoever calls.

constexpr int64_t kReduceBlock = 4096;

// Lane 0 first, in double.
template <class T>
LAMINAE_INLINE double reduce_add_wide(Vec<T> a) {
  T lanes[Vec<T>::kWidth];
  a.store(lanes);
  double s = 0.0;
  LAMINAE_UNROLL for (int i = 0; i < Vec<T>::kWidth; i++) s += static_cast<double>(lanes[i]);
  return s;
}

template <class T>
struct sum_term {
  static LAMINAE_INLINE Vec<T> add(Vec<T> acc, const T* x, const T*) {
    return acc + Vec<T>::load(x);
  }
  static LAMINAE_INLINE Vec<T> add_n(Vec<T> acc, const T* x, const T*, int64_t n) {
    return acc + Vec<T>::load_n(x, n);
  }
};
template <class T>
struct dot_term {
  static LAMINAE_INLINE Vec<T> add(Vec<T> acc, const T* x, const T* y) {
    return fma(Vec<T>::load(x), Vec<T>::load(y), acc);
  }
  static LAMINAE_INLINE Vec<T> add_n(Vec<T> acc, const T* x, const T* y, int64_t n) {
    return fma(Vec<T>::load_n(x, n), Vec<T>::load_n(y, n), acc);
  }
};

// Four accumulators hide the latency of the addition.
template <class T, class Term>
LAMINAE_INLINE double sum_terms(int64_t n, const T* x, const T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  double total = 0.0;
  for (int64_t start = 0; start < n; start += kReduceBlock) {
    const int64_t end = n - start < kReduceBlock ? n : start + kReduceBlock;
    V acc[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
    int64_t i = start;
    for (; i + 4 * kW <= end; i += 4 * kW) {
      LAMINAE_UNROLL for (int u = 0; u < 4; u++) {
        acc[u] = Term::add(acc[u], x + i + u * kW, y + i + u * kW);
      }
    }
    for (; i + kW <= end; i += kW) acc[0] = Term::add(acc[0], x + i, y + i);
    if (i < end) acc[1] = Term::add_n(acc[1], x + i, y + i, end - i);
    total += reduce_add_wide((acc[0] + acc[1]) + (acc[2] + acc[3]));
  }
  return total;
}

// sum_i x[i]
template <class T>
double sum(int64_t n, const T* x) {
  return sum_terms<T, sum_term<T>>(n, x, x);
}

template <class T, int R>
LAMINAE_INLINE void sum_runs_rows(int64_t run_count, const PixelRun* runs, const T* x,
                                  int64_t x_row, double* sums) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V acc[R];
  LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r] = V::zero();
  for (int64_t l = 0; l < run_count; l++) {
    const T* at = x + runs[l].at;
    int64_t n = runs[l].count;
    for (; n >= kW; n -= kW, at += kW) {
      LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r] = acc[r] + V::load(at + r * x_row);
    }
    if (n == 0) continue;
    LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r] = acc[r] + V::load_n(at + r * x_row, n);
  }
  LAMINAE_UNROLL for (int r = 0; r < R; r++) sums[r] += reduce_add_wide(acc[r]);
}

// sums[r] += the sum over all pixels of some runs, 1024 at most, in row r of x. Four rows at a time
// hide the latency of the addition, also where runs are short.
template <class T>
void sum_runs(int64_t rows, int64_t run_count, const PixelRun* runs, const T* x, int64_t x_row,
              double* sums) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4)
    sum_runs_rows<T, 4>(run_count, runs, x + r * x_row, x_row, sums + r);
  for (; r < rows; r++) sum_runs_rows<T, 1>(run_count, runs, x + r * x_row, x_row, sums + r);
}

// sum_i x[i] y[i]
template <class T>
double dot(int64_t n, const T* x, const T* y) {
  return sum_terms<T, dot_term<T>>(n, x, y);
}

// sum_i x[i]^2
template <class T>
double sum_of_squares(int64_t n, const T* x) {
  return sum_terms<T, dot_term<T>>(n, x, x);
}

// acc[j] += sum_i x[i][j], x [rows][ld], acc [cols]: a reduction over the outer dimension. Rows are
// added in T in blocks of 64, block totals in double.
template <class T>
void sum_columns(int64_t rows, int64_t cols, const T* x, int64_t ld, double* acc) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  constexpr int64_t kRowBlock = 64;
  constexpr int kNv = 4;
  for (int64_t start = 0; start < rows; start += kRowBlock) {
    const int64_t end = rows - start < kRowBlock ? rows : start + kRowBlock;
    int64_t j = 0;
    for (; j + kNv * kW <= cols; j += kNv * kW) {
      V s[kNv] = {V::zero(), V::zero(), V::zero(), V::zero()};
      for (int64_t i = start; i < end; i++) {
        LAMINAE_UNROLL for (int u = 0; u < kNv; u++) {
          s[u] = s[u] + V::load(x + i * ld + j + u * kW);
        }
      }
      T lanes[kNv * kW];
      LAMINAE_UNROLL for (int u = 0; u < kNv; u++) s[u].store(lanes + u * kW);
      for (int64_t q = 0; q < kNv * kW; q++) acc[j + q] += static_cast<double>(lanes[q]);
    }
    for (; j < cols; j += kW) {
      const int64_t m = cols - j < kW ? cols - j : kW;
      V s = V::zero();
      for (int64_t i = start; i < end; i++) s = s + V::load_n(x + i * ld + j, m);
      T lanes[kW];
      s.store(lanes);
      for (int64_t q = 0; q < m; q++) acc[j + q] += static_cast<double>(lanes[q]);
    }
  }
}

template <class T>
struct max_order {
  static LAMINAE_INLINE Vec<T> best(Vec<T> a, Vec<T> b) { return max(a, b); }
  static LAMINAE_INLINE T reduce(Vec<T> a) { return reduce_max(a); }
  static LAMINAE_INLINE bool better(T a, T b) { return a > b; }
};
template <class T>
struct min_order {
  static LAMINAE_INLINE Vec<T> best(Vec<T> a, Vec<T> b) { return min(a, b); }
  static LAMINAE_INLINE T reduce(Vec<T> a) { return reduce_min(a); }
  static LAMINAE_INLINE bool better(T a, T b) { return a < b; }
};

// Best of x[0, n), n >= 1, and whether a NaN was among them (then the value means nothing). Four
// accumulators hide the latency of comparing and blending.
template <class T, class Order>
LAMINAE_INLINE T best_of_block(int64_t n, const T* x, bool* has_nan) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V first = V::set1(x[0]);
  V best[4] = {first, first, first, first};
  typename V::Mask nan = unordered(first, first);
  int64_t i = 0;
  for (; i + 4 * kW <= n; i += 4 * kW) {
    const V a = V::load(x + i);
    const V b = V::load(x + i + kW);
    const V c = V::load(x + i + 2 * kW);
    const V d = V::load(x + i + 3 * kW);
    nan = nan | (unordered(a, b) | unordered(c, d));
    best[0] = Order::best(a, best[0]);
    best[1] = Order::best(b, best[1]);
    best[2] = Order::best(c, best[2]);
    best[3] = Order::best(d, best[3]);
  }
  for (; i < n; i += kW) {
    const int64_t m = n - i < kW ? n - i : kW;
    V a = first;  // lanes beyond the end repeat the first element
    if (m == kW) {
      a = V::load(x + i);
    } else {
      T lanes[kW];
      first.store(lanes);
      for (int64_t q = 0; q < m; q++) lanes[q] = x[i + q];
      a = V::load(lanes);
    }
    nan = nan | unordered(a, a);
    best[0] = Order::best(a, best[0]);
  }
  *has_nan = any(nan);
  return Order::reduce(Order::best(Order::best(best[0], best[1]), Order::best(best[2], best[3])));
}

// The first i with x[i] == value; there must be one.
template <class T>
LAMINAE_INLINE int64_t find_first(const T* x, int64_t n, T value) {
  using V = Vec<T>;
  const V v = V::set1(value);
  int64_t i = 0;
  while (i + V::kWidth <= n && !any(eq(V::load(x + i), v))) i += V::kWidth;
  while (x[i] != value) i++;
  return i;
}

// Finds the best value of each block, then its position only in the block that has it.
template <class T, class Order>
LAMINAE_INLINE T best_with_index(int64_t n, const T* x, int64_t* index) {
  T best = x[0];
  int64_t best_start = 0;
  for (int64_t start = 0; start < n; start += kReduceBlock) {
    const int64_t count = n - start < kReduceBlock ? n - start : kReduceBlock;
    bool has_nan = false;
    const T block_best = best_of_block<T, Order>(count, x + start, &has_nan);
    if (has_nan) {
      int64_t i = start;
      while (x[i] == x[i]) i++;
      if (index != nullptr) *index = i;
      return x[i];
    }
    if (Order::better(block_best, best)) {
      best = block_best;
      best_start = start;
    }
  }
  const int64_t i = best_start + find_first(x + best_start, n - best_start, best);
  if (index != nullptr) *index = i;
  return x[i];
}

// The largest element of x[0, n), n >= 1, and in *index (unless null) where it occurs first. NaN
// counts as larger than anything: the first NaN wins.
template <class T>
T max_with_index(int64_t n, const T* x, int64_t* index) {
  return best_with_index<T, max_order<T>>(n, x, index);
}

// The smallest element likewise; NaN counts as smaller than anything.
template <class T>
T min_with_index(int64_t n, const T* x, int64_t* index) {
  return best_with_index<T, min_order<T>>(n, x, index);
}
