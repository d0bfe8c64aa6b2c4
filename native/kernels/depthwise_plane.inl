// Depthwise convolution with 3 x 3 or 5 x 5 taps and stride 1 or 2, straight from the plane: lines
// outside are read from an array of zeros, columns outside are lanes that are not loaded. See
// DepthwisePlane.
//
// A tile is R rows of N vectors; the lines that its rows share are read once, N + 1 vectors of
// each, and windows of neighbouring vectors give the taps. With stride 2 vectors are parted into
// even and odd columns in registers. A plane of 56 x 56 in L1 takes 0.28 us with AVX-512, and 0.12
// at stride 2.

// Rows and vectors of a tile: as many as stay in registers beside the weights, or nearly so. 8
// images of 144 channels of 56 x 56 take 0.49 ms in tiles of 4 x 4 vectors of AVX-512, 0.58 in 4 x
// 2; at stride 2 0.28 and 0.24, and a plane in L1 0.15 us with tiles of 4 rows and 0.12 with 7.
template <class T, int K, int S>
constexpr int kPlaneRows = kVectorRegisters<T> == 16 || K > 3 ? 2
                           : S == 1                           ? 4
                                                              : 7;
template <class T, int K, int S>
constexpr int kPlaneVectors = !Vec<T>::kCheapParts || K > 3 ? 1
                              : S == 1                      ? 4
                                                            : 2;

// Largest K whose weights stay in registers.
template <class T>
constexpr int kDepthwiseKernel = kVectorRegisters<T> == 16 ? 3 : 5;

// Planes are read one after the other, but too little at a time for the hardware to look far ahead:
// 8 images of 144 channels of 56 x 56 at stride 2 take 0.33 ms without requests, 0.20 with them
// 4096 bytes ahead and 0.19 with 8192.
constexpr int kPlaneAhead = 8192;  // bytes

LAMINAE_INLINE int64_t clamp_lanes(int64_t n, int64_t width) {
  return n < 0 ? 0 : n > width ? width : n;
}

// Which lanes of N vectors from column q of a row on are in it.
template <class T, int N>
struct RowSpan {
  int64_t q;
  int64_t begin[N], end[N];

  LAMINAE_INLINE RowSpan(int64_t column, int64_t width) : q(column) {
    constexpr int64_t kW = Vec<T>::kWidth;
    LAMINAE_UNROLL for (int u = 0; u < N; u++) {
      begin[u] = clamp_lanes(-(column + u * kW), kW);
      end[u] = clamp_lanes(width - (column + u * kW), kW);
    }
  }
};

// Vectors u .. u + S - 1 of a row, parted by column modulo S.
template <bool kEdge, class T, int S, int N>
LAMINAE_INLINE void load_parted(const RowSpan<T, N>& span, const T* row, int u, Vec<T> (&v)[S]) {
  using V = Vec<T>;
  LAMINAE_UNROLL for (int k = 0; k < S; k++) {
    const T* p = row + span.q + (u + k) * V::kWidth;
    v[k] = kEdge ? V::load_part(p, span.begin[u + k], span.end[u + k]) : V::load(p);
  }
  if constexpr (S == 2) {
    const V a = v[0], b = v[1];
    deinterleave(a, b, v[0], v[1]);
  }
}

// xv[b] = column b of low and high, parted by S, from b = B on; column K - 1 - b if mirrored.
template <class T, int K, int S, bool kMirrored, int B = 0>
LAMINAE_INLINE void column_windows(const Vec<T> (&low)[S], const Vec<T> (&high)[S],
                                   Vec<T> (&xv)[K]) {
  constexpr int kColumn = kMirrored ? K - 1 - B : B;
  xv[B] = Vec<T>::template window<kColumn / S>(low[kColumn % S], high[kColumn % S]);
  if constexpr (B + 1 < K) column_windows<T, K, S, kMirrored, B + 1>(low, high, xv);
}

