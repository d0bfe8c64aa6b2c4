// Depthwise convolution: sums of shifted rows of one plane, pixels in lanes. core/ops/plane_strip.h
// lays the plane out with zeros around, so a tap is an unaligned load and there is no edge. Inputs
// named x may be read up to the next multiple of the vector width behind the end of a row.

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

// ---- whole kernels of K x K taps, with stride S ----
//
// R rows of y go through the S (R - 1) + K lines of x that they read together. The K windows of a
// line come from one or two pairs of whole vectors: a plane of 56 x 56 takes 0.31 us with AVX-512,
// and 0.62 us with a load for each window, most of which cross cache lines.

// Rows at a time, R. Beside 5 x 5 sums some of two rows are spilled, which still beats one row: 250
// ns for 28 x 28 against 264.
template <class T, int K, int S>
constexpr int kDepthwiseRows = kVectorRegisters<T> == 16 || K > 3 || S > 1 ? 2 : 4;

// Largest K whose weights stay in registers.
template <class T>
constexpr int kDepthwiseKernel = kVectorRegisters<T> == 16 ? 3 : 5;

// xv[b] = what tap b of a line reads, from b = B on: column K - 1 - b if mirrored, else b, where
// column u is at x[u / S + u % S half].
template <class T, int K, int S, bool kMirrored, int B>
LAMINAE_INLINE void depthwise_windows(const T* x, int64_t half, const Vec<T> (&low)[S],
                                      const Vec<T> (&high)[S], Vec<T> (&xv)[K]) {
  constexpr int kColumn = kMirrored ? K - 1 - B : B;
  xv[B] = Vec<T>::template window<kColumn / S>(x + kColumn % S * half, low[kColumn % S],
                                               high[kColumn % S]);
  if constexpr (B + 1 < K) depthwise_windows<T, K, S, kMirrored, B + 1>(x, half, low, high, xv);
}

template <class T, int K, int S, bool kMirrored>
LAMINAE_INLINE void depthwise_line(const T* x, int64_t half, Vec<T> (&xv)[K]) {
  using V = Vec<T>;
  V low[S], high[S];
  LAMINAE_UNROLL for (int s = 0; s < S; s++) {
    low[s] = V::load(x + s * half);
    high[s] = V::load(x + s * half + V::kWidth);
  }
  depthwise_windows<T, K, S, kMirrored, 0>(x, half, low, high, xv);
}

// R rows of y. Along the rows, so that memory is written in order: 8 images of 144 channels of 56 x
// 56 took 1.6 ms, and 2.2 ms down columns of vectors.
template <class T, int K, int S, bool kMirrored, int R>
LAMINAE_INLINE void depthwise_rows(int64_t n, const DepthwiseStrip& s, const T* x,
                                   const Vec<T> (&w)[K * K], const T* bias, T* y, int64_t y_row) {
  using V = Vec<T>;
  constexpr int kLines = S * (R - 1) + K;
  const T* at[kLines];
  LAMINAE_UNROLL for (int l = 0; l < kLines; l++) {
    at[l] = x + l / S * s.line + l % S * s.other_line;
  }
  for (int64_t i = 0; i < n; i += V::kWidth) {
    V acc[R];
    LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r] = V::zero();
    LAMINAE_UNROLL for (int l = 0; l < kLines; l++) {
      V xv[K];
      depthwise_line<T, K, S, kMirrored>(at[l] + i, s.other_column, xv);
      LAMINAE_UNROLL for (int b = 0; b < K; b++) {
        LAMINAE_UNROLL for (int r = 0; r < R; r++) {
          if (l - S * r >= 0 && l - S * r < K) acc[r] = fma(w[(l - S * r) * K + b], xv[b], acc[r]);
        }
      }
    }
    if (bias != nullptr) {
      LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r] = acc[r] + V::set1(*bias);
    }
    if (n - i >= V::kWidth) {
      LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r].store(y + r * y_row + i);
    } else {
      LAMINAE_UNROLL for (int r = 0; r < R; r++) acc[r].store_n(y + r * y_row + i, n - i);
    }
  }
}

template <class T, int K, int S, bool kMirrored>
LAMINAE_NOINLINE void depthwise_fixed(const DepthwiseStrip& strip, int64_t rows, int64_t n,
                                      const T* x, const T* weights, const T* bias, T* y,
                                      int64_t y_row) {
  constexpr int R = kDepthwiseRows<T, K, S>;
  const DepthwiseStrip s = strip;
  Vec<T> w[K * K];
  LAMINAE_UNROLL for (int t = 0; t < K * K; t++) w[t] = Vec<T>::set1(weights[t]);
  int64_t r = 0;
  for (; r + R <= rows; r += R) {
    depthwise_rows<T, K, S, kMirrored, R>(n, s, x + r * s.line, w, bias, y + r * y_row, y_row);
  }
  for (; r < rows; r++) {
    depthwise_rows<T, K, S, kMirrored, 1>(n, s, x + r * s.line, w, bias, y + r * y_row, y_row);
  }
}

template <class T, int K>
LAMINAE_INLINE void depthwise_sized(const DepthwiseStrip& s, int64_t rows, int64_t n, const T* x,
                                    const T* w, const T* bias, T* y, int64_t y_row) {
  if (s.stride == 2) {
    depthwise_fixed<T, K, 2, false>(s, rows, n, x, w, bias, y, y_row);
  } else if (s.mirrored) {
    depthwise_fixed<T, K, 1, true>(s, rows, n, x, w, bias, y, y_row);
  } else {
    depthwise_fixed<T, K, 1, false>(s, rows, n, x, w, bias, y, y_row);
  }
}

