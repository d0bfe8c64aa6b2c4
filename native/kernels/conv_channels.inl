// Convolution with output channels in lanes: a tile of pixels times gemm_nr channels is summed in
// registers, with x broadcast from a copy that has zeros around it (core/ops/conv_channels.cc), and
// transposed on its way to y. The tiles of neighbouring classes of pixels are woven into one first.

// y[j * y_row + i] = tile[i * ld + j], i < pixels, j < rows. A vector store may spill over the last
// pixel as long as it stays within `room` elements: they are written later.
template <class T>
LAMINAE_NOINLINE void store_pixels(int64_t pixels, int64_t rows, const T* tile, int64_t ld, T* y,
                                   int64_t y_row, int64_t room) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t j = 0; j < rows; j += kW) {
    for (int64_t i = 0; i < pixels; i += kW) {
      V block[kW];
      LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
        block[q] = i + q < pixels ? V::load(tile + (i + q) * ld + j) : V::zero();
      }
      transpose(block);
      T* to = y + j * y_row + i;
      const int64_t count = pixels - i;
      const bool whole = count >= kW || room - i >= kW;
      if (whole && rows - j >= kW) {
        LAMINAE_UNROLL for (int q = 0; q < kW; q++) block[q].store(to + q * y_row);
      } else {
        LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
          if (j + q < rows) block[q].store_n(to + q * y_row, whole ? kW : count);
        }
      }
    }
  }
}

constexpr int kWeightsAhead = 512;  // elements that are asked for in advance

template <class T, int L, int P, int NV>
LAMINAE_NOINLINE void conv_channels_fixed(int64_t rows, const ChannelsWindow& s, const T* x,
                                          const T* w, const T* bias, T* tile, int64_t tile_line,
                                          int64_t tile_pixel) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kNr = GemmTile<T>::kNr;
  V acc[L][P][NV];
  LAMINAE_UNROLL for (int l = 0; l < L; l++) {
    LAMINAE_UNROLL for (int i = 0; i < P; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[l][i][j] = V::zero();
    }
  }
  const int64_t line = s.x_line;
  for (int64_t c = 0; c < s.channels; c++) {
    for (int64_t t = 0; t < s.taps; t++) {
      // The next weights come from L2, or from further away in the first tile of some channels.
      LAMINAE_UNROLL for (int j = 0; j < kNr; j += 64 / static_cast<int>(sizeof(T))) {
        LAMINAE_PREFETCH(w + kWeightsAhead + j);
      }
      V wv[NV];
      load_row(w, wv);
      const T* at = x + s.offsets[t];
      LAMINAE_OPAQUE(at);
      gemm_step_row<0, P, NV, T>(at, wv, acc[0]);
      if constexpr (L == 2) gemm_step_row<0, P, NV, T>(at + line, wv, acc[1]);
      w += kNr;
    }
    x += s.x_channel;
  }
  V b[NV];
  LAMINAE_UNROLL for (int j = 0; j < NV; j++) b[j] = V::zero();
  if (bias != nullptr) {
    LAMINAE_UNROLL for (int j = 0; j < NV; j++) {
      const int64_t left = rows - j * kW;
      b[j] = left >= kW ? V::load(bias + j * kW) : V::load_n(bias + j * kW, left);
    }
  }
  LAMINAE_UNROLL for (int l = 0; l < L; l++) {
    T* to = tile + l * tile_line;
    LAMINAE_UNROLL for (int i = 0; i < P; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) {
        (bias != nullptr ? acc[l][i][j] + b[j] : acc[l][i][j]).store(to + j * kW);
      }
      to += tile_pixel;
      LAMINAE_OPAQUE(to);
    }
  }
}

// Finds the instance by counting pixels down; two lines only where they fit.
template <class T, int P, int NV>
LAMINAE_INLINE void conv_channels_dispatch(int64_t lines, int64_t pixels, int64_t rows,
                                           const ChannelsWindow& s, const T* x, const T* w,
                                           const T* bias, T* tile, int64_t tile_line,
                                           int64_t tile_pixel) {
  constexpr int kVectors = GemmTile<T>::kMr * GemmTile<T>::kNr / Vec<T>::kWidth;
  if (pixels == P) {
    if constexpr (2 * P * NV <= kVectors) {
      if (lines == 2) {
        conv_channels_fixed<T, 2, P, NV>(rows, s, x, w, bias, tile, tile_line, tile_pixel);
        return;
      }
    }
    conv_channels_fixed<T, 1, P, NV>(rows, s, x, w, bias, tile, tile_line, tile_pixel);
  } else if constexpr (P > 1) {
    conv_channels_dispatch<T, P - 1, NV>(lines, pixels, rows, s, x, w, bias, tile, tile_line,
                                         tile_pixel);
  }
}

