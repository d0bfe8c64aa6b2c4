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
// A pixel costs one broadcast a row straight from the images. Rows lie x_row apart, so ColumnOfA
// reaches all of a tile: conv_weight_taps has registers for 8 only. Measured on a Zen 5 core
// as a share of fma_peak of the same process, with a panel of 400 to 800 pixels in L2: 96-99 %.
template <class T, int R, int NV>
void conv_weight_rows_fixed(int64_t channels, int64_t run_count, const PixelRun* runs, const T* x,
                            int64_t x_row, const T* panel, bool accumulates, T* to,
                            int64_t to_row) {
  using V = Vec<T>;
  constexpr int64_t kLine = 64 / sizeof(T);
  constexpr int64_t kAhead = 4 * kLine;  // pixels: more streams than the CPU follows by itself
  V sum[R][NV];
  gemm_clear(sum);
  for (int64_t l = 0; l < run_count; l++) {
    const int64_t count = runs[l].count;
    ColumnOfA<T, R, true> column(x + runs[l].at, x_row);
    const int64_t ahead = count < kAhead ? count : kAhead;
    const int64_t jump = runs[l + 1].at - runs[l].at - count + ahead;
    for (int64_t q = 0; q < count;) {
      const int64_t end = count - q < kLine ? count : q + kLine;
      const int64_t step = q + ahead < count ? ahead : jump;
      LAMINAE_UNROLL for (int r = 0; r < R; r++) LAMINAE_PREFETCH(column.of_row(r) + step);
      for (; q < end; q++) gemm_next(column, panel, NV * V::kWidth, sum);
    }
  }
  GemmTiles<T> tile{};
  tile.n = channels;
  tile.ldc = to_row;
  gemm_epilogue(tile, to, accumulates ? to : nullptr, static_cast<const T*>(nullptr),
                static_cast<const T*>(nullptr), sum);
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
