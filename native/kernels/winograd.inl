// Winograd's F(4x4, 3x3) and F(2x2, 5x5): 16 outputs of a 3x3 sum from 36 products instead of 144,
// or 4 of a 5x5 sum instead of 100. F(2x4, 5x5): 8 of a 5x5 sum from 48 products instead of 200.
// And F(2x2, 3x3): 4 of a 3x3 sum from 16 products instead of 36.
//
//   Y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A     (* element by element)
//
// d is a tile of the input of 6x6, 6x8 or 4x4 pixels, g the kernel, Y the outputs. Interpolation
// points for 6: 0, +-sqrt(1/2), +-sqrt(2), infinity, whatever the kernel, so B is the same: the
// error is half that of the usual 0, +-1, +-2 and stays near 1e-6 of the output's root mean square;
// for 4: 0, +-1, infinity; for 8: 0, +-1/2, +-1, +-2, infinity, the best of many that were tried,
// yet 8x8 has an error of 2.5e-6 and 3.5e-5 at worst. Lavin and Gray 2015 (arXiv:1509.09308);
// points after Barabasz et al. 2018 (arXiv:1803.10986).
//
// Everything here has channels in lanes: a transform is vertical arithmetic on whole vectors,
// whatever the width of the map. The products of a tile are called frequencies; `reach` is the
// width of what it reads, and 8 goes with a height of 6.

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

template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[4]) {
  const Vec<T> d1 = d[1];
  d[0] = d[0] - d[2];
  d[1] = d1 + d[2];
  d[2] = d[2] - d1;
  d[3] = d[3] - d1;
}

// Points 0, +-1, +-2, +-1/2, infinity.
template <class T>
LAMINAE_INLINE void winograd_bt(Vec<T> (&d)[8]) {
  using V = Vec<T>;
  const V quarter = V::set1(T(0.25));
  const V half = V::set1(T(0.5));
  const V two = V::set1(T(2));
  const V c1 = V::set1(T(4.25));
  const V c2 = V::set1(T(2.5));
  const V c3 = V::set1(T(5.25));
  const V even1 = fnma(c1, d[4], d[2] + d[6]);
  const V odd1 = fnma(c1, d[3], d[1] + d[5]);
  const V even2 = fma(quarter, d[2], fnma(V::set1(T(1.25)), d[4], d[6]));
  const V odd2 = fma(half, d[1], fnma(c2, d[3], two * d[5]));
  const V even3 = fma(V::set1(T(4)), d[2], fnma(V::set1(T(5)), d[4], d[6]));
  const V odd3 = fma(two, d[1], fnma(c2, d[3], half * d[5]));
  d[0] = fma(c3, d[4] - d[2], d[0] - d[6]);
  d[7] = fma(c3, d[3] - d[5], d[7] - d[1]);
  d[1] = even1 + odd1;
  d[2] = even1 - odd1;
  d[3] = even2 + odd2;
  d[4] = even2 - odd2;
  d[5] = even3 + odd3;
  d[6] = even3 - odd3;
}

// A^T of one row or column, N outputs: powers of the points, the last output has infinity's too.
template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[6], Vec<T> (&y)[N]) {
  using V = Vec<T>;
  static_assert(N >= 2 && N <= 5, "powers are spelled out for these");
  const V s1 = m[1] + m[2];
  const V e1 = m[1] - m[2];
  const V s2 = m[3] + m[4];
  const V e2 = m[3] - m[4];
  const V a = V::set1(static_cast<T>(winograd::kA));
  const V b = V::set1(static_cast<T>(winograd::kB));
  y[0] = m[0] + (s1 + s2);
  y[1] = fma(a, e1, N == 2 ? fma(b, e2, m[5]) : b * e2);
  if constexpr (N >= 3) {
    y[2] = fma(V::set1(T(0.5)), s1, N == 3 ? fma(V::set1(T(2)), s2, m[5]) : s2 + s2);
  }
  if constexpr (N >= 4) {
    const V b2 = V::set1(static_cast<T>(2 * winograd::kB));
    y[3] = fma(V::set1(static_cast<T>(winograd::kA / 2)), e1, N == 4 ? fma(b2, e2, m[5]) : b2 * e2);
  }
  if constexpr (N >= 5) {
    y[4] = fma(V::set1(T(0.25)), s1, fma(V::set1(T(4)), s2, m[5]));
  }
}

template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[4], Vec<T> (&y)[N]) {
  static_assert(N == 2 || N == 3, "powers are spelled out for these");
  const Vec<T> s = m[1] + m[2];
  const Vec<T> e = m[1] - m[2];
  y[0] = m[0] + s;
  y[1] = N == 2 ? e + m[3] : e;
  if constexpr (N == 3) y[2] = s + m[3];
}

