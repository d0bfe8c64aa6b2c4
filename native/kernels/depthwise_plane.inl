// Depthwise convolution with 3 x 3 or 5 x 5 taps and stride 1 or 2, straight from the plane: lines
// outside are read from an array of zeros, columns outside are lanes that are not loaded. See
// DepthwisePlane.
//
// A strip of N vectors goes down the plane line by line, with all that its rows share in registers:
// nothing is read twice. At stride 2 lines are split into even and odd columns in registers, in the
// order that is cheapest; sums are put in order before they are stored. A plane of 56 x 56 in L1
// takes 0.50 us with AVX2 (0.44 if there were nothing but multiply-adds), and 0.22 at stride 2.

// Vectors of a strip or a tile: as many as stay in registers beside the weights, or nearly so.
template <class T, int K, int S>
constexpr int kPlaneVectors = !Vec<T>::kCheapParts || K > 3 ? 1
                              : S == 1                      ? 4
                                                            : 2;

// Largest K whose weights stay in registers.
template <class T>
constexpr int kDepthwiseKernel = kVectorRegisters<T> == 16 ? 3 : 5;

// Planes are read one after the other, but too little at a time for the hardware to look far ahead:
// 8 images of 144 channels of 56 x 56 at stride 2 take 0.33 ms without requests, 0.20 with them
// 4096 bytes ahead and 0.19 with 8192. At stride 1 as much is written as read: 0.39 ms with
// requests of both, 0.43 with those of what is read. Strips go through a plane several times: 0.79
// ms with AVX2, 0.73 twice as far ahead; tiles lose as much by that.
template <class T>
constexpr int kPlaneAhead = Vec<T>::kCheapParts ? 8192 : 16384;  // bytes

// Rows (pairs of rows of an input gradient at stride 2) that go by one table of lines.
constexpr int kPlaneChunk = 64;

LAMINAE_INLINE int64_t clamp_lanes(int64_t n, int64_t width) {
  return n < 0 ? 0 : n > width ? width : n;
}

template <class T>
LAMINAE_INLINE const T* plane_line(const DepthwisePlane& s, int64_t line, const T* x,
                                   const T* zeros) {
  return line >= 0 && line < s.height ? x + line * s.width : zeros;
}

// Where `count` lines begin, from line `first` on. In three loops: with a choice for every line, 8
// images of 144 channels of 28 x 28 take 0.099 ms at stride 2 with AVX2, 0.088 without.
template <class T>
LAMINAE_NOINLINE void find_lines(const DepthwisePlane& s, int64_t first, int64_t count, const T* x,
                                 const T* zeros, const T** at) {
  const int64_t inside = s.height - first < count ? s.height - first : count;
  int64_t l = 0;
  for (; l < count && first + l < 0; l++) at[l] = zeros;
  const T* line = x + (first + l) * s.width;
  for (; l < inside; l++, line += s.width) at[l] = line;
  for (; l < count; l++) at[l] = zeros;
}

// Requests what follows the N vectors at p after a while.
template <class T, int N>
LAMINAE_INLINE void prefetch_ahead(const T* p) {
  const char* at = reinterpret_cast<const char*>(p) + kPlaneAhead<T>;
  constexpr int kBytes = N * Vec<T>::kWidth * static_cast<int>(sizeof(T));
  LAMINAE_UNROLL for (int i = 0; i < kBytes; i += 64) LAMINAE_PREFETCH(at + i);
}

// ---- what K taps read of a line ----

// For N vectors of results from column q on, at stride 1, or at stride 2 with vectors split into
// even and odd columns. F: 1 if even columns of the plane are those of tap 1, 0 if of tap 0.
template <class T, int K, int S, int F, int N>
struct LineReader {
  using V = Vec<T>;
  static constexpr int kW = V::kWidth;
  // At stride 1 a load for every tap is cheaper than two or three shuffles, but for vectors as long
  // as a cache line.
  static constexpr bool kWindows = S == 1 && V::kCheapParts;
  static constexpr int kLoads = S == 2 ? 2 * N : kWindows ? N + 1 : N * K;
  static constexpr int kMore = S == 2 ? K - 2 : 0;  // elements beside the loads of a vector

  int64_t q, width;
  typename V::Part part[kLoads];
  // Columns of elements, or the nearest in the row; all lanes if that is the same, or none.
  int64_t nearest[N * kMore + 1], lanes[N * kMore + 1];

