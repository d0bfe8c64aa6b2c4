// Winograd's F(4x4, 3x3): 16 outputs of a 3x3 sum from 36 products instead of 144.
//
//   Y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A     (* element by element)
//
// d is a 6x6 tile of the input, g the kernel, Y 4x4 outputs. Interpolation points 0, +-sqrt(1/2),
// +-sqrt(2), infinity: the error is half that of the usual 0, +-1, +-2 and stays near 1e-6 of the
// output's root mean square. Lavin and Gray 2015 (arXiv:1509.09308); points after Barabasz et al.
// 2018 (arXiv:1803.10986).
//
// Everything here has channels in lanes: a transform is vertical arithmetic on whole vectors,
// whatever the width of the map. The 36 products of a tile are called frequencies.

namespace winograd {
constexpr double kA = 0.70710678118654752440;  // sqrt(1/2)
constexpr double kB = 1.41421356237309504880;  // sqrt(2)
}  // namespace winograd

// B^T of one row or column.
template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[6]) {
  using V = Vec<T>;
  const V a = V::set1(static_cast<T>(winograd::kA));
  const V b = V::set1(static_cast<T>(winograd::kB));
  const V two = V::set1(T(2));
  const V half = V::set1(T(0.5));
  const V c = V::set1(T(2.5));
  const V t1 = fnma(two, d[2], d[4]);
  const V t2 = fnma(half, d[2], d[4]);
  const V u1 = fnma(b, d[1], a * d[3]);
  const V u2 = fnma(a, d[1], b * d[3]);
  d[0] = fnma(c, d[2], d[0] + d[4]);
  d[5] = fnma(c, d[3], d[1] + d[5]);
  d[1] = t1 + u1;
  d[2] = t1 - u1;
  d[3] = t2 + u2;
  d[4] = t2 - u2;
}

// A^T of one row or column.
template <class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[6], Vec<T> (&y)[4]) {
  using V = Vec<T>;
  const V a = V::set1(static_cast<T>(winograd::kA));
  const V b = V::set1(static_cast<T>(winograd::kB));
  const V s1 = m[1] + m[2];
  const V e1 = m[1] - m[2];
  const V s2 = m[3] + m[4];
  const V e2 = m[3] - m[4];
  y[0] = m[0] + (s1 + s2);
  y[1] = fma(a, e1, b * e2);
  y[2] = fma(V::set1(T(0.5)), s1, s2 + s2);
  y[3] = fma(V::set1(static_cast<T>(winograd::kA / 2)), e1,
             fma(V::set1(static_cast<T>(2 * winograd::kB)), e2, m[5]));
}

// G of one row or column.
template <class T>
LAMINAE_INLINE void winograd_g(Vec<T> g0, Vec<T> g1, Vec<T> g2, Vec<T> (&u)[6]) {
  using V = Vec<T>;
  const V t = fma(V::set1(static_cast<T>(-1.0 / 3)), g2, V::set1(static_cast<T>(-2.0 / 3)) * g0);
  const V s = V::set1(static_cast<T>(-2.0 / 3 * winograd::kA)) * g1;
  const V v = fma(V::set1(static_cast<T>(1.0 / 3)), g2, V::set1(static_cast<T>(1.0 / 6)) * g0);
  const V w = V::set1(static_cast<T>(winograd::kB / 6)) * g1;
  u[0] = g0;
  u[1] = t + s;
  u[2] = t - s;
  u[3] = v + w;
  u[4] = v - w;
  u[5] = g2;
}

// G g G^T for `channels` kernels: w [channels][9][gemm_nr], output channels in lanes, the element
// of row r and column c at tap[3 r + c]; u [36][u_step], a frequency as [channels][gemm_nr].
template <class T>
void winograd_weights(int64_t channels, const T* w, const int64_t* tap, T* u, int64_t u_step) {
  using V = Vec<T>;
  constexpr int kNr = GemmTile<T>::kNr;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += V::kWidth) {
      const T* from = w + c * 9 * kNr + j;
      T* to = u + c * kNr + j;
      V columns[3][6];
      LAMINAE_UNROLL for (int i = 0; i < 3; i++) {
        winograd_g(V::load(from + tap[i] * kNr), V::load(from + tap[3 + i] * kNr),
                   V::load(from + tap[6 + i] * kNr), columns[i]);
      }
      LAMINAE_UNROLL for (int i = 0; i < 6; i++) {
        V row[6];
        winograd_g(columns[0][i], columns[1][i], columns[2][i], row);
        LAMINAE_UNROLL for (int k = 0; k < 6; k++) row[k].store(to + (6 * i + k) * u_step);
      }
    }
  }
}

