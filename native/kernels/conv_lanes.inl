// Convolution with images in lanes: every element is a vector that holds one pixel of kWidth
// images, so nothing is expanded, shifted or wasted whatever the width of the maps. For few
// channels and many images.

// Cache lines that are asked for with each step of a sum, which takes 15 to 24 multiply-adds of
// 64-byte vectors: the first layer of LeNet writes 2.4 lines a step.
template <class T>
constexpr int kLanesAsks = Vec<T>::kWidth * sizeof(T) < 64 ? 1 : 3;
constexpr int kLanesAskBytes = 64;

template <class T>
LAMINAE_INLINE void ask_lines(LanesAsk& ask) {
  LAMINAE_UNROLL for (int i = 0; i < kLanesAsks<T>; i++) {
    LAMINAE_PREFETCH_L2(ask.at + i * kLanesAskBytes);
  }
  ask.at += ask.step;
}

// A tile of R x C accumulators, C vectors and one more operand fit.
template <class T, int R, int C>
constexpr bool kLanesTileFits = R* C + C + 1 <= kVectorRegisters<T>;

// y[i][v] = bias[i] + sum over c, a, b, j of  w(c, a, b, j)[i] x[v * x_pixel + c * channel + ...],
// R rows, P pixels; see LanesWindow for the strides.
template <class T, int R, int P>
void conv_lanes_fixed(const LanesWindow& s, const T* x, int64_t x_pixel, const T* w, const T* bias,
                      T* y, int64_t y_row, LanesAsk ask) {
  using V = Vec<T>;
  V acc[R][P];
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    LAMINAE_UNROLL for (int v = 0; v < P; v++) acc[i][v] = V::zero();
  }
  for (int64_t c = 0; c < s.channels; c++) {
    for (int64_t a = 0; a < s.planes; a++) {
      const T* line_x = x + c * s.x_channel + a * s.x_plane;
      const T* line_w = w + c * s.w_channel + a * s.w_plane;
      for (int64_t b = 0; b < s.lines; b++) {
        const T* at[P];
        LAMINAE_UNROLL for (int v = 0; v < P; v++) at[v] = line_x + v * x_pixel;
        const T* wj = line_w;
        for (int64_t j = 0; j < s.taps; j++) {
          ask_lines<T>(ask);
          V xv[P];
          LAMINAE_UNROLL for (int v = 0; v < P; v++) {
            xv[v] = V::load(at[v]);
            at[v] += s.x_tap;
          }
          LAMINAE_UNROLL for (int i = 0; i < R; i++) {
            const V wv = V::set1(wj[i]);
            LAMINAE_UNROLL for (int v = 0; v < P; v++) acc[i][v] = fma(wv, xv[v], acc[i][v]);
          }
          wj += s.w_tap;
        }
        line_x += s.x_line;
        line_w += s.w_line;
      }
    }
  }
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    if (bias != nullptr) {
      const V b = V::set1(bias[i]);
      LAMINAE_UNROLL for (int v = 0; v < P; v++) acc[i][v] = acc[i][v] + b;
    }
    LAMINAE_UNROLL for (int v = 0; v < P; v++) acc[i][v].store(y + v * V::kWidth);
    y += y_row;
    LAMINAE_OPAQUE(y);
  }
}

// Largest tile of conv_lanes.
template <class T>
struct LanesTile {
  static constexpr int kRows = kLanesTileFits<T, 6, 4> ? 6 : 4;
  static constexpr int kPixels = kLanesTileFits<T, 6, 4> ? 4 : 3;
  static constexpr int kWeightRows = kLanesTileFits<T, 6, 4> ? 6 : 4;
  static constexpr int kWeightTaps = 5;
};

// Finds the instance by counting rows, then pixels down.
template <class T, int R, int P>
LAMINAE_INLINE void conv_lanes_dispatch(int64_t rows, int64_t pixels, const LanesWindow& s,
                                        const T* x, int64_t x_pixel, const T* w, const T* bias,
                                        T* y, int64_t y_row, const LanesAsk& ask) {
  if (rows == R && pixels == P) {
    conv_lanes_fixed<T, R, P>(s, x, x_pixel, w, bias, y, y_row, ask);
  } else if (rows < R) {
    if constexpr (R > 1) {
      conv_lanes_dispatch<T, R - 1, P>(rows, pixels, s, x, x_pixel, w, bias, y, y_row, ask);
    }
  } else {
    if constexpr (P > 1) {
      conv_lanes_dispatch<T, R, P - 1>(rows, pixels, s, x, x_pixel, w, bias, y, y_row, ask);
    }
  }
}

