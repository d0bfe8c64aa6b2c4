// Lines of planes that are read as they are (depthwise_plane.inl, depthwise_spread.inl,
// depthwise_gradient.inl): those outside come from an array of zeros, columns outside are lanes
// that are not loaded.

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
// ms with AVX2, 0.73 twice as far ahead; tiles lose as much by that. Input gradients at stride 2
// write four times what they read: 0.50 ms, 0.40 with requests of what is written.
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

// On to the next plane, which has weights and a bias (null: none) of its own. Kernels take several
// planes a call where the caller has them: with a call for each, 480 channels of 14 x 14 take 0.181
// ms at stride 1 against 0.140, 144 of 56 x 56 0.178 ms at stride 2 against 0.170 (8 images).
template <class T>
LAMINAE_INLINE void next_plane(const DepthwisePlane& s, const T*& x, const T*& w, const T*& bias,
                               T*& y) {
  x += s.height * s.width;
  y += s.rows * s.columns;
  w += s.kernel * s.kernel;
  if (bias != nullptr) bias++;
}

// Requests what follows the N vectors at p after a while.
template <class T, int N>
LAMINAE_INLINE void prefetch_ahead(const T* p) {
  const char* at = reinterpret_cast<const char*>(p) + kPlaneAhead<T>;
  constexpr int kBytes = N * Vec<T>::kWidth * static_cast<int>(sizeof(T));
  LAMINAE_UNROLL for (int i = 0; i < kBytes; i += 64) LAMINAE_PREFETCH(at + i);
}

// Rows that a line belongs to.
template <int K, int S>
constexpr int kPlaneSums = (K + S - 1) / S;

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
