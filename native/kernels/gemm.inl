// gemm_tile: the register-tiled inner product of packed panels, and gemv for a single column.
//
//   c[i][j] (+)= sum_p a[p][i] b[p][j] + row_bias[i] + col_bias[j]
//     i in [0, mr), 1 <= mr <= gemm_mr;  j in [0, n), 1 <= n <= gemm_nr;  p in [0, k), k >= 0
//     a [k][lda]       panel of rows, lda >= mr (pack_panel*, usually lda = gemm_mr)
//     b [k][gemm_nr]   panel of columns, zero filled beyond n
//     c [mr][ldc]      row-major; only columns < n are read or written
//     row_bias [mr], col_bias [n]: null for none; accumulate adds to c instead of overwriting it
//     ahead [aheads]   what to ask for meanwhile, a row with each p: rows of c that come next, or
//                      of what is packed next. Asked for by the tile that writes them they come
//                      too late: a 1x1 convolution 64->256 @56 batch 8 on two threads takes 1.81
//                      to 1.98 ms so, else 1.72.
//
// All of k accumulates in registers, so c is touched once. Every mr has its own fully unrolled
// instance, as has every number of vectors per row, so a narrow last panel costs what it holds.
// Split m into balanced tiles (64 = 13+13+13+13+12), not into full ones and a remainder.
//
// Measured on a Zen 5 core with packed panels in L1 or L2, as a share of fma_peak of the same
// process: 14x32 98.5-99.7 %, 13x32 and 7x32 98-99 %, AVX2 6x16 99 %, portable 4x8 77 %. Unrolling
// k gains nothing, and makes GCC spill in the portable tile (60 %).

template <class T, int NV>
LAMINAE_INLINE void load_row(const T* b, Vec<T> (&bv)[NV]) {
  LAMINAE_UNROLL for (int j = 0; j < NV; j++) bv[j] = Vec<T>::load(b + j * Vec<T>::kWidth);
}

// acc[I][*] += a[I] bv. When the ISA multiplies by a lane (kLaneFma), rows come from whole vectors
// of a as far as MR fills them.
template <int I, int MR, int NV, class T>
LAMINAE_INLINE void gemm_step_row(const T* a, const Vec<T> (&bv)[NV], Vec<T> (&acc)[MR][NV]) {
  using V = Vec<T>;
  if constexpr (V::kLaneFma && I % V::kWidth == 0 && I + V::kWidth <= MR) {
    const V av = V::load(a + I);
    LAMINAE_UNROLL for (int j = 0; j < NV; j++) {
      acc[I][j] = V::template fma_lane<0>(bv[j], av, acc[I][j]);
      acc[I + 1][j] = V::template fma_lane<1>(bv[j], av, acc[I + 1][j]);
      if constexpr (V::kWidth == 4) {
        acc[I + 2][j] = V::template fma_lane<2>(bv[j], av, acc[I + 2][j]);
        acc[I + 3][j] = V::template fma_lane<3>(bv[j], av, acc[I + 3][j]);
      }
    }
    if constexpr (I + V::kWidth < MR) gemm_step_row<I + V::kWidth, MR, NV, T>(a, bv, acc);
  } else {
    const V av = V::set1(a[I]);
    LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[I][j] = fma(av, bv[j], acc[I][j]);
    if constexpr (I + 1 < MR) gemm_step_row<I + 1, MR, NV, T>(a, bv, acc);
  }
}

// acc += column a[0, MR) times row b[0, NV * kWidth).
template <int MR, int NV, class T>
LAMINAE_INLINE void gemm_step(const T* a, const T* b, Vec<T> (&acc)[MR][NV]) {
  Vec<T> bv[NV];
  load_row(b, bv);
  gemm_step_row<0, MR, NV, T>(a, bv, acc);
}

template <int MR, int NV, class T>
LAMINAE_INLINE void gemm_epilogue(int64_t n, T* c, int64_t ldc, bool accumulate, const T* row_bias,
                                  const T* col_bias, Vec<T> (&acc)[MR][NV]) {
  using V = Vec<T>;
  constexpr int kLast = (NV - 1) * V::kWidth;  // only the last vector of a row can be partial
  const int64_t tail = n - kLast;
  if (row_bias != nullptr) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      const V r = V::set1(row_bias[i]);
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[i][j] = acc[i][j] + r;
    }
  }
  if (col_bias != nullptr) {
    LAMINAE_UNROLL for (int j = 0; j < NV; j++) {
      const V r =
          j < NV - 1 ? V::load(col_bias + j * V::kWidth) : V::load_n(col_bias + kLast, tail);
      LAMINAE_UNROLL for (int i = 0; i < MR; i++) acc[i][j] = acc[i][j] + r;
    }
  }
  // From row to row by addition: as products, GCC computes the addresses of all rows before it
  // stores the first.
  T* row = c;
  if (accumulate) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) {
        const T* from = row + j * V::kWidth;
        acc[i][j] = acc[i][j] + (j < NV - 1 ? V::load(from) : V::load_n(from, tail));
      }
      row += ldc;
      LAMINAE_OPAQUE(row);
    }
    row = c;
  }
  if (tail == V::kWidth) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[i][j].store(row + j * V::kWidth);
      row += ldc;
      LAMINAE_OPAQUE(row);
    }
  } else {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV - 1; j++) acc[i][j].store(row + j * V::kWidth);
      acc[i][NV - 1].store_n(row + kLast, tail);
      row += ldc;
      LAMINAE_OPAQUE(row);
    }
  }
}