  static constexpr int column(int load) {
    return S == 2 || kWindows ? F + load * kW : load / K * kW + load % K;
  }
  // The one before a vector (F = 1), or what follows it.
  static constexpr int element_column(int e) {
    return 2 * (e / kMore) * kW + (e % kMore < F ? 0 : 2 * kW + e % kMore);
  }
  LAMINAE_INLINE LineReader(int64_t first_column, int64_t row_width)
      : q(first_column), width(row_width) {
    LAMINAE_UNROLL for (int j = 0; j < kLoads; j++) {
      const int64_t c = q + column(j);
      part[j] = V::part(clamp_lanes(-c, kW), clamp_lanes(width - c, kW));
    }
    LAMINAE_UNROLL for (int e = 0; e < N * kMore; e++) {
      const int64_t c = q + element_column(e);
      nearest[e] = c < 0 ? 0 : c < width ? c : width - 1;
      lanes[e] = c == nearest[e] ? kW : 0;
      LAMINAE_OPAQUE(nearest[e]);  // or GCC branches for it at every line
    }
  }

  // Whether all that is read is in the row.
  LAMINAE_INLINE bool inside() const { return q >= 0 && q + S * (N * kW - 1) + K <= width; }
  // Whether nothing behind N vectors is.
  LAMINAE_INLINE bool ends() const { return kWindows && q + N * kW >= width; }

  template <bool kEdge>
  LAMINAE_INLINE V load(const T* line, int j) const {
    const T* p = line + q + column(j);
    return kEdge ? V::load_part(p, part[j]) : V::load(p);
  }
  template <bool kEdge>
  LAMINAE_INLINE V element(const T* line, int e) const {
    if (!kEdge) return V::set1(line[q + element_column(e)]);
    return V::set1(line[nearest[e]]).first(lanes[e]);
  }

  // The first vector of a row of windows.
  template <bool kEdge>
  LAMINAE_INLINE V start(const T* line) const {
    return kWindows ? load<kEdge>(line, 0) : V::zero();
  }
  // xv[b] = what tap b reads for vector v. low: from start(), then from here.
  template <bool kEdge, bool kEnds>
  LAMINAE_INLINE void taps(const T* line, int v, V& low, V (&xv)[K]) const {
    if constexpr (kWindows) {
      const V high = kEnds && v + 1 == N ? V::zero() : load<kEdge>(line, v + 1);
      windows<0>(low, high, xv);
      low = high;
    } else if constexpr (S == 1) {
      LAMINAE_UNROLL for (int b = 0; b < K; b++) { xv[b] = load<kEdge>(line, v * K + b); }
    } else {
      V even = V::zero(), odd = V::zero();
      split(load<kEdge>(line, 2 * v), load<kEdge>(line, 2 * v + 1), even, odd);
      xv[F] = even;
      xv[F + 1] = odd;
      LAMINAE_UNROLL for (int b = F + 2; b < K; b++) {
        xv[b] = split_before(xv[b - 2], element<kEdge>(line, v * kMore + b - 2));
      }
      if (F == 1) xv[0] = split_after(element<kEdge>(line, v * kMore), xv[2]);
    }
  }

 private:
  template <int B>
  static LAMINAE_INLINE void windows(V low, V high, V (&xv)[K]) {
    xv[B] = V::template window<B>(low, high);
    if constexpr (B + 1 < K) windows<B + 1>(low, high, xv);
  }
};

// Where a strip begins: vectors that cannot be loaded in parts cheaply overlap at the end of a row.
template <class T>
LAMINAE_INLINE int64_t strip_start(int64_t i, int64_t columns) {
  constexpr int64_t kW = Vec<T>::kWidth;
  return !Vec<T>::kCheapParts && i + kW > columns && columns >= kW ? columns - kW : i;
}

// ---- sums, in strips ----

// Rows that a line belongs to.
template <int K, int S>
constexpr int kPlaneSums = (K + S - 1) / S;

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
LAMINAE_NOINLINE void depthwise_tiles_fixed(const DepthwisePlane& plane, int64_t first, int64_t end,
                                            const T* x, const T* zeros, const T* weights,
                                            const T* bias, T* y) {
  constexpr int N = kPlaneVectors<T, K, S>;
  const DepthwisePlane s = plane;
  Vec<T> w[K * K];
  load_weights<T, K>(s, weights, w);
  for (int64_t i = 0; i < s.columns; i += N * Vec<T>::kWidth) {
    tile_strip<T, K, S, N>(s, first, end, i, x, zeros, w, bias, y);
  }
}