template <int N, class T>
LAMINAE_INLINE void winograd_at(const Vec<T> (&m)[8], Vec<T> (&y)[N]) {
  using V = Vec<T>;
  static_assert(N == 4 || N == 5, "powers are spelled out for these");
  const V s1 = m[1] + m[2];
  const V e1 = m[1] - m[2];
  const V s2 = m[3] + m[4];
  const V e2 = m[3] - m[4];
  const V s3 = m[5] + m[6];
  const V e3 = m[5] - m[6];
  y[0] = (m[0] + s1) + (s2 + s3);
  y[1] = fma(V::set1(T(2)), e2, fma(V::set1(T(0.5)), e3, e1));
  y[2] = fma(V::set1(T(4)), s2, fma(V::set1(T(0.25)), s3, s1));
  y[3] = fma(V::set1(T(8)), e2, fma(V::set1(T(0.125)), e3, N == 4 ? e1 + m[7] : e1));
  if constexpr (N >= 5) {
    y[4] = fma(V::set1(T(16)), s2, fma(V::set1(T(0.0625)), s3, s1 + m[7]));
  }
}

// G of one row or column of N elements: (g0 + p^2 g2 + p^4 g4) / f +- p (g1 + p^2 g3) / f at
// p^2 = 1/2, f = -3/2, and at p^2 = 2, f = 6.
template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[6]) {
  using V = Vec<T>;
  static_assert(N >= 2 && N <= 5, "powers are spelled out for these");
  constexpr double kA = winograd::kA;
  constexpr double kB = winograd::kB;
  V e1 = V::set1(static_cast<T>(-2.0 / 3)) * g[0];
  V o1 = V::set1(static_cast<T>(-2.0 / 3 * kA)) * g[1];
  V e2 = V::set1(static_cast<T>(1.0 / 6)) * g[0];
  V o2 = V::set1(static_cast<T>(1.0 / 6 * kB)) * g[1];
  if constexpr (N >= 3) {
    e1 = fma(V::set1(static_cast<T>(-1.0 / 3)), g[2], e1);
    e2 = fma(V::set1(static_cast<T>(1.0 / 3)), g[2], e2);
  }
  if constexpr (N >= 4) {
    o1 = fma(V::set1(static_cast<T>(-1.0 / 3 * kA)), g[3], o1);
    o2 = fma(V::set1(static_cast<T>(1.0 / 3 * kB)), g[3], o2);
  }
  if constexpr (N >= 5) {
    e1 = fma(V::set1(static_cast<T>(-1.0 / 6)), g[4], e1);
    e2 = fma(V::set1(static_cast<T>(2.0 / 3)), g[4], e2);
  }
  u[0] = g[0];
  u[1] = e1 + o1;
  u[2] = e1 - o1;
  u[3] = e2 + o2;
  u[4] = e2 - o2;
  u[5] = g[N - 1];
}

// (g0 +- g1 + g2) / 2
template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[4]) {
  using V = Vec<T>;
  static_assert(N == 2 || N == 3, "powers are spelled out for these");
  const V half = V::set1(T(0.5));
  const V o = half * g[1];
  const V e = half * (N == 3 ? g[0] + g[2] : g[0]);
  u[0] = g[0];
  u[1] = e + o;
  u[2] = e - o;
  u[3] = g[N - 1];
}

// The same with p^2 = 1, 4 and 1/4, f = -9/2, 90 and 45/32.
template <int N, class T>
LAMINAE_INLINE void winograd_g(const Vec<T> (&g)[N], Vec<T> (&u)[8]) {
  using V = Vec<T>;
  static_assert(N == 4 || N == 5, "powers are spelled out for these");
  const V f1 = V::set1(static_cast<T>(-2.0 / 9));
  const V f2 = V::set1(static_cast<T>(1.0 / 90));
  const V f3 = V::set1(static_cast<T>(32.0 / 45));
  V even1 = g[0] + g[2];
  V even2 = fma(V::set1(T(4)), g[2], g[0]);
  V even3 = fma(V::set1(T(0.25)), g[2], g[0]);
  if constexpr (N >= 5) {
    even1 = even1 + g[4];
    even2 = fma(V::set1(T(16)), g[4], even2);
    even3 = fma(V::set1(T(0.0625)), g[4], even3);
  }
  const V odd1 = g[1] + g[3];
  const V odd2 = fma(V::set1(T(8)), g[3], g[1] + g[1]);
  const V odd3 = fma(V::set1(T(0.125)), g[3], V::set1(T(0.5)) * g[1]);
  u[0] = g[0];
  u[1] = f1 * (even1 + odd1);
  u[2] = f1 * (even1 - odd1);
  u[3] = f2 * (even2 + odd2);
  u[4] = f2 * (even2 - odd2);
  u[5] = f3 * (even3 + odd3);
  u[6] = f3 * (even3 - odd3);
  u[7] = g[N - 1];
}