template <int MR, int NV, class T>
LAMINAE_INLINE void gemm_clear(Vec<T> (&acc)[MR][NV]) {
  LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
    LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[i][j] = Vec<T>::zero();
  }
}

// gemm_step, and on to the next; PACKS: copies the row of b to packed.
template <bool PACKS, int MR, int NV, class T>
LAMINAE_INLINE void gemm_next(const T*& a, int64_t lda, const T*& b, int64_t ldb, T*& packed,
                              Vec<T> (&acc)[MR][NV]) {
  if constexpr (PACKS) {
    LAMINAE_UNROLL for (int j = 0; j < NV * Vec<T>::kWidth; j += Vec<T>::kWidth) {
      Vec<T>::load(b + j).store(packed + j);
    }
    packed += GemmTile<T>::kNr;
  }
  gemm_step(a, b, acc);
  a += lda;
  b += ldb;
}

// All k steps, the first of them with a row of `ahead` each.
template <bool PACKS, int MR, int NV, class T>
LAMINAE_INLINE void gemm_steps(int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
                               T* packed, const AheadRows<T>* ahead, int64_t aheads,
                               Vec<T> (&acc)[MR][NV]) {
  int64_t p = 0;
  for (int64_t s = 0; s < aheads; s++) {
    const int64_t end = k - p < ahead[s].count ? k : p + ahead[s].count;
    const T* at = ahead[s].at;
    for (; p < end; p++) {
      LAMINAE_PREFETCH(at);
      LAMINAE_PREFETCH(at + ahead[s].width / 2);
      LAMINAE_PREFETCH(at + ahead[s].width - 1);
      at += ahead[s].step;
      gemm_next<PACKS>(a, lda, b, ldb, packed, acc);
    }
  }
  for (; p < k; p++) gemm_next<PACKS>(a, lda, b, ldb, packed, acc);
}

template <class T, int MR, int NV>
LAMINAE_NOINLINE void gemm_tile_fixed(int64_t n, int64_t k, const T* a, int64_t lda, const T* b,
                                      T* c, int64_t ldc, bool accumulate, const T* row_bias,
                                      const T* col_bias, const AheadRows<T>* ahead,
                                      int64_t aheads) {
  constexpr int kNr = GemmTile<T>::kNr;
  Vec<T> acc[MR][NV];
  gemm_clear(acc);
  gemm_steps<false>(k, a, lda, b, kNr, static_cast<T*>(nullptr), ahead, aheads, acc);
  gemm_epilogue(n, c, ldc, accumulate, row_bias, col_bias, acc);
}

template <class T, int MR>
LAMINAE_INLINE void gemm_tile_rows(int64_t n, int64_t k, const T* a, int64_t lda, const T* b, T* c,
                                   int64_t ldc, bool accumulate, const T* row_bias,
                                   const T* col_bias, const AheadRows<T>* ahead, int64_t aheads) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kNv = GemmTile<T>::kNr / kWidth;
  static_assert(kNv == 2 || kNv == 3, "two or three vectors per row of c");
  if (n > (kNv - 1) * kWidth) {
    gemm_tile_fixed<T, MR, kNv>(n, k, a, lda, b, c, ldc, accumulate, row_bias, col_bias, ahead,
                                aheads);
  } else if (kNv == 2 || n <= kWidth) {
    gemm_tile_fixed<T, MR, 1>(n, k, a, lda, b, c, ldc, accumulate, row_bias, col_bias, ahead,
                              aheads);
  } else {
    gemm_tile_fixed<T, MR, 2>(n, k, a, lda, b, c, ldc, accumulate, row_bias, col_bias, ahead,
                              aheads);
  }
}

// Finds the instance for mr by counting MR down from the largest.
template <class T, int MR>
LAMINAE_INLINE void gemm_tile_dispatch(int64_t mr, int64_t n, int64_t k, const T* a, int64_t lda,
                                       const T* b, T* c, int64_t ldc, bool accumulate,
                                       const T* row_bias, const T* col_bias,
                                       const AheadRows<T>* ahead, int64_t aheads) {
  if (mr == MR) {
    gemm_tile_rows<T, MR>(n, k, a, lda, b, c, ldc, accumulate, row_bias, col_bias, ahead, aheads);
  } else if constexpr (MR > 1) {
    gemm_tile_dispatch<T, MR - 1>(mr, n, k, a, lda, b, c, ldc, accumulate, row_bias, col_bias,
                                  ahead, aheads);
  }
}

