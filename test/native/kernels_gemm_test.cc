// gemm_tiles and gemm_dots against plain double loops: every number of rows and n, biases,
// accumulation, bounds, guard pages, what is copied by the way.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;
using laminae::KernelTable;

namespace {

struct Case {
  int64_t mr, n, k, lda, ldc;
  bool accumulate, row_bias, col_bias, integers, clamps;
};

template <class T>
void check_tile(const KernelTable<T>& table, const Case& s, Touch touch, Random& random) {
  CAPTURE(s.mr);
  CAPTURE(s.n);
  CAPTURE(s.k);
  CAPTURE(s.accumulate);
  const int64_t nr = table.gemm_nr;
  // The last panel row ends after mr elements, the last row of c after n.
  GuardedBuffer<T> a(s.k == 0 ? 0 : (s.k - 1) * s.lda + std::max<int64_t>(s.mr, s.lda), touch);
  GuardedBuffer<T> b(s.k * nr, touch);
  GuardedBuffer<T> c((s.mr - 1) * s.ldc + s.n, touch);
  GuardedBuffer<T> row_bias(s.mr, touch);
  GuardedBuffer<T> col_bias(s.n, touch);
  for (auto* buffer : {&a, &b, &c, &row_bias, &col_bias}) {
    for (int64_t i = 0; i < buffer->size(); i++) {
      (*buffer)[i] = static_cast<T>(s.integers ? static_cast<double>(random.integer(-8, 8))
                                               : random.uniform(-1.0, 1.0));
    }
  }
  for (int64_t p = 0; p < s.k; p++) {
    for (int64_t j = s.n; j < nr; j++) b[p * nr + j] = T(0);
  }
  if (!s.accumulate) {
    for (int64_t i = 0; i < s.mr; i++) {
      for (int64_t j = 0; j < s.n; j++) c[i * s.ldc + j] = std::numeric_limits<T>::quiet_NaN();
    }
  }
  const std::vector<T> before(c.data(), c.data() + c.size());
  // Rows of c and of b, more of them than there are steps for.
  const laminae::AskRows<T> ask[] = {{c.data(), s.ldc, s.mr, s.n, 0, s.mr},
                                     {b.data(), nr, s.k, nr, 0, s.k}};
  const T low = T(-0.5), high = T(1);
  table.gemm_tiles({s.mr,
                    s.lda,
                    s.n,
                    s.k,
                    a.data(),
                    b.data(),
                    nr,
                    c.data(),
                    s.ldc,
                    s.row_bias ? row_bias.data() : nullptr,
                    s.col_bias ? col_bias.data() : nullptr,
                    s.accumulate ? c.data() : nullptr,
                    s.clamps,
                    low,
                    high,
                    0,
                    ask,
                    random.integer(0, 2),
                    nullptr,
                    0});

  double worst = 0.0;
  for (int64_t i = 0; i < s.mr; i++) {
    for (int64_t j = 0; j < s.n; j++) {
      double expected = s.accumulate ? static_cast<double>(before[i * s.ldc + j]) : 0.0;
      double magnitude = std::fabs(expected) + 1.0;
      if (s.row_bias) expected += static_cast<double>(row_bias[i]);
      if (s.col_bias) expected += static_cast<double>(col_bias[j]);
      for (int64_t p = 0; p < s.k; p++) {
        const double term = static_cast<double>(a[p * s.lda + i]) * b[p * nr + j];
        expected += term;
        magnitude += std::fabs(term);
      }
      if (s.clamps) expected = std::min<double>(high, std::max<double>(low, expected));
      const double tolerance =
          s.integers ? 0.0 : epsilon<T>() * (static_cast<double>(s.k) + 4.0) * magnitude;
      const double error = std::fabs(static_cast<double>(c[i * s.ldc + j]) - expected);
      worst = std::max(worst, error - tolerance);
      if (std::isnan(error)) worst = HUGE_VAL;
    }
    const int64_t row_end = i + 1 < s.mr ? s.ldc : s.n;
    for (int64_t j = s.n; j < row_end; j++) {
      if (c[i * s.ldc + j] != before[i * s.ldc + j]) worst = HUGE_VAL;  // wrote beyond n
    }
  }
  CHECK(worst <= 0.0);
}

}  // namespace

TEST_CASE("gemm_tiles: every mr and n, k around the unrolling") {
  for_each_table([](const auto& table) {
    Random random(1);
    for (int64_t mr = 1; mr <= table.gemm_mr; mr++) {
      for (int64_t n = 1; n <= table.gemm_nr; n++) {
        for (int64_t k : {0, 1, 3, 4, 5, 9}) {
          const bool flag = (mr + n + k) % 2 == 0;
          check_tile(table, {mr, n, k, table.gemm_mr, n + 3, flag, false, false, false, k == 4},
                     Touch::end, random);
        }
      }
    }
  });
}

