// Gradient of the weights of a depthwise convolution with 3 x 3 or 5 x 5 taps and stride 1 or 2, in
// strips like the sums of depthwise_plane.inl.

// acc[a][b] += line times d[i], i < have, line a = l + S i of the kernel.
template <bool kEdge, bool kEnds, class T, int K, int S, int F, int N>
LAMINAE_INLINE void gradient_line(const LineReader<T, K, S, F, N>& reader, const T* line, int l,
                                  int64_t have, typename Vec<T>::Mask valid,
                                  const Vec<T> (&d)[kPlaneSums<K, S>][N],
                                  Vec<T> (&acc)[K * K + 1]) {
  prefetch_ahead<T, N * S>(line + reader.q + F);
  Vec<T> low = reader.template start<kEdge>(line);
  LAMINAE_UNROLL for (int v = 0; v < N; v++) {
    Vec<T> xv[K];
    reader.template taps<kEdge, kEnds>(line, v, low, xv);
    LAMINAE_UNROLL for (int b = 0; b < K; b++) {
      // Behind the last lanes x may hold what no sum must meet, like infinity.
      if (kEdge && v + 1 == N) xv[b] = select(valid, xv[b], Vec<T>::zero());
      LAMINAE_UNROLL for (int i = 0; i < kPlaneSums<K, S>; i++) {
        const int t = (l + S * i) * K + b;
        if (i < have && l + S * i < K) acc[t] = fma(d[i][v], xv[b], acc[t]);
      }
    }
  }
}

// A row of dy with the first S of its lines; d keeps the rows that meet later ones too.
template <bool kEdge, bool kEnds, class T, int K, int S, int F, int N>
LAMINAE_INLINE void gradient_row(const LineReader<T, K, S, F, N>& reader, const T* const*& line,
                                 int64_t have, const T* dy, int64_t last,
                                 typename Vec<T>::Mask valid, Vec<T> (&d)[kPlaneSums<K, S>][N],
                                 Vec<T> (&acc)[K * K + 1]) {
  using V = Vec<T>;
  prefetch_ahead<T, N>(dy);
  LAMINAE_UNROLL for (int v = 0; v < N; v++) {
    LAMINAE_UNROLL for (int i = kPlaneSums<K, S> - 1; i > 0; i--) d[i][v] = d[i - 1][v];
    const T* p = dy + v * V::kWidth;
    d[0][v] = kEdge && v + 1 == N ? V::load_n(p, last) : V::load(p);
    acc[K * K] = acc[K * K] + d[0][v];
    if (S == 2) d[0][v] = to_split(d[0][v]);
  }
  LAMINAE_UNROLL for (int j = 0; j < S; j++) {
    gradient_line<kEdge, kEnds, T, K, S, F, N>(reader, *line++, j, have, valid, d, acc);
  }
}

// A function of its own with a copy of the sums, or GCC keeps them in memory.
template <class T, int K, int S, int F, int N, bool kEdge, bool kEnds>
LAMINAE_NOINLINE void depthwise_gradient_fixed(const DepthwisePlane& s,
                                               const LineReader<T, K, S, F, N>& reader,
                                               const T* const* line, int64_t rows, int64_t i,
                                               const T* dy, Vec<T> (&acc)[K * K + 1]) {
  using V = Vec<T>;
  constexpr int C = kPlaneSums<K, S>;
  const int64_t columns = s.columns;
  // Lanes of the last vector that are in the row.
  const int64_t last = clamp_lanes(columns - i - (N - 1) * V::kWidth, V::kWidth);
  T lane[V::kWidth];
  for (int k = 0; k < V::kWidth; k++) lane[k] = static_cast<T>(k);
  const V order = S == 2 ? to_split(V::load(lane)) : V::load(lane);
  const typename V::Mask valid = lt(order, V::set1(static_cast<T>(last)));
  V own[K * K + 1], d[C][N];
  LAMINAE_UNROLL for (int t = 0; t <= K * K; t++) own[t] = acc[t];
  LAMINAE_UNROLL for (int c = 0; c < C; c++) {
    LAMINAE_UNROLL for (int v = 0; v < N; v++) d[c][v] = V::zero();
  }
  dy += i;
  // Rows that are not there take no part, not even as zeros: x may be infinite.
  LAMINAE_UNROLL for (int c = 1; c < C; c++) {
    if (c > rows) continue;
    gradient_row<kEdge, kEnds, T, K, S, F, N>(reader, line, c, dy, last, valid, d, own);
    dy += columns;
  }
  int64_t r = C - 1;
  for (; r + C <= rows; r += C) {
    LAMINAE_UNROLL for (int c = 0; c < C; c++) {
      gradient_row<kEdge, kEnds, T, K, S, F, N>(reader, line, C, dy, last, valid, d, own);
      dy += columns;
    }
  }
  for (; r < rows; r++) {
    gradient_row<kEdge, kEnds, T, K, S, F, N>(reader, line, C, dy, last, valid, d, own);
    dy += columns;
  }
  LAMINAE_UNROLL for (int l = 0; l < K - S; l++) {
    gradient_line<kEdge, kEnds, T, K, S, F, N>(reader, *line++, S + l, rows, valid, d, own);
  }
  LAMINAE_UNROLL for (int t = 0; t <= K * K; t++) acc[t] = own[t];
}