template <class T>
void gemm_tile(int64_t mr, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, T* c,
               int64_t ldc, bool accumulate, const T* row_bias, const T* col_bias,
               const AheadRows<T>* ahead, int64_t aheads) {
  gemm_tile_dispatch<T, GemmTile<T>::kMr>(mr, n, k, a, lda, b, c, ldc, accumulate, row_bias,
                                          col_bias, ahead, aheads);
}

template <class T, int MR>
LAMINAE_NOINLINE void gemm_tile_packing_fixed(int64_t k, const T* a, int64_t lda, const T* b,
                                              int64_t ldb, T* packed, T* c, int64_t ldc,
                                              const T* row_bias, const AheadRows<T>* ahead,
                                              int64_t aheads) {
  constexpr int kNr = GemmTile<T>::kNr;
  constexpr int kNv = kNr / Vec<T>::kWidth;
  Vec<T> acc[MR][kNv];
  gemm_clear(acc);
  gemm_steps<true>(k, a, lda, b, ldb, packed, ahead, aheads, acc);
  gemm_epilogue(kNr, c, ldc, false, row_bias, static_cast<const T*>(nullptr), acc);
}

template <class T, int MR>
LAMINAE_INLINE void gemm_tile_packing_dispatch(int64_t mr, int64_t k, const T* a, int64_t lda,
                                               const T* b, int64_t ldb, T* packed, T* c,
                                               int64_t ldc, const T* row_bias,
                                               const AheadRows<T>* ahead, int64_t aheads) {
  if (mr == MR) {
    gemm_tile_packing_fixed<T, MR>(k, a, lda, b, ldb, packed, c, ldc, row_bias, ahead, aheads);
  } else if constexpr (MR > 1) {
    gemm_tile_packing_dispatch<T, MR - 1>(mr, k, a, lda, b, ldb, packed, c, ldc, row_bias, ahead,
                                          aheads);
  }
}

// gemm_tile with all gemm_nr columns of b [k][ldb] as they lie, which are packed on the way, to
// packed [k][gemm_nr] for the tiles that follow. A 1x1 convolution 256->64 @56 batch 8 takes 4.2 ms
// so, 5.3 with pack_panel before the first tile.
template <class T>
void gemm_tile_packing(int64_t mr, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
                       T* packed, T* c, int64_t ldc, const T* row_bias, const AheadRows<T>* ahead,
                       int64_t aheads) {
  gemm_tile_packing_dispatch<T, GemmTile<T>::kMr>(mr, k, a, lda, b, ldb, packed, c, ldc, row_bias,
                                                  ahead, aheads);
}

// Four rows share each load of x; two accumulators per row hide the latency of the FMA.
template <class T, int R>
LAMINAE_INLINE void gemv_rows(int64_t k, const T* a, int64_t lda, const T* x, const T* bias, T* y) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V acc[R][2];
  LAMINAE_UNROLL for (int i = 0; i < R; i++) acc[i][0] = acc[i][1] = V::zero();
  int64_t p = 0;
  for (; p + 2 * kW <= k; p += 2 * kW) {
    const V x0 = V::load(x + p);
    const V x1 = V::load(x + p + kW);
    LAMINAE_UNROLL for (int i = 0; i < R; i++) {
      acc[i][0] = fma(V::load(a + i * lda + p), x0, acc[i][0]);
      acc[i][1] = fma(V::load(a + i * lda + p + kW), x1, acc[i][1]);
    }
  }
  for (; p < k; p += kW) {
    const int64_t n = k - p < kW ? k - p : kW;
    const V xv = V::load_n(x + p, n);
    LAMINAE_UNROLL for (int i = 0; i < R; i++) {
      acc[i][0] = fma(V::load_n(a + i * lda + p, n), xv, acc[i][0]);
    }
  }
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    y[i] = reduce_add(acc[i][0] + acc[i][1]) + (bias != nullptr ? bias[i] : T(0));
  }
}

// y[i] = sum_p a[i][p] x[p] + bias[i], a [m][lda] row-major, bias [m] or null: a linear layer for
// one sample, where packing the weights would cost more than the product.
template <class T>
void gemv(int64_t m, int64_t k, const T* a, int64_t lda, const T* x, const T* bias, T* y) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) {
    gemv_rows<T, 4>(k, a + i * lda, lda, x, bias != nullptr ? bias + i : nullptr, y + i);
  }
  for (; i < m; i++) {
    gemv_rows<T, 1>(k, a + i * lda, lda, x, bias != nullptr ? bias + i : nullptr, y + i);
  }
}