// y[r][i] = sum over a, b of w[a][b] x(line stride r + a, column stride i + b) + bias; see
// DepthwiseStrip. Terms are added in the order of a and b, the bias (null: none) last.
template <class T>
void depthwise_lines(const DepthwiseStrip& s, int64_t rows, int64_t n, const T* x, const T* w,
                     const T* bias, T* y, int64_t y_row) {
  if (s.kernel == 3) {
    depthwise_sized<T, 3>(s, rows, n, x, w, bias, y, y_row);
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    depthwise_sized<T, 5>(s, rows, n, x, w, bias, y, y_row);
  }
}

// ---- gradient of the weights ----

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

// A line with lanes from n on zero: there dy is, and x may hold what no sum must meet, like
// infinity.
template <class T, int K, int S>
LAMINAE_INLINE void depthwise_line_tail(int64_t n, const T* x, int64_t half, Vec<T> (&xv)[K]) {
  LAMINAE_UNROLL for (int b = 0; b < K; b++) {
    xv[b] = Vec<T>::load_n(x + b / S + b % S * half, n);
  }
}

template <bool kTail, class T, int K, int S, int R>
LAMINAE_INLINE void depthwise_gradient_block(int64_t n, int64_t half,
                                             const T* const (&x)[S * (R - 1) + K], int64_t i,
                                             const T* dy, int64_t dy_row, Vec<T> (&acc)[K * K]) {
  using V = Vec<T>;
  V d[R];
  LAMINAE_UNROLL for (int r = 0; r < R; r++) d[r] = load_up_to<kTail>(dy + r * dy_row + i, n);
  LAMINAE_UNROLL for (int l = 0; l < S * (R - 1) + K; l++) {
    V xv[K];
    if constexpr (kTail) {
      depthwise_line_tail<T, K, S>(n, x[l] + i, half, xv);
    } else {
      depthwise_line<T, K, S, false>(x[l] + i, half, xv);
    }
    LAMINAE_UNROLL for (int b = 0; b < K; b++) {
      LAMINAE_UNROLL for (int r = 0; r < R; r++) {
        if (l - S * r >= 0 && l - S * r < K)
          acc[(l - S * r) * K + b] = fma(d[r], xv[b], acc[(l - S * r) * K + b]);
      }
    }
  }
}

template <class T, int K, int S, int R>
LAMINAE_INLINE void depthwise_gradient_rows(int64_t n, const DepthwiseStrip& s, const T* x,
                                            const T* dy, int64_t dy_row, Vec<T> (&acc)[K * K]) {
  constexpr int64_t kW = Vec<T>::kWidth;
  constexpr int kLines = S * (R - 1) + K;
  const T* at[kLines];
  LAMINAE_UNROLL for (int l = 0; l < kLines; l++) {
    at[l] = x + l / S * s.line + l % S * s.other_line;
  }
  int64_t i = 0;
  for (; i + kW <= n; i += kW) {
    depthwise_gradient_block<false, T, K, S, R>(kW, s.other_column, at, i, dy, dy_row, acc);
  }
  if (i < n) {
    depthwise_gradient_block<true, T, K, S, R>(n - i, s.other_column, at, i, dy, dy_row, acc);
  }
}

template <class T, int K, int S>
LAMINAE_NOINLINE void depthwise_gradient_fixed(const DepthwiseStrip& strip, int64_t rows, int64_t n,
                                               const T* x, const T* dy, int64_t dy_row, T* sums) {
  using V = Vec<T>;
  constexpr int R = kDepthwiseRows<T, K, S>;
  const DepthwiseStrip s = strip;
  V acc[K * K];
  LAMINAE_UNROLL for (int t = 0; t < K * K; t++) acc[t] = V::load(sums + t * V::kWidth);
  int64_t r = 0;
  for (; r + R <= rows; r += R) {
    depthwise_gradient_rows<T, K, S, R>(n, s, x + r * s.line, dy + r * dy_row, dy_row, acc);
  }
  for (; r < rows; r++) {
    depthwise_gradient_rows<T, K, S, 1>(n, s, x + r * s.line, dy + r * dy_row, dy_row, acc);
  }
  LAMINAE_UNROLL for (int t = 0; t < K * K; t++) acc[t].store(sums + t * V::kWidth);
}

// sums[a][b] += dy[r][i] x(line stride r + a, column stride i + b) over all r, i, in the lanes of a
// vector for each tap; not mirrored.
template <class T>
void depthwise_gradient_lines(const DepthwiseStrip& s, int64_t rows, int64_t n, const T* x,
                              const T* dy, int64_t dy_row, T* sums) {
  if (s.kernel == 3) {
    if (s.stride == 2) {
      depthwise_gradient_fixed<T, 3, 2>(s, rows, n, x, dy, dy_row, sums);
    } else {
      depthwise_gradient_fixed<T, 3, 1>(s, rows, n, x, dy, dy_row, sums);
    }
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    if (s.stride == 2) {
      depthwise_gradient_fixed<T, 5, 2>(s, rows, n, x, dy, dy_row, sums);
    } else {
      depthwise_gradient_fixed<T, 5, 1>(s, rows, n, x, dy, dy_row, sums);
    }
  }
}
