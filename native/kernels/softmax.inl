// softmax and log-softmax of rows (classes side by side) and of columns (classes ld apart), and
// their derivatives. Nothing overflows: the largest value of a row is taken off before exp.
//
//   softmax      y_j = exp(x_j - m) / s,         m = max x,  s = sum_j exp(x_j - m)
//                dx_j = y_j (dy_j - sum_k dy_k y_k)
//   log-softmax  y_j = (x_j - m) - log s
//                dx_j = dy_j - exp(y_j) sum_k dy_k
//
// A NaN anywhere in a row makes all of it NaN, as does a row of -infinity only. Sums run in lanes
// of T over at most kReduceBlock elements (rows) or kSoftmaxRows classes (columns) before they are
// added up.

constexpr int64_t kSoftmaxRows = 64;

// The lanes below n.
template <class T>
LAMINAE_INLINE typename Vec<T>::Mask first_lanes(int64_t n) {
  T numbers[Vec<T>::kWidth];
  LAMINAE_UNROLL for (int i = 0; i < Vec<T>::kWidth; i++) numbers[i] = static_cast<T>(i);
  return lt(Vec<T>::load(numbers), Vec<T>::set1(static_cast<T>(n)));
}

template <class T>
LAMINAE_INLINE T row_max(int64_t n, const T* x) {
  using V = Vec<T>;
  const V lowest = V::set1(static_cast<T>(-INFINITY));
  V m = lowest;
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) m = max(V::load(x + i), m);
  if (i < n) m = max(select(first_lanes<T>(n - i), V::load_n(x + i, n - i), lowest), m);
  return reduce_max(m);
}

// sum_j exp(x_j - m); the terms go to `terms` unless it is null.
template <class T>
LAMINAE_INLINE T row_exp_sum(int64_t n, const T* x, T m, T* terms) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const V mv = V::set1(m);
  double total = 0.0;
  for (int64_t start = 0; start < n; start += kReduceBlock) {
    const int64_t end = n - start < kReduceBlock ? n : start + kReduceBlock;
    V acc = V::zero();
    int64_t i = start;
    for (; i + kW <= end; i += kW) {
      const V e = exp(V::load(x + i) - mv);
      if (terms != nullptr) e.store(terms + i);
      acc = acc + e;
    }
    if (i < end) {
      const V e = exp(V::load_n(x + i, end - i) - mv);
      if (terms != nullptr) e.store_n(terms + i, end - i);
      acc = acc + select(first_lanes<T>(end - i), e, V::zero());
    }
    total += static_cast<double>(reduce_add(acc));
  }
  return static_cast<T>(total);
}

// x, y [rows, n]; rows in blocks, so that the logarithms of their sums are taken in vectors.
template <class T>
void softmax_rows(int64_t rows, int64_t n, const T* x, T* y, bool log_form) {
  using V = Vec<T>;
  T maxima[kSoftmaxRows];
  T sums[kSoftmaxRows];
  for (int64_t start = 0; start < rows; start += kSoftmaxRows) {
    const int64_t count = rows - start < kSoftmaxRows ? rows - start : kSoftmaxRows;
    const T* px = x + start * n;
    T* py = y + start * n;
    for (int64_t r = 0; r < count; r++) {
      maxima[r] = row_max(n, px + r * n);
      sums[r] =
          row_exp_sum(n, px + r * n, maxima[r], log_form ? static_cast<T*>(nullptr) : py + r * n);
    }
    if (log_form) {
      for (int64_t r = 0; r < count; r += V::kWidth) {
        const int64_t m = count - r < V::kWidth ? count - r : V::kWidth;
        log(V::load_n(sums + r, m)).store_n(sums + r, m);
      }
    }
    for (int64_t r = 0; r < count; r++) {
      const V m = V::set1(maxima[r]);
      const V s =
          log_form ? V::set1(sums[r]) : V::set1(static_cast<T>(1.0 / static_cast<double>(sums[r])));
      const T* from = (log_form ? px : py) + r * n;
      T* to = py + r * n;
      int64_t i = 0;
      for (; i + V::kWidth <= n; i += V::kWidth) {
        const V v = V::load(from + i);
        (log_form ? (v - m) - s : v * s).store(to + i);
      }
      if (i < n) {
        const V v = V::load_n(from + i, n - i);
        (log_form ? (v - m) - s : v * s).store_n(to + i, n - i);
      }
    }
  }
}