// What the K taps of a line read for vector v of a tile; low: its first vectors, replaced by those
// of v + 1. Without an edge and a stride loads are cheaper than two or three shuffles, but for
// vectors as long as a cache line. kClosed: what follows the tile is outside the row.
template <bool kEdge, bool kClosed, class T, int K, int S, bool kMirrored, int N>
LAMINAE_INLINE void line_windows(const RowSpan<T, N>& span, const T* row, int v, Vec<T> (&low)[S],
                                 Vec<T> (&xv)[K]) {
  using V = Vec<T>;
  if constexpr (!kEdge && S == 1) {
    LAMINAE_UNROLL for (int b = 0; b < K; b++) {
      xv[b] = V::load(row + span.q + v * V::kWidth + (kMirrored ? K - 1 - b : b));
    }
  } else {
    V high[S];
    if (kClosed && (v + 2) * S == N) {
      LAMINAE_UNROLL for (int u = 0; u < S; u++) high[u] = V::zero();
    } else {
      load_parted<kEdge>(span, row, (v + 1) * S, high);
    }
    column_windows<T, K, S, kMirrored>(low, high, xv);
    LAMINAE_UNROLL for (int u = 0; u < S; u++) low[u] = high[u];
  }
}

template <class T>
LAMINAE_INLINE const T* plane_line(const DepthwisePlane& s, int64_t line, const T* x,
                                   const T* zeros) {
  return line >= 0 && line < s.height ? x + line * s.width : zeros;
}

// Requests what follows the N vectors at p after a while.
template <class T, int N>
LAMINAE_INLINE void prefetch_ahead(const T* p) {
  const char* at = reinterpret_cast<const char*>(p) + kPlaneAhead;
  constexpr int kBytes = N * Vec<T>::kWidth * static_cast<int>(sizeof(T));
  LAMINAE_UNROLL for (int i = 0; i < kBytes; i += 64) LAMINAE_PREFETCH(at + i);
}

// Whether a tile from column i on, of `vectors` vectors, reads whole vectors only.
template <class T, int K, int S>
LAMINAE_INLINE bool is_inside(int64_t q, int64_t width, int64_t vectors) {
  constexpr int64_t kW = Vec<T>::kWidth;
  return q >= 0 && q + (S == 1 ? vectors * kW + K - 1 : S * (vectors + 1) * kW) <= width;
}

// ---- sums ----

// Rows [row, row + R) of y.
template <bool kEdge, bool kClosed, class T, int K, int S, bool kMirrored, int R, int N>
LAMINAE_INLINE void plane_tile(const DepthwisePlane& s, const RowSpan<T, (N + 1) * S>& span,
                               int64_t row, int64_t i, const T* x, const T* zeros,
                               const Vec<T> (&w)[K * K], const T* bias, T* y) {
  using V = Vec<T>;
  constexpr int L = S * (R - 1) + K;
  V acc[R][N];
  LAMINAE_UNROLL for (int r = 0; r < R; r++) {
    LAMINAE_UNROLL for (int v = 0; v < N; v++) acc[r][v] = V::zero();
  }
  // A mirrored kernel has its lines in falling order.
  LAMINAE_UNROLL for (int l = 0; l < L; l++) {
    const T* line = plane_line(s, s.top + row * S + (kMirrored ? L - 1 - l : l), x, zeros);
    if (l >= L - S * R) prefetch_ahead<T, N * S>(line + span.q);
    V low[S];
    if (kEdge || S > 1) load_parted<kEdge>(span, line, 0, low);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      V xv[K];
      line_windows<kEdge, kClosed, T, K, S, kMirrored>(span, line, v, low, xv);
      LAMINAE_UNROLL for (int b = 0; b < K; b++) {
        LAMINAE_UNROLL for (int r = 0; r < R; r++) {
          if (l - S * r >= 0 && l - S * r < K)
            acc[r][v] = fma(w[(l - S * r) * K + b], xv[b], acc[r][v]);
        }
      }
    }
  }
  if (bias != nullptr) {
    LAMINAE_UNROLL for (int r = 0; r < R; r++) {
      LAMINAE_UNROLL for (int v = 0; v < N; v++) acc[r][v] = acc[r][v] + V::set1(*bias);
    }
  }
  LAMINAE_UNROLL for (int r = 0; r < R; r++) {
    T* to = y + (row + (kMirrored ? R - 1 - r : r)) * s.columns + i;
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      if (v + 1 < N) {
        acc[r][v].store(to + v * V::kWidth);
      } else {
        store_up_to(acc[r][v], to + v * V::kWidth, s.columns - i - v * V::kWidth);
      }
    }
  }
}

