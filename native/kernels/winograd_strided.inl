// Winograd for 3x3 convolutions at stride 2: F(4x4, 2x2) and F(3x3, 2x2) on the phases of the
// input.
//
//   y[o] = w0 x[2o] + w1 x[2o + 1] + w2 x[2o + 2]
//
// In each direction even pixels meet two taps, w0 and w2, at distance one, and odd pixels one, w1.
// M outputs of two taps take M + 1 points, M finite ones and infinity; with a single tap infinity
// is not needed, and the finite points see the M pixels that belong to the outputs. So the 2M + 1
// pixels of a tile in one direction have 2M + 1 places: M + 1 points of the even ones, then M of
// the odd ones. Places of the same points add up: 25 or 16 sums for 16 or 9 outputs, from 81 or 49
// products instead of 144 or 81.
//
// Points +-1/2, +-3/2 for M = 4 (half the error of 0, +-1, 2), 0, +-1 for M = 3. B^T has the
// coefficients of prod (x - q) over the other finite points q, and of all for infinity; G divides
// by f = prod (p - q); A^T has the powers of the points. Channels are in lanes.
//
// Here are the transforms in one direction and the tiles of the forward pass, the gradients are in
// winograd_strided_gradient.inl.

// B^T of M pixels for the finite points.
template <int M, class T>
LAMINAE_INLINE void strided_finite(const Vec<T>* d, Vec<T>* v) {
  using V = Vec<T>;
  static_assert(M == 3 || M == 4, "points are spelled out for these");
  if constexpr (M == 3) {
    v[0] = d[2] - d[0];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
  } else {
    const V a = V::set1(T(2.25));
    const V b = V::set1(T(0.25));
    const V half = V::set1(T(0.5));
    const V big = V::set1(T(1.5));
    const V t1 = fnma(a, d[1], d[3]);
    const V t2 = fnma(b, d[1], d[3]);
    const V u1 = fnma(a, d[0], d[2]);
    const V u2 = fnma(b, d[0], d[2]);
    v[0] = fma(half, u1, t1);
    v[1] = fnma(half, u1, t1);
    v[2] = fma(big, u2, t2);
    v[3] = fnma(big, u2, t2);
  }
}

template <int M, class T>
LAMINAE_INLINE Vec<T> strided_infinity(const Vec<T>* d) {
  using V = Vec<T>;
  if constexpr (M == 3) return d[3] - d[1];
  return fma(V::set1(T(0.5625)), d[0], fnma(V::set1(T(2.5)), d[2], d[4]));
}

// B^T of 2M + 1 pixels in a row: all places.
template <int M, class T>
LAMINAE_INLINE void strided_places(const Vec<T> (&d)[2 * M + 1], Vec<T> (&v)[2 * M + 1]) {
  Vec<T> even[M + 1], odd[M];
  LAMINAE_UNROLL for (int i = 0; i <= M; i++) even[i] = d[2 * i];
  LAMINAE_UNROLL for (int i = 0; i < M; i++) odd[i] = d[2 * i + 1];
  strided_finite<M, T>(even, v);
  v[M] = strided_infinity<M, T>(even);
  strided_finite<M, T>(odd, v + M + 1);
}

// G of three taps: all places, those of the even pixels from g[0] and g[2].
template <int M, class T>
LAMINAE_INLINE void strided_taps(const Vec<T> (&g)[3], Vec<T> (&u)[2 * M + 1]) {
  using V = Vec<T>;
  const V half = V::set1(T(0.5));
  u[M] = g[2];
  if constexpr (M == 3) {
    u[0] = V::zero() - g[0];
    u[1] = half * (g[0] + g[2]);
    u[2] = half * (g[0] - g[2]);
    u[4] = V::zero() - g[1];
    u[5] = u[6] = half * g[1];
  } else {
    const V quarter = V::set1(T(0.25)) * g[2];
    const V sixth = V::set1(static_cast<T>(1.0 / 6));
    u[0] = fnma(half, g[0], V::zero() - quarter);
    u[1] = fma(half, g[0], V::zero() - quarter);
    u[2] = fma(sixth, g[0], quarter);
    u[3] = fnma(sixth, g[0], quarter);
    u[6] = half * g[1];
    u[5] = V::zero() - u[6];
    u[7] = sixth * g[1];
    u[8] = V::zero() - u[7];
  }
}

// A^T: M outputs of the finite points, to whose last one infinity adds itself.
template <int M, class T>
LAMINAE_INLINE void strided_outputs(const Vec<T>* m, Vec<T>* y) {
  using V = Vec<T>;
  if constexpr (M == 3) {
    const V s = m[1] + m[2];
    y[0] = m[0] + s;
    y[1] = m[1] - m[2];
    y[2] = s;
  } else {
    const V s1 = m[0] + m[1];
    const V e1 = m[0] - m[1];
    const V s2 = m[2] + m[3];
    const V e2 = m[2] - m[3];
    y[0] = s1 + s2;
    y[1] = fma(V::set1(T(1.5)), e2, V::set1(T(0.5)) * e1);
    y[2] = fma(V::set1(T(2.25)), s2, V::set1(T(0.25)) * s1);
    y[3] = fma(V::set1(T(3.375)), e2, V::set1(T(0.125)) * e1);
  }
}

