#include "core/gemm.h"

#include <algorithm>

#include "core/end_rows.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kLine = 64;  // bytes

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

// For few rows that stay in L1, a transposed B is read as it lies, in sums over the lanes: packing
// takes as long as the product of 9 rows. 8x1000x512 takes 36 us so, packed 66; 16 rows 73 and 96;
// 8x1000x64 would take 9.3 and 7.6, as each sum over lanes costs what some steps do.
constexpr int64_t kDotRows = 16;
constexpr int64_t kDotSize = 1 << 13;  // of A, 32 KiB of floats
constexpr int64_t kDotSteps = 6;

// For few rows, a deep B with long rows is packed in blocks of these sizes, each while the one
// before is multiplied. A panel over all of k would touch a piece of 128 bytes per row, each in
// another page and all in a few sets of the caches. 32x4096x4096 takes 4.9 ms so, 8.4 if a block is
// packed before it is multiplied.
constexpr int64_t kBlockDepth = 128;
constexpr int64_t kBlockPanels = 12;  // two blocks of 192 KiB of floats, a part of L2
constexpr int64_t kRowsAtOnce = 16;   // streams that the CPU reads ahead by itself
constexpr int64_t kLongRow = 1024;
constexpr int64_t kFewRows = 64;

// A transposed B is read in rows of its own from these sizes on: 8x1000x512 takes 10 % longer so
// than packed, 32 rows 22 % less.
constexpr int64_t kSomeRows = 16;
constexpr int64_t kLargeB = 1 << 18;  // a part of L2

// How B is read: in panels, packed or as it lies; in packed blocks; or, transposed, as it lies, in
// sums over the lanes or row by row.
enum class Way { kPanels, kBlocks, kDots, kRows };

// Of a whole product, so that it does not depend on the number of threads.
template <class T>
Way way_of(const Gemm<T>& g) {
  if (g.m > kFewRows) return Way::kPanels;
  if (!g.b.transposed) {
    return g.k > kBlockDepth && g.b.ld >= kLongRow ? Way::kBlocks : Way::kPanels;
  }
  if (g.row_bias != nullptr) return Way::kPanels;
  if (!g.a.transposed && g.m <= kDotRows && g.m * g.k <= kDotSize &&
      g.k >= kDotSteps * kernels<T>().vec_width) {
    return Way::kDots;
  }
  const bool large = g.m >= kSomeRows && g.k * g.n >= kLargeB;
  return large && kernels<T>().gemm_reads_rows && !g.accumulate ? Way::kRows : Way::kPanels;
}

// A or B as gemm_tiles reads it. A is packed if `row` is 0; of B only `step` counts.
template <class T>
struct Side {
  const T* at;
  int64_t row, step;
};

// Tiles of C, rows [row, row_end) of a panel, from `depth` terms, the first of all or some of the
// others. Meanwhile they copy, from tile `number` on; what is asked for counts from tile 0.
template <class T>
void multiply_tiles(const Gemm<T>& g, int64_t row, int64_t row_end, int64_t tile, int64_t col,
                    int64_t depth, bool first, const Side<T>& a, const Side<T>& b,
                    int64_t number = 0, const CopyRows<T>* copy = nullptr, int64_t copies = 0) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t rows = row_end - row;
  const int64_t cols = std::min<int64_t>(kernel.gemm_nr, g.n - col);
  T* c = g.c + row * g.ldc + col;
  const AskRows<T> ask[] = {
      {c, g.ldc, std::min(rows, tile), cols, 0, tile},
      {c + tile * g.ldc, g.ldc, rows - tile, cols, 0, tile},  // a tile ahead
  };
  kernel.gemm_tiles({rows,
                     tile,
                     cols,
                     depth,
                     a.at,
                     b.at,
                     b.step,
                     c,
                     g.ldc,
                     first && g.row_bias != nullptr ? g.row_bias + row : nullptr,
                     first && g.col_bias != nullptr ? g.col_bias + col : nullptr,
                     g.accumulate || !first ? c : nullptr,
                     false,
                     T{0},
                     T{0},
                     number,
                     ask,
                     number == 0 ? 2 : 0,
                     copy,
                     copies,
                     a.row,
                     a.step});
}

// All rows of A, in tiles.
template <class T>
void pack_tiles(const Gemm<T>& g, int64_t tile, T* packed) {
  for (int64_t row = 0; row < g.m; row += tile)
    pack_tile(g.a, row, std::min(tile, g.m - row), g.k, tile, packed + row * g.k);
}