// y[j * y_row + l * y_line + i] = bias[j] + sum over channels c and taps t of
//   w[(c * taps + t) * gemm_nr + j] x[c * x_channel + offsets[t] + l * x_line + i / classes]
// with w = weights[i % classes], and the taps of windows[i % classes], for j < rows <= gemm_nr,
// l < lines <= 2, i < pixels; a class has up to gemm_mr pixels, and there are up to
// kChannelsClasses. Two lines if 2 * pixels * ceil(rows / vec_width) accumulators of a class are
// not more than those of gemm_tiles. Terms are added in the order of w, the bias last. `room`
// elements from the first pixel of the last line on are written later, or never read: stores may
// spill there. The same holds for the first line up to y_line.
template <class T>
void conv_channels(int64_t classes, const ChannelsWindow* windows, const T* const* weights,
                   int64_t lines, int64_t pixels, int64_t rows, const T* x, const T* bias, T* y,
                   int64_t y_row, int64_t y_line, int64_t room) {
  constexpr int kW = Vec<T>::kWidth;
  constexpr int kMr = GemmTile<T>::kMr;
  constexpr int kNv = GemmTile<T>::kNr / kW;
  T tile[kChannelsClasses * kMr * GemmTile<T>::kNr];
  const int64_t vectors = rows <= kW ? 1 : kNv == 2 || rows <= 2 * kW ? 2 : kNv;
  const int64_t ld = vectors * kW;
  for (int64_t c = 0; c < classes && c < pixels; c++) {
    const int64_t count = (pixels - c + classes - 1) / classes;
    const ChannelsWindow& s = windows[c];
    T* to = tile + c * ld;
    if (vectors == 1) {
      conv_channels_dispatch<T, kMr, 1>(lines, count, rows, s, x, weights[c], bias, to, pixels * ld,
                                        classes * ld);
    } else if (vectors == 2) {
      conv_channels_dispatch<T, kMr, 2>(lines, count, rows, s, x, weights[c], bias, to, pixels * ld,
                                        classes * ld);
    } else {
      conv_channels_dispatch<T, kMr, kNv>(lines, count, rows, s, x, weights[c], bias, to,
                                          pixels * ld, classes * ld);
    }
  }
  if (lines == 2 && y_line == pixels) {
    store_pixels(2 * pixels, rows, tile, ld, y, y_row, room + y_line);
    return;
  }
  if (lines == 2) {
    store_pixels(pixels, rows, tile, ld, y, y_row, pixels);
    store_pixels(pixels, rows, tile + pixels * ld, ld, y + y_line, y_row, room);
    return;
  }
  store_pixels(pixels, rows, tile, ld, y, y_row, room);
}

// to[l * to_line + i] = x[l * x_line + first + i * step], zero where first + i * step is outside
// [0, size).
template <class T>
void copy_lines(int64_t lines, int64_t count, const T* x, int64_t x_line, int64_t size,
                int64_t first, int64_t step, T* to, int64_t to_line) {
  for (int64_t l = 0; l < lines; l++) {
    copy_row_clipped(to + l * to_line, x + l * x_line, size, first, count, step);
  }
}

// even[l * to_line + i] = x[l * x_line + first + 2 i], odd the element after it; zero outside
// [0, size).
template <class T>
void split_lines(int64_t lines, int64_t count, const T* x, int64_t x_line, int64_t size,
                 int64_t first, T* even, T* odd, int64_t to_line) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  // Pairs [0, low) begin before the line, and those from high on reach beyond it.
  int64_t low = first < 0 ? (1 - first) / 2 : 0;
  if (low > count) low = count;
  for (int64_t l = 0; l < lines; l++) {
    for (int64_t i = 0; i < low; i++) {
      const int64_t at = first + 2 * i;
      even[i] = T(0);
      odd[i] = at == -1 && size > 0 ? x[0] : T(0);
    }
    for (int64_t i = low; i < count; i += kW) {
      const int64_t at = first + 2 * i;
      const int64_t left = size - at;  // elements of the line
      V a, b;
      if (left >= 2 * kW) {
        a = V::load(x + at);
        b = V::load(x + at + kW);
      } else {
        a = V::load_n(left > 0 ? x + at : x, left < 0 ? 0 : left < kW ? left : kW);
        b = V::load_n(left > kW ? x + at + kW : x, left > kW ? left - kW : 0);
      }
      V e, o;
      deinterleave(a, b, e, o);
      if (count - i >= kW) {
        e.store(even + i);
        o.store(odd + i);
      } else {
        e.store_n(even + i, count - i);
        o.store_n(odd + i, count - i);
      }
    }
    x += x_line;
    even += to_line;
    odd += to_line;
  }
}
