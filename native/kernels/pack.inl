// Packing of matrices into the panels gemm_tiles reads, and plain transposition.
//
// A panel is [k][panel_width] with `width` columns of data and zeros from width to panel_width:
// for the a side panel_width is usually gemm_mr, for the b side it must be gemm_nr.

// Stores the first `room` lanes of one row of a panel that ends at `end`. A row narrower than a
// vector may spill into the next one, which is written later: cheaper than a masked store.
template <class T>
LAMINAE_INLINE void store_panel_row(Vec<T> v, T* to, int64_t room, bool may_spill, const T* end) {
  if (room == Vec<T>::kWidth || (may_spill && end - to >= Vec<T>::kWidth)) {
    v.store(to);
  } else {
    v.store_n(to, room);
  }
}

// panel[p][i] = src[p][i], src [k][ld], i < width.
template <class T>
void pack_panel(int64_t k, int64_t width, const T* src, int64_t ld, T* panel, int64_t panel_width) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  constexpr int kNv = GemmTile<T>::kNr / V::kWidth;
  if (width == GemmTile<T>::kNr && panel_width == GemmTile<T>::kNr) {
    for (int64_t p = 0; p < k; p++) {
      V row[kNv];
      load_row(src + p * ld, row);
      LAMINAE_UNROLL for (int j = 0; j < kNv; j++) row[j].store(panel + j * kW);
      panel += GemmTile<T>::kNr;
    }
    return;
  }
  const T* end = panel + k * panel_width;
  const bool single = panel_width <= kW;
  for (int64_t p = 0; p < k; p++) {
    const T* from = src + p * ld;
    for (int64_t i = 0; i < panel_width; i += kW) {
      const int64_t valid = width - i < 0 ? 0 : width - i < kW ? width - i : kW;
      const int64_t room = panel_width - i < kW ? panel_width - i : kW;
      store_panel_row(V::load_n(from + (valid > 0 ? i : 0), valid), panel + i, room, single, end);
    }
    panel += panel_width;
  }
}

// Loads the block of `rows` x `cols` (each <= kWidth) at src, zero filled, transposed.
template <class T>
LAMINAE_INLINE void load_transposed(int64_t rows, int64_t cols, const T* src, int64_t ld,
                                    Vec<T> (&block)[Vec<T>::kWidth]) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  if (rows == kW && cols == kW) {
    LAMINAE_UNROLL for (int i = 0; i < kW; i++) block[i] = V::load(src + i * ld);
  } else {
    LAMINAE_UNROLL for (int i = 0; i < kW; i++) {
      block[i] = i < rows ? V::load_n(src + i * ld, cols) : V::zero();
    }
  }
  transpose(block);
}

// panel[p][i] = src[i][p], src [width][ld], i < width.
template <class T>
void pack_panel_transposed(int64_t k, int64_t width, const T* src, int64_t ld, T* panel,
                           int64_t panel_width) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  // More streams than the CPU follows by itself. The weight gradient of 7x7 3->64 @224 batch 8
  // takes 11.1 ms so, 11.8 without.
  constexpr int64_t kAhead = 4 * 64 / sizeof(T);
  const T* end = panel + k * panel_width;
  const bool single = panel_width <= kW;
  for (int64_t i = 0; i < panel_width; i += kW) {
    const int64_t rows = width - i < 0 ? 0 : width - i < kW ? width - i : kW;
    const int64_t room = panel_width - i < kW ? panel_width - i : kW;
    for (int64_t p = 0; p < k; p += kW) {
      const int64_t cols = k - p < kW ? k - p : kW;
      V block[kW];
      for (int64_t q = 0; q < rows; q++) LAMINAE_PREFETCH(src + (i + q) * ld + p + kAhead);
      load_transposed(rows, cols, rows > 0 ? src + i * ld + p : src, ld, block);
      T* to = panel + p * panel_width + i;
      LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
        if (q < cols) store_panel_row(block[q], to + q * panel_width, room, single, end);
      }
    }
  }
}

// dst[j][i] = src[i][j]; src [rows][ld_src], dst [cols][ld_dst], not overlapping. Writes run along
// the rows of dst: up to twice as fast as running along src when strides are powers of two.
template <class T>
void transpose(int64_t rows, int64_t cols, const T* src, int64_t ld_src, T* dst, int64_t ld_dst) {
  using V = Vec<T>;
  constexpr int64_t kW = V::kWidth;
  for (int64_t j = 0; j < cols; j += kW) {
    const int64_t block_cols = cols - j < kW ? cols - j : kW;
    for (int64_t i = 0; i < rows; i += kW) {
      const int64_t block_rows = rows - i < kW ? rows - i : kW;
      V block[kW];
      load_transposed(block_rows, block_cols, src + i * ld_src + j, ld_src, block);
      T* to = dst + j * ld_dst + i;
      if (block_rows == kW && block_cols == kW) {
        LAMINAE_UNROLL for (int q = 0; q < kW; q++) block[q].store(to + q * ld_dst);
      } else {
        LAMINAE_UNROLL for (int q = 0; q < kW; q++) {
          if (q < block_cols) block[q].store_n(to + q * ld_dst, block_rows);
        }
      }
    }
  }
}
