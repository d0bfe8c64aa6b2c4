// The gradients of 3x3 convolutions at stride 2 by Winograd, with the points and places of the
// forward pass (winograd_strided.inl).

// ---- input: M + 1 pixels of dy in one direction make 2M of dx, in turns one of the odd pixels, w1
// dy[k], and one of the even ones behind it, w2 dy[k] + w0 dy[k + 1] ----

template <int M, class T>
void winograd_strided_gradient_of(int64_t tiles, const T* dy, int64_t dy_row, T* tmp, T* v,
                                  int64_t v_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kPoints = M + 1;
  for (int64_t c = 0; c < M * tiles + 1; c++) {
    V d[kPoints];
    V points[kPoints];
    LAMINAE_UNROLL for (int i = 0; i < kPoints; i++) d[i] = V::load(dy + i * dy_row + c * kW);
    strided_finite<M, T>(d, points);
    points[M] = strided_infinity<M, T>(d);
    LAMINAE_UNROLL for (int i = 0; i < kPoints; i++) points[i].store(tmp + (kPoints * c + i) * kW);
  }
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = tmp + t * M * kPoints * kW;
    T* to = v + t * kW;
    LAMINAE_UNROLL for (int i = 0; i < kPoints; i++) {
      V d[kPoints];
      V points[kPoints];
      LAMINAE_UNROLL for (int j = 0; j < kPoints; j++) d[j] =
          V::load(from + (kPoints * j + i) * kW);
      strided_finite<M, T>(d, points);
      points[M] = strided_infinity<M, T>(d);
      LAMINAE_UNROLL for (int j = 0; j < kPoints; j++) points[j].store(to +
                                                                       (kPoints * i + j) * v_step);
    }
  }
}

// B^T dy B of a row of tiles: dy [tile + 1][dy_row] of pixels, tile tiles + 1 columns of vectors; v
// [(tile + 1)^2][v_step], tiles next to each other. tmp holds tile + 1 vectors a column.
template <class T>
void winograd_strided_gradient(int64_t tile, int64_t tiles, const T* dy, int64_t dy_row, T* tmp,
                               T* v, int64_t v_step) {
  if (tile == 4) return winograd_strided_gradient_of<4, T>(tiles, dy, dy_row, tmp, v, v_step);
  winograd_strided_gradient_of<3, T>(tiles, dy, dy_row, tmp, v, v_step);
}

// 2M pixels of all places.
template <int M, class T>
LAMINAE_INLINE void strided_pixels(const Vec<T> (&m)[2 * M + 1], Vec<T> (&y)[2 * M]) {
  Vec<T> even[M], odd[M];
  strided_outputs<M, T>(m, even);
  even[M - 1] = even[M - 1] + m[M];
  strided_outputs<M, T>(m + M + 1, odd);
  LAMINAE_UNROLL for (int i = 0; i < M; i++) {
    y[2 * i] = odd[i];
    y[2 * i + 1] = even[i];
  }
}

template <int M, class T>
void winograd_strided_dx_of(int64_t tiles, const T* m, const int64_t* at, const T* bias,
                            int64_t top, int64_t rows, int64_t left, int64_t cols, T* dx) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kReach = 2 * M + 1;
  const V b = V::load(bias);
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = m + t * kW;
    T columns[2 * M][kReach * kW];
    for (int j = 0; j < kReach; j++) {
      V d[kReach];
      V y[2 * M];
      LAMINAE_UNROLL for (int i = 0; i < kReach; i++) d[i] = V::load(from + at[kReach * i + j]);
      strided_pixels<M, T>(d, y);
      LAMINAE_UNROLL for (int i = 0; i < 2 * M; i++) y[i].store(columns[i] + j * kW);
    }
    const int64_t first = 2 * M * t - left;
    for (int64_t i = 0; i < rows; i++) {
      V d[kReach];
      V y[2 * M];
      LAMINAE_UNROLL for (int j = 0; j < kReach; j++) d[j] = V::load(columns[i + top] + j * kW);
      strided_pixels<M, T>(d, y);
      T* row = dx + (i * cols + first) * kW;
      LAMINAE_UNROLL for (int j = 0; j < 2 * M; j++) {
        if (first + j >= 0 && first + j < cols) (y[j] + b).store(row + j * kW);
      }
    }
  }
}

// A^T m A + bias of a row of tiles, 2 tile x 2 tile pixels each: m [tiles] of vectors at the offset
// of each of the (2 tile + 1)^2 places; dx [rows][cols] of vectors, without the first `top` lines
// and `left` columns of the tiles and what goes beyond the end; bias one vector.
template <class T>
void winograd_strided_dx(int64_t tile, int64_t tiles, const T* m, const int64_t* at, const T* bias,
                         int64_t top, int64_t rows, int64_t left, int64_t cols, T* dx) {
  if (tile == 4) return winograd_strided_dx_of<4, T>(tiles, m, at, bias, top, rows, left, cols, dx);
  winograd_strided_dx_of<3, T>(tiles, m, at, bias, top, rows, left, cols, dx);
}

// ---- weights: places of x times a tile of dy as if it were the taps, summed over the tiles ----

