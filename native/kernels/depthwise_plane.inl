// Depthwise convolution with 3 x 3 or 5 x 5 taps and stride 1 or 2, straight from the plane, see
// DepthwisePlane and plane_lines.inl.
//
// A strip of N vectors goes down the plane line by line, with all that its rows share in registers:
// nothing is read twice. At stride 2 lines are split into even and odd columns in registers, in the
// order that is cheapest; sums are put in order before they are stored. A plane of 56 x 56 in L1
// takes 0.50 us with AVX2 (0.44 if there were nothing but multiply-adds), and 0.22 at stride 2.

// ---- sums, in strips ----

// acc[i] += line times line l - S i of the kernel.
template <bool kEdge, class T, int K, int S, int F>
LAMINAE_INLINE void add_line(const LineReader<T, K, S, F, 1>& reader, const T* line, int l,
                             const Vec<T> (&w)[K * K], Vec<T> (&acc)[kPlaneSums<K, S>]) {
  if (l >= (K - S + 1) / 2) prefetch_ahead<T, S>(line + reader.q + F);  // the others may be zeros
  Vec<T> xv[K], low = reader.template start<kEdge>(line);
  reader.template taps<kEdge, false>(line, 0, low, xv);
  LAMINAE_UNROLL for (int b = 0; b < K; b++) {
    LAMINAE_UNROLL for (int i = 0; i < kPlaneSums<K, S>; i++) {
      const int a = l - S * i;
      if (a >= 0 && a < K) acc[i] = fma(w[a * K + b], xv[b], acc[i]);
    }
  }
}

// A row of `left` elements at y: the lines that none before it has.
template <bool kEdge, class T, int K, int S, int F>
LAMINAE_INLINE void add_row(const LineReader<T, K, S, F, 1>& reader, const T* const*& line,
                            const Vec<T> (&w)[K * K], const T* bias, int64_t left, T* y,
                            Vec<T> (&acc)[kPlaneSums<K, S>]) {
  using V = Vec<T>;
  constexpr int C = kPlaneSums<K, S>;
  LAMINAE_UNROLL for (int j = 0; j < S; j++) {
    add_line<kEdge, T, K, S, F>(reader, *line++, K - S + j, w, acc);
  }
  V sum = acc[0];
  if (bias != nullptr) sum = sum + V::set1(*bias);
  if (S == 2) sum = from_split(sum);
  if (kEdge) {
    store_up_to(sum, y, left);
  } else {
    sum.store(y);
  }
  LAMINAE_UNROLL for (int i = 0; i < C; i++) acc[i] = i + 1 < C ? acc[i + 1] : V::zero();
}

// `rows` rows of the vector from column i on.
template <bool kEdge, class T, int K, int S, int F>
LAMINAE_INLINE void plane_rows(const DepthwisePlane& s, const LineReader<T, K, S, F, 1>& reader,
                               const T* const* line, int64_t rows, int64_t i,
                               const Vec<T> (&w)[K * K], const T* bias, T* y) {
  constexpr int C = kPlaneSums<K, S>;
  const int64_t left = s.columns - i;
  T* to = y + i;
  Vec<T> acc[C];
  LAMINAE_UNROLL for (int c = 0; c < C; c++) acc[c] = Vec<T>::zero();
  LAMINAE_UNROLL for (int l = 0; l < K - S; l++) {
    add_line<kEdge, T, K, S, F>(reader, *line++, l, w, acc);
  }
  constexpr int kUnroll = S == 1 ? C : 1;  // so that sums need not move
  int64_t r = 0;
  for (; r + kUnroll <= rows; r += kUnroll) {
    LAMINAE_UNROLL for (int u = 0; u < kUnroll; u++) {
      add_row<kEdge, T, K, S, F>(reader, line, w, bias, left, to, acc);
      to += s.columns;
    }
  }
  for (; r < rows; r++) {
    add_row<kEdge, T, K, S, F>(reader, line, w, bias, left, to, acc);
    to += s.columns;
  }
}

// ---- sums, in tiles ----
//
// With vectors that are loaded in parts cheaply, tiles of R rows of N vectors, whose stores come
// together, are faster than strips: 8 images of 144 channels of 56 x 56 take 0.40 ms against 0.45,
// at stride 2 0.19 against 0.22. Windows of neighbouring vectors give the taps. Of 5 x 5 taps only
// tiles of two rows stay in registers, which read every line three times: 1.43 ms against 1.15 in
// strips, but 0.32 against 0.35 for 480 channels of 14 x 14, where strips are too short.