template <class T, int K, int S, int F, int N>
LAMINAE_INLINE void gradient_strip(const DepthwisePlane& s, const T* const* lines, int64_t rows,
                                   int64_t i, const T* dy, Vec<T> (&acc)[K * K + 1]) {
  constexpr bool kParts = Vec<T>::kCheapParts;
  constexpr int64_t kW = Vec<T>::kWidth;
  if constexpr (N > 1) {
    if (s.columns - i <= (N - 1) * kW) {
      gradient_strip<T, K, S, F, N - 1>(s, lines, rows, i, dy, acc);
      return;
    }
  }
  const LineReader<T, K, S, F, N> reader(s.left + i * S, s.width);
  if (!kParts && reader.inside() && s.columns - i >= N * kW) {
    depthwise_gradient_fixed<T, K, S, F, N, kParts, false>(s, reader, lines, rows, i, dy, acc);
  } else if (kParts && reader.ends()) {
    depthwise_gradient_fixed<T, K, S, F, N, true, kParts>(s, reader, lines, rows, i, dy, acc);
  } else {
    depthwise_gradient_fixed<T, K, S, F, N, true, false>(s, reader, lines, rows, i, dy, acc);
  }
}

template <class T, int K, int S, int F>
LAMINAE_INLINE void gradient_plane(const DepthwisePlane& s, int64_t first, int64_t end, const T* x,
                                   const T* zeros, const T* dy, double* sums) {
  constexpr int N = kPlaneVectors<T, K, S>;
  Vec<T> acc[K * K + 1];
  LAMINAE_UNROLL for (int t = 0; t <= K * K; t++) acc[t] = Vec<T>::zero();
  for (; first < end; first += kPlaneChunk) {
    const int64_t rows = end - first < kPlaneChunk ? end - first : kPlaneChunk;
    const T* lines[S * (kPlaneChunk - 1) + K];
    find_lines(s, s.top + first * S, S * (rows - 1) + K, x, zeros, lines);
    for (int64_t i = 0; i < s.columns; i += N * Vec<T>::kWidth) {
      gradient_strip<T, K, S, F, N>(s, lines, rows, i, dy + first * s.columns, acc);
    }
  }
  for (int t = 0; t <= K * K; t++) sums[t] += static_cast<double>(reduce_add(acc[t]));
}

template <class T, int K, int S, int F>
LAMINAE_INLINE void depthwise_gradient_sized(const DepthwisePlane& plane, int64_t planes,
                                             int64_t first, int64_t end, const T* x, const T* zeros,
                                             const T* dy, double* sums) {
  const DepthwisePlane s = plane;
  for (int64_t p = 0; p < planes; p++) {
    gradient_plane<T, K, S, F>(s, first, end, x, zeros, dy, sums);
    x += s.height * s.width;
    dy += s.rows * s.columns;
    sums += K * K + 1;
  }
}

template <class T, int K>
LAMINAE_INLINE void depthwise_gradient_any(const DepthwisePlane& s, int64_t planes, int64_t first,
                                           int64_t end, const T* x, const T* zeros, const T* dy,
                                           double* sums) {
  if (s.stride == 1) {
    depthwise_gradient_sized<T, K, 1, 0>(s, planes, first, end, x, zeros, dy, sums);
  } else if (s.left % 2 == 0) {
    depthwise_gradient_sized<T, K, 2, 0>(s, planes, first, end, x, zeros, dy, sums);
  } else {
    depthwise_gradient_sized<T, K, 2, 1>(s, planes, first, end, x, zeros, dy, sums);
  }
}

// sums[a][b] += sum over rows [first, end) of dy of what w[a][b] is multiplied by, sums[K K] those
// of dy, for each of `planes` planes one after the other; in lanes of T: the caller keeps rows to a
// few thousand elements. Not mirrored.
template <class T>
void depthwise_gradient(const DepthwisePlane& s, int64_t planes, int64_t first, int64_t end,
                        const T* x, const T* zeros, const T* dy, double* sums) {
  if (s.kernel == 3) {
    depthwise_gradient_any<T, 3>(s, planes, first, end, x, zeros, dy, sums);
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    depthwise_gradient_any<T, 5>(s, planes, first, end, x, zeros, dy, sums);
  }
}
