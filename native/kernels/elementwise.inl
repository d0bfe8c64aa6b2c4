// Linear combinations and filling: one pass, a vector body and one partial vector. In-place safe:
// an output may be the same array as an input (but not overlap it shifted).

// y = alpha x + beta y; beta 1 accumulates, and with beta 0 y is not read, so it may hold anything.
template <class T>
void scale_add(int64_t n, T alpha, const T* x, T beta, T* y) {
  using V = Vec<T>;
  if (beta == T(0)) {
    const V a = V::set1(alpha);
    int64_t i = 0;
    for (; i + V::kWidth <= n; i += V::kWidth) (a * V::load_stream(x + i)).store(y + i);
    if (i < n) (a * V::load_n(x + i, n - i)).store_n(y + i, n - i);
    return;
  }
  const V a = V::set1(alpha);
  const V b = V::set1(beta);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) {
    fma(a, V::load_stream(x + i), b * V::load_stream(y + i)).store(y + i);
  }
  if (i < n) {
    fma(a, V::load_n(x + i, n - i), b * V::load_n(y + i, n - i)).store_n(y + i, n - i);
  }
}

// y = a x + b
template <class T>
void affine(int64_t n, T a, const T* x, T b, T* y) {
  using V = Vec<T>;
  const V av = V::set1(a);
  const V bv = V::set1(b);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) fma(av, V::load_stream(x + i), bv).store(y + i);
  if (i < n) fma(av, V::load_n(x + i, n - i), bv).store_n(y + i, n - i);
}

template <class T>
void fill(int64_t n, T value, T* y) {
  using V = Vec<T>;
  const V v = V::set1(value);
  int64_t i = 0;
  for (; i + V::kWidth <= n; i += V::kWidth) v.store(y + i);
  if (i < n) v.store_n(y + i, n - i);
}

// y = min(max(y + add, low), high); add is laid out as y is, or nullptr: nothing. NaN stays NaN.
template <class T>
void end_rows(int64_t rows, int64_t n, const T* add, T low, T high, T* y, int64_t step) {
  using V = Vec<T>;
  const V lo = V::set1(low);
  const V hi = V::set1(high);
  const auto end = [&](V v, V a) { return min(hi, max(lo, v + a)); };
  for (int64_t r = 0; r < rows; ++r, y += step) {
    int64_t i = 0;
    if (add == nullptr) {
      for (; i + V::kWidth <= n; i += V::kWidth) min(hi, max(lo, V::load(y + i))).store(y + i);
      if (i < n) min(hi, max(lo, V::load_n(y + i, n - i))).store_n(y + i, n - i);
      continue;
    }
    for (; i + V::kWidth <= n; i += V::kWidth) end(V::load(y + i), V::load(add + i)).store(y + i);
    if (i < n) end(V::load_n(y + i, n - i), V::load_n(add + i, n - i)).store_n(y + i, n - i);
    add += step;
  }
}