// The last rows that are no whole tile are made together with some before them, twice: the results
// are the same.
template <bool kEdge, bool kClosed, class T, int K, int S, bool kMirrored, int N>
LAMINAE_INLINE void plane_rows(const DepthwisePlane& s, const RowSpan<T, (N + 1) * S>& span,
                               int64_t first, int64_t end, int64_t i, const T* x, const T* zeros,
                               const Vec<T> (&w)[K * K], const T* bias, T* y) {
  constexpr int R = kPlaneRows<T, K, S>;
  if (end - first < R) {
    for (int64_t r = first; r < end; r++) {
      plane_tile<kEdge, kClosed, T, K, S, kMirrored, 1, N>(s, span, r, i, x, zeros, w, bias, y);
    }
    return;
  }
  for (int64_t r = first; r < end; r += R) {
    const int64_t row = r < end - R ? r : end - R;
    plane_tile<kEdge, kClosed, T, K, S, kMirrored, R, N>(s, span, row, i, x, zeros, w, bias, y);
  }
}

// Columns from i on: N vectors, or fewer if that is the rest.
template <class T, int K, int S, bool kMirrored, int N>
LAMINAE_INLINE void plane_strip(const DepthwisePlane& s, int64_t first, int64_t end, int64_t i,
                                const T* x, const T* zeros, const Vec<T> (&w)[K * K], const T* bias,
                                T* y) {
  if constexpr (N > 1) {
    if (s.columns - i <= (N - 1) * Vec<T>::kWidth) {
      plane_strip<T, K, S, kMirrored, N - 1>(s, first, end, i, x, zeros, w, bias, y);
      return;
    }
  }
  const RowSpan<T, (N + 1) * S> span(s.left + i * S, s.width);
  if (!Vec<T>::kCheapParts && is_inside<T, K, S>(span.q, s.width, N)) {
    plane_rows<Vec<T>::kCheapParts, false, T, K, S, kMirrored, N>(s, span, first, end, i, x, zeros,
                                                                  w, bias, y);
  } else if (span.end[N * S] <= 0) {
    plane_rows<true, true, T, K, S, kMirrored, N>(s, span, first, end, i, x, zeros, w, bias, y);
  } else {
    plane_rows<true, false, T, K, S, kMirrored, N>(s, span, first, end, i, x, zeros, w, bias, y);
  }
}

template <class T, int K, int S, bool kMirrored>
LAMINAE_NOINLINE void depthwise_plane_fixed(const DepthwisePlane& plane, int64_t first, int64_t end,
                                            const T* x, const T* zeros, const T* weights,
                                            const T* bias, T* y) {
  constexpr int N = kPlaneVectors<T, K, S>;
  const DepthwisePlane s = plane;
  Vec<T> w[K * K];
  LAMINAE_UNROLL for (int t = 0; t < K * K; t++) w[t] = Vec<T>::set1(weights[t]);
  for (int64_t i = 0; i < s.columns; i += N * Vec<T>::kWidth) {
    plane_strip<T, K, S, kMirrored, N>(s, first, end, i, x, zeros, w, bias, y);
  }
}

template <class T, int K>
LAMINAE_INLINE void depthwise_plane_sized(const DepthwisePlane& s, int64_t first, int64_t end,
                                          const T* x, const T* zeros, const T* w, const T* bias,
                                          T* y) {
  if (s.stride == 2) {
    depthwise_plane_fixed<T, K, 2, false>(s, first, end, x, zeros, w, bias, y);
  } else if (s.mirrored) {
    depthwise_plane_fixed<T, K, 1, true>(s, first, end, x, zeros, w, bias, y);
  } else {
    depthwise_plane_fixed<T, K, 1, false>(s, first, end, x, zeros, w, bias, y);
  }
}

// Rows [first, end) of y. Terms are added in the order of a and b, the bias (null: none) last.
// zeros: s.width of them.
template <class T>
void depthwise_plane(const DepthwisePlane& s, int64_t first, int64_t end, const T* x,
                     const T* zeros, const T* w, const T* bias, T* y) {
  if (s.kernel == 3) {
    depthwise_plane_sized<T, 3>(s, first, end, x, zeros, w, bias, y);
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    depthwise_plane_sized<T, 5>(s, first, end, x, zeros, w, bias, y);
  }
}

