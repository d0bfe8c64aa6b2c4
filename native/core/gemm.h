// C = op(A) op(B) (+ C) (+ bias), and an ending: the driver around the packed register tile of
// kernels/gemm.inl.
//
// Each thread makes a block of C by itself. A and B are read where they lie, or packed into panels
// [k][mr] and [k][nr]: a transposed B always, others if their rows compete for few sets of the
// caches. Every tile runs over the whole of k in registers, so an element of C is one chain of
// multiply-adds in k order. A single row, and few rows with a deep B or a transposed one, add up
// several such chains instead. Either way no bit depends on the number of threads. Rows are cut
// into balanced tiles (64 rows = 13+13+13+13+12, not 14+14+14+14+8), columns into panels of nr.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/ending.h"
#include "core/integer.h"

namespace laminae {

// A matrix in memory: element (i, j) at data[i * ld + j], or at data[j * ld + i] when transposed.
template <class T>
struct Matrix {
  const T* data;
  int64_t ld;
  bool transposed;
};

template <class T>
struct Gemm {
  int64_t m, n, k;
  Matrix<T> a;  // [m, k]
  Matrix<T> b;  // [k, n]
  T* c;         // [m, n], row-major
  int64_t ldc;
  bool accumulate = false;
  const T* row_bias = nullptr;  // [m]
  const T* col_bias = nullptr;  // [n]
  Ending ending = {};           // its `add` is laid out as c
};

// Rows per tile: the largest count <= mr that cuts m into equal tiles, up to rounding.
inline int64_t balanced_tile(int64_t m, int64_t mr) {
  const int64_t tiles = ceil_div(m, mr);
  return tiles > 0 ? ceil_div(m, tiles) : 1;
}

// Distance in bytes of rows `ld` apart from being one above the other in pages of `period` bytes,
// where they compete for few sets of a cache.
template <class T>
int64_t shift_of(int64_t ld, int64_t period) {
  const int64_t apart = ld * static_cast<int64_t>(sizeof(T)) % period;
  return std::min(apart, period - apart);
}

template <class T>
void gemm(const Gemm<T>& g);

}  // namespace laminae