// B^T d B of a row of tiles: x [6][x_row] of pixels, 4 tiles + 2 columns of vectors; v
// [36][v_step], tiles next to each other. tmp holds 6 (4 tiles + 2) vectors: the columns,
// transformed once for both tiles that read them.
template <class T>
void winograd_input(int64_t tiles, const T* x, int64_t x_row, T* tmp, T* v, int64_t v_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  for (int64_t c = 0; c < 4 * tiles + 2; c++) {
    V d[6];
    LAMINAE_UNROLL for (int i = 0; i < 6; i++) d[i] = V::load(x + i * x_row + c * kW);
    winograd_bt(d);
    LAMINAE_UNROLL for (int i = 0; i < 6; i++) d[i].store(tmp + (6 * c + i) * kW);
  }
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = tmp + t * 24 * kW;
    T* to = v + t * kW;
    LAMINAE_UNROLL for (int i = 0; i < 6; i++) {
      V d[6];
      LAMINAE_UNROLL for (int j = 0; j < 6; j++) d[j] = V::load(from + (6 * j + i) * kW);
      winograd_bt(d);
      LAMINAE_UNROLL for (int j = 0; j < 6; j++) d[j].store(to + (6 * i + j) * v_step);
    }
  }
}

// m[i][j] = sum over blocks, lanes of v[block][i][lane] u[block][lane][j]: one frequency of MR
// tiles.
template <class T, int MR>
LAMINAE_NOINLINE void winograd_product_fixed(int64_t blocks, const T* v, int64_t v_block,
                                             const T* u, T* m, int64_t m_block) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kNr = GemmTile<T>::kNr;
  constexpr int kNv = kNr / kW;
  V acc[MR][kNv];
  LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = V::zero();
  }
  for (int64_t block = 0; block < blocks; block++) {
    const T* at = v;
    for (int k = 0; k < kW; k++) {
      V uv[kNv];
      load_row(u, uv);
      LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
        const V d = V::set1(at[i * kW]);
        LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = fma(d, uv[j], acc[i][j]);
      }
      at++;
      u += kNr;
    }
    v += v_block;
  }
  LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j].store(m + j * m_block + i * kW);
  }
}

template <class T, int MR>
LAMINAE_INLINE void winograd_product_dispatch(int64_t tiles, int64_t blocks, const T* v,
                                              int64_t v_block, const T* u, T* m, int64_t m_block) {
  if (tiles == MR) {
    winograd_product_fixed<T, MR>(blocks, v, v_block, u, m, m_block);
  } else if constexpr (MR > 1) {
    winograd_product_dispatch<T, MR - 1>(tiles, blocks, v, v_block, u, m, m_block);
  }
}

// 1 <= tiles <= gemm_mr; v [blocks][v_block], a block as [tiles][kWidth]; u [blocks *
// kWidth][gemm_nr]; m [gemm_nr / kWidth][m_block], each as [tiles][kWidth].
template <class T>
void winograd_product(int64_t tiles, int64_t blocks, const T* v, int64_t v_block, const T* u, T* m,
                      int64_t m_block) {
  winograd_product_dispatch<T, GemmTile<T>::kMr>(tiles, blocks, v, v_block, u, m, m_block);
}

// A^T m A + bias of a row of tiles: m [36][m_step], tiles next to each other; y [rows][cols] of
// vectors, rows <= 4, cols in (4 (tiles - 1), 4 tiles]; bias one vector.
template <class T>
void winograd_output(int64_t tiles, const T* m, int64_t m_step, const T* bias, int64_t rows,
                     int64_t cols, T* y) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  const V b = V::load(bias);
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = m + t * kW;
    V columns[6][4];
    LAMINAE_UNROLL for (int j = 0; j < 6; j++) {
      V d[6];
      LAMINAE_UNROLL for (int i = 0; i < 6; i++) d[i] = V::load(from + (6 * i + j) * m_step);
      winograd_at(d, columns[j]);
    }
    T* to = y + t * 4 * kW;
    const int64_t valid = cols - 4 * t;
    LAMINAE_UNROLL for (int i = 0; i < 4; i++) {
      if (i < rows) {
        V d[6];
        V out[4];
        LAMINAE_UNROLL for (int j = 0; j < 6; j++) d[j] = columns[j][i];
        winograd_at(d, out);
        T* row = to + i * cols * kW;
        LAMINAE_UNROLL for (int j = 0; j < 4; j++) {
          if (j < valid) (out[j] + b).store(row + j * kW);
        }
      }
    }
  }
}

// ---- weight gradient: F(3x3, 4x4), 9 sums over 4x4 pixels from the same frequencies of x ----
//
//   dW = A3^T [ sum over tiles of (G4 dy G4^T) * (B^T d B) ] A3

// G4 of one row or column of dy.
template <class T>
LAMINAE_INLINE void winograd_g4(const Vec<T> (&g)[4], Vec<T> (&u)[6]) {
  using V = Vec<T>;
  // (g0 + p^2 g2) / f +- p (g1 + p^2 g3) / f at p^2 = 1/2, f = -3/2, and at p^2 = 2, f = 6.
  const V e1 = fma(V::set1(T(0.5)), g[2], g[0]) * V::set1(static_cast<T>(-2.0 / 3));
  const V o1 = fma(V::set1(T(0.5)), g[3], g[1]) * V::set1(static_cast<T>(-2.0 / 3 * winograd::kA));
  const V e2 = fma(V::set1(T(2)), g[2], g[0]) * V::set1(static_cast<T>(1.0 / 6));
  const V o2 = fma(V::set1(T(2)), g[3], g[1]) * V::set1(static_cast<T>(winograd::kB / 6));
  u[0] = g[0];
  u[1] = e1 + o1;
  u[2] = e1 - o1;
  u[3] = e2 + o2;
  u[4] = e2 - o2;
  u[5] = g[3];
}

