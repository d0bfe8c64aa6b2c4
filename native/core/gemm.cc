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

// For few rows, a deep B with long rows is packed in blocks of these sizes. A panel over all of k
// would touch a piece of 128 bytes per row, each in another page and all in a few sets of the
// caches: 32x4096x4096 takes 10.9 ms so, 12.9 with whole panels.
constexpr int64_t kBlockDepth = 256;
constexpr int64_t kBlockPanels = 8;  // with kBlockDepth 256 KiB of floats, a part of L2
constexpr int64_t kRowsAtOnce = 16;  // streams that the CPU reads ahead by itself
constexpr int64_t kLongRow = 1024;
constexpr int64_t kFewRows = 64;

template <class T>
bool in_blocks(const Gemm<T>& g) {
  return !g.b.transposed && g.m <= kFewRows && g.k > kBlockDepth && g.b.ld >= kLongRow;
}

// Panels [begin, end) of C. Sums over blocks of k are added up in order.
template <class T>
void multiply_in_blocks(const Gemm<T>& g, const T* packed_a, int64_t tile, int64_t begin,
                        int64_t end) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  Scratch own;
  T* packed = own.get<T>(kBlockPanels * nr * kBlockDepth);  // [panel][depth][nr]
  for (int64_t first = begin; first < end; first += kBlockPanels) {
    const int64_t last = std::min(end, first + kBlockPanels);
    for (int64_t p = 0; p < g.k; p += kBlockDepth) {
      const int64_t depth = std::min(kBlockDepth, g.k - p);
      for (int64_t q = 0; q < depth; q += kRowsAtOnce) {
        for (int64_t panel = first; panel < last; ++panel) {
          const int64_t col = panel * nr;
          kernel.pack_panel(std::min(kRowsAtOnce, depth - q), std::min(nr, g.n - col),
                            g.b.data + (p + q) * g.b.ld + col, g.b.ld,
                            packed + ((panel - first) * kBlockDepth + q) * nr, nr);
        }
      }
      for (int64_t row = 0; row < g.m; row += tile) {
        for (int64_t panel = first; panel < last; ++panel) {
          const int64_t col = panel * nr;
          const bool bias = p == 0;
          kernel.gemm_tile(std::min(tile, g.m - row), std::min(nr, g.n - col), depth,
                           packed_a + row * g.k + p * tile, tile,
                           packed + (panel - first) * kBlockDepth * nr, g.c + row * g.ldc + col,
                           g.ldc, g.accumulate || p > 0,
                           bias && g.row_bias != nullptr ? g.row_bias + row : nullptr,
                           bias && g.col_bias != nullptr ? g.col_bias + col : nullptr);
        }
      }
    }
  }
}

// One row times B as it lies: c = sum_p a[p] B[p], in kChunks sums over consecutive rows of B, so
// that each thread reads one stretch of memory. 4096x4096 takes 2.5 ms, with panels 8.4.
template <class T>
void multiply_row(const Gemm<T>& g) {
  constexpr int64_t kChunks = 8;
  constexpr int64_t kColumns = 4096;  // of a sum, stay in L1
  constexpr int64_t kChunkWork = 1 << 16;
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t chunks = std::clamp<int64_t>(g.n * g.k / kChunkWork, 1, std::min(kChunks, g.k));
  Scratch scratch;
  T* sums = scratch.get<T>(chunks * g.n);
  parallel_chunks(chunks, [&](int64_t chunk) {
    for (int64_t col = 0; col < g.n; col += kColumns) {
      const int64_t count = std::min(kColumns, g.n - col);
      T* sum = sums + chunk * g.n + col;
      std::fill(sum, sum + count, T{0});
      for (int64_t p = g.k * chunk / chunks; p < g.k * (chunk + 1) / chunks; ++p) {
        const T a = g.a.data[g.a.transposed ? p * g.a.ld : p];
        kernel.scale_add(count, a, g.b.data + p * g.b.ld + col, T{1}, sum);
      }
    }
  });
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const T keep = chunk > 0 || g.accumulate ? T{1} : T{0};
    kernel.scale_add(g.n, T{1}, sums + chunk * g.n, keep, g.c);
  }
  if (g.row_bias != nullptr) kernel.affine(g.n, T{1}, g.c, g.row_bias[0], g.c);
  if (g.col_bias != nullptr) kernel.scale_add(g.n, T{1}, g.col_bias, T{1}, g.c);
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
  if (g.m == 1 && g.k > 0 && !g.b.transposed) {
    multiply_row(g);
    return;
  }
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

  if (in_blocks(g)) {
    parallel_for(panels, grain_of(g.m * g.k * nr), [&](int64_t begin, int64_t end) {
      multiply_in_blocks(g, packed_a, tile, begin, end);
    });
    return;
  }
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