// y, dy, dx [rows, n]
template <class T>
void softmax_rows_backward(int64_t rows, int64_t n, const T* y, const T* dy, T* dx, bool log_form) {
  using V = Vec<T>;
  for (int64_t r = 0; r < rows; r++) {
    const T* py = y + r * n;
    const T* pdy = dy + r * n;
    T* pdx = dx + r * n;
    const V s = V::set1(static_cast<T>(log_form ? sum(n, pdy) : dot(n, py, pdy)));
    for (int64_t i = 0; i < n; i += V::kWidth) {
      const int64_t m = n - i < V::kWidth ? n - i : V::kWidth;
      const V vy = V::load_n(py + i, m);
      const V vdy = V::load_n(pdy + i, m);
      (log_form ? fnma(exp(vy), s, vdy) : vy * (vdy - s)).store_n(pdx + i, m);
    }
  }
}

// sum over j of term(j), in groups of kSoftmaxRows; Term: V at(int64_t j).
template <class T, class Term>
LAMINAE_INLINE Vec<T> column_sum(int64_t n, const Term& term) {
  Vec<T> total = Vec<T>::zero();
  for (int64_t start = 0; start < n; start += kSoftmaxRows) {
    const int64_t end = n - start < kSoftmaxRows ? n : start + kSoftmaxRows;
    Vec<T> acc = Vec<T>::zero();
    for (int64_t j = start; j < end; j++) acc = acc + term.at(j);
    total = total + acc;
  }
  return total;
}

template <class T>
struct ExpTerm {
  const T* x;
  int64_t ld, m;
  Vec<T> top;
  LAMINAE_INLINE Vec<T> at(int64_t j) const { return exp(Vec<T>::load_n(x + j * ld, m) - top); }
};

// The softmax of every column of x [n, cols], rows ld apart in x and y.
template <class T>
void softmax_columns(int64_t n, int64_t cols, int64_t ld, const T* x, T* y, bool log_form) {
  using V = Vec<T>;
  for (int64_t c = 0; c < cols; c += V::kWidth) {
    const int64_t m = cols - c < V::kWidth ? cols - c : V::kWidth;
    V top = V::set1(static_cast<T>(-INFINITY));
    for (int64_t j = 0; j < n; j++) top = max(V::load_n(x + j * ld + c, m), top);
    const V s = column_sum<T>(n, ExpTerm<T>{x + c, ld, m, top});
    const V scale = log_form ? log(s) : V::set1(T(1)) / s;
    for (int64_t j = 0; j < n; j++) {
      const V v = V::load_n(x + j * ld + c, m) - top;
      (log_form ? v - scale : exp(v) * scale).store_n(y + j * ld + c, m);
    }
  }
}

template <class T>
struct GradientTerm {
  const T* y;
  const T* dy;
  int64_t ld, m;
  bool log_form;
  LAMINAE_INLINE Vec<T> at(int64_t j) const {
    const Vec<T> g = Vec<T>::load_n(dy + j * ld, m);
    return log_form ? g : g * Vec<T>::load_n(y + j * ld, m);
  }
};

// The derivative for columns, laid out as in softmax_columns.
template <class T>
void softmax_columns_backward(int64_t n, int64_t cols, int64_t ld, const T* y, const T* dy, T* dx,
                              bool log_form) {
  using V = Vec<T>;
  for (int64_t c = 0; c < cols; c += V::kWidth) {
    const int64_t m = cols - c < V::kWidth ? cols - c : V::kWidth;
    const V s = column_sum<T>(n, GradientTerm<T>{y + c, dy + c, ld, m, log_form});
    for (int64_t j = 0; j < n; j++) {
      const V vy = V::load_n(y + j * ld + c, m);
      const V vdy = V::load_n(dy + j * ld + c, m);
      (log_form ? fnma(exp(vy), s, vdy) : vy * (vdy - s)).store_n(dx + j * ld + c, m);
    }
  }
}

// y_i = a_i exp(x_i) + b_i w_i, the gradient of a cross entropy; a step is 0 (one value for all)
// or 1.
template <class T>
void exp_affine(int64_t n, const T* a, int64_t a_step, const T* x, const T* b, int64_t b_step,
                const T* w, int64_t w_step, T* y) {
  using V = Vec<T>;
  for (int64_t i = 0; i < n; i += V::kWidth) {
    const int64_t m = n - i < V::kWidth ? n - i : V::kWidth;
    const V av = a_step == 0 ? V::set1(*a) : V::load_n(a + i, m);
    const V bv = b_step == 0 ? V::set1(*b) : V::load_n(b + i, m);
    const V wv = w_step == 0 ? V::set1(*w) : V::load_n(w + i, m);
    fma(av, exp(V::load_n(x + i, m)), bv * wv).store_n(y + i, m);
  }
}