template <int N, class T>
void winograd_gather_of(int64_t channels, const T* w, int64_t step, const T* end, T* to) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kNr = GemmTile<T>::kNr;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += kW) {
      const T* from = w + c * step + j * N;
      const bool inside = end - from >= (kW - 1) * N + (N + kW - 1) / kW * kW;
      LAMINAE_UNROLL for (int p = 0; p < N; p += kW) {
        V block[kW];
        if (inside) {
          LAMINAE_UNROLL for (int i = 0; i < kW; i++) block[i] = V::load(from + i * N + p);
        } else {
          const int cols = N - p < kW ? N - p : kW;
          LAMINAE_UNROLL for (int i = 0; i < kW; i++) block[i] = V::load_n(from + i * N + p, cols);
        }
        transpose(block);
        LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
          if (p + q < N) block[q].store(to + (c * N + p + q) * kNr + j);
        }
      }
    }
  }
}

// to[c][k][j] = w[c][j][k]: `channels` times gemm_nr kernels that lie together, `step` apart; w is
// not read from `end` on. Gathered so and transformed, 256x256 kernels of 3x3 take 0.15 ms, with
// pack_panel_transposed 0.23.
template <class T>
void winograd_gather(int64_t taps, int64_t channels, const T* w, int64_t step, const T* end,
                     T* to) {
  if (taps == 3) return winograd_gather_of<9, T>(channels, w, step, end, to);
  winograd_gather_of<25, T>(channels, w, step, end, to);
}

template <int L, int R, int K, class T>
void winograd_weights_of(int64_t channels, const T* w, const int64_t* tap, T* u, int64_t u_step) {
  using V = Vec<T>;
  constexpr int kNr = GemmTile<T>::kNr;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += V::kWidth) {
      const T* from = w + c * K * K * kNr + j;
      T* to = u + c * kNr + j;
      V columns[K][L];
      LAMINAE_UNROLL for (int i = 0; i < K; i++) {
        V g[K];
        LAMINAE_UNROLL for (int k = 0; k < K; k++) g[k] = V::load(from + tap[K * k + i] * kNr);
        winograd_g<K, T>(g, columns[i]);
      }
      LAMINAE_UNROLL for (int i = 0; i < L; i++) {
        V g[K];
        V row[R];
        LAMINAE_UNROLL for (int k = 0; k < K; k++) g[k] = columns[k][i];
        winograd_g<K, T>(g, row);
        LAMINAE_UNROLL for (int k = 0; k < R; k++) row[k].store(to + (R * i + k) * u_step);
      }
    }
  }
}

// G g G^T for `channels` kernels: w [channels][taps^2][gemm_nr], output channels in lanes, the
// element of row r and column c at tap[taps r + c]; u [frequencies][u_step], a frequency as
// [channels][gemm_nr].
template <class T>
void winograd_weights(int64_t reach, int64_t taps, int64_t channels, const T* w, const int64_t* tap,
                      T* u, int64_t u_step) {
  if (reach == 4) return winograd_weights_of<4, 4, 3, T>(channels, w, tap, u, u_step);
  if (reach == 8) return winograd_weights_of<6, 8, 5, T>(channels, w, tap, u, u_step);
  if (taps == 3) return winograd_weights_of<6, 6, 3, T>(channels, w, tap, u, u_step);
  winograd_weights_of<6, 6, 5, T>(channels, w, tap, u, u_step);
}

template <int L, int R, class T>
void winograd_input_of(int64_t tiles, int64_t step, const T* x, int64_t x_row, T* tmp, T* v,
                       int64_t v_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  for (int64_t c = 0; c < step * (tiles - 1) + R; c++) {
    V d[L];
    LAMINAE_UNROLL for (int i = 0; i < L; i++) d[i] = V::load(x + i * x_row + c * kW);
    winograd_bt(d);
    LAMINAE_UNROLL for (int i = 0; i < L; i++) d[i].store(tmp + (L * c + i) * kW);
  }
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = tmp + t * step * L * kW;
    T* to = v + t * kW;
    LAMINAE_UNROLL for (int i = 0; i < L; i++) {
      V d[R];
      LAMINAE_UNROLL for (int j = 0; j < R; j++) d[j] = V::load(from + (L * j + i) * kW);
      winograd_bt(d);
      LAMINAE_UNROLL for (int j = 0; j < R; j++) d[j].store(to + (R * i + j) * v_step);
    }
  }
}

