// The sums of Winograd's products, one frequency at a time: over channels for outputs, over tiles
// for the gradient of the weights. Tiles are next to each other, with channels in lanes.

// m[i][j] = sum over blocks, lanes of v[block][i][lane] u[block][lane][j], or more of it: one
// frequency of MR tiles.
template <class T, int MR>
LAMINAE_NOINLINE void winograd_product_fixed(int64_t blocks, const T* v, int64_t v_block,
                                             const T* u, SumOf sum, T* m, int64_t m_block,
                                             const T* ahead, int64_t ahead_block) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kNr = GemmTile<T>::kNr;
  constexpr int kNv = kNr / kW;
  V acc[MR][kNv];
  LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = V::zero();
  }
  if (sum == SumOf::kContinued) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = V::load(m + j * m_block + i * kW);
    }
  }
  for (int64_t block = 0; block < blocks; block++) {
    const T* at = v;
    for (int64_t i = 0; i < ahead_block; i += 64 / static_cast<int>(sizeof(T)))
      LAMINAE_PREFETCH_L2(ahead + i);
    ahead += ahead_block;
    for (int k = 0; k < kW; k++) {
      V uv[kNv];
      load_row(u, uv);
      LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
        const V d = V::set1(at[i * kW]);
        LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = fma(d, uv[j], acc[i][j]);
      }
      at++;
      u += kNr;
    }
    v += v_block;
  }
  if (sum == SumOf::kAdded) {
    LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
      LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] =
          acc[i][j] + V::load(m + j * m_block + i * kW);
    }
  }
  LAMINAE_UNROLL for (int i = 0; i < MR; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j].store(m + j * m_block + i * kW);
  }
}

template <class T, int MR>
LAMINAE_INLINE void winograd_product_dispatch(int64_t tiles, int64_t blocks, const T* v,
                                              int64_t v_block, const T* u, SumOf sum, T* m,
                                              int64_t m_block, const T* ahead,
                                              int64_t ahead_block) {
  if (tiles == MR) {
    winograd_product_fixed<T, MR>(blocks, v, v_block, u, sum, m, m_block, ahead, ahead_block);
  } else if constexpr (MR > 1) {
    winograd_product_dispatch<T, MR - 1>(tiles, blocks, v, v_block, u, sum, m, m_block, ahead,
                                         ahead_block);
  }
}

// 1 <= tiles <= gemm_mr; v [blocks][v_block], a block as [tiles][kWidth]; u [blocks *
// kWidth][gemm_nr]; m [gemm_nr / kWidth][m_block], each as [tiles][kWidth]. Asks for ahead
// [blocks][ahead_block], which calls to come will read as u, on the way.
template <class T>
void winograd_product(int64_t tiles, int64_t blocks, const T* v, int64_t v_block, const T* u,
                      SumOf sum, T* m, int64_t m_block, const T* ahead, int64_t ahead_block) {
  winograd_product_dispatch<T, GemmTile<T>::kMr>(tiles, blocks, v, v_block, u, sum, m, m_block,
                                                 ahead, ahead_block);
}

// Input channels of winograd_correlate: a divisor of kWidth, as many as leave room for
// accumulators.
template <class T>
constexpr int kWinogradRows = Vec<T>::kWidth > 8   ? 8
                              : Vec<T>::kWidth > 4 ? 4
                                                   : Vec<T>::kWidth;

// m[i][j] (+)= sum over tiles of v[tile][i] u[j / kWidth][tile][j % kWidth], i < kWinogradRows, j <
// gemm_nr: one frequency. v [tiles][kWidth], u [gemm_nr / kWidth][u_block], m [i][gemm_nr].
template <class T>
void winograd_correlate(int64_t tiles, const T* v, const T* u, int64_t u_block, bool accumulate,
                        T* m) {
  using V = Vec<T>;
  constexpr int kW = V::kWidth;
  constexpr int kNv = GemmTile<T>::kNr / kW;
  constexpr int kRows = kWinogradRows<T>;
  V acc[kRows][kNv];
  LAMINAE_UNROLL for (int i = 0; i < kRows; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = V::zero();
  }
  // The total, which was last used a block ago.
  if (accumulate) {
    for (int i = 0; i < kRows * kNv * kW; i += 64 / static_cast<int>(sizeof(T))) {
      LAMINAE_PREFETCH(m + i);
    }
  }
  for (int64_t t = 0; t < tiles; t++) {
    V uv[kNv];
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) uv[j] = V::load(u + j * u_block);
    LAMINAE_UNROLL for (int i = 0; i < kRows; i++) {
      const V d = V::set1(v[i]);
      LAMINAE_UNROLL for (int j = 0; j < kNv; j++) acc[i][j] = fma(d, uv[j], acc[i][j]);
    }
    v += kW;
    u += kW;
  }
  // The sum of the block first, then into the total: one chain through all blocks would be ten
  // times less accurate at 50,000 tiles.
  LAMINAE_UNROLL for (int i = 0; i < kRows; i++) {
    LAMINAE_UNROLL for (int j = 0; j < kNv; j++) {
      T* to = m + (i * kNv + j) * kW;
      if (accumulate) acc[i][j] = acc[i][j] + V::load(to);
      acc[i][j].store(to);
    }
  }
}
