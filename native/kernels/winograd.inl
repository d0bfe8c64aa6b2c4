// Winograd's F(4x4, 3x3) and F(2x2, 5x5): 16 outputs of a 3x3 sum from 36 products instead of 144,
// or 4 of a 5x5 sum instead of 100. F(2x4, 5x5) and F(2x5, 5x5): 8 of a 5x5 sum from 48 products
// instead of 200, or 10 from 54 instead of 250.
// And F(2x2, 3x3): 4 of a 3x3 sum from 16 products instead of 36.
//
//   Y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A     (* element by element)
//
// d is a tile of the input of 6x6, 6x8, 6x9 or 4x4 pixels, g the kernel, Y the outputs. The
// gradient of the weights is F(k x k, t x t), k^2 sums over tiles of dy from the same frequencies
// of x:
//
//   dW = A^T [ sum over tiles of (G dy G^T) * (B^T d B) ] A
//
// Here are the transforms of tiles; those of their rows and columns are in winograd_points.inl, the
// sums of products in winograd_products.inl. Everything has channels in lanes: a transform is
// vertical arithmetic on whole vectors, whatever the width of the map. The products of a tile are
// called frequencies; `reach` is the width of what it reads, and 8 and 9 go with a height of 6.

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
  if (reach == 9) return winograd_weights_of<6, 9, 5, T>(channels, w, tap, u, u_step);
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
  if (reach == 9) return winograd_input_of<6, 9, T>(tiles, step, x, x_row, tmp, v, v_step);
  if (reach == 8) return winograd_input_of<6, 8, T>(tiles, step, x, x_row, tmp, v, v_step);
  winograd_input_of<6, 6, T>(tiles, step, x, x_row, tmp, v, v_step);
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
  if (reach == 9) return winograd_output_of<6, 9, 2, 5, T>(tiles, m, m_step, bias, rows, cols, y);
  if (reach == 8) return winograd_output_of<6, 8, 2, 4, T>(tiles, m, m_step, bias, rows, cols, y);
  if (size == 4) return winograd_output_of<6, 6, 4, 4, T>(tiles, m, m_step, bias, rows, cols, y);
  winograd_output_of<6, 6, 2, 2, T>(tiles, m, m_step, bias, rows, cols, y);
}

// ---- weight gradient ----

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
  if (reach == 9) return winograd_gradient_of<6, 9, 2, 5, T>(tiles, dy, dy_row, u, u_step);
  if (reach == 8) return winograd_gradient_of<6, 8, 2, 4, T>(tiles, dy, dy_row, u, u_step);
  if (size == 4) return winograd_gradient_of<6, 6, 4, 4, T>(tiles, dy, dy_row, u, u_step);
  winograd_gradient_of<6, 6, 2, 2, T>(tiles, dy, dy_row, u, u_step);
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
  if (reach == 9) return winograd_weight_gradient_of<6, 9, 5, T>(channels, m, m_step, dw);
  if (reach == 8) return winograd_weight_gradient_of<6, 8, 5, T>(channels, m, m_step, dw);
  if (taps == 3) return winograd_weight_gradient_of<6, 6, 3, T>(channels, m, m_step, dw);
  winograd_weight_gradient_of<6, 6, 5, T>(channels, m, m_step, dw);
}
