// The right factors of Strassen's products (ops/conv_strassen.cc).

// Of the quarters of x [2 depth][x_row], two panels of gemm_nr columns wide, with B11 at x and B21
// at lower:
//
//   T1 = B12 - B11,  T2 = B22 - T1,  T3 = B22 - B12,  T4 = B21 - T2
//
// to[] = B11, B21, T2, T1, T3, T4, B22, each [depth][gemm_nr], `apart` elements apart.
template <class T>
void strassen_columns(int64_t depth, const T* x, const T* lower, int64_t x_row, T* to,
                      int64_t apart) {
  using V = Vec<T>;
  constexpr int64_t kNr = GemmTile<T>::kNr;
  for (int64_t p = 0; p < depth; p++) {
    LAMINAE_UNROLL for (int64_t i = 0; i < kNr; i += V::kWidth) {
      const V b11 = V::load(x + i);
      const V b12 = V::load(x + kNr + i);
      const V b21 = V::load(lower + i);
      const V b22 = V::load(lower + kNr + i);
      const V t1 = b12 - b11;
      const V t2 = b22 - t1;
      T* at = to + i;
      b11.store(at);
      b21.store(at + apart);
      t2.store(at + 2 * apart);
      t1.store(at + 3 * apart);
      (b22 - b12).store(at + 4 * apart);
      (b21 - t2).store(at + 5 * apart);
      b22.store(at + 6 * apart);
    }
    x += x_row;
    lower += x_row;
    to += kNr;
  }
}