TEST_CASE("gemm_tiles: biases, accumulation, row lengths, both guard pages, exact integers") {
  for_each_table([](const auto& table) {
    Random random(2);
    for (Touch touch : kTouches) {
      for (int bits = 0; bits < 16; bits++) {
        for (int64_t mr : {int64_t{1}, int64_t{table.gemm_mr} - 1, int64_t{table.gemm_mr}}) {
          for (int64_t n : {int64_t{1}, int64_t{table.gemm_nr} - 1, int64_t{table.gemm_nr}}) {
            const Case c = {mr,
                            n,
                            random.integer(1, 40),
                            std::max<int64_t>(mr, 1) + (bits & 1),
                            n + random.integer(0, 4),
                            (bits & 1) != 0,
                            (bits & 2) != 0,
                            (bits & 4) != 0,
                            (bits & 8) != 0,
                            random.integer(0, 1) == 0};
            check_tile(table, c, touch, random);
          }
        }
      }
    }
  });
}

TEST_CASE("gemm_tiles: long k") {
  for_each_table([](const auto& table) {
    Random random(3);
    check_tile(
        table,
        {table.gemm_mr, table.gemm_nr, 4608, table.gemm_mr, 40, false, true, true, false, false},
        Touch::end, random);
  });
}

TEST_CASE("gemm_tiles: a NaN spreads over its own row or column only") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const int64_t mr = table.gemm_mr, nr = table.gemm_nr, k = 6;
    std::vector<T> a(k * mr, T(1)), b(k * nr, T(1)), c(mr * nr);
    a[2 * mr + 1] = std::numeric_limits<T>::quiet_NaN();
    table.gemm_tiles({mr,       mr, nr,      k,       a.data(), b.data(), nr,
                      c.data(), nr, nullptr, nullptr, nullptr,  true,     T(-1),
                      T(k),     0,  nullptr, 0,       nullptr,  0});
    bool right = true;
    for (int64_t i = 0; i < mr; i++) {
      for (int64_t j = 0; j < nr; j++) {
        right = right && (i == 1 ? std::isnan(c[i * nr + j]) : c[i * nr + j] == T(k));
      }
    }
    CHECK(right);
  });
}

TEST_CASE("gemm_tiles: many tiles have the bits of each alone, and copy a panel by the way") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(5);
    const int64_t nr = table.gemm_nr;
    for (Touch touch : kTouches) {
      for (int64_t tile : {int64_t{1}, int64_t{3}, int64_t{table.gemm_mr}}) {
        for (int64_t tiles : {1, 2, 5}) {
          for (int64_t k : {1, 2, 7, 40}) {
            const int64_t m = tiles * tile - random.integer(0, tile - 1);
            const int64_t n =
                random.integer(0, 1) == 0 ? random.integer(1, 2) * nr : random.integer(1, nr);
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(k);
            const int64_t ld = nr + random.integer(0, 5), ldc = n + random.integer(0, 5);
            const int64_t ldb = std::max(n, nr) + random.integer(0, 5);
            const int64_t rows = random.integer(1, 30);  // copied, in two pieces or one
            const int64_t width = random.integer(0, 1) == 0 ? nr : random.integer(1, nr - 1);
            GuardedBuffer<T> a(tiles * k * tile, touch), bias(m, touch);
            GuardedBuffer<T> b((k - 1) * ldb + std::max(n, nr), touch);
            GuardedBuffer<T> c((m - 1) * ldc + n, touch), expected(c.size(), touch);
            GuardedBuffer<T> add(c.size(), touch);
            GuardedBuffer<T> next((rows - 1) * ld + nr, touch), panel(rows * nr, touch);
            for (auto* buffer : {&a, &b, &bias, &next, &add}) buffer->randomize(random);
            for (auto* buffer : {&c, &expected}) buffer->fill(T(9));
            panel.fill(T(7));
            const bool with_bias = random.integer(0, 1) == 0;
            const int64_t number = tiles > 1 ? 0 : 1;  // the first tile may be in another call
            const int64_t each = (rows + tiles + number - 2) / (tiles + number - 1);
            const int64_t pace = random.integer(1, 4);
            const laminae::AskRows<T> ask = {c.data() + tile * ldc, ldc, m - tile, n, 0, tile};
            const laminae::CopyRows<T> copy[] = {
                {next.data(), ld, rows, width, panel.data(), each, pace},
                {next.data() + width, ld, rows, nr - width, panel.data() + width, each, pace}};
            const T low = random.integer(0, 1) == 0 ? T(-1) : T(0), high = T(1);
            const bool clamps = low == T(0);
            table.gemm_tiles({m,        tile,
                              n,        k,
                              a.data(), b.data(),
                              ldb,      c.data(),
                              ldc,      with_bias ? bias.data() : nullptr,
                              nullptr,  with_bias ? add.data() : nullptr,
                              clamps,   low,
                              high,     number,
                              &ask,     1,
                              copy,     width < nr ? 2 : 1});
            for (int64_t row = 0; row < m; row += tile) {
              for (int64_t col = 0; col < n; col += nr) {
                const int64_t at = row * ldc + col;
                table.gemm_tiles({std::min(tile, m - row),
                                  tile,
                                  std::min(nr, n - col),
                                  k,
                                  a.data() + row * k,
                                  b.data() + col,
                                  ldb,
                                  expected.data() + at,
                                  ldc,
                                  with_bias ? bias.data() + row : nullptr,
                                  nullptr,
                                  with_bias ? add.data() + at : nullptr,
                                  clamps,
                                  low,
                                  high,
                                  0,
                                  nullptr,
                                  0,
                                  nullptr,
                                  0});
              }
            }
            bool right = true;
            for (int64_t i = 0; i < c.size(); i++) right = right && c[i] == expected[i];
            for (int64_t r = 0; r < rows; r++) {
              for (int64_t j = 0; j < nr; j++) {
                right = right && panel[r * nr + j] == next[r * ld + j];
              }
            }
            CHECK(right);
          }
        }
      }
    }
  });
}