// A3^T of one row or column.
template <class T>
LAMINAE_INLINE void winograd_at3(const Vec<T> (&m)[6], Vec<T> (&y)[3]) {
  using V = Vec<T>;
  const V s1 = m[1] + m[2];
  const V e1 = m[1] - m[2];
  const V s2 = m[3] + m[4];
  const V e2 = m[3] - m[4];
  y[0] = m[0] + (s1 + s2);
  y[1] = fma(V::set1(static_cast<T>(winograd::kA)), e1, V::set1(static_cast<T>(winograd::kB)) * e2);
  y[2] = fma(V::set1(T(0.5)), s1, fma(V::set1(T(2)), s2, m[5]));
}

// G4 dy G4^T of a row of tiles: dy [4][dy_row] of pixels, 4 tiles columns of vectors; u
// [36][u_step], tiles next to each other.
template <class T>
void winograd_gradient(int64_t tiles, const T* dy, int64_t dy_row, T* u, int64_t u_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = dy + t * 4 * kW;
    T* to = u + t * kW;
    V columns[4][6];
    LAMINAE_UNROLL for (int j = 0; j < 4; j++) {
      V g[4];
      LAMINAE_UNROLL for (int i = 0; i < 4; i++) g[i] = V::load(from + i * dy_row + j * kW);
      winograd_g4(g, columns[j]);
    }
    LAMINAE_UNROLL for (int i = 0; i < 6; i++) {
      V g[4];
      V out[6];
      LAMINAE_UNROLL for (int j = 0; j < 4; j++) g[j] = columns[j][i];
      winograd_g4(g, out);
      LAMINAE_UNROLL for (int j = 0; j < 6; j++) out[j].store(to + (6 * i + j) * u_step);
    }
  }
}

// Input channels of winograd_correlate: a divisor of kWidth, as many as leave room for
// accumulators.
template <class T>
constexpr int kWinogradRows = Vec<T>::kWidth > 8   ? 8
                              : Vec<T>::kWidth > 4 ? 4
                                                   : Vec<T>::kWidth;

// m[i][j] (+)= sum over tiles of v[tile][i] u[j / kWidth][tile][j % kWidth], i < kWinogradRows, j <
// gemm_nr: one frequency. v [tiles][kWidth], u [gemm_nr / kWidth][u_block], m [i][gemm_nr].
template <class T>
void winograd_correlate(int64_t tiles, const T* v, const T* u, int64_t u_block, bool accumulate,
                        T* m) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kNv = GemmTile<T>::kNr / kW;
  constexpr int kRows = kWinogradRows<T>;
  V acc[kRows][kNv];
  LAMINAE_UNROLL for (int i = 0; i < kRows; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = V::zero();
  }
  for (int64_t t = 0; t < tiles; t++) {
    V uv[kNv];
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) uv[j] = V::load(u + j * u_block);
    LAMINAE_UNROLL for (int i = 0; i < kRows; i++) {
      const V d = V::set1(v[i]);
      LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = fma(d, uv[j], acc[i][j]);
    }
    v += kW;
    u += kW;
  }
  // The sum of the block first, then into the total: one chain through all blocks would be ten
  // times less accurate at 50,000 tiles.
  LAMINAE_UNROLL for (int i = 0; i < kRows; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) {
      T* to = m + (i * kNv + j) * kW;
      if (accumulate) acc[i][j] = acc[i][j] + V::load(to);
      acc[i][j].store(to);
    }
  }
}

// A3^T m A3 for `channels` input channels: m [36][m_step], a frequency as [channels][gemm_nr];
// dw [channels][9][gemm_nr].
template <class T>
void winograd_weight_gradient(int64_t channels, const T* m, int64_t m_step, T* dw) {
  using V = Vec<T>;
  constexpr int kNr = GemmTile<T>::kNr;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += V::kWidth) {
      const T* from = m + c * kNr + j;
      T* to = dw + c * 9 * kNr + j;
      V columns[6][3];
      LAMINAE_UNROLL for (int k = 0; k < 6; k++) {
        V d[6];
        LAMINAE_UNROLL for (int i = 0; i < 6; i++) d[i] = V::load(from + (6 * i + k) * m_step);
        winograd_at3(d, columns[k]);
      }
      LAMINAE_UNROLL for (int i = 0; i < 3; i++) {
        V d[6];
        V out[3];
        LAMINAE_UNROLL for (int k = 0; k < 6; k++) d[k] = columns[k][i];
        winograd_at3(d, out);
        LAMINAE_UNROLL for (int k = 0; k < 3; k++) out[k].store(to + (3 * i + k) * kNr);
      }
    }
  }
}