template <int M, class T>
void winograd_strided_weights_of(int64_t channels, const T* w, const int64_t* tap, T* u,
                                 const int64_t* at) {
  using V = Vec<T>;
  constexpr int kNr = GemmTile<T>::kNr;
  constexpr int kReach = 2 * M + 1;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += V::kWidth) {
      const T* from = w + c * 9 * kNr + j;
      T* to = u + c * kNr + j;
      V columns[3][kReach];
      LAMINAE_UNROLL for (int i = 0; i < 3; i++) {
        V g[3];
        LAMINAE_UNROLL for (int k = 0; k < 3; k++) g[k] = V::load(from + tap[3 * k + i] * kNr);
        strided_taps<M, T>(g, columns[i]);
      }
      LAMINAE_UNROLL for (int i = 0; i < kReach; i++) {
        const V g[3] = {columns[0][i], columns[1][i], columns[2][i]};
        V row[kReach];
        strided_taps<M, T>(g, row);
        LAMINAE_UNROLL for (int k = 0; k < kReach; k++) row[k].store(to + at[kReach * i + k]);
      }
    }
  }
}

// G g G^T for `channels` kernels: w [channels][9][gemm_nr], output channels in lanes, the element
// of row r and column c at tap[3 r + c]; u [channels][gemm_nr] at the offset of each of the
// (2 tile + 1)^2 places.
template <class T>
void winograd_strided_weights(int64_t tile, int64_t channels, const T* w, const int64_t* tap, T* u,
                              const int64_t* at) {
  if (tile == 4) return winograd_strided_weights_of<4, T>(channels, w, tap, u, at);
  winograd_strided_weights_of<3, T>(channels, w, tap, u, at);
}

template <int M, class T>
void winograd_strided_input_of(int64_t tiles, const T* x, int64_t x_row, T* tmp, T* v,
                               const int64_t* at) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kReach = 2 * M + 1;
  for (int64_t c = 0; c < 2 * M * tiles + 1; c++) {
    V d[kReach];
    V places[kReach];
    LAMINAE_UNROLL for (int i = 0; i < kReach; i++) d[i] = V::load(x + i * x_row + c * kW);
    strided_places<M, T>(d, places);
    LAMINAE_UNROLL for (int i = 0; i < kReach; i++) places[i].store(tmp + (kReach * c + i) * kW);
  }
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = tmp + t * 2 * M * kReach * kW;
    T* to = v + t * kW;
    for (int i = 0; i < kReach; i++) {
      V d[kReach];
      V places[kReach];
      LAMINAE_UNROLL for (int j = 0; j < kReach; j++) d[j] = V::load(from + (kReach * j + i) * kW);
      strided_places<M, T>(d, places);
      LAMINAE_UNROLL for (int j = 0; j < kReach; j++) places[j].store(to + at[kReach * i + j]);
    }
  }
}

// B^T d B of a row of tiles: x [2 tile + 1][x_row] of pixels, 2 tile tiles + 1 columns of vectors;
// v [tiles] of vectors at the offset of each of the (2 tile + 1)^2 places. tmp holds 2 tile + 1
// vectors a column.
template <class T>
void winograd_strided_input(int64_t tile, int64_t tiles, const T* x, int64_t x_row, T* tmp, T* v,
                            const int64_t* at) {
  if (tile == 4) return winograd_strided_input_of<4, T>(tiles, x, x_row, tmp, v, at);
  winograd_strided_input_of<3, T>(tiles, x, x_row, tmp, v, at);
}

template <int M, class T>
void winograd_strided_output_of(int64_t tiles, const T* m, int64_t m_step, const T* bias,
                                int64_t rows, int64_t cols, T* y) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kPoints = M + 1;
  const V b = V::load(bias);
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = m + t * kW;
    V columns[kPoints][M];
    LAMINAE_UNROLL for (int j = 0; j < kPoints; j++) {
      V d[kPoints];
      LAMINAE_UNROLL for (int i = 0; i < kPoints; i++) d[i] =
          V::load(from + (kPoints * i + j) * m_step);
      strided_outputs<M, T>(d, columns[j]);
      columns[j][M - 1] = columns[j][M - 1] + d[M];
    }
    T* to = y + t * M * kW;
    const int64_t valid = cols - M * t;
    LAMINAE_UNROLL for (int i = 0; i < M; i++) {
      if (i < rows) {
        V d[kPoints];
        V out[M];
        LAMINAE_UNROLL for (int j = 0; j < kPoints; j++) d[j] = columns[j][i];
        strided_outputs<M, T>(d, out);
        out[M - 1] = out[M - 1] + d[M];
        T* row = to + i * cols * kW;
        LAMINAE_UNROLL for (int j = 0; j < M; j++) {
          if (j < valid) (out[j] + b).store(row + j * kW);
        }
      }
    }
  }
}

// A^T m A + bias of a row of tiles: m [(tile + 1)^2][m_step], tiles next to each other; y
// [rows][cols] of vectors, rows <= tile, cols in (tile (tiles - 1), tile tiles]; bias one vector.
template <class T>
void winograd_strided_output(int64_t tile, int64_t tiles, const T* m, int64_t m_step, const T* bias,
                             int64_t rows, int64_t cols, T* y) {
  if (tile == 4) return winograd_strided_output_of<4, T>(tiles, m, m_step, bias, rows, cols, y);
  winograd_strided_output_of<3, T>(tiles, m, m_step, bias, rows, cols, y);
}