// B^T d B of a row of tiles `step` apart: x [height of a tile][x_row] of pixels, columns of vectors
// as far as the last tile reads; v [frequencies][v_step], tiles next to each other. tmp holds
// `height` vectors a column: the columns, transformed once for all tiles that read them.
template <class T>
void winograd_input(int64_t reach, int64_t tiles, int64_t step, const T* x, int64_t x_row, T* tmp,
                    T* v, int64_t v_step) {
  if (reach == 4) return winograd_input_of<4, 4, T>(tiles, step, x, x_row, tmp, v, v_step);
  if (reach == 8) return winograd_input_of<6, 8, T>(tiles, step, x, x_row, tmp, v, v_step);
  winograd_input_of<6, 6, T>(tiles, step, x, x_row, tmp, v, v_step);
}

// m[i][j] (+)= sum over blocks, lanes of v[block][i][lane] u[block][lane][j]: one frequency of MR
// tiles.
template <class T, int MR>
LAMINAE_NOINLINE void winograd_product_fixed(int64_t blocks, const T* v, int64_t v_block,
                                             const T* u, bool accumulate, T* m, int64_t m_block,
                                             const T* ahead, int64_t ahead_block) {
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
    for (int64_t i = 0; i < ahead_block; i += 64 / static_cast<int>(sizeof(T)))
      LAMINAE_PREFETCH_L2(ahead + i);
    ahead += ahead_block;
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
  if (accumulate) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] =
          acc[i][j] + V::load(m + j * m_block + i * kW);
    }
  }
  LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j].store(m + j * m_block + i * kW);
  }
}

template <class T, int MR>
LAMINAE_INLINE void winograd_product_dispatch(int64_t tiles, int64_t blocks, const T* v,
                                              int64_t v_block, const T* u, bool accumulate, T* m,
                                              int64_t m_block, const T* ahead,
                                              int64_t ahead_block) {
  if (tiles == MR) {
    winograd_product_fixed<T, MR>(blocks, v, v_block, u, accumulate, m, m_block, ahead,
                                  ahead_block);
  } else if constexpr (MR > 1) {
    winograd_product_dispatch<T, MR - 1>(tiles, blocks, v, v_block, u, accumulate, m, m_block,
                                         ahead, ahead_block);
  }
}

// 1 <= tiles <= gemm_mr; v [blocks][v_block], a block as [tiles][kWidth]; u [blocks *
// kWidth][gemm_nr]; m [gemm_nr / kWidth][m_block], each as [tiles][kWidth]. Asks for ahead
// [blocks][ahead_block], which calls to come will read as u, on the way.
template <class T>
void winograd_product(int64_t tiles, int64_t blocks, const T* v, int64_t v_block, const T* u,
                      bool accumulate, T* m, int64_t m_block, const T* ahead, int64_t ahead_block) {
  winograd_product_dispatch<T, GemmTile<T>::kMr>(tiles, blocks, v, v_block, u, accumulate, m,
                                                 m_block, ahead, ahead_block);
}

template <int L, int R, int M, int N, class T>
void winograd_output_of(int64_t tiles, const T* m, int64_t m_step, const T* bias, int64_t rows,
                        int64_t cols, T* y) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  const V b = V::load(bias);
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = m + t * kW;
    V columns[R][M];
    LAMINAE_UNROLL for (int j = 0; j < R; j++) {
      V d[L];
      LAMINAE_UNROLL for (int i = 0; i < L; i++) d[i] = V::load(from + (R * i + j) * m_step);
      winograd_at<M, T>(d, columns[j]);
    }
    T* to = y + t * N * kW;
    const int64_t valid = cols - N * t;
    LAMINAE_UNROLL for (int i = 0; i < M; i++) {
      if (i < rows) {
        V d[R];
        V out[N];
        LAMINAE_UNROLL for (int j = 0; j < R; j++) d[j] = columns[j][i];
        winograd_at<N, T>(d, out);
        T* row = to + i * cols * kW;
        LAMINAE_UNROLL for (int j = 0; j < N; j++) {
          if (j < valid) (out[j] + b).store(row + j * kW);
        }
      }
    }
  }
}