TEST_CASE("gemm_tiles: an a that is read where it lies has the bits of a packed one") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(6);
    const int64_t nr = table.gemm_nr;
    for (Touch touch : kTouches) {
      for (int64_t tile = 1; tile <= table.gemm_mr; tile++) {
        for (bool in_rows : {false, true}) {
          if (in_rows && !table.gemm_reads_rows) continue;
          for (int64_t k : {1, 2, 21}) {
            const int64_t tiles = random.integer(1, 3);
            const int64_t m = tiles * tile - random.integer(0, tile - 1);
            const int64_t n = random.integer(1, nr), ldc = n + random.integer(0, 5);
            const int64_t ld = (in_rows ? k : m) + random.integer(1, 5);
            CAPTURE(m);
            CAPTURE(tile);
            CAPTURE(k);
            CAPTURE(in_rows);
            GuardedBuffer<T> a(in_rows ? (m - 1) * ld + k : (k - 1) * ld + m, touch);
            GuardedBuffer<T> packed(tiles * k * tile, touch), b(k * nr, touch);
            GuardedBuffer<T> c((m - 1) * ldc + n, touch), expected(c.size(), touch);
            for (auto* buffer : {&a, &b}) buffer->randomize(random);
            for (auto* buffer : {&packed, &c, &expected}) buffer->fill(T(9));
            for (int64_t i = 0; i < m; i++) {
              for (int64_t p = 0; p < k; p++) {
                packed[(i / tile * k + p) * tile + i % tile] = a[in_rows ? i * ld + p : p * ld + i];
              }
            }
            const laminae::AskRows<T> ask = {c.data(), ldc, m, n, 0, tile};
            laminae::GemmTiles<T> g = {
                m,    tile,    n,       k,       packed.data(), b.data(), nr,   expected.data(),
                ldc,  nullptr, nullptr, nullptr, false,         T(0),     T(0), 0,
                &ask, 1,       nullptr, 0};
            table.gemm_tiles(g);
            g.a = a.data();
            g.a_row = in_rows ? ld : 1;
            g.a_step = in_rows ? 1 : ld;
            g.c = c.data();
            table.gemm_tiles(g);
            bool right = true;
            for (int64_t i = 0; i < c.size(); i++) right = right && c[i] == expected[i];
            CHECK(right);
          }
        }
      }
    }
  });
}

TEST_CASE("gemm_dots: rows and columns around the tile, k around the vector width, guard pages") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(4);
    const int64_t w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 19}) {
        for (int64_t n : {0, 1, 2, 3, 7}) {
          for (int64_t k :
               {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 2 * w, 3 * w + 2, int64_t{500}}) {
            CAPTURE(m);
            CAPTURE(n);
            CAPTURE(k);
            const int64_t lda = k + random.integer(0, 3), ldb = k + random.integer(0, 3);
            const int64_t ldc = n + random.integer(0, 3);
            GuardedBuffer<T> a((m - 1) * lda + k, touch), bias(n, touch);
            GuardedBuffer<T> b(n == 0 ? 0 : (n - 1) * ldb + k, touch);
            GuardedBuffer<T> c(n == 0 ? 0 : (m - 1) * ldc + n, touch);
            for (auto* buffer : {&a, &b, &bias, &c}) buffer->randomize(random);
            const std::vector<T> before(c.data(), c.data() + c.size());
            const bool with_bias = (m + k) % 2 == 0, adds = random.integer(0, 1) == 0;
            table.gemm_dots(m, n, k, a.data(), lda, b.data(), ldb,
                            with_bias ? bias.data() : nullptr, adds, c.data(), ldc);
            double worst = 0.0;
            for (int64_t at = 0; at < c.size(); at++) {
              const int64_t i = at / ldc, j = at % ldc;
              if (j >= n) {
                if (c[at] != before[at]) worst = HUGE_VAL;  // wrote beyond n
                continue;
              }
              double expected = (with_bias ? static_cast<double>(bias[j]) : 0.0) +
                                (adds ? static_cast<double>(before[at]) : 0.0);
              double magnitude = 2.0;
              for (int64_t p = 0; p < k; p++) {
                const double term = static_cast<double>(a[i * lda + p]) * b[j * ldb + p];
                expected += term;
                magnitude += std::fabs(term);
              }
              worst = std::max(worst, std::fabs(static_cast<double>(c[at]) - expected) / magnitude);
            }
            CHECK(worst <= epsilon<T>() * (static_cast<double>(k) + 4.0));
          }
        }
      }
    }
  });
}