template <class T, int K, int S, int F>
LAMINAE_NOINLINE void depthwise_plane_fixed(const DepthwisePlane& plane, int64_t first, int64_t end,
                                            const T* x, const T* zeros, const T* weights,
                                            const T* bias, T* y) {
  const DepthwisePlane s = plane;
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

// Rows [first, end) of the N vectors from column i on; kStart: i is 0.
template <class T, int N, bool kStart>
LAMINAE_NOINLINE void depthwise_pairs_fixed(const DepthwisePlane& plane, int64_t first, int64_t end,
                                            int64_t i, const T* x, const T* zeros, const T* weights,
                                            const T* bias, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  const DepthwisePlane s = plane;
  const int64_t width = s.width, height = s.height, columns = s.columns;
  const int64_t before = i + (N - 1) * kW;  // columns before the last vector
  const int64_t last = clamp_lanes(columns - before, kW);
  const typename V::Part part[2] = {V::part(0, clamp_lanes(width - 2 * before, kW)),
                                    V::part(0, clamp_lanes(width - 2 * before - kW, kW))};
  const bool biased = bias != nullptr;
  const V bias_lanes = biased ? V::set1(*bias) : V::zero();
  V w[9], next[N], xv[N][3];
  LAMINAE_UNROLL for (int t = 0; t < 9; t++) w[t] = V::set1(weights[t]);
  LAMINAE_UNROLL for (int v = 0; v < N; v++) next[v] = V::zero();
  int64_t l = s.top + 2 * first;
  pair_taps<T, N, kStart>(plane_line(s, l, x, zeros) + 2 * i, part, xv);
  pair_add<T, N>(w, 0, xv, next);
  l++;
  const T* line = x + l * width + 2 * i;
  y += first * columns + i;
  for (int64_t r = first; r < end; r++) {
    const T* p = line;
    const T* q = line + width;
    if (l < 0 || l + 1 >= height) {
      p = l >= 0 && l < height ? line : zeros + 2 * i;
      q = l + 1 >= 0 && l + 1 < height ? q : zeros + 2 * i;
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
        acc[v].store(y + v * kW);
      } else {
        acc[v].store_n(y + v * kW, last);
      }
    }
    line += 2 * width;
    l += 2;
    y += columns;
  }
}

template <class T, bool kStart>
LAMINAE_INLINE int64_t pair_strip(const DepthwisePlane& s, int64_t first, int64_t end, int64_t i,
                                  const T* x, const T* zeros, const T* w, const T* bias, T* y) {
  constexpr int64_t kW = Vec<T>::kWidth;
  if (s.columns - i > kW && 2 * (i + kW) <= s.width) {
    depthwise_pairs_fixed<T, 2, kStart>(s, first, end, i, x, zeros, w, bias, y);
    return i + 2 * kW;
  }
  depthwise_pairs_fixed<T, 1, kStart>(s, first, end, i, x, zeros, w, bias, y);
  return i + kW;
}

template <class T>
void depthwise_pairs(const DepthwisePlane& s, int64_t first, int64_t end, const T* x,
                     const T* zeros, const T* w, const T* bias, T* y) {
  int64_t i = pair_strip<T, true>(s, first, end, 0, x, zeros, w, bias, y);
  while (i < s.columns) i = pair_strip<T, false>(s, first, end, i, x, zeros, w, bias, y);
}

template <class T, int K>
LAMINAE_INLINE void depthwise_plane_sized(const DepthwisePlane& s, int64_t first, int64_t end,
                                          const T* x, const T* zeros, const T* w, const T* bias,
                                          T* y) {
  if constexpr (Vec<T>::kCheapParts) {
    if (K == 3 && s.stride == 2 && s.left == -1) {
      depthwise_pairs<T>(s, first, end, x, zeros, w, bias, y);
      return;
    }
    if (s.rows < kPlaneTall<K>) {
      if (s.stride == 2) {
        depthwise_tiles_fixed<T, K, 2>(s, first, end, x, zeros, w, bias, y);
      } else {
        depthwise_tiles_fixed<T, K, 1>(s, first, end, x, zeros, w, bias, y);
      }
      return;
    }
  }
  if constexpr (!Vec<T>::kCheapParts || K > 3) {
    if (s.stride == 1) {
      depthwise_plane_fixed<T, K, 1, 0>(s, first, end, x, zeros, w, bias, y);
    } else if (s.left % 2 == 0) {
      depthwise_plane_fixed<T, K, 2, 0>(s, first, end, x, zeros, w, bias, y);
    } else {
      depthwise_plane_fixed<T, K, 2, 1>(s, first, end, x, zeros, w, bias, y);
    }
  }
}