// y [rows][y_row], pixels of a row next to each other: 1 <= rows <= lanes_rows, 1 <= pixels <=
// lanes_pixels. Terms are added in the order of the loops, the bias last.
template <class T>
void conv_lanes(int64_t rows, int64_t pixels, const LanesWindow& s, const T* x, int64_t x_pixel,
                const T* w, const T* bias, T* y, int64_t y_row, const LanesAsk& ask) {
  conv_lanes_dispatch<T, LanesTile<T>::kRows, LanesTile<T>::kPixels>(rows, pixels, s, x, x_pixel, w,
                                                                     bias, y, y_row, ask);
}

// acc[i][j] += sum over lines l, pixels q of  dy[i][l, q] x[l * x_line + q * x_pixel + j * x_tap]
template <class T, int R, int K>
void conv_lanes_weight_fixed(int64_t lines, int64_t pixels, const T* x, int64_t x_line,
                             int64_t x_pixel, int64_t x_tap, const T* dy, int64_t dy_row, T* acc,
                             int64_t acc_row, LanesAsk ask) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  V sum[R][K];
  T* row = acc;
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    LAMINAE_UNROLL for (int j = 0; j < K; j++) sum[i][j] = V::load(row + j * kW);
    row += acc_row;
    LAMINAE_OPAQUE(row);  // or GCC keeps all addresses for the end, in registers of vectors
  }
  for (int64_t l = 0; l < lines; l++) {
    const T* at[K];
    LAMINAE_UNROLL for (int j = 0; j < K; j++) at[j] = x + l * x_line + j * x_tap;
    for (int64_t q = 0; q < pixels; q++) {
      ask_lines<T>(ask);
      V xv[K];
      LAMINAE_UNROLL for (int j = 0; j < K; j++) {
        xv[j] = V::load(at[j]);
        at[j] += x_pixel;
      }
      LAMINAE_UNROLL for (int i = 0; i < R; i++) {
        const V d = V::load(dy + i * dy_row);
        LAMINAE_UNROLL for (int j = 0; j < K; j++) sum[i][j] = fma(d, xv[j], sum[i][j]);
      }
      dy += kW;
    }
  }
  row = acc;
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    LAMINAE_UNROLL for (int j = 0; j < K; j++) sum[i][j].store(row + j * kW);
    row += acc_row;
    LAMINAE_OPAQUE(row);
  }
}

template <class T, int R, int K>
LAMINAE_INLINE void conv_lanes_weight_dispatch(int64_t rows, int64_t taps, int64_t lines,
                                               int64_t pixels, const T* x, int64_t x_line,
                                               int64_t x_pixel, int64_t x_tap, const T* dy,
                                               int64_t dy_row, T* acc, int64_t acc_row,
                                               const LanesAsk& ask) {
  if (rows == R && taps == K) {
    if constexpr (kLanesTileFits<T, R, K>) {
      conv_lanes_weight_fixed<T, R, K>(lines, pixels, x, x_line, x_pixel, x_tap, dy, dy_row, acc,
                                       acc_row, ask);
    }
  } else if (rows < R) {
    if constexpr (R > 1) {
      conv_lanes_weight_dispatch<T, R - 1, K>(rows, taps, lines, pixels, x, x_line, x_pixel, x_tap,
                                              dy, dy_row, acc, acc_row, ask);
    }
  } else {
    if constexpr (K > 1) {
      conv_lanes_weight_dispatch<T, R, K - 1>(rows, taps, lines, pixels, x, x_line, x_pixel, x_tap,
                                              dy, dy_row, acc, acc_row, ask);
    }
  }
}