// Rows of results from which on strips are faster than tiles.
template <int K>
constexpr int64_t kPlaneTall = K == 3 ? INT64_MAX : 20;

// Rows of a tile: as many as stay in registers beside the weights, or nearly so.
template <int K, int S>
constexpr int kPlaneRows = K > 3    ? 2
                           : S == 1 ? 4
                                    : 7;

// Vectors u .. u + S - 1 of a row, parted by column modulo S.
template <class T, int S, int M>
LAMINAE_INLINE void load_parted(const typename Vec<T>::Part (&part)[M], const T* p, int u,
                                Vec<T> (&v)[S]) {
  using V = Vec<T>;
  LAMINAE_UNROLL for (int k = 0; k < S; k++) {
    v[k] = V::load_part(p + (u + k) * V::kWidth, part[u + k]);
  }
  if constexpr (S == 2) {
    const V a = v[0], b = v[1];
    deinterleave(a, b, v[0], v[1]);
  }
}

// xv[b] = column b of low and high, parted by S, from b = B on.
template <class T, int K, int S, int B = 0>
LAMINAE_INLINE void column_windows(const Vec<T> (&low)[S], const Vec<T> (&high)[S],
                                   Vec<T> (&xv)[K]) {
  xv[B] = Vec<T>::template window<B / S>(low[B % S], high[B % S]);
  if constexpr (B + 1 < K) column_windows<T, K, S, B + 1>(low, high, xv);
}

