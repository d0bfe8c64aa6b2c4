// conv_weight_taps: weight gradient with output channels in lanes.
//
//   acc[r][j][v] = sum over pixels p of  x[r][at(p) + j * tap_step] * dy[p][v]
//   added to what is there if `accumulates`
//     x [rows]         one pointer per kernel line of a channel
//     at(p)            lines[l] + q * pixel_step, l in [0, line_count), q in [0, line_length)
//     dy [pixels]      distance dy_ld; packed with output channels innermost
//     acc              [r * acc_row + j * acc_tap + v]
//
// A tap costs one broadcast straight from the image and one FMA per vector of channels, so nothing
// is expanded or transposed but dy. rows * taps <= kConvWeightTile, rows <= kConvWeightRows,
// taps <= kConvWeightTaps, channels <= gemm_nr (dy and acc hold whole vectors).

// Accumulators are the limit: rows * taps for `NV` vectors of channels. A single vector takes as
// many broadcasts as multiply-adds, so the tile is made as large as it can be.
template <class T, int NV>
constexpr int kConvWeightTile = NV == 1 ? 2 * GemmTile<T>::kMr - 3 : GemmTile<T>::kMr;

template <class T, int R, int K, int NV>
void conv_weight_fixed(int64_t line_count, const int64_t* lines, int64_t line_length,
                       const T* const* x, int64_t tap_step, int64_t pixel_step, const T* dy,
                       int64_t dy_ld, bool accumulates, T* acc, int64_t acc_row, int64_t acc_tap) {
  using V = Vec<T>;
  V sum[R * K][NV];
  LAMINAE_UNROLL for (int i = 0; i < R * K; i++) {
    LAMINAE_UNROLL for (int v = 0; v < NV; v++) sum[i][v] = V::zero();
  }
  for (int64_t l = 0; l < line_count; l++) {
    const T* row[R];
    LAMINAE_UNROLL for (int r = 0; r < R; r++) row[r] = x[r] + lines[l];
    for (int64_t q = 0; q < line_length; q++) {
      V d[NV];
      load_row(dy, d);
      LAMINAE_UNROLL for (int r = 0; r < R; r++) {
        LAMINAE_UNROLL for (int j = 0; j < K; j++) {
          const V a = V::set1(row[r][j * tap_step]);
          LAMINAE_UNROLL for (int v = 0; v < NV; v++) {
            sum[r * K + j][v] = fma(a, d[v], sum[r * K + j][v]);
          }
        }
        row[r] += pixel_step;
      }
      dy += dy_ld;
    }
  }
  if (accumulates) {
    LAMINAE_UNROLL for (int i = 0; i < R * K; i++) {
      const T* from = acc + i / K * acc_row + i % K * acc_tap;
      LAMINAE_UNROLL for (int v = 0; v < NV; v++) {
        sum[i][v] = V::load(from + v * V::kWidth) + sum[i][v];
      }
    }
  }
  LAMINAE_UNROLL for (int i = 0; i < R * K; i++) {
    T* to = acc + i / K * acc_row + i % K * acc_tap;
    LAMINAE_UNROLL for (int v = 0; v < NV; v++) sum[i][v].store(to + v * V::kWidth);
  }
}

// Finds the instance by counting R, then K down; only pairs that fit exist.
template <class T, int R, int K, int NV>
LAMINAE_INLINE void conv_weight_dispatch(int64_t rows, int64_t taps, int64_t line_count,
                                         const int64_t* lines, int64_t line_length,
                                         const T* const* x, int64_t tap_step, int64_t pixel_step,
                                         const T* dy, int64_t dy_ld, bool accumulates, T* acc,
                                         int64_t acc_row, int64_t acc_tap) {
  if (taps == K) {
    if constexpr (R * K <= kConvWeightTile<T, NV>) {
      if (rows == R) {
        conv_weight_fixed<T, R, K, NV>(line_count, lines, line_length, x, tap_step, pixel_step, dy,
                                       dy_ld, accumulates, acc, acc_row, acc_tap);
        return;
      }
    }
    if constexpr (R > 1) {
      conv_weight_dispatch<T, R - 1, K, NV>(rows, taps, line_count, lines, line_length, x, tap_step,
                                            pixel_step, dy, dy_ld, accumulates, acc, acc_row,
                                            acc_tap);
    }
  } else if constexpr (K > 1) {
    conv_weight_dispatch<T, R, K - 1, NV>(rows, taps, line_count, lines, line_length, x, tap_step,
                                          pixel_step, dy, dy_ld, accumulates, acc, acc_row,
                                          acc_tap);
  }
}

template <class T>
void conv_weight_taps(int64_t rows, int64_t taps, int64_t channels, int64_t line_count,
                      const int64_t* lines, int64_t line_length, const T* const* x,
                      int64_t tap_step, int64_t pixel_step, const T* dy, int64_t dy_ld,
                      bool accumulates, T* acc, int64_t acc_row, int64_t acc_tap) {
  constexpr int kW = Vec<T>::kWidth;
  constexpr int kRows = kConvWeightRows;
  constexpr int kTaps = kConvWeightTaps;
  constexpr int kNv = GemmTile<T>::kNr / kW;
  if (channels <= kW) {
    conv_weight_dispatch<T, kRows, kTaps, 1>(rows, taps, line_count, lines, line_length, x,
                                             tap_step, pixel_step, dy, dy_ld, accumulates, acc,
                                             acc_row, acc_tap);
  } else if (kNv == 2 || channels <= 2 * kW) {
    conv_weight_dispatch<T, kRows, kTaps, 2>(rows, taps, line_count, lines, line_length, x,
                                             tap_step, pixel_step, dy, dy_ld, accumulates, acc,
                                             acc_row, acc_tap);
  } else {
    conv_weight_dispatch<T, kRows, kTaps, kNv>(rows, taps, line_count, lines, line_length, x,
                                               tap_step, pixel_step, dy, dy_ld, accumulates, acc,
                                               acc_row, acc_tap);
  }
}