// C in blocks of B, with A packed as a whole. Sums over blocks of k are added up in order.
template <class T>
void multiply_in_blocks(const Gemm<T>& g) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  const int64_t tile = balanced_tile(g.m, kernel.gemm_mr);
  const int64_t panels = ceil_div(g.n, nr);
  const int64_t tiles = ceil_div(g.m, tile);
  struct Block {
    int64_t first, panels;  // columns, as panels
    int64_t from, depth;    // terms
    T* packed;              // [panel][depth][nr]
  };
  Scratch scratch;
  T* packed_a = scratch.get<T>(tiles * tile * g.k);
  pack_tiles(g, tile, packed_a);
  const int64_t size = kBlockPanels * nr * kBlockDepth;
  T* packed[2] = {scratch.get<T>(size), scratch.get<T>(size)};
  const auto block_at = [&](int64_t first, int64_t from, T* to) {
    return Block{first, std::min(kBlockPanels, panels - first), from,
                 std::min(kBlockDepth, g.k - from), to};
  };
  const auto source = [&](const Block& block, int64_t panel) {
    return g.b.data + block.from * g.b.ld + (block.first + panel) * nr;
  };
  bool is_packed = false;
  Block next = block_at(0, 0, packed[0]);
  for (bool more = true; more;) {
    const Block now = next;
    if (!is_packed) {
      for (int64_t q = 0; q < now.depth; q += kRowsAtOnce) {
        for (int64_t panel = 0; panel < now.panels; ++panel) {
          kernel.pack_panel(std::min(kRowsAtOnce, now.depth - q),
                            std::min(nr, g.n - (now.first + panel) * nr),
                            source(now, panel) + q * g.b.ld, g.b.ld,
                            now.packed + (panel * kBlockDepth + q) * nr, nr);
        }
      }
    }
    T* other = now.packed == packed[0] ? packed[1] : packed[0];
    if (now.from + now.depth < g.k) {
      next = block_at(now.first, now.from + now.depth, other);
    } else {
      next = block_at(now.first + now.panels, 0, other);
    }
    more = next.first < panels;
    is_packed = more && (next.first + next.panels) * nr <= g.n;
    CopyRows<T> copy[kBlockPanels];
    const int64_t each = ceil_div(next.depth, tiles * now.panels);
    const int64_t pace = std::max<int64_t>(1, now.depth / (each * next.panels + 1));
    for (int64_t panel = 0; is_packed && panel < next.panels; ++panel) {
      copy[panel] = {source(next, panel),
                     g.b.ld,
                     next.depth,
                     nr,
                     next.packed + panel * kBlockDepth * nr,
                     each,
                     pace};
    }
    int64_t number = 0;
    for (int64_t row = 0; row < g.m; row += tile) {
      for (int64_t panel = 0; panel < now.panels; ++panel) {
        multiply_tiles(g, row, std::min(row + tile, g.m), tile, (now.first + panel) * nr, now.depth,
                       now.from == 0, {packed_a + row * g.k + now.from * tile, 0, 0},
                       {now.packed + panel * kBlockDepth * nr, 0, nr}, ++number, copy,
                       is_packed ? next.panels : 0);
      }
    }
  }
}

