// conv_weight_rows: weight gradient of a pointwise convolution, one side packed with channels in
// lanes.
//
//   to[r][v] = sum over pixels p of  x[r][at(p)] * panel[p][v]    (added to to[r][v] if
//   `accumulates`)
//     x [rows]         x_row apart; rows <= gemm_mr
//     at(p)            runs[l].at + q, q in [0, runs[l].count), l in [0, run_count); one more tells
//                      where the rows of the next tile begin
//     panel [pixels]   as many whole vectors as hold `channels` <= gemm_nr
//     to [rows]        to_row apart, `channels` of each: nothing else is touched
//
// A pixel costs one broadcast a row straight from the images. Rows lie x_row apart, so a pointer
// for three of them is enough: conv_weight_taps has registers for 8 only. Measured on a Zen 5 core
// as a share of fma_peak of the same process, with a panel of 400 to 800 pixels in L2: 96-99 %.
template <class T, int R, int NV>
void conv_weight_rows_fixed(int64_t channels, int64_t run_count, const PixelRun* runs, const T* x,
                            int64_t x_row, const T* panel, bool accumulates, T* to,
                            int64_t to_row) {
  using V = Vec<T>;
  constexpr int64_t kLine = 64 / sizeof(T);
  constexpr int64_t kAhead = 4 * kLine;  // pixels: more streams than the CPU follows by itself
  constexpr int kGroups = (R + 2) / 3;
  V sum[R][NV];
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    LAMINAE_UNROLL for (int v = 0; v < NV; v++) sum[i][v] = V::zero();
  }
  for (int64_t l = 0; l < run_count; l++) {
    const int64_t count = runs[l].count;
    const T* row[kGroups];
    LAMINAE_UNROLL for (int g = 0; g < kGroups; g++) row[g] = x + runs[l].at + 3 * g * x_row;
    const int64_t ahead = count < kAhead ? count : kAhead;
    const int64_t jump = runs[l + 1].at - runs[l].at - count + ahead;
    for (int64_t q = 0; q < count;) {
      const int64_t end = count - q < kLine ? count : q + kLine;
      const int64_t step = q + ahead < count ? ahead : jump;
      LAMINAE_UNROLL for (int r = 0; r < R; r++) {
        LAMINAE_PREFETCH(row[r / 3] + r % 3 * x_row + step);
      }
      for (; q < end; q++) {
        V b[NV];
        load_row(panel, b);
        LAMINAE_UNROLL for (int r = 0; r < R; r++) {
          const V a = V::set1(row[r / 3][r % 3 * x_row]);
          LAMINAE_UNROLL for (int v = 0; v < NV; v++) sum[r][v] = fma(a, b[v], sum[r][v]);
        }
        LAMINAE_UNROLL for (int g = 0; g < kGroups; g++) row[g]++;
        panel += NV * V::kWidth;
      }
    }
  }
  constexpr int kLast = (NV - 1) * V::kWidth;  // only the last vector of a row can be partial
  const int64_t tail = channels - kLast;
  if (accumulates) {
    const T* from = to;
    LAMINAE_UNROLL for (int r = 0; r < R; r++) {
      LAMINAE_UNROLL for (int v = 0; v < NV - 1; v++) {
        sum[r][v] = V::load(from + v * V::kWidth) + sum[r][v];
      }
      const V last = tail == V::kWidth ? V::load(from + kLast) : V::load_n(from + kLast, tail);
      sum[r][NV - 1] = last + sum[r][NV - 1];
      from += to_row;
      LAMINAE_OPAQUE(from);
    }
  }
  LAMINAE_UNROLL for (int r = 0; r < R; r++) {
    LAMINAE_UNROLL for (int v = 0; v < NV - 1; v++) sum[r][v].store(to + v * V::kWidth);
    if (tail == V::kWidth) {
      sum[r][NV - 1].store(to + kLast);
    } else {
      sum[r][NV - 1].store_n(to + kLast, tail);
    }
    to += to_row;
    LAMINAE_OPAQUE(to);
  }
}

template <class T, int R, int NV>
LAMINAE_INLINE void conv_weight_rows_dispatch(int64_t rows, int64_t channels, int64_t run_count,
                                              const PixelRun* runs, const T* x, int64_t x_row,
                                              const T* panel, bool accumulates, T* to,
                                              int64_t to_row) {
  if (rows == R) {
    conv_weight_rows_fixed<T, R, NV>(channels, run_count, runs, x, x_row, panel, accumulates, to,
                                     to_row);
  } else if constexpr (R > 1) {
    conv_weight_rows_dispatch<T, R - 1, NV>(rows, channels, run_count, runs, x, x_row, panel,
                                            accumulates, to, to_row);
  }
}

template <class T>
void conv_weight_rows(int64_t rows, int64_t channels, int64_t run_count, const PixelRun* runs,
                      const T* x, int64_t x_row, const T* panel, bool accumulates, T* to,
                      int64_t to_row) {
  constexpr int kW = Vec<T>::kWidth;
  constexpr int kMr = GemmTile<T>::kMr;
  constexpr int kNv = GemmTile<T>::kNr / kW;
  if (channels <= kW) {
    conv_weight_rows_dispatch<T, kMr, 1>(rows, channels, run_count, runs, x, x_row, panel,
                                         accumulates, to, to_row);
  } else if (kNv == 2 || channels <= 2 * kW) {
    conv_weight_rows_dispatch<T, kMr, 2>(rows, channels, run_count, runs, x, x_row, panel,
                                         accumulates, to, to_row);
  } else {
    conv_weight_rows_dispatch<T, kMr, kNv>(rows, channels, run_count, runs, x, x_row, panel,
                                           accumulates, to, to_row);
  }
}
