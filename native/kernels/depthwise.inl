// Depthwise convolution of any kernel: sums of shifted rows of one plane, pixels in lanes.
// core/ops/plane_strip.h lays the plane out with zeros around, so a tap is an unaligned load and
// there is no edge. Inputs named x may be read up to the next multiple of the vector width behind
// the end of a row. Common kernels: depthwise_plane.inl.

// kNv vectors of y at once: sum over t of w[t] x[offset[t] + i].
template <class T, int kNv>
LAMINAE_INLINE void tap_sums(int64_t taps, const int64_t* offset, const T* w, const T* x,
                             Vec<T> (&acc)[kNv]) {
  using V = Vec<T>;
  LAMINAE_UNROLL for (int v = 0; v < kNv; v++) acc[v] = V::zero();
  for (int64_t t = 0; t < taps; t++) {
    const T* p = x + offset[t];
    const V wv = V::set1(w[t]);
    LAMINAE_UNROLL for (int v = 0; v < kNv; v++) {
      acc[v] = fma(wv, V::load(p + v * V::kWidth), acc[v]);
    }
  }
}

template <class T, int kNv>
LAMINAE_INLINE void tap_rows_strip(int64_t n, int64_t taps, const int64_t* offset, const T* w,
                                   const T* x, const T* bias, T* y) {
  using V = Vec<T>;
  V acc[kNv];
  tap_sums(taps, offset, w, x, acc);
  LAMINAE_UNROLL for (int v = 0; v < kNv; v++) {
    if (bias != nullptr) acc[v] = acc[v] + V::set1(*bias);
    if (v < kNv - 1) {
      acc[v].store(y + v * V::kWidth);
    } else {
      store_up_to(acc[v], y + v * V::kWidth, n - v * V::kWidth);
    }
  }
}

// y[r][i] = sum over t of w[t] x[offset[t] + r x_row + i] + bias, terms in the order of t, the bias
// (null: none) last. Any kernel.
template <class T>
void tap_rows(int64_t rows, int64_t n, int64_t taps, const int64_t* offset, const T* w, const T* x,
              int64_t x_row, const T* bias, T* y, int64_t y_row) {
  constexpr int64_t kW = Vec<T>::kWidth;
  for (int64_t r = 0; r < rows; r++, x += x_row, y += y_row) {
    int64_t i = 0;
    for (; i + 2 * kW < n; i += 4 * kW) {
      if (i + 3 * kW < n) {
        tap_rows_strip<T, 4>(n - i, taps, offset, w, x + i, bias, y + i);
      } else {
        tap_rows_strip<T, 3>(n - i, taps, offset, w, x + i, bias, y + i);
      }
    }
    if (i + kW < n) {
      tap_rows_strip<T, 2>(n - i, taps, offset, w, x + i, bias, y + i);
    } else if (i < n) {
      tap_rows_strip<T, 1>(n - i, taps, offset, w, x + i, bias, y + i);
    }
  }
}

template <class T, int kNv>
LAMINAE_INLINE void tap_pairs_strip(int64_t n, const int64_t* taps, const int64_t* offset,
                                    const T* w, const T* x, const T* bias, T* y) {
  using V = Vec<T>;
  V even[kNv], odd[kNv];
  tap_sums(taps[0], offset, w, x, even);
  tap_sums(taps[1], offset + taps[0], w + taps[0], x, odd);
  LAMINAE_UNROLL for (int v = 0; v < kNv; v++) {
    if (bias != nullptr) {
      even[v] = even[v] + V::set1(*bias);
      odd[v] = odd[v] + V::set1(*bias);
    }
    V low = V::zero(), high = V::zero();
    interleave(even[v], odd[v], low, high);
    store_up_to(low, y + 2 * v * V::kWidth, n - 2 * v * V::kWidth);
    store_up_to(high, y + (2 * v + 1) * V::kWidth, n - (2 * v + 1) * V::kWidth);
  }
}

// The same with y[r][2 i] summed over the first taps[0] taps and y[r][2 i + 1] over the taps[1]
// after them; n is the number of elements of a row of y.
template <class T>
void tap_row_pairs(int64_t rows, int64_t n, const int64_t* taps, const int64_t* offset, const T* w,
                   const T* x, int64_t x_row, const T* bias, T* y, int64_t y_row) {
  constexpr int64_t kW = Vec<T>::kWidth;
  for (int64_t r = 0; r < rows; r++, x += x_row, y += y_row) {
    for (int64_t i = 0; i < n; i += 4 * kW) {
      if (i + 2 * kW < n) {
        tap_pairs_strip<T, 2>(n - i, taps, offset, w, x + i / 2, bias, y + i);
      } else {
        tap_pairs_strip<T, 1>(n - i, taps, offset, w, x + i / 2, bias, y + i);
      }
    }
  }
}

// The first n lanes, or all of them.
template <bool kTail, class T>
LAMINAE_INLINE Vec<T> load_up_to(const T* p, int64_t n) {
  if constexpr (kTail) {
    return Vec<T>::load_n(p, n);
  } else {
    return Vec<T>::load(p);
  }
}

template <bool kTail, class T, int kTaps>
LAMINAE_INLINE void tap_gradient_step(int64_t n, const int64_t* offset, const T* x, const T* dy,
                                      Vec<T> (&acc)[kTaps]) {
  const Vec<T> d = load_up_to<kTail>(dy, n);
  LAMINAE_UNROLL for (int t = 0; t < kTaps; t++) {
    acc[t] = fma(d, load_up_to<kTail>(x + offset[t], n), acc[t]);
  }
}

template <class T, int kTaps>
LAMINAE_INLINE void tap_gradient_fixed(int64_t rows, int64_t n, const int64_t* offset, const T* x,
                                       int64_t x_row, const T* dy, int64_t dy_row, T* sums) {
  using V = Vec<T>;
  V acc[kTaps];
  LAMINAE_UNROLL for (int t = 0; t < kTaps; t++) acc[t] = V::load(sums + t * V::kWidth);
  for (int64_t r = 0; r < rows; r++, x += x_row, dy += dy_row) {
    int64_t i = 0;
    for (; i + V::kWidth <= n; i += V::kWidth) {
      tap_gradient_step<false>(V::kWidth, offset, x + i, dy + i, acc);
    }
    if (i < n) tap_gradient_step<true>(n - i, offset, x + i, dy + i, acc);
  }
  LAMINAE_UNROLL for (int t = 0; t < kTaps; t++) acc[t].store(sums + t * V::kWidth);
}

// sums[t] += dy[r][i] x[offset[t] + r x_row + i] over all r, i, in the lanes of a vector for each
// tap. Any kernel.
template <class T>
void tap_rows_gradient(int64_t rows, int64_t n, int64_t taps, const int64_t* offset, const T* x,
                       int64_t x_row, const T* dy, int64_t dy_row, T* sums) {
  constexpr int64_t kW = Vec<T>::kWidth;
  constexpr int kTaps = 6;
  int64_t t = 0;
  for (; t + kTaps <= taps; t += kTaps) {
    tap_gradient_fixed<T, kTaps>(rows, n, offset + t, x, x_row, dy, dy_row, sums + t * kW);
  }
  for (; t < taps; t++) {
    tap_gradient_fixed<T, 1>(rows, n, offset + t, x, x_row, dy, dy_row, sums + t * kW);
  }
}
