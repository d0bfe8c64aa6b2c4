// gemm_tiles: the register-tiled inner product of packed panels; gemm_dots for few rows.
//
//   c[i][j] = sum_p a[p][i] b[p][j] + row_bias[i] + col_bias[j] + add[i][j]
//   min(max(c, low), high) of that if it clamps
//     i in [0, m);  p in [0, k), k >= 0
//     j in [0, n), 1 <= n <= gemm_nr, or n is a multiple of that
//     a [ceil(m / tile)][k][tile]   rows in tiles (pack_panel*), tile <= gemm_mr or m <= gemm_mr;
//                      or where it lies: [k][a_step] with a_row 1, or [m][a_row] with a_step 1,
//                      this only where gemm_reads_rows and if there is nothing to copy
//     b [k][ldb]       rows of n columns, zero filled to a multiple of gemm_nr
//     c [m][ldc]       row-major; only columns < n are read or written
//     row_bias [m], col_bias [n], add [m][ldc]: null for none; add may be c
//     ask [asks], copy [copies]   what is asked for and copied meanwhile: rows of c that come next,
//                      or of what is multiplied next. A tile that asked for the rows of c that it
//                      writes itself would wait for them: a 1x1 convolution 64->256 @56 batch 8
//                      takes 20 % longer so.
//
// All of k accumulates in registers, so c is touched once. Every number of rows has its own fully
// unrolled instance, as has every number of vectors per row, so a narrow last panel costs what it
// holds. Split m into balanced tiles (64 = 13+13+13+13+12), not into full ones and a remainder.
//
// Measured on a Zen 5 core with packed panels in L1 or L2, as a share of fma_peak of the same
// process: 14x32 98.5-99.7 %, 13x32 and 7x32 98-99 %, AVX2 6x16 99 %, portable 4x8 77 %. Unrolling
// k gains nothing, and makes GCC spill in the portable tile (60 %).
//
// A call makes all tiles of a panel: what a caller does between two tiles of k = 64 costs 3 %,
// since the CPU finds the way through it only when nothing is left to multiply.

// 32 vector registers, or 16: what GemmTile was chosen for tells.
template <class T>
constexpr int kVectorRegisters = GemmTile<T>::kMr* GemmTile<T>::kNr / Vec<T>::kWidth > 16 ? 32 : 16;

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

// The MR elements of a that a step multiplies: one after the other, or one in each row.
template <class T, int MR, bool kRows>
struct ColumnOfA {
  const T* at;
  int64_t step;

  LAMINAE_INLINE ColumnOfA(const T* a, int64_t a_step) : at(a), step(a_step) {}
  LAMINAE_INLINE void next() { at += step; }
  template <int NV>
  LAMINAE_INLINE void multiply(const Vec<T> (&bv)[NV], Vec<T> (&acc)[MR][NV]) const {
    gemm_step_row<0, MR, NV, T>(at, bv, acc);
  }
};

// A pointer for three rows, which an address reaches with its index: one for each row would be more
// than there are registers. conv_weight_rows.inl reads its rows so too.
template <class T, int MR>
struct ColumnOfA<T, MR, true> {
  static constexpr int kPointers = (MR + 2) / 3;
  const T* at[kPointers];
  int64_t row;

  LAMINAE_INLINE ColumnOfA(const T* a, int64_t a_row) : row(a_row) {
    LAMINAE_UNROLL for (int q = 0; q < kPointers; q++) at[q] = a + 3 * q * row;
  }
  LAMINAE_INLINE const T* of_row(int i) const { return at[i / 3] + i % 3 * row; }
  LAMINAE_INLINE void next() {
    LAMINAE_UNROLL for (int q = 0; q < kPointers; q++) {
      at[q]++;
      LAMINAE_OPAQUE(at[q]);
    }
  }
  template <int NV>
  LAMINAE_INLINE void multiply(const Vec<T> (&bv)[NV], Vec<T> (&acc)[MR][NV]) const {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      const Vec<T> av = Vec<T>::set1(*of_row(i));
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
  }
};