// B A^T, a few rows of B at a time as they lie, transposed into C. 32x4096x4096 takes 5.1 ms
// so, 6.3 with B packed. More rows at once compete for the 12 ways of a set of the L1 cache if they
// are a multiple of 4 KiB apart: 10 take 5.4 ms.
template <class T>
void multiply_by_rows(const Gemm<T>& g) {
  constexpr int64_t kTile = 8;
  constexpr int64_t kRows = 64;  // at a time: a product that stays in L1
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  const int64_t tile = std::min<int64_t>(kTile, kernel.gemm_mr);
  Scratch scratch;
  T* columns = scratch.get<T>(ceil_div(g.m, nr) * nr * g.k);  // of A^T, in panels
  T* product = scratch.get<T>(kRows * nr);
  for (int64_t row = 0; row < g.m; row += nr) {
    pack_tile(g.a, row, std::min(nr, g.m - row), g.k, nr, columns + row * g.k);
  }
  for (int64_t col = 0; col < g.n; col += kRows) {
    const int64_t rows = std::min(kRows, g.n - col);
    const T* b = g.b.data + col * g.b.ld;
    const AskRows<T> ask = {// where the rows of the next tile begin
                            b + tile * g.b.ld,
                            g.b.ld,
                            std::min(rows, g.n - col - tile),
                            kLine / static_cast<int64_t>(sizeof(T)),
                            0,
                            tile};
    for (int64_t row = 0; row < g.m; row += nr) {
      const int64_t count = std::min(nr, g.m - row);
      const T* bias = g.col_bias == nullptr ? nullptr : g.col_bias + col;
      kernel.gemm_tiles({rows,    tile,    count,  g.k,  b,       columns + row * g.k,
                         nr,      product, nr,     bias, nullptr, nullptr,
                         false,   T{0},    T{0},   0,    &ask,    1,
                         nullptr, 0,       g.b.ld, 1});
      kernel.transpose(rows, count, product, nr, g.c + row * g.ldc + col, g.ldc);
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

// The part of a product that makes rows [row, row_end) of columns [col, col_end).
template <class T>
Gemm<T> part_of(const Gemm<T>& g, int64_t row, int64_t row_end, int64_t col, int64_t col_end) {
  Gemm<T> part = g;
  part.m = row_end - row;
  part.n = col_end - col;
  part.a.data += row * (g.a.transposed ? 1 : g.a.ld);
  part.b.data += col * (g.b.transposed ? g.b.ld : 1);
  part.c += row * g.ldc + col;
  if (g.row_bias != nullptr) part.row_bias += row;
  if (g.col_bias != nullptr) part.col_bias += col;
  return part;
}

// Whether a piece of each row spreads over the sets of the caches: not if there are few places in a
// page of 64 sets where rows begin. 2048x1024x1024 takes 20 to 23 ms if its B is read so, 16.5
// packed.
template <class T>
bool spreads(int64_t ld) {
  return shift_of<T>(ld, 256) > 0 && shift_of<T>(ld, 2048) >= kLine;
}

// Whether A and B are multiplied where they lie. With A packed the product 256x120x400 takes 107
// us, without 99; 120x400x256 with both packed 97 us, without 90. Along the rows of A, a line of
// each row of a tile has to stay in L1 for some steps. A B that is read for a tile or two is read
// anyhow: 8x512x1000 takes 31 us, packed 73.
template <class T>
bool reads_a(const Gemm<T>& g) {
  if (g.a.transposed) return spreads<T>(g.a.ld);
  return kernels<T>().gemm_reads_rows && shift_of<T>(g.a.ld, 4096) >= kLine;
}

template <class T>
bool reads_b(const Gemm<T>& g, int64_t tiles) {
  return !g.b.transposed && (tiles <= 2 || spreads<T>(g.b.ld));
}

// C in panels of B. What is not read where it lies is packed, one matrix first, the other in
// pieces, each right before it is multiplied. B goes first if it stays in L2 then, as C is written
// row by row so: 1000x512x8 takes 41 us, 65 in columns.
template <class T>
void multiply_in_panels(const Gemm<T>& g) {
  constexpr int64_t kPackedFirst = 1 << 16;  // 256 KiB of floats, a part of L2
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t nr = kernel.gemm_nr;
  const int64_t tile = balanced_tile(g.m, kernel.gemm_mr);
  const int64_t rows = ceil_div(g.m, tile) * tile;
  const int64_t cols = ceil_div(g.n, nr) * nr;
  const bool a_first = rows <= cols && cols * g.k > kPackedFirst;
  const bool read_a = reads_a(g);
  const bool read_b = reads_b(g, rows / tile);
  Scratch scratch;
  T* packed_a = scratch.get<T>(read_a ? 0 : (a_first ? rows : tile) * g.k);
  const auto side_a = [&](int64_t row, T* to) -> Side<T> {
    if (read_a && g.a.transposed) return {g.a.data + row, 1, g.a.ld};
    if (read_a) return {g.a.data + row * g.a.ld, g.a.ld, 1};
    pack_tile(g.a, row, std::min(tile, g.m - row), g.k, tile, to);
    return {to, 0, 0};
  };
  T* packed_b = scratch.get<T>((a_first || read_b ? nr : cols) * g.k);
  const auto side_b = [&](int64_t col, T* to) -> Side<T> {
    const int64_t count = std::min(nr, g.n - col);
    if (read_b && count % kernel.vec_width == 0) return {g.b.data + col, 0, g.b.ld};
    pack_columns(g.b, col, count, g.k, nr, to);  // zeros beyond its columns
    return {to, 0, nr};
  };
  if (a_first) {
    if (!read_a) pack_tiles(g, tile, packed_a);
    const Side<T> a = read_a ? side_a(0, nullptr) : Side<T>{packed_a, 0, 0};
    for (int64_t col = 0; col < g.n; col += nr) {
      multiply_tiles(g, 0, g.m, tile, col, g.k, true, a, side_b(col, packed_b));
    }
    return;
  }
  Side<T>* b = scratch.get<Side<T>>(cols / nr);
  for (int64_t panel = 0; panel < cols / nr; ++panel) {
    b[panel] = side_b(panel * nr, read_b ? packed_b : packed_b + panel * nr * g.k);
  }
  for (int64_t row = 0; row < g.m; row += tile) {
    const Side<T> a = side_a(row, packed_a);
    for (int64_t panel = 0; panel < cols / nr; ++panel) {
      multiply_tiles(g, row, std::min(row + tile, g.m), tile, panel * nr, g.k, true, a, b[panel]);
    }
  }
}

// A product in one thread.
template <class T>
void multiply(const Gemm<T>& g, Way way) {
  switch (way) {
    case Way::kPanels:
      return multiply_in_panels(g);
    case Way::kBlocks:
      return multiply_in_blocks(g);
    case Way::kDots:
      return kernels<T>().gemm_dots(g.m, g.n, g.k, g.a.data, g.a.ld, g.b.data, g.b.ld, g.col_bias,
                                    g.accumulate, g.c, g.ldc);
    case Way::kRows:
      return multiply_by_rows(g);
  }
}

// How C is cut into blocks, one for each thread.
struct Cuts {
  int64_t rows, cols;
};

// The cuts that leave the least work to a block, which packs all that it reads. So nobody waits for
// anybody, and nothing crosses from core to core: 256x120x400 takes 55 us on two threads so, 70
// with packing shared (108 and 110 on one).
template <class T>
Cuts cuts_of(const Gemm<T>& g, Way way) {
  constexpr int64_t kPackWork = 8;     // multiply-adds in the time of packing one element
  constexpr int64_t kGrain = 120'000;  // multiply-adds that are worth a thread: about 1 us
  const int64_t width = kernels<T>().vec_width;
  const int64_t vectors = ceil_div(g.n, width);
  const int64_t threads = std::clamp<int64_t>(g.m * g.n * g.k / kGrain, 1, num_threads());
  Cuts best = {1, 1};
  int64_t least = INT64_MAX;
  for (int64_t rows = 1; rows <= (way == Way::kPanels ? std::min(threads, g.m) : 1); ++rows) {
    const int64_t cols = std::min(threads / rows, vectors);
    const int64_t block_rows = ceil_div(g.m, rows);
    const int64_t block_cols = std::min(g.n, ceil_div(vectors, cols) * width);
    const int64_t work = block_rows * block_cols + kPackWork * (block_rows + block_cols);
    if (work >= least) continue;
    least = work;
    best = {rows, cols};
  }
  return best;
}

}  // namespace

template <class T>
void gemm(const Gemm<T>& g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.m == 1 && g.k > 0 && !g.b.transposed) {
    multiply_row(g);
    end_rows(g.ending, 1, g.n, g.c, g.c, g.ldc);
    return;
  }
  const Way way = way_of(g);
  const Cuts cuts = cuts_of(g, way);
  const int64_t count = cuts.rows * cuts.cols;
  const auto make = [&](const Gemm<T>& part) {
    multiply(part, way);
    end_rows(g.ending, part.m, part.n, g.c, part.c, g.ldc);
  };
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    if (end - begin == count) {
      make(g);
      return;
    }
    const int64_t width = kernels<T>().vec_width;
    const int64_t vectors = ceil_div(g.n, width);
    const auto row_cut = [&](int64_t i) { return g.m * i / cuts.rows; };
    const auto col_cut = [&](int64_t i) { return std::min(g.n, vectors * i / cuts.cols * width); };
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / cuts.cols;
      const int64_t col = i % cuts.cols;
      make(part_of(g, row_cut(row), row_cut(row + 1), col_cut(col), col_cut(col + 1)));
    }
  });
}

template void gemm<float>(const Gemm<float>&);
template void gemm<double>(const Gemm<double>&);

}  // namespace laminae
