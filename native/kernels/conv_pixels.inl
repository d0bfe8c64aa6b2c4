// Convolution with neighbouring pixels of a line in lanes: a tile of rows and vectors is summed in
// registers from a strip that has zeros around x (core/ops/conv_strip.h), and stored as it is.

// Largest tile: rows, and with so many rows vectors. Accumulators, the vectors of x and one operand
// are in registers.
template <class T>
constexpr int kPixelsRows = kVectorRegisters<T> > 16 ? 8 : 6;
constexpr int kPixelsVectors = 8;
template <class T, int R>
constexpr int kPixelsMost = (kVectorRegisters<T> - 1) / (R + 1) < kPixelsVectors
                                ? (kVectorRegisters<T> - 1) / (R + 1)
                                : kPixelsVectors;

template <class T, int R, int NV>
LAMINAE_NOINLINE void conv_pixels_fixed(int64_t tail, const ChannelsWindow& s, const T* x,
                                        const T* w, int64_t w_step, const T* bias, T* y,
                                        int64_t y_row) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  V acc[R][NV];
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    LAMINAE_UNROLL for (int v = 0; v < NV; v++) {
      acc[i][v] = V::zero();
      LAMINAE_PREFETCH(y + i * y_row + v * kW);
    }
  }
  for (int64_t c = 0; c < s.channels; c++) {
    for (int64_t t = 0; t < s.taps; t++) {
      V xv[NV];
      load_row(x + s.offsets[t], xv);
      LAMINAE_OPAQUE(w);
      gemm_step_row<0, R, NV, T>(w, xv, acc);
      w += w_step;
    }
    x += s.x_channel;
  }
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    if (bias != nullptr) {
      const V b = V::set1(bias[i]);
      LAMINAE_UNROLL for (int v = 0; v < NV; v++) acc[i][v] = acc[i][v] + b;
    }
    LAMINAE_UNROLL for (int v = 0; v < NV - 1; v++) acc[i][v].store(y + i * y_row + v * kW);
    T* last = y + i * y_row + (NV - 1) * kW;
    if (tail == kW) {
      acc[i][NV - 1].store(last);
    } else {
      acc[i][NV - 1].store_n(last, tail);
    }
  }
}

// Finds the instance by counting rows and vectors down.
template <class T, int R, int NV>
LAMINAE_INLINE void conv_pixels_dispatch(int64_t rows, int64_t vectors, int64_t tail,
                                         const ChannelsWindow& s, const T* x, const T* w,
                                         int64_t w_step, const T* bias, T* y, int64_t y_row) {
  if (rows < R) {
    if constexpr (R > 1) {
      conv_pixels_dispatch<T, R - 1, kPixelsMost<T, R - 1>>(rows, vectors, tail, s, x, w, w_step,
                                                            bias, y, y_row);
    }
  } else if (vectors < NV) {
    if constexpr (NV > 1) {
      conv_pixels_dispatch<T, R, NV - 1>(rows, vectors, tail, s, x, w, w_step, bias, y, y_row);
    }
  } else {
    conv_pixels_fixed<T, R, NV>(tail, s, x, w, w_step, bias, y, y_row);
  }
}

// y[j * y_row + i] = bias[j] + sum over channels c and taps t of
//   w[(c * taps + t) * w_step + j] x[c * x_channel + offsets[t] + i]
// for j < rows <= conv_pixels_rows, i < pixels: vectors up to conv_pixels_vectors and up to
// conv_pixels_registers / (rows + 1). Whole vectors of x are read. Terms are added in the order of
// w, the bias last.
template <class T>
void conv_pixels(int64_t rows, int64_t pixels, const ChannelsWindow& s, const T* x, const T* w,
                 int64_t w_step, const T* bias, T* y, int64_t y_row) {
  constexpr int64_t kW = Vec<T>::kWidth;
  constexpr int kRows = kPixelsRows<T>;
  const int64_t vectors = (pixels + kW - 1) / kW;
  conv_pixels_dispatch<T, kRows, kPixelsMost<T, kRows>>(rows, vectors, pixels - (vectors - 1) * kW,
                                                        s, x, w, w_step, bias, y, y_row);
}