// ---- input gradient at stride 2 ----
//
// With p = padding = 2 h + P, P in {0, 1}, element u = 2 g + f of dx meets the taps a of the parity
// of f + P, and of dy element g + h + shift(a), shift(a) = -floor(a / 2), one more if P = 1 and a
// is even.

template <int P>
constexpr int spread_shift(int a) {
  return (P == 1 && a % 2 == 0 ? 1 : 0) - a / 2;
}
template <int K, int P>
constexpr int kSpreadLow = P - (K - 1) / 2;  // the least of them; the largest is P

template <class T, int K>
constexpr int kSpreadTile = !Vec<T>::kCheapParts || K > 3 ? 1 : 2;  // pairs of rows, vectors

template <class T, int H, int D = 0>
LAMINAE_INLINE void spread_windows(Vec<T> low, Vec<T> high, Vec<T> (&xv)[H]) {
  xv[D] = Vec<T>::template window<D>(low, high);
  if constexpr (D + 1 < H) spread_windows<T, H, D + 1>(low, high, xv);
}

// Rows 2 row .. 2 (row + R) - 1 of dx, columns from 2 i on.
template <bool kEdge, class T, int K, int P, int R, int N>
LAMINAE_INLINE void spread_tile(const DepthwisePlane& s, const RowSpan<T, N + 1>& span, int64_t row,
                                int64_t i, const T* dy, const T* zeros, const Vec<T> (&w)[K * K],
                                const T* bias, T* dx) {
  using V = Vec<T>;
  constexpr int kLow = kSpreadLow<K, P>;
  constexpr int H = P - kLow + 1;
  V acc[2 * R][2][N];
  LAMINAE_UNROLL for (int r = 0; r < 2 * R; r++) {
    LAMINAE_UNROLL for (int v = 0; v < N; v++) acc[r][0][v] = acc[r][1][v] = V::zero();
  }
  // Downwards, so that the terms of an element come in the order of a.
  LAMINAE_UNROLL for (int l = R + H - 2; l >= 0; l--) {
    const T* line = plane_line(s, row + s.top / 2 + kLow + l, dy, zeros);
    if (l >= H - 1) prefetch_ahead<T, N>(line + span.q);
    V low[1], high[1];
    load_parted<kEdge>(span, line, 0, low);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      V xv[H];
      load_parted<kEdge>(span, line, v + 1, high);
      spread_windows(low[0], high[0], xv);
      low[0] = high[0];
      LAMINAE_UNROLL for (int a = 0; a < K; a++) {
        const int r = l - (spread_shift<P>(a) - kLow);
        if (r < 0 || r >= R) continue;
        LAMINAE_UNROLL for (int b = 0; b < K; b++) {
          V& sum = acc[2 * r + (a + P) % 2][(b + P) % 2][v];
          sum = fma(w[a * K + b], xv[spread_shift<P>(b) - kLow], sum);
        }
      }
    }
  }
  LAMINAE_UNROLL for (int r = 0; r < 2 * R; r++) {
    if (2 * row + r >= s.rows) continue;
    T* to = dx + (2 * row + r) * s.columns;
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      V even = acc[r][0][v], odd = acc[r][1][v], first = V::zero(), second = V::zero();
      if (bias != nullptr) {
        even = even + V::set1(*bias);
        odd = odd + V::set1(*bias);
      }
      interleave(even, odd, first, second);
      const int64_t at = 2 * (i + v * V::kWidth);
      store_up_to(first, to + at, s.columns - at);
      store_up_to(second, to + at + V::kWidth, s.columns - at - V::kWidth);
    }
  }
}