template <int MR, int NV, class T>
LAMINAE_INLINE void gemm_epilogue(const GemmTiles<T>& g, T* c, const T* add, const T* row_bias,
                                  const T* col_bias, Vec<T> (&acc)[MR][NV]) {
  using V = Vec<T>;
  constexpr int kLast = (NV - 1) * V::kWidth;  // only the last vector of a row can be partial
  const int64_t tail = (g.n < GemmTile<T>::kNr ? g.n : GemmTile<T>::kNr) - kLast;
  const int64_t ldc = g.ldc;
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
  if (add != nullptr) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) {
        const T* from = add + j * V::kWidth;
        acc[i][j] = acc[i][j] + (j < NV - 1 ? V::load(from) : V::load_n(from, tail));
      }
      add += ldc;
      LAMINAE_OPAQUE(add);
    }
  }
  if (g.clamps) {
    const V low = V::set1(g.low);
    const V high = V::set1(g.high);
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < NV; j++) acc[i][j] = min(high, max(low, acc[i][j]));
    }
  }
  T* row = c;
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

// acc += column of a times row b[0, NV * kWidth), and on to the next.
template <int MR, int NV, class T, class Column>
LAMINAE_INLINE void gemm_next(Column& a, const T*& b, int64_t ldb, Vec<T> (&acc)[MR][NV]) {
  Vec<T> bv[NV];
  load_row(b, bv);
  a.multiply(bv, acc);
  a.next();
  b += ldb;
}

template <class T>
LAMINAE_INLINE void ask_for_row(const T* at, int64_t width) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < width - 1; i += kLine) LAMINAE_PREFETCH(at + i);
  LAMINAE_PREFETCH(at + width - 1);
}

template <class T>
LAMINAE_INLINE void copy_panel_row(const T* from, int64_t width, T* to) {
  constexpr int64_t kW = Vec<T>::kWidth;
  if (width == GemmTile<T>::kNr) {
    Vec<T> row[GemmTile<T>::kNr / kW];
    load_row(from, row);
    LAMINAE_UNROLL for (int j = 0; j < GemmTile<T>::kNr / kW; j++) row[j].store(to + j * kW);
    return;
  }
  int64_t i = 0;
  for (; i + kW <= width; i += kW) Vec<T>::load(from + i).store(to + i);
  if (i < width) Vec<T>::load_n(from + i, width - i).store_n(to + i, width - i);
}

// All k steps of tile `number` from column `col` on, the first with what is asked for and copied.
// Asking comes first: it is a few long loops, while the CPU is still catching up with what came
// between the tiles.
template <int MR, int NV, bool kRows, class T>
LAMINAE_INLINE void gemm_steps(const GemmTiles<T>& g, int64_t number, ColumnOfA<T, MR, kRows> a,
                               int64_t col, Vec<T> (&acc)[MR][NV]) {
  const T* b = g.b + col;
  const int64_t asks = col == 0 ? g.asks : 0;
  const int64_t copies = !kRows && col == 0 ? g.copies : 0;
  int64_t p = 0;
  for (int64_t s = 0; s < asks; s++) {
    const AskRows<T>& ask = g.ask[s];
    int64_t row = (number - ask.first) * ask.each;
    if (row < 0) continue;
    const int64_t end = ask.count - row < ask.each ? ask.count : row + ask.each;
    const T* at = ask.at + row * ask.step;
    for (; row < end; row++) {
      ask_for_row(at, ask.width);
      at += ask.step;
      if (p == g.k) continue;
      gemm_next(a, b, g.ldb, acc);
      p++;
    }
  }
  for (int64_t s = 0; s < copies; s++) {
    const CopyRows<T>& copy = g.copy[s];
    int64_t row = (number - 1) * copy.each;
    if (row < 0) continue;
    const int64_t end = copy.count - row < copy.each ? copy.count : row + copy.each;
    const T* from = copy.from + row * copy.step;
    T* to = copy.to + row * GemmTile<T>::kNr;
    for (; row < end; row++) {
      const bool goes_on = row + copy.each < copy.count;
      ask_for_row(goes_on ? from + copy.each * copy.step : from, copy.width);
      copy_panel_row(from, copy.width, to);
      from += copy.step;
      to += GemmTile<T>::kNr;
      const int64_t stop = g.k - p < copy.pace ? g.k : p + copy.pace;
      for (; p < stop; p++) gemm_next(a, b, g.ldb, acc);
    }
  }
  for (; p < g.k; p++) gemm_next(a, b, g.ldb, acc);
}

