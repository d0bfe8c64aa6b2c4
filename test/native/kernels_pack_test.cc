// Packing and transposition are copies: results are compared bit for bit, between guard pages.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;

namespace {

// Numbers that tell row and column apart.
template <class T>
void number(GuardedBuffer<T>& buffer) {
  for (int64_t i = 0; i < buffer.size(); i++) buffer[i] = static_cast<T>(i + 1);
}

template <class Table>
void check_pack(const Table& table, int64_t k, int64_t width, int64_t panel_width, int64_t pad,
                bool transposed, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  CAPTURE(k);
  CAPTURE(width);
  CAPTURE(panel_width);
  CAPTURE(transposed);
  const int64_t rows = transposed ? width : k;
  const int64_t cols = transposed ? k : width;
  const int64_t ld = cols + pad;
  GuardedBuffer<T> src(rows == 0 ? 0 : (rows - 1) * ld + cols, touch);
  GuardedBuffer<T> panel(k * panel_width, touch);
  number(src);
  panel.fill(T(-1));
  if (transposed) {
    table.pack_panel_transposed(k, width, src.data(), ld, panel.data(), panel_width);
  } else {
    table.pack_panel(k, width, src.data(), ld, panel.data(), panel_width);
  }
  bool right = true;
  for (int64_t p = 0; p < k; p++) {
    for (int64_t i = 0; i < panel_width; i++) {
      const T expected = i >= width ? T(0) : transposed ? src[i * ld + p] : src[p * ld + i];
      right = right && panel[p * panel_width + i] == expected;
    }
  }
  CHECK(right);
}

}  // namespace

TEST_CASE("pack_panel and pack_panel_transposed: every width, zero-filled tails") {
  for_each_table([](const auto& table) {
    const int64_t mr = table.gemm_mr, nr = table.gemm_nr, w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t panel_width : {mr, nr}) {
        for (int64_t width = 1; width <= panel_width; width++) {
          for (int64_t k : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
            for (bool transposed : {false, true}) {
              check_pack(table, k, width, panel_width, (width + k) % 3, transposed, touch);
            }
          }
        }
      }
    }
  });
}

TEST_CASE("transpose: sizes around the vector width") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const int64_t w = table.vec_width;
    const int64_t sizes[] = {0, 1, w - 1, w, w + 1, 3 * w + 2};
    for (Touch touch : kTouches) {
      for (int64_t rows : sizes) {
        for (int64_t cols : sizes) {
          for (int64_t pad : {0, 2}) {
            CAPTURE(rows);
            CAPTURE(cols);
            const int64_t ld_src = cols + pad, ld_dst = rows + pad;
            GuardedBuffer<T> src(rows == 0 ? 0 : (rows - 1) * ld_src + cols, touch);
            GuardedBuffer<T> dst(cols == 0 ? 0 : (cols - 1) * ld_dst + rows, touch);
            number(src);
            dst.fill(T(-1));
            table.transpose(rows, cols, src.data(), ld_src, dst.data(), ld_dst);
            bool right = true;
            for (int64_t i = 0; i < rows; i++) {
              for (int64_t j = 0; j < cols; j++) {
                right = right && dst[j * ld_dst + i] == src[i * ld_src + j];
              }
            }
            for (int64_t j = 0; j + 1 < cols; j++) {  // gaps between rows stay untouched
              for (int64_t i = rows; i < ld_dst; i++) right = right && dst[j * ld_dst + i] == T(-1);
            }
            CHECK(right);
          }
        }
      }
    }
  });
}
