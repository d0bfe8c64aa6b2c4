// Winograd's F(4, 5) and F(5, 5) along lines with images in lanes: 4 neighbouring outputs of a line
// take 8 products with each kernel line instead of 20, 5 take 9 instead of 25. Points and
// transforms are those of reach 8 and 9 (winograd_points.inl), the products those of
// conv_lanes.inl.

namespace winograd_lanes {
constexpr int kTaps = 5;
}

template <int R, class T>
LAMINAE_INLINE void winograd_lanes_weights_of(int64_t count, int64_t rows, const T* w,
                                              int64_t w_tap, T* u, int64_t u_step) {
  using V = Vec<T>;
  constexpr int K = winograd_lanes::kTaps;
  for (int64_t c = 0; c < count; c++) {
    for (int64_t i = 0; i < rows; i += V::kWidth) {
      const int64_t n = rows - i < V::kWidth ? rows - i : V::kWidth;
      V g[K];
      V out[R];
      LAMINAE_UNROLL for (int k = 0; k < K; k++) g[k] = V::load_n(w + k * w_tap + i, n);
      winograd_g<K, T>(g, out);
      LAMINAE_UNROLL for (int k = 0; k < R; k++) out[k].store_n(u + k * u_step + i, n);
    }
    w += K * rows;
    u += rows;
  }
}

// G g for `count` kernel lines: w [count][5][rows], the taps w_tap apart (from the last one back if
// negative); u [reach][u_step], each as [count][rows].
template <class T>
void winograd_lanes_weights(int64_t reach, int64_t count, int64_t rows, const T* w, int64_t w_tap,
                            T* u, int64_t u_step) {
  if (reach == 9) return winograd_lanes_weights_of<9, T>(count, rows, w, w_tap, u, u_step);
  winograd_lanes_weights_of<8, T>(count, rows, w, w_tap, u, u_step);
}

template <int R, class T>
LAMINAE_INLINE void winograd_lanes_input_of(int64_t tiles, int64_t left, int64_t width, const T* x,
                                            T* v, int64_t v_step) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t at = t * (R - winograd_lanes::kTaps + 1) + left;
    V d[R];
    if (at >= 0 && at + R <= width) {
      LAMINAE_UNROLL for (int i = 0; i < R; i++) d[i] = V::load(x + (at + i) * kW);
    } else {
      LAMINAE_UNROLL for (int i = 0; i < R; i++) {
        d[i] = at + i >= 0 && at + i < width ? V::load(x + (at + i) * kW) : V::zero();
      }
    }
    winograd_bt(d);
    LAMINAE_UNROLL for (int i = 0; i < R; i++) d[i].store(v + i * v_step + t * kW);
  }
}

// B^T d of the tiles of a line: x [width] of vectors, zeros around them, the first tile begins at
// column `left`; v [reach][v_step], tiles next to each other.
template <class T>
void winograd_lanes_input(int64_t reach, int64_t tiles, int64_t left, int64_t width, const T* x,
                          T* v, int64_t v_step) {
  if (reach == 9) return winograd_lanes_input_of<9, T>(tiles, left, width, x, v, v_step);
  winograd_lanes_input_of<8, T>(tiles, left, width, x, v, v_step);
}

template <int R, class T>
LAMINAE_INLINE void winograd_lanes_output_of(int64_t lines, int64_t cols, const T* m,
                                             int64_t m_step, T bias, T* y) {
  using V = Vec<T>;
  constexpr int M = R - winograd_lanes::kTaps + 1;
  constexpr int kW = V::kWidth;
  const V b = V::set1(bias);
  for (int64_t l = 0; l < lines; l++) {
    for (int64_t c = 0; c < cols; c += M) {
      V d[R];
      V out[M];
      LAMINAE_UNROLL for (int i = 0; i < R; i++) d[i] = V::load(m + i * m_step);
      winograd_at<M, T>(d, out);
      LAMINAE_UNROLL for (int i = 0; i < M; i++) {
        if (c + i < cols) (out[i] + b).store(y + (c + i) * kW);
      }
      m += kW;
    }
    y += cols * kW;
  }
}

// A^T m + bias of lines of `cols` outputs: m [reach][m_step], tiles of all lines next to each
// other; y [lines][cols] of vectors.
template <class T>
void winograd_lanes_output(int64_t reach, int64_t lines, int64_t cols, const T* m, int64_t m_step,
                           T bias, T* y) {
  if (reach == 9) return winograd_lanes_output_of<9, T>(lines, cols, m, m_step, bias, y);
  winograd_lanes_output_of<8, T>(lines, cols, m, m_step, bias, y);
}

// ---- weight gradient: F(5, 4) and F(5, 5), the taps of a kernel line from tiles of dy ----

template <int R, class T>
LAMINAE_INLINE void winograd_lanes_gradient_of(int64_t lines, int64_t cols, const T* dy, T* u,
                                               int64_t u_step) {
  using V = Vec<T>;
  constexpr int M = R - winograd_lanes::kTaps + 1;
  constexpr int kW = V::kWidth;
  for (int64_t l = 0; l < lines; l++) {
    for (int64_t c = 0; c < cols; c += M) {
      V g[M];
      V out[R];
      LAMINAE_UNROLL for (int i = 0; i < M; i++) {
        g[i] = c + i < cols ? V::load(dy + (c + i) * kW) : V::zero();
      }
      winograd_g<M, T>(g, out);
      LAMINAE_UNROLL for (int i = 0; i < R; i++) out[i].store(u + i * u_step);
      u += kW;
    }
    dy += cols * kW;
  }
}

// G dy of lines of `cols` vectors: u [reach][u_step], tiles of all lines next to each other.
template <class T>
void winograd_lanes_gradient(int64_t reach, int64_t lines, int64_t cols, const T* dy, T* u,
                             int64_t u_step) {
  if (reach == 9) return winograd_lanes_gradient_of<9, T>(lines, cols, dy, u, u_step);
  winograd_lanes_gradient_of<8, T>(lines, cols, dy, u, u_step);
}

template <int R, class T>
LAMINAE_INLINE void winograd_lanes_dw_of(int64_t count, const T* m, int64_t m_step, T* dw) {
  using V = Vec<T>;
  constexpr int K = winograd_lanes::kTaps;
  for (int64_t i = 0; i < count; i++) {
    V d[R];
    V out[K];
    LAMINAE_UNROLL for (int k = 0; k < R; k++) { d[k] = V::load(m + k * m_step + i * V::kWidth); }
    winograd_at<K, T>(d, out);
    LAMINAE_UNROLL for (int k = 0; k < K; k++) out[k].store(dw + (i * K + k) * V::kWidth);
  }
}

// A^T m for `count` kernel lines: m [reach][m_step], dw [count][5], vectors.
template <class T>
void winograd_lanes_dw(int64_t reach, int64_t count, const T* m, int64_t m_step, T* dw) {
  if (reach == 9) return winograd_lanes_dw_of<9, T>(count, m, m_step, dw);
  winograd_lanes_dw_of<8, T>(count, m, m_step, dw);
}