// A^T m A + bias of a row of tiles of `size` columns: m [frequencies][m_step], tiles next to each
// other; y [rows][cols] of vectors, rows <= the lines of a tile, cols in (size (tiles - 1), size
// tiles]; bias one vector.
template <class T>
void winograd_output(int64_t reach, int64_t size, int64_t tiles, const T* m, int64_t m_step,
                     const T* bias, int64_t rows, int64_t cols, T* y) {
  if (reach == 4) return winograd_output_of<4, 4, 2, 2, T>(tiles, m, m_step, bias, rows, cols, y);
  if (reach == 8) return winograd_output_of<6, 8, 2, 4, T>(tiles, m, m_step, bias, rows, cols, y);
  if (size == 4) return winograd_output_of<6, 6, 4, 4, T>(tiles, m, m_step, bias, rows, cols, y);
  winograd_output_of<6, 6, 2, 2, T>(tiles, m, m_step, bias, rows, cols, y);
}

// ---- weight gradient: F(k x k, t x t), k^2 sums over tiles of dy from the frequencies of x ----
//
//   dW = A^T [ sum over tiles of (G dy G^T) * (B^T d B) ] A

template <int L, int R, int M, int N, class T>
void winograd_gradient_of(int64_t tiles, const T* dy, int64_t dy_row, T* u, int64_t u_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  for (int64_t t = 0; t < tiles; t++) {
    const T* from = dy + t * N * kW;
    T* to = u + t * kW;
    V columns[N][L];
    LAMINAE_UNROLL for (int j = 0; j < N; j++) {
      V g[M];
      LAMINAE_UNROLL for (int i = 0; i < M; i++) g[i] = V::load(from + i * dy_row + j * kW);
      winograd_g<M, T>(g, columns[j]);
    }
    LAMINAE_UNROLL for (int i = 0; i < L; i++) {
      V g[N];
      V out[R];
      LAMINAE_UNROLL for (int j = 0; j < N; j++) g[j] = columns[j][i];
      winograd_g<N, T>(g, out);
      LAMINAE_UNROLL for (int j = 0; j < R; j++) out[j].store(to + (R * i + j) * u_step);
    }
  }
}

// G dy G^T of a row of tiles of `size` columns: dy [lines of a tile][dy_row] of pixels, size tiles
// columns of vectors; u [frequencies][u_step], tiles next to each other.
template <class T>
void winograd_gradient(int64_t reach, int64_t size, int64_t tiles, const T* dy, int64_t dy_row,
                       T* u, int64_t u_step) {
  if (reach == 8) return winograd_gradient_of<6, 8, 2, 4, T>(tiles, dy, dy_row, u, u_step);
  if (size == 4) return winograd_gradient_of<6, 6, 4, 4, T>(tiles, dy, dy_row, u, u_step);
  winograd_gradient_of<6, 6, 2, 2, T>(tiles, dy, dy_row, u, u_step);
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
  // The total, which was last used a block ago.
  if (accumulate) {
    for (int i = 0; i < kRows * kNv * kW; i += 64 / static_cast<int>(sizeof(T))) {
      LAMINAE_PREFETCH(m + i);
    }
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

template <int L, int R, int K, class T>
void winograd_weight_gradient_of(int64_t channels, const T* m, int64_t m_step, T* dw) {
  using V = Vec<T>;
  constexpr int kNr = GemmTile<T>::kNr;
  for (int64_t c = 0; c < channels; c++) {
    for (int j = 0; j < kNr; j += V::kWidth) {
      const T* from = m + c * kNr + j;
      T* to = dw + c * K * K * kNr + j;
      V columns[R][K];
      LAMINAE_UNROLL for (int k = 0; k < R; k++) {
        V d[L];
        LAMINAE_UNROLL for (int i = 0; i < L; i++) d[i] = V::load(from + (R * i + k) * m_step);
        winograd_at<K, T>(d, columns[k]);
      }
      LAMINAE_UNROLL for (int i = 0; i < K; i++) {
        V d[R];
        V out[K];
        LAMINAE_UNROLL for (int k = 0; k < R; k++) d[k] = columns[k][i];
        winograd_at<K, T>(d, out);
        LAMINAE_UNROLL for (int k = 0; k < K; k++) out[k].store(to + (K * i + k) * kNr);
      }
    }
  }
}

// A^T m A for `channels` input channels: m [frequencies][m_step], a frequency as
// [channels][gemm_nr]; dw [channels][taps^2][gemm_nr].
template <class T>
void winograd_weight_gradient(int64_t reach, int64_t taps, int64_t channels, const T* m,
                              int64_t m_step, T* dw) {
  if (reach == 8) return winograd_weight_gradient_of<6, 8, 5, T>(channels, m, m_step, dw);
  if (taps == 3) return winograd_weight_gradient_of<6, 6, 3, T>(channels, m, m_step, dw);
  winograd_weight_gradient_of<6, 6, 5, T>(channels, m, m_step, dw);
}