// Largest number of rows for `taps` taps (<= lanes_weight_taps) in one tile of conv_lanes_weight.
template <class T>
int64_t conv_lanes_weight_rows(int64_t taps) {
  const int64_t rows = (kVectorRegisters<T> - 1 - taps) / taps;
  return rows < LanesTile<T>::kWeightRows ? rows : LanesTile<T>::kWeightRows;
}

// acc [rows][acc_row] of vectors, dy [rows][dy_row] with its lines * pixels vectors next to each
// other.
template <class T>
void conv_lanes_weight(int64_t rows, int64_t taps, int64_t lines, int64_t pixels, const T* x,
                       int64_t x_line, int64_t x_pixel, int64_t x_tap, const T* dy, int64_t dy_row,
                       T* acc, int64_t acc_row, const LanesAsk& ask) {
  conv_lanes_weight_dispatch<T, LanesTile<T>::kWeightRows, LanesTile<T>::kWeightTaps>(
      rows, taps, lines, pixels, x, x_line, x_pixel, x_tap, dy, dy_row, acc, acc_row, ask);
}

// dst [count][width], lane i from src [i][ld]: the lanes beyond `lanes` are 0. Reads of the next
// blocks are requested ahead: as many streams as lanes are more than the hardware follows.
template <class T>
void images_to_lanes(int64_t lanes, int64_t count, const T* src, int64_t ld, T* dst) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  constexpr int64_t kAhead = 4 * 64 / sizeof(T);  // elements: four cache lines
  for (int64_t j = 0; j < count; j += kW) {
    const int64_t cols = count - j < kW ? count - j : kW;
    for (int64_t i = 0; i < lanes; i++) LAMINAE_PREFETCH(src + i * ld + j + kAhead);
    V block[kW];
    load_transposed(lanes, cols, src + j, ld, block);
    T* to = dst + j * kW;
    if (cols == kW) {
      LAMINAE_UNROLL for (int q = 0; q < kW; q++) block[q].store(to + q * kW);
    } else {
      LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
        if (q < cols) block[q].store(to + q * kW);
      }
    }
  }
}

// The same for `lines` lines of `width` elements that follow one another in src: dst [lines][width]
// of vectors, dst_line elements from line to line. Lines of 4 to 10 fill the blocks so: Winograd's
// convolutions of such maps take 2 to 4 % less time than with line after line.
template <class T>
void lines_to_lanes(int64_t lanes, int64_t lines, int64_t width, const T* src, int64_t ld, T* dst,
                    int64_t dst_line) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  constexpr int64_t kAhead = 4 * 64 / sizeof(T);
  const int64_t count = lines * width;
  const int64_t gap = dst_line - width * kW;
  int64_t left = width;  // of the line
  for (int64_t j = 0; j < count; j += kW) {
    const int64_t cols = count - j < kW ? count - j : kW;
    for (int64_t i = 0; i < lanes; i++) LAMINAE_PREFETCH(src + i * ld + j + kAhead);
    V block[kW];
    load_transposed(lanes, cols, src + j, ld, block);
    LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
      if (q < cols) {
        block[q].store(dst);
        dst += kW;
        if (--left == 0) {
          dst += gap;
          left = width;
        }
      }
    }
  }
}

// The inverse, of the first `lanes` lanes.
template <class T>
void lanes_to_images(int64_t lanes, int64_t count, const T* src, T* dst, int64_t ld) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t j = 0; j < count; j += kW) {
    const int64_t cols = count - j < kW ? count - j : kW;
    V block[kW];
    load_transposed(cols, kW, src + j * kW, kW, block);
    T* to = dst + j;
    if (lanes == kW && cols == kW) {
      LAMINAE_UNROLL for (int i = 0; i < kW; i++) block[i].store(to + i * ld);
    } else {
      LAMINAE_UNROLL for (int i = 0; i < kW; i++) {
        if (i < lanes) block[i].store_n(to + i * ld, cols);
      }
    }
  }
}

// Requests the cache lines of at [lanes][ld], elements [0, count) of each, which will be written.
template <class T>
void prefetch_lanes(int64_t lanes, int64_t count, const T* at, int64_t ld) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < lanes; i++) {
    for (int64_t j = 0; j < count; j += kLine) LAMINAE_PREFETCH(at + i * ld + j);
  }
}