template <class T, int K, int P, int N>
LAMINAE_INLINE void spread_strip(const DepthwisePlane& s, int64_t first, int64_t end, int64_t i,
                                 const T* dy, const T* zeros, const Vec<T> (&w)[K * K],
                                 const T* bias, T* dx) {
  constexpr int R = kSpreadTile<T, K>;
  if constexpr (N > 1) {
    if (s.columns - 2 * i <= 2 * (N - 1) * Vec<T>::kWidth) {
      spread_strip<T, K, P, N - 1>(s, first, end, i, dy, zeros, w, bias, dx);
      return;
    }
  }
  const RowSpan<T, N + 1> span(i + s.left / 2 + kSpreadLow<K, P>, s.width);
  const bool inside = span.q >= 0 && span.q + (N + 1) * Vec<T>::kWidth <= s.width;
  if (!Vec<T>::kCheapParts && inside) {
    for (int64_t r = first; r < end; r += R) {
      spread_tile<Vec<T>::kCheapParts, T, K, P, R, N>(s, span, r, i, dy, zeros, w, bias, dx);
    }
  } else {
    for (int64_t r = first; r < end; r += R) {
      spread_tile<true, T, K, P, R, N>(s, span, r, i, dy, zeros, w, bias, dx);
    }
  }
}

template <class T, int K, int P>
LAMINAE_NOINLINE void depthwise_spread_fixed(const DepthwisePlane& plane, int64_t first,
                                             int64_t end, const T* dy, const T* zeros,
                                             const T* weights, const T* bias, T* dx) {
  constexpr int N = kSpreadTile<T, K>;
  const DepthwisePlane s = plane;
  Vec<T> w[K * K];
  LAMINAE_UNROLL for (int t = 0; t < K * K; t++) w[t] = Vec<T>::set1(weights[t]);
  for (int64_t i = 0; 2 * i < s.columns; i += N * Vec<T>::kWidth) {
    spread_strip<T, K, P, N>(s, first, end, i, dy, zeros, w, bias, dx);
  }
}

// Pairs of rows [first, end) of dx. Terms are added in the order of a and b, the bias last.
template <class T>
void depthwise_spread(const DepthwisePlane& s, int64_t first, int64_t end, const T* dy,
                      const T* zeros, const T* w, const T* bias, T* dx) {
  if (s.kernel == 3) {
    if (s.top % 2 == 0) {
      depthwise_spread_fixed<T, 3, 0>(s, first, end, dy, zeros, w, bias, dx);
    } else {
      depthwise_spread_fixed<T, 3, 1>(s, first, end, dy, zeros, w, bias, dx);
    }
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    if (s.top % 2 == 0) {
      depthwise_spread_fixed<T, 5, 0>(s, first, end, dy, zeros, w, bias, dx);
    } else {
      depthwise_spread_fixed<T, 5, 1>(s, first, end, dy, zeros, w, bias, dx);
    }
  }
}

// ---- gradient of the weights ----

// Adds rows [row, row + R) of dy to acc[a][b], and to acc[K K] for the bias.
template <bool kEdge, class T, int K, int S, int R, int N>
LAMINAE_INLINE void plane_gradient_tile(const DepthwisePlane& s,
                                        const RowSpan<T, (N + 1) * S>& span, int64_t row, int64_t i,
                                        const T* x, const T* zeros, const T* dy,
                                        Vec<T> (&acc)[K * K + 1]) {
  using V = Vec<T>;
  constexpr int L = S * (R - 1) + K;
  // Lanes of the last vector that are in the row. Behind them x may hold what no sum must meet,
  // like infinity.
  const int64_t last = clamp_lanes(s.columns - i - (N - 1) * V::kWidth, V::kWidth);
  V d[R][N];
  LAMINAE_UNROLL for (int r = 0; r < R; r++) {
    const T* p = dy + (row + r) * s.columns + i;
    prefetch_ahead<T, N>(p);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      d[r][v] =
          kEdge && v + 1 == N ? V::load_n(p + v * V::kWidth, last) : V::load(p + v * V::kWidth);
      acc[K * K] = acc[K * K] + d[r][v];
    }
  }
  LAMINAE_UNROLL for (int l = 0; l < L; l++) {
    const T* line = plane_line(s, s.top + row * S + l, x, zeros);
    if (l >= L - S * R) prefetch_ahead<T, N * S>(line + span.q);
    V low[S];
    if (kEdge || S > 1) load_parted<kEdge>(span, line, 0, low);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      V xv[K];
      line_windows<kEdge, false, T, K, S, false>(span, line, v, low, xv);
      LAMINAE_UNROLL for (int b = 0; b < K; b++) {
        if (kEdge && v + 1 == N) xv[b] = xv[b].first(last);
        LAMINAE_UNROLL for (int r = 0; r < R; r++) {
          const int t = (l - S * r) * K + b;
          if (l - S * r >= 0 && l - S * r < K) acc[t] = fma(d[r][v], xv[b], acc[t]);
        }
      }
    }
  }
}