// `tiles` tiles of MR rows, the first of them from row `row` on.
template <class T, int MR, int NV, bool kRows>
LAMINAE_NOINLINE void gemm_tile_fixed(const GemmTiles<T>& g, int64_t row, int64_t tiles) {
  const int64_t first = row / g.tile;
  const int64_t apart = g.tile * (g.a_row == 0 ? g.k : g.a_row);
  const int64_t a_step = kRows ? g.a_row : g.a_row == 0 ? g.tile : g.a_step;
  const T* a = g.a + first * apart;
  T* c = g.c + row * g.ldc;
  const T* add = g.add == nullptr ? nullptr : g.add + row * g.ldc;
  const T* row_bias = g.row_bias == nullptr ? nullptr : g.row_bias + row;
  for (int64_t t = 0; t < tiles; t++) {
    for (int64_t col = 0; col < g.n; col += GemmTile<T>::kNr) {
      Vec<T> acc[MR][NV];
      gemm_clear(acc);
      gemm_steps<MR, NV, kRows>(g, g.number + first + t, {a, a_step}, col, acc);
      gemm_epilogue(g, c + col, add == nullptr ? nullptr : add + col, row_bias,
                    g.col_bias == nullptr ? nullptr : g.col_bias + col, acc);
    }
    a += apart;
    c += MR * g.ldc;
    if (add != nullptr) add += MR * g.ldc;
    if (row_bias != nullptr) row_bias += MR;
  }
}

template <class T, int MR, bool kRows>
LAMINAE_INLINE void gemm_tile_columns(const GemmTiles<T>& g, int64_t row, int64_t tiles) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kNv = GemmTile<T>::kNr / kWidth;
  static_assert(kNv == 2 || kNv == 3, "two or three vectors per row of c");
  if (g.n > (kNv - 1) * kWidth) {
    gemm_tile_fixed<T, MR, kNv, kRows>(g, row, tiles);
  } else if (kNv == 2 || g.n <= kWidth) {
    gemm_tile_fixed<T, MR, 1, kRows>(g, row, tiles);
  } else {
    gemm_tile_fixed<T, MR, 2, kRows>(g, row, tiles);
  }
}

// Finds the instance for tiles of mr rows by counting MR down from the largest.
template <class T, int MR, bool kRows>
LAMINAE_INLINE void gemm_tile_dispatch(const GemmTiles<T>& g, int64_t mr, int64_t row,
                                       int64_t tiles) {
  if (mr == MR) {
    gemm_tile_columns<T, MR, kRows>(g, row, tiles);
  } else if constexpr (MR > 1) {
    gemm_tile_dispatch<T, MR - 1, kRows>(g, mr, row, tiles);
  }
}

template <class T, bool kRows>
LAMINAE_INLINE void gemm_all_tiles(const GemmTiles<T>& g) {
  const int64_t full = g.m / g.tile;
  const int64_t rest = g.m % g.tile;
  if (full > 0) gemm_tile_dispatch<T, GemmTile<T>::kMr, kRows>(g, g.tile, 0, full);
  if (rest > 0) gemm_tile_dispatch<T, GemmTile<T>::kMr, kRows>(g, rest, g.m - rest, 1);
}

// Not where the ISA multiplies by a lane: an instruction more for each element of a, in the place
// of an FMA.
template <class T>
constexpr bool kGemmReadsRows = !Vec<T>::kLaneFma;