// Rows [row, row + R) of y, columns from i on, which read those from q on. kEnds: nothing behind N
// vectors is in the row.
template <bool kEnds, class T, int K, int S, int R, int N>
LAMINAE_INLINE void plane_tile(const DepthwisePlane& s,
                               const typename Vec<T>::Part (&part)[(N + 1) * S], int64_t q,
                               int64_t row, int64_t i, const T* x, const T* zeros,
                               const Vec<T> (&w)[K * K], const T* bias, T* y) {
  using V = Vec<T>;
  constexpr int L = S * (R - 1) + K;
  V acc[R][N];
  LAMINAE_UNROLL for (int r = 0; r < R; r++) {
    LAMINAE_UNROLL for (int v = 0; v < N; v++) acc[r][v] = V::zero();
  }
  LAMINAE_UNROLL for (int l = 0; l < L; l++) {
    const T* line = plane_line(s, s.top + row * S + l, x, zeros) + q;
    if (l >= L - S * R) prefetch_ahead<T, N * S>(line);
    V low[S];
    load_parted<T, S>(part, line, 0, low);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      V xv[K], high[S];
      if (kEnds && v + 1 == N) {
        LAMINAE_UNROLL for (int u = 0; u < S; u++) high[u] = V::zero();
      } else {
        load_parted<T, S>(part, line, (v + 1) * S, high);
      }
      column_windows<T, K, S>(low, high, xv);
      LAMINAE_UNROLL for (int u = 0; u < S; u++) low[u] = high[u];
      LAMINAE_UNROLL for (int b = 0; b < K; b++) {
        LAMINAE_UNROLL for (int r = 0; r < R; r++) {
          const int a = l - S * r;
          if (a >= 0 && a < K) acc[r][v] = fma(w[a * K + b], xv[b], acc[r][v]);
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
    T* to = y + (row + r) * s.columns + i;
    if (S == 1) prefetch_ahead<T, N>(to);
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
template <bool kEnds, class T, int K, int S, int N>
LAMINAE_INLINE void plane_tiles(const DepthwisePlane& s,
                                const typename Vec<T>::Part (&part)[(N + 1) * S], int64_t q,
                                int64_t first, int64_t end, int64_t i, const T* x, const T* zeros,
                                const Vec<T> (&w)[K * K], const T* bias, T* y) {
  constexpr int R = kPlaneRows<K, S>;
  if (end - first < R) {
    for (int64_t r = first; r < end; r++) {
      plane_tile<kEnds, T, K, S, 1, N>(s, part, q, r, i, x, zeros, w, bias, y);
    }
    return;
  }
  for (int64_t r = first; r < end; r += R) {
    const int64_t row = r < end - R ? r : end - R;
    plane_tile<kEnds, T, K, S, R, N>(s, part, q, row, i, x, zeros, w, bias, y);
  }
}

// Columns from i on: N vectors, or fewer if that is the rest.
template <class T, int K, int S, int N>
LAMINAE_INLINE void tile_strip(const DepthwisePlane& s, int64_t first, int64_t end, int64_t i,
                               const T* x, const T* zeros, const Vec<T> (&w)[K * K], const T* bias,
                               T* y) {
  constexpr int64_t kW = Vec<T>::kWidth;
  if constexpr (N > 1) {
    if (s.columns - i <= (N - 1) * kW) {
      tile_strip<T, K, S, N - 1>(s, first, end, i, x, zeros, w, bias, y);
      return;
    }
  }
  const int64_t q = s.left + i * S;
  typename Vec<T>::Part part[(N + 1) * S];
  LAMINAE_UNROLL for (int u = 0; u < (N + 1) * S; u++) {
    part[u] = Vec<T>::part(clamp_lanes(-(q + u * kW), kW), clamp_lanes(s.width - q - u * kW, kW));
  }
  if (q + N * S * kW >= s.width) {
    plane_tiles<true, T, K, S, N>(s, part, q, first, end, i, x, zeros, w, bias, y);
  } else {
    plane_tiles<false, T, K, S, N>(s, part, q, first, end, i, x, zeros, w, bias, y);
  }
}

template <class T, int K>
LAMINAE_INLINE void load_weights(const DepthwisePlane& s, const T* weights, Vec<T> (&w)[K * K]) {
  LAMINAE_UNROLL for (int t = 0; t < K * K; t++) {
    w[t] = Vec<T>::set1(weights[s.mirrored ? K * K - 1 - t : t]);
  }
}

template <class T, int K, int S>
LAMINAE_NOINLINE void depthwise_tiles_fixed(const DepthwisePlane& plane, int64_t planes,
                                            int64_t first, int64_t end, const T* x, const T* zeros,
                                            const T* weights, const T* bias, T* y) {
  constexpr int N = kPlaneVectors<T, K, S>;
  const DepthwisePlane s = plane;
  for (int64_t p = 0; p < planes; p++) {
    Vec<T> w[K * K];
    load_weights<T, K>(s, weights, w);
    for (int64_t i = 0; i < s.columns; i += N * Vec<T>::kWidth) {
      tile_strip<T, K, S, N>(s, first, end, i, x, zeros, w, bias, y);
    }
    next_plane(s, x, weights, bias, y);
  }
}

template <class T, int K, int S, int F>
LAMINAE_INLINE void strip_rows(const DepthwisePlane& s, int64_t first, int64_t end, const T* x,
                               const T* zeros, const T* weights, const T* bias, T* y) {
  for (; first < end; first += kPlaneChunk) {
    const int64_t rows = end - first < kPlaneChunk ? end - first : kPlaneChunk;
    const T* lines[S * (kPlaneChunk - 1) + K];
    find_lines(s, s.top + first * S, S * (rows - 1) + K, x, zeros, lines);
    Vec<T> w[K * K];
    load_weights<T, K>(s, weights, w);
    T* to = y + first * s.columns;
    for (int64_t column = 0; column < s.columns; column += Vec<T>::kWidth) {
      const int64_t i = strip_start<T>(column, s.columns);
      const LineReader<T, K, S, F, 1> reader(s.left + i * S, s.width);
      if (reader.inside() && s.columns - i >= Vec<T>::kWidth) {
        plane_rows<false, T, K, S, F>(s, reader, lines, rows, i, w, bias, to);
      } else {
        plane_rows<true, T, K, S, F>(s, reader, lines, rows, i, w, bias, to);
      }
    }
  }
}

template <class T, int K, int S, int F>
LAMINAE_NOINLINE void depthwise_strips_fixed(const DepthwisePlane& plane, int64_t planes,
                                             int64_t first, int64_t end, const T* x, const T* zeros,
                                             const T* weights, const T* bias, T* y) {
  const DepthwisePlane s = plane;
  for (int64_t p = 0; p < planes; p++) {
    strip_rows<T, K, S, F>(s, first, end, x, zeros, weights, bias, y);
    next_plane(s, x, weights, bias, y);
  }
}

// ---- sums of 3 x 3 taps at stride 2 behind one column of zeros ----
//
// What most networks have, with vectors that are loaded in parts cheaply. A strip takes two lines
// for a row, whole vectors from even columns on: half of them cross no cache line, and lines are
// split by cheaper shuffles than those of tiles. 8 images of 144 channels, 112 x 112: 1.9 ms
// against 2.7 in tiles; 56 x 56 on two threads 0.087 against 0.093, 15 x 15 0.030 against 0.046.

// xv[v][b] = what tap b reads for vector v; part: lanes of the last two vectors of the line.
template <class T, int N, bool kStart>
LAMINAE_INLINE void pair_taps(const T* line, const typename Vec<T>::Part (&part)[2],
                              Vec<T> (&xv)[N][3]) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  LAMINAE_UNROLL for (int v = 0; v < N; v++) {
    const T* p = line + 2 * v * kW;
    const V a = v + 1 < N ? V::load(p) : V::load_part(p, part[0]);
    const V b = v + 1 < N ? V::load(p + kW) : V::load_part(p + kW, part[1]);
    split(a, b, xv[v][1], xv[v][2]);
    xv[v][0] = split_after(kStart && v == 0 ? V::zero() : V::set1(p[-1]), xv[v][2]);
  }
}

// acc += line a of the kernel.
template <class T, int N>
LAMINAE_INLINE void pair_add(const Vec<T> (&w)[9], int a, const Vec<T> (&xv)[N][3],
                             Vec<T> (&acc)[N]) {
  LAMINAE_UNROLL for (int v = 0; v < N; v++) {
    LAMINAE_UNROLL for (int b = 0; b < 3; b++) acc[v] = fma(w[3 * a + b], xv[v][b], acc[v]);
  }
}

// Rows [first, end) of the N vectors from column i on; kStart: i is 0. last: lanes of the last.
template <class T, int N, bool kStart>
LAMINAE_INLINE void pair_rows(const DepthwisePlane& s, int64_t first, int64_t end, int64_t i,
                              const typename Vec<T>::Part (&part)[2], int64_t last, const T* x,
                              const T* zeros, const T* weights, const T* bias, T* y) {
  using V = Vec<T>;
  const bool biased = bias != nullptr;
  const V bias_lanes = biased ? V::set1(*bias) : V::zero();
  V w[9], next[N], xv[N][3];
  LAMINAE_UNROLL for (int t = 0; t < 9; t++) w[t] = V::set1(weights[t]);
  LAMINAE_UNROLL for (int v = 0; v < N; v++) next[v] = V::zero();
  int64_t l = s.top + 2 * first;
  pair_taps<T, N, kStart>(plane_line(s, l, x, zeros) + 2 * i, part, xv);
  pair_add<T, N>(w, 0, xv, next);
  l++;
  const T* line = x + l * s.width + 2 * i;
  y += first * s.columns + i;
  for (int64_t r = first; r < end; r++) {
    const T* p = line;
    const T* q = line + s.width;
    if (l < 0 || l + 1 >= s.height) {
      p = l >= 0 && l < s.height ? line : zeros + 2 * i;
      q = l + 1 >= 0 && l + 1 < s.height ? q : zeros + 2 * i;
    }
    V acc[N];
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      acc[v] = next[v];
      next[v] = V::zero();
    }
    prefetch_ahead<T, 2 * N>(p);
    pair_taps<T, N, kStart>(p, part, xv);
    pair_add<T, N>(w, 1, xv, acc);
    prefetch_ahead<T, 2 * N>(q);
    pair_taps<T, N, kStart>(q, part, xv);
    pair_add<T, N>(w, 2, xv, acc);
    pair_add<T, N>(w, 0, xv, next);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      if (biased) acc[v] = acc[v] + bias_lanes;
      acc[v] = from_split(acc[v]);
      if (v + 1 < N) {
        acc[v].store(y + v * V::kWidth);
      } else {
        acc[v].store_n(y + v * V::kWidth, last);
      }
    }
    line += 2 * s.width;
    l += 2;
    y += s.columns;
  }
}

template <class T, int N, bool kStart>
LAMINAE_NOINLINE void depthwise_pairs_fixed(const DepthwisePlane& plane, int64_t planes,
                                            int64_t first, int64_t end, int64_t i, const T* x,
                                            const T* zeros, const T* weights, const T* bias, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const DepthwisePlane s = plane;
  const int64_t before = i + (N - 1) * kW;  // columns before the last vector
  const int64_t last = clamp_lanes(s.columns - before, kW);
  const typename V::Part part[2] = {V::part(0, clamp_lanes(s.width - 2 * before, kW)),
                                    V::part(0, clamp_lanes(s.width - 2 * before - kW, kW))};
  for (int64_t p = 0; p < planes; p++) {
    pair_rows<T, N, kStart>(s, first, end, i, part, last, x, zeros, weights, bias, y);
    next_plane(s, x, weights, bias, y);
  }
}

template <class T, bool kStart>
LAMINAE_INLINE int64_t pair_strip(const DepthwisePlane& s, int64_t planes, int64_t first,
                                  int64_t end, int64_t i, const T* x, const T* zeros, const T* w,
                                  const T* bias, T* y) {
  constexpr int64_t kW = Vec<T>::kWidth;
  if (s.columns - i > kW && 2 * (i + kW) <= s.width) {
    depthwise_pairs_fixed<T, 2, kStart>(s, planes, first, end, i, x, zeros, w, bias, y);
    return i + 2 * kW;
  }
  depthwise_pairs_fixed<T, 1, kStart>(s, planes, first, end, i, x, zeros, w, bias, y);
  return i + kW;
}

// A strip goes through all planes, but not where others follow, which would read them again.
template <class T>
void depthwise_pairs(const DepthwisePlane& s, int64_t planes, int64_t first, int64_t end,
                     const T* x, const T* zeros, const T* w, const T* bias, T* y) {
  const int64_t together = s.columns <= 2 * Vec<T>::kWidth ? planes : 1;
  for (int64_t p = 0; p < planes; p += together) {
    int64_t i = pair_strip<T, true>(s, together, first, end, 0, x, zeros, w, bias, y);
    while (i < s.columns) {
      i = pair_strip<T, false>(s, together, first, end, i, x, zeros, w, bias, y);
    }
    next_plane(s, x, w, bias, y);
  }
}

template <class T, int K>
LAMINAE_INLINE void depthwise_plane_sized(const DepthwisePlane& s, int64_t planes, int64_t first,
                                          int64_t end, const T* x, const T* zeros, const T* w,
                                          const T* bias, T* y) {
  if constexpr (Vec<T>::kCheapParts) {
    if (K == 3 && s.stride == 2 && s.left == -1) {
      depthwise_pairs<T>(s, planes, first, end, x, zeros, w, bias, y);
      return;
    }
    if (s.rows < kPlaneTall<K>) {
      if (s.stride == 2) {
        depthwise_tiles_fixed<T, K, 2>(s, planes, first, end, x, zeros, w, bias, y);
      } else {
        depthwise_tiles_fixed<T, K, 1>(s, planes, first, end, x, zeros, w, bias, y);
      }
      return;
    }
  }
  if constexpr (!Vec<T>::kCheapParts || K > 3) {
    if (s.stride == 1) {
      depthwise_strips_fixed<T, K, 1, 0>(s, planes, first, end, x, zeros, w, bias, y);
    } else if (s.left % 2 == 0) {
      depthwise_strips_fixed<T, K, 2, 0>(s, planes, first, end, x, zeros, w, bias, y);
    } else {
      depthwise_strips_fixed<T, K, 2, 1>(s, planes, first, end, x, zeros, w, bias, y);
    }
  }
}

// Rows [first, end) of y, of `planes` planes one after the other, each with weights and a bias
// (null: none) of its own. Terms are added in the order in which x has them, the bias last.
// zeros: s.width of them.
template <class T>
void depthwise_plane(const DepthwisePlane& s, int64_t planes, int64_t first, int64_t end,
                     const T* x, const T* zeros, const T* w, const T* bias, T* y) {
  if (s.kernel == 3) {
    depthwise_plane_sized<T, 3>(s, planes, first, end, x, zeros, w, bias, y);
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    depthwise_plane_sized<T, 5>(s, planes, first, end, x, zeros, w, bias, y);
  }
}