// A function of its own with a copy of the sums, or GCC keeps them in memory.
template <class T, int K, int S, int N, bool kEdge>
LAMINAE_NOINLINE void depthwise_gradient_fixed(const DepthwisePlane& s,
                                               const RowSpan<T, (N + 1) * S>& span, int64_t first,
                                               int64_t end, int64_t i, const T* x, const T* zeros,
                                               const T* dy, Vec<T> (&acc)[K * K + 1]) {
  constexpr int R = kPlaneRows<T, K, S>;
  Vec<T> own[K * K + 1];
  LAMINAE_UNROLL for (int t = 0; t <= K * K; t++) own[t] = acc[t];
  int64_t r = first;
  for (; r + R <= end; r += R) {
    plane_gradient_tile<kEdge, T, K, S, R, N>(s, span, r, i, x, zeros, dy, own);
  }
  for (; r < end; r++) {
    plane_gradient_tile<kEdge, T, K, S, 1, N>(s, span, r, i, x, zeros, dy, own);
  }
  LAMINAE_UNROLL for (int t = 0; t <= K * K; t++) acc[t] = own[t];
}

template <class T, int K, int S, int N>
LAMINAE_INLINE void plane_gradient_strip(const DepthwisePlane& s, int64_t first, int64_t end,
                                         int64_t i, const T* x, const T* zeros, const T* dy,
                                         Vec<T> (&acc)[K * K + 1]) {
  constexpr int64_t kW = Vec<T>::kWidth;
  if constexpr (N > 1) {
    if (s.columns - i <= (N - 1) * kW) {
      plane_gradient_strip<T, K, S, N - 1>(s, first, end, i, x, zeros, dy, acc);
      return;
    }
  }
  const RowSpan<T, (N + 1) * S> span(s.left + i * S, s.width);
  const bool inside = is_inside<T, K, S>(span.q, s.width, N) && s.columns - i >= N * kW;
  if (!Vec<T>::kCheapParts && inside) {
    depthwise_gradient_fixed<T, K, S, N, Vec<T>::kCheapParts>(s, span, first, end, i, x, zeros, dy,
                                                              acc);
  } else {
    depthwise_gradient_fixed<T, K, S, N, true>(s, span, first, end, i, x, zeros, dy, acc);
  }
}

template <class T, int K, int S>
LAMINAE_INLINE void depthwise_gradient_sized(const DepthwisePlane& plane, int64_t first,
                                             int64_t end, const T* x, const T* zeros, const T* dy,
                                             double* sums) {
  constexpr int N = kPlaneVectors<T, K, S>;
  const DepthwisePlane s = plane;
  Vec<T> acc[K * K + 1];
  LAMINAE_UNROLL for (int t = 0; t <= K * K; t++) acc[t] = Vec<T>::zero();
  for (int64_t i = 0; i < s.columns; i += N * Vec<T>::kWidth) {
    plane_gradient_strip<T, K, S, N>(s, first, end, i, x, zeros, dy, acc);
  }
  for (int t = 0; t <= K * K; t++) sums[t] += static_cast<double>(reduce_add(acc[t]));
}

// sums[a][b] += sum over rows [first, end) of dy of what w[a][b] is multiplied by, sums[K K] those
// of dy; in lanes of T: the caller keeps rows to a few thousand elements. Not mirrored.
template <class T>
void depthwise_gradient(const DepthwisePlane& s, int64_t first, int64_t end, const T* x,
                        const T* zeros, const T* dy, double* sums) {
  if (s.kernel == 3) {
    if (s.stride == 2) {
      depthwise_gradient_sized<T, 3, 2>(s, first, end, x, zeros, dy, sums);
    } else {
      depthwise_gradient_sized<T, 3, 1>(s, first, end, x, zeros, dy, sums);
    }
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    if (s.stride == 2) {
      depthwise_gradient_sized<T, 5, 2>(s, first, end, x, zeros, dy, sums);
    } else {
      depthwise_gradient_sized<T, 5, 1>(s, first, end, x, zeros, dy, sums);
    }
  }
}