// G of M pixels of dy: at points +-p (d0 + p^2 d2) / f +- p (d1 + p^2 d3) / f.
template <int M, class T>
LAMINAE_INLINE void strided_points(const Vec<T> (&d)[M], Vec<T> (&u)[M + 1]) {
  using V = Vec<T>;
  const V half = V::set1(T(0.5));
  u[M] = d[M - 1];
  if constexpr (M == 3) {
    const V even = half * (d[0] + d[2]);
    const V odd = half * d[1];
    u[0] = V::zero() - d[0];
    u[1] = even + odd;
    u[2] = even - odd;
  } else {
    const V quarter = V::set1(T(0.25)) * d[1];
    const V e1 = fma(V::set1(T(0.125)), d[2], half * d[0]);
    const V o1 = fma(V::set1(T(0.0625)), d[3], quarter);
    const V e2 = fma(V::set1(T(0.375)), d[2], V::set1(static_cast<T>(1.0 / 6)) * d[0]);
    const V o2 = fma(V::set1(T(0.5625)), d[3], quarter);
    u[0] = V::zero() - (e1 + o1);
    u[1] = e1 - o1;
    u[2] = e2 + o2;
    u[3] = o2 - e2;
  }
}

template <int M, class T>
void winograd_strided_points_of(int64_t tiles, const T* dy, int64_t dy_row, T* u, int64_t u_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kPoints = M + 1;
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = dy + t * M * kW;
    T* to = u + t * kW;
    V columns[M][kPoints];
    LAMINAE_UNROLL for (int j = 0; j < M; j++) {
      V d[M];
      LAMINAE_UNROLL for (int i = 0; i < M; i++) d[i] = V::load(from + i * dy_row + j * kW);
      strided_points<M, T>(d, columns[j]);
    }
    LAMINAE_UNROLL for (int i = 0; i < kPoints; i++) {
      V d[M];
      V out[kPoints];
      LAMINAE_UNROLL for (int j = 0; j < M; j++) d[j] = columns[j][i];
      strided_points<M, T>(d, out);
      LAMINAE_UNROLL for (int j = 0; j < kPoints; j++) out[j].store(to +
                                                                    (kPoints * i + j) * u_step);
    }
  }
}

// G dy G^T of a row of tiles: dy [tile][dy_row] of pixels, tile tiles columns of vectors; u
// [(tile + 1)^2][u_step], tiles next to each other.
template <class T>
void winograd_strided_points(int64_t tile, int64_t tiles, const T* dy, int64_t dy_row, T* u,
                             int64_t u_step) {
  if (tile == 4) return winograd_strided_points_of<4, T>(tiles, dy, dy_row, u, u_step);
  winograd_strided_points_of<3, T>(tiles, dy, dy_row, u, u_step);
}

// A^T to three taps of all places.
template <int M, class T>
LAMINAE_INLINE void strided_dw(const Vec<T> (&m)[2 * M + 1], Vec<T> (&g)[3]) {
  using V = Vec<T>;
  if constexpr (M == 3) {
    g[0] = m[0] + (m[1] + m[2]);
    g[1] = m[4] + (m[5] + m[6]);
    g[2] = (m[1] - m[2]) + m[3];
  } else {
    g[0] = (m[0] + m[1]) + (m[2] + m[3]);
    g[1] = (m[5] + m[6]) + (m[7] + m[8]);
    g[2] = fma(V::set1(T(1.5)), m[2] - m[3], fma(V::set1(T(0.5)), m[0] - m[1], m[4]));
  }
}

template <int M, class T>
void winograd_strided_dw_of(int64_t channels, const T* m, const int64_t* at, T* dw) {
  using V = Vec<T>;
  constexpr int kNr = GemmTile<T>::kNr;
  constexpr int kReach = 2 * M + 1;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += V::kWidth) {
      const T* from = m + c * kNr + j;
      T* to = dw + c * 9 * kNr + j;
      V columns[kReach][3];
      LAMINAE_UNROLL for (int k = 0; k < kReach; k++) {
        V d[kReach];
        LAMINAE_UNROLL for (int i = 0; i < kReach; i++) d[i] = V::load(from + at[kReach * i + k]);
        strided_dw<M, T>(d, columns[k]);
      }
      LAMINAE_UNROLL for (int i = 0; i < 3; i++) {
        V d[kReach];
        V g[3];
        LAMINAE_UNROLL for (int k = 0; k < kReach; k++) d[k] = columns[k][i];
        strided_dw<M, T>(d, g);
        LAMINAE_UNROLL for (int k = 0; k < 3; k++) g[k].store(to + (3 * i + k) * kNr);
      }
    }
  }
}

// A^T m A for `channels` input channels: m [channels][gemm_nr] at the offset of each of the
// (2 tile + 1)^2 places; dw [channels][9][gemm_nr].
template <class T>
void winograd_strided_dw(int64_t tile, int64_t channels, const T* m, const int64_t* at, T* dw) {
  if (tile == 4) return winograd_strided_dw_of<4, T>(channels, m, at, dw);
  winograd_strided_dw_of<3, T>(channels, m, at, dw);
}