// Rows [first, end) of y. Terms are added in the order in which x has them, the bias
// (null: none) last.
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
constexpr int kSpreadVectors = !Vec<T>::kCheapParts || K > 3 ? 1 : 2;

// Lines that a pair of rows of dx reads.
template <int K, int P>
constexpr int kSpreadLines = P - kSpreadLow<K, P> + 1;

// Sums of a pair of rows: [row][even or odd columns][vector].
template <class T, int N>
struct SpreadSums {
  Vec<T> at[2][2][N];
};

// sums += line times the lines of the kernel that read line l of a pair.
template <class T, int K, int P, int N>
LAMINAE_INLINE void spread_add(const Vec<T> (&xv)[kSpreadLines<K, P>], int v, int l,
                               const Vec<T> (&w)[K * K], SpreadSums<T, N>& sums) {
  constexpr int kLow = kSpreadLow<K, P>;
  LAMINAE_UNROLL for (int a = 0; a < K; a++) {
    if (spread_shift<P>(a) - kLow != l) continue;
    LAMINAE_UNROLL for (int b = 0; b < K; b++) {
      Vec<T>& sum = sums.at[(a + P) % 2][(b + P) % 2][v];
      sum = fma(w[a * K + b], xv[spread_shift<P>(b) - kLow], sum);
    }
  }
}

template <class T, int N>
LAMINAE_INLINE void spread_store(SpreadSums<T, N>& sums, int v, int64_t rows, int64_t left,
                                 int64_t columns, const T* bias, T* to) {
  using V = Vec<T>;
  LAMINAE_UNROLL for (int f = 0; f < 2; f++) {
    if (f >= rows) continue;
    V even = sums.at[f][0][v], odd = sums.at[f][1][v], first = V::zero(), second = V::zero();
    if (bias != nullptr) {
      even = even + V::set1(*bias);
      odd = odd + V::set1(*bias);
    }
    interleave(even, odd, first, second);
    const int64_t at = 2 * v * V::kWidth;
    store_up_to(first, to + f * columns + at, left - at);
    store_up_to(second, to + f * columns + at + V::kWidth, left - at - V::kWidth);
  }
}

// Pairs of rows [0, pairs) of dx, `rows` of them in all, columns from 2 i on.
template <bool kEdge, bool kEnds, class T, int K, int P, int N>
LAMINAE_INLINE void spread_rows(const DepthwisePlane& s,
                                const LineReader<T, kSpreadLines<K, P>, 1, 0, N>& reader,
                                const T* const* lines, int64_t pairs, int64_t rows, int64_t i,
                                const Vec<T> (&w)[K * K], const T* bias, T* dx) {
  constexpr int H = kSpreadLines<K, P>;
  SpreadSums<T, N> sums[H];
  LAMINAE_UNROLL for (int h = 0; h < H; h++) {
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      sums[h].at[0][0][v] = sums[h].at[0][1][v] = Vec<T>::zero();
      sums[h].at[1][0][v] = sums[h].at[1][1][v] = Vec<T>::zero();
    }
  }
  for (int64_t l = 1 - H; l < pairs; l++) {
    const T* line = lines[l + H - 1];
    prefetch_ahead<T, N>(line + reader.q);
    Vec<T> low = reader.template start<kEdge>(line);
    LAMINAE_UNROLL for (int v = 0; v < N; v++) {
      Vec<T> xv[H];
      reader.template taps<kEdge, kEnds>(line, v, low, xv);
      LAMINAE_UNROLL for (int h = 0; h < H; h++) {
        spread_add<T, K, P, N>(xv, v, H - 1 - h, w, sums[h]);
        if (h == 0 && l >= 0) {
          spread_store<T, N>(sums[0], v, rows - 2 * l, s.columns - 2 * i, s.columns, bias,
                             dx + 2 * l * s.columns + 2 * i);
        }
        LAMINAE_UNROLL for (int f = 0; f < 4; f++) {
          if (h > 0) sums[h - 1].at[f / 2][f % 2][v] = sums[h].at[f / 2][f % 2][v];
          if (h == H - 1) sums[h].at[f / 2][f % 2][v] = Vec<T>::zero();
        }
      }
    }
  }
}

