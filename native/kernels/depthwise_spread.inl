// Input gradient of a depthwise convolution with 3 x 3 or 5 x 5 taps at stride 2, in strips like
// the sums of depthwise_plane.inl.
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
    prefetch_ahead<T, 2>(to + f * columns + at);
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
LAMINAE_INLINE void spread_plane(const DepthwisePlane& s, int64_t first, int64_t end, const T* dy,
                                 const T* zeros, const T* weights, const T* bias, T* dx) {
  constexpr int N = kSpreadVectors<T, K>;
  constexpr int H = kSpreadLines<K, P>;
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

template <class T, int K, int P>
LAMINAE_NOINLINE void depthwise_spread_fixed(const DepthwisePlane& plane, int64_t planes,
                                             int64_t first, int64_t end, const T* dy,
                                             const T* zeros, const T* weights, const T* bias,
                                             T* dx) {
  const DepthwisePlane s = plane;
  for (int64_t p = 0; p < planes; p++) {
    spread_plane<T, K, P>(s, first, end, dy, zeros, weights, bias, dx);
    next_plane(s, dy, weights, bias, dx);
  }
}

// Pairs of rows [first, end) of dx, of planes like those of depthwise_plane. Terms are added in the
// order in which dy has lines, the bias last.
template <class T>
void depthwise_spread(const DepthwisePlane& s, int64_t planes, int64_t first, int64_t end,
                      const T* dy, const T* zeros, const T* w, const T* bias, T* dx) {
  if (s.kernel == 3) {
    if (s.top % 2 == 0) {
      depthwise_spread_fixed<T, 3, 0>(s, planes, first, end, dy, zeros, w, bias, dx);
    } else {
      depthwise_spread_fixed<T, 3, 1>(s, planes, first, end, dy, zeros, w, bias, dx);
    }
  } else if constexpr (kDepthwiseKernel<T> >= 5) {
    if (s.top % 2 == 0) {
      depthwise_spread_fixed<T, 5, 0>(s, planes, first, end, dy, zeros, w, bias, dx);
    } else {
      depthwise_spread_fixed<T, 5, 1>(s, planes, first, end, dy, zeros, w, bias, dx);
    }
  }
}