template <class T>
void gemm_tiles(const GemmTiles<T>& g) {
  if constexpr (kGemmReadsRows<T>) {
    if (g.a_row > 1) return gemm_all_tiles<T, true>(g);
  }
  gemm_all_tiles<T, false>(g);
}

// Rows of c that gemm_dots makes at a time, and columns. With 8 rows GCC for NEON loads all of them
// ahead of the FMAs and spills.
template <class T>
constexpr int kDotRows = kVectorRegisters<T> == 32 && !Vec<T>::kLaneFma ? 8 : 4;
constexpr int kDotColumns = 3;

template <class T, int R, int C>
LAMINAE_NOINLINE void gemm_dots_fixed(int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
                                      const T* bias, bool adds, T* c, int64_t ldc) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  V acc[R][C];
  gemm_clear(acc);
  int64_t p = 0;
  for (; p + kW <= k; p += kW) {
    V bv[C];
    LAMINAE_UNROLL for (int j = 0; j < C; j++) bv[j] = V::load(b + j * ldb + p);
    const T* row = a + p;
    LAMINAE_UNROLL for (int i = 0; i < R; i++) {
      const V av = V::load(row);
      row += lda;
      LAMINAE_OPAQUE(row);
      LAMINAE_UNROLL for (int j = 0; j < C; j++) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
  }
  if (p < k) {
    V bv[C];
    LAMINAE_UNROLL for (int j = 0; j < C; j++) bv[j] = V::load_n(b + j * ldb + p, k - p);
    LAMINAE_UNROLL for (int i = 0; i < R; i++) {
      const V av = V::load_n(a + i * lda + p, k - p);
      LAMINAE_UNROLL for (int j = 0; j < C; j++) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
  }
  LAMINAE_UNROLL for (int i = 0; i < R; i++) {
    LAMINAE_UNROLL for (int j = 0; j < C; j++) {
      const T sum = reduce_add(acc[i][j]) + (bias != nullptr ? bias[j] : T(0));
      c[j] = adds ? sum + c[j] : sum;
    }
    c += ldc;
  }
}

template <class T, int R>
LAMINAE_INLINE void gemm_dots_dispatch(int64_t rows, int64_t columns, int64_t k, const T* a,
                                       int64_t lda, const T* b, int64_t ldb, const T* bias,
                                       bool adds, T* c, int64_t ldc) {
  if (rows == R) {
    if (columns == 3) {
      gemm_dots_fixed<T, R, 3>(k, a, lda, b, ldb, bias, adds, c, ldc);
    } else if (columns == 2) {
      gemm_dots_fixed<T, R, 2>(k, a, lda, b, ldb, bias, adds, c, ldc);
    } else {
      gemm_dots_fixed<T, R, 1>(k, a, lda, b, ldb, bias, adds, c, ldc);
    }
  } else if constexpr (R > 1) {
    gemm_dots_dispatch<T, R - 1>(rows, columns, k, a, lda, b, ldb, bias, adds, c, ldc);
  }
}

// c[i][j] = sum_p a[i][p] b[j][p] + bias[j] (+ c[i][j] if it adds), i < m, j < n: the rows of both
// as they lie, k in the lanes. For few rows a, to which packing b would cost more than the product.
template <class T>
void gemm_dots(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
               const T* bias, bool adds, T* c, int64_t ldc) {
  for (int64_t j = 0; j < n; j += kDotColumns) {
    const int64_t columns = n - j < kDotColumns ? n - j : kDotColumns;
    for (int64_t i = 0; i < m; i += kDotRows<T>) {
      const int64_t rows = m - i < kDotRows<T> ? m - i : kDotRows<T>;
      gemm_dots_dispatch<T, kDotRows<T>>(rows, columns, k, a + i * lda, lda, b + j * ldb, ldb,
                                         bias != nullptr ? bias + j : nullptr, adds,
                                         c + i * ldc + j, ldc);
    }
  }
}