template <class T, int K, int P, int N>
LAMINAE_INLINE void spread_strip(const DepthwisePlane& s, const T* const* lines, int64_t pairs,
                                 int64_t rows, int64_t i, const Vec<T> (&w)[K * K], const T* bias,
                                 T* dx) {
  constexpr bool kParts = Vec<T>::kCheapParts;
  if constexpr (N > 1) {
    if (s.columns - 2 * i <= 2 * (N - 1) * Vec<T>::kWidth) {
      spread_strip<T, K, P, N - 1>(s, lines, pairs, rows, i, w, bias, dx);
      return;
    }
  }
  const LineReader<T, kSpreadLines<K, P>, 1, 0, N> reader(i + s.left / 2 + kSpreadLow<K, P>,
                                                          s.width);
  if (!kParts && reader.inside()) {
    spread_rows<kParts, false, T, K, P, N>(s, reader, lines, pairs, rows, i, w, bias, dx);
  } else if (kParts && reader.ends()) {
    spread_rows<true, kParts, T, K, P, N>(s, reader, lines, pairs, rows, i, w, bias, dx);
  } else {
    spread_rows<true, false, T, K, P, N>(s, reader, lines, pairs, rows, i, w, bias, dx);
  }
}

template <class T, int K, int P>
LAMINAE_NOINLINE void depthwise_spread_fixed(const DepthwisePlane& plane, int64_t first,
                                             int64_t end, const T* dy, const T* zeros,
                                             const T* weights, const T* bias, T* dx) {
  constexpr int N = kSpreadVectors<T, K>;
  constexpr int H = kSpreadLines<K, P>;
  const DepthwisePlane s = plane;
  for (; first < end; first += kPlaneChunk) {
    const int64_t pairs = end - first < kPlaneChunk ? end - first : kPlaneChunk;
    const T* lines[kPlaneChunk - 1 + H];
    find_lines(s, s.top / 2 + kSpreadLow<K, P> + first, pairs - 1 + H, dy, zeros, lines);
    Vec<T> w[K * K];
    LAMINAE_UNROLL for (int t = 0; t < K * K; t++) w[t] = Vec<T>::set1(weights[t]);
    for (int64_t i = 0; 2 * i < s.columns; i += N * Vec<T>::kWidth) {
      spread_strip<T, K, P, N>(s, lines, pairs, s.rows - 2 * first,
                               strip_start<T>(i, (s.columns + 1) / 2), w, bias,
                               dx + 2 * first * s.columns);
    }
  }
}

// Pairs of rows [first, end) of dx. Terms are added in the order in which dy has lines, the bias
// last.
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
LAMINAE_INLINE void depthwise_gradient_sized(const DepthwisePlane& plane, int64_t first,
                                             int64_t end, const T* x, const T* zeros, const T* dy,
                                             double* sums) {
  constexpr int N = kPlaneVectors<T, K, S>;
  const DepthwisePlane s = plane;
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

template <class T, int K>
LAMINAE_INLINE void depthwise_gradient_any(const DepthwisePlane& s, int64_t first, int64_t end,
                                           const T* x, const T* zeros, const T* dy, double* sums) {
  if (s.stride == 1) {
    depthwise_gradient_sized<T, K, 1, 0>(s, first, end, x, zeros, dy, sums);
  } else if (s.left % 2 == 0) {
    depthwise_gradient_sized<T, K, 2, 0>(s, first, end, x, zeros, dy, sums);
  } else {
    depthwise_gradient_sized<T, K, 2, 1>(s, first, end, x, zeros, dy, sums);
  }
}

// sums[a][b] += sum over rows [first, end) of dy of what w[a][b] is multiplied by, sums[K K] those
// of dy; in lanes of T: the caller keeps rows to a few thousand elements. Not mirrored.
template <class T>
void depthwise_gradient(const DepthwisePlane& s, int64_t first, int64_t end, const T* x,
                        const T* zeros, const T* dy, double* sums) {
  if (s.kernel == 3) {
    depthwise_gradient_any<T, 3>(s, first, end, x, zeros, dy, sums);
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    depthwise_gradient_any<T, 5>(s, first, end, x, zeros, dy, sums);
  }
}
