// Pairs of output lines by Winograd's F(2, N) along columns: N taps below one another meet N + 1
// lines of x in N + 1 products instead of 2 N for the two lines.
//
//   (y0, y1) = A^T [ (G g) * (B^T d) ]     (* point by point, summed over all other taps)
//
// Points: +-1 and infinity for 2 taps, 0, +-1 and infinity for 3, +-sqrt(1/2), +-sqrt(2) and
// infinity for 4, infinity last. N - 1 taps need no infinity. Lavin and Gray 2015
// (arXiv:1509.09308). The products themselves are those of conv_pixels.inl.

// B^T d without its last row.
template <class T>
LAMINAE_INLINE void pair_points(const Vec<T> (&d)[2], Vec<T> (&v)[2]) {
  v[0] = d[1] + d[0];
  v[1] = d[1] - d[0];
}

template <class T>
LAMINAE_INLINE void pair_points(const Vec<T> (&d)[3], Vec<T> (&v)[3]) {
  v[0] = d[2] - d[0];
  v[1] = d[2] + d[1];
  v[2] = d[2] - d[1];
}

template <class T>
LAMINAE_INLINE void pair_points(const Vec<T> (&d)[4], Vec<T> (&v)[4]) {
  using V = Vec<T>;
  const V two = V::set1(T(2));
  const V half = V::set1(T(0.5));
  const V odd1 = fnma(two, d[1], d[3]);
  const V odd2 = fnma(half, d[1], d[3]);
  const V even1 = V::set1(static_cast<T>(winograd::kA)) * fnma(two, d[0], d[2]);
  const V even2 = V::set1(static_cast<T>(winograd::kB)) * fnma(half, d[0], d[2]);
  v[0] = odd1 + even1;
  v[1] = odd1 - even1;
  v[2] = odd2 + even2;
  v[3] = odd2 - even2;
}

// The last row of B^T d.
template <int N, class T>
LAMINAE_INLINE Vec<T> pair_infinity(const Vec<T> (&d)[N], Vec<T> last) {
  if constexpr (N == 2) return last - d[0];
  if constexpr (N == 3) return last - d[1];
  if constexpr (N == 4) return fnma(Vec<T>::set1(T(2.5)), d[2], last + d[0]);
}

// A^T m of the finite points.
template <class T>
LAMINAE_INLINE void pair_sums(const Vec<T> (&m)[2], Vec<T>& y0, Vec<T>& y1) {
  y0 = m[0] + m[1];
  y1 = m[0] - m[1];
}

template <class T>
LAMINAE_INLINE void pair_sums(const Vec<T> (&m)[3], Vec<T>& y0, Vec<T>& y1) {
  y0 = m[0] + (m[1] + m[2]);
  y1 = m[1] - m[2];
}

template <class T>
LAMINAE_INLINE void pair_sums(const Vec<T> (&m)[4], Vec<T>& y0, Vec<T>& y1) {
  using V = Vec<T>;
  y0 = (m[0] + m[1]) + (m[2] + m[3]);
  y1 = fma(V::set1(static_cast<T>(winograd::kA)), m[0] - m[1],
           V::set1(static_cast<T>(winograd::kB)) * (m[2] - m[3]));
}

template <int N, class T>
LAMINAE_INLINE void winograd_pair_input_of(bool infinity, int64_t count, const T* x, int64_t x_line,
                                           T* v, int64_t v_point) {
  using V = Vec<T>;
  for (int64_t i = 0; i < count; i += V::kWidth) {
    V d[N];
    V points[N];
    LAMINAE_UNROLL for (int k = 0; k < N; k++) d[k] = V::load(x + k * x_line + i);
    pair_points(d, points);
    LAMINAE_UNROLL for (int k = 0; k < N; k++) points[k].store(v + k * v_point + i);
    if (infinity) {
      pair_infinity<N, T>(d, V::load(x + N * x_line + i)).store(v + N * v_point + i);
    }
  }
}

// B^T d of lines of `count` elements, x_line apart: v[point][i], v_point apart, the last one only
// if infinity. Whole vectors are read and written.
template <class T>
void winograd_pair_input(int64_t taps, bool infinity, int64_t count, const T* x, int64_t x_line,
                         T* v, int64_t v_point) {
  if (taps == 2) return winograd_pair_input_of<2, T>(infinity, count, x, x_line, v, v_point);
  if (taps == 3) return winograd_pair_input_of<3, T>(infinity, count, x, x_line, v, v_point);
  winograd_pair_input_of<4, T>(infinity, count, x, x_line, v, v_point);
}

template <int N, class T>
LAMINAE_INLINE void winograd_pair_output_of(int64_t rows, int64_t pixels, const T* m,
                                            int64_t m_point, int64_t m_row, const T* bias, T* y,
                                            int64_t y_row, int64_t y_line) {
  using V = Vec<T>;
  for (int64_t r = 0; r < rows; r++) {
    const V b = V::set1(bias == nullptr ? T{0} : bias[r]);
    for (int64_t i = 0; i < pixels; i += V::kWidth) {
      const T* from = m + r * m_row + i;
      T* to = y + r * y_row + i;
      V points[N];
      V y0, y1;
      LAMINAE_UNROLL for (int k = 0; k < N; k++) points[k] = V::load(from + k * m_point);
      pair_sums(points, y0, y1);
      store_up_to(y0 + b, to, pixels - i);
      if (y_line != 0) {
        store_up_to((y1 + V::load(from + N * m_point)) + b, to + y_line, pixels - i);
      }
    }
  }
}

// A^T m + bias (null: none) of `rows` rows: m[point][row][pixel], m_point and m_row apart; y[row]
// [line][pixel], y_row and y_line apart. With y_line 0 only the first line, which needs no
// infinity.
template <class T>
void winograd_pair_output(int64_t taps, int64_t rows, int64_t pixels, const T* m, int64_t m_point,
                          int64_t m_row, const T* bias, T* y, int64_t y_row, int64_t y_line) {
  if (taps == 2) {
    winograd_pair_output_of<2, T>(rows, pixels, m, m_point, m_row, bias, y, y_row, y_line);
  } else if (taps == 3) {
    winograd_pair_output_of<3, T>(rows, pixels, m, m_point, m_row, bias, y, y_row, y_line);
  } else {
    winograd_pair_output_of<4, T>(rows, pixels, m, m_point, m_row, bias, y, y_row, y_line);
  }
}
