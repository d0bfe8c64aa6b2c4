#include "core/gemm.h"

#include <algorithm>

#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// Multiply-adds worth a thread of their own: about 10 us at 100 GFLOP/s.
constexpr int64_t kGemmGrain = 500000;

int64_t grain_of(int64_t work_per_item) {
  return std::max<int64_t>(1, kGemmGrain / std::max<int64_t>(1, work_per_item));
}

template <class T>
void pack_tile(const Matrix<T>& a, int64_t row, int64_t rows, int64_t k, int64_t tile, T* panel) {
  if (a.transposed) {
    kernels<T>().pack_panel(k, rows, a.data + row, a.ld, panel, tile);
  } else {
    kernels<T>().pack_panel_transposed(k, rows, a.data + row * a.ld, a.ld, panel, tile);
  }
}

template <class T>
void pack_columns(const Matrix<T>& b, int64_t col, int64_t cols, int64_t k, int64_t nr, T* panel) {
  if (b.transposed) {
    kernels<T>().pack_panel_transposed(k, cols, b.data + col * b.ld, b.ld, panel, nr);
  } else {
    kernels<T>().pack_panel(k, cols, b.data + col, b.ld, panel, nr);
  }
}

}  // namespace

template <class T>
void pack_rows(const Matrix<T>& a, int64_t m, int64_t k, int64_t tile, T* packed) {
  const int64_t tiles = (m + tile - 1) / tile;
  parallel_for(tiles, grain_of(4 * tile * k), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      pack_tile(a, t * tile, std::min(tile, m - t * tile), k, tile, packed + t * tile * k);
    }
  });
}

template <class T>
void gemm(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0) return;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  const int64_t tile = balanced_tile(g.m, kernel.gemm_mr);
  const int64_t tiles = (g.m + tile - 1) / tile;
  const int64_t panels = (g.n + nr - 1) / nr;
  Scratch scratch;
  T* packed_a = scratch.get<T>(tiles * tile * g.k);
  pack_rows(g.a, g.m, g.k, tile, packed_a);

  auto run_tiles = [&](const T* packed_b, int64_t panel, int64_t first, int64_t last) {
    const int64_t col = panel * nr;
    const int64_t cols = std::min(nr, g.n - col);
    for (int64_t t = first; t < last; ++t) {
      const int64_t row = t * tile;
      kernel.gemm_tile(std::min(tile, g.m - row), cols, g.k, packed_a + row * g.k, tile, packed_b,
                       g.c + row * g.ldc + col, g.ldc, g.accumulate,
                       g.row_bias == nullptr ? nullptr : g.row_bias + row,
                       g.col_bias == nullptr ? nullptr : g.col_bias + col);
    }
  };

  if (panels >= tiles) {
    // Each thread packs the panels it multiplies: they are still in its cache.
    parallel_for(panels, grain_of(g.m * g.k * nr), [&](int64_t begin, int64_t end) {
      Scratch own;
      T* packed_b = own.get<T>(nr * g.k);
      for (int64_t p = begin; p < end; ++p) {
        pack_columns(g.b, p * nr, std::min(nr, g.n - p * nr), g.k, nr, packed_b);
        run_tiles(packed_b, p, 0, tiles);
      }
    });
    return;
  }
  // Tall and narrow: pack the few panels of B once, split the rows.
  T* packed_b = scratch.get<T>(panels * nr * g.k);
  parallel_for(panels, grain_of(4 * nr * g.k), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      pack_columns(g.b, p * nr, std::min(nr, g.n - p * nr), g.k, nr, packed_b + p * nr * g.k);
    }
  });
  parallel_for(tiles, grain_of(g.n * g.k * tile), [&](int64_t begin, int64_t end) {
    for (int64_t p = 0; p < panels; ++p) run_tiles(packed_b + p * nr * g.k, p, begin, end);
  });
}

template void pack_rows<float>(const Matrix<float>&, int64_t, int64_t, int64_t, float*);
template void pack_rows<double>(const Matrix<double>&, int64_t, int64_t, int64_t, double*);
template void gemm<float>(const Gemm<float>&);
template void gemm<double>(const Gemm<double>&);

}  // namespace laminae
