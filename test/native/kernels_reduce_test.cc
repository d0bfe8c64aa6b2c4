// Sums against exact references (also where float accumulation would fail), columns, maximum and
// minimum with position, NaN and ties.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;

TEST_CASE("sum, dot, sum_of_squares: sizes around vectors and blocks, guard pages") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(21);
    const int64_t w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 4 * w + 3, int64_t{4095},
                        int64_t{4096}, int64_t{4097}, int64_t{20000}}) {
        CAPTURE(n);
        GuardedBuffer<T> x(n, touch), y(n, touch);
        x.randomize(random);
        y.randomize(random);
        double sum = 0.0, dot = 0.0, squares = 0.0, magnitude = 1.0;
        for (int64_t i = 0; i < n; i++) {
          sum += x[i];
          dot += static_cast<double>(x[i]) * y[i];
          squares += static_cast<double>(x[i]) * x[i];
          magnitude += std::fabs(static_cast<double>(x[i]));
        }
        // Within a block a lane adds at most 4096 / (4 w) terms.
        const double tolerance = epsilon<T>() * magnitude * (1024.0 / w + 4.0);
        CHECK(std::fabs(table.sum(n, x.data()) - sum) <= tolerance);
        CHECK(std::fabs(table.dot(n, x.data(), y.data()) - dot) <= tolerance);
        CHECK(std::fabs(table.sum_of_squares(n, x.data()) - squares) <= tolerance);
      }
    }
  });
}

TEST_CASE("sum: integers beyond 2^24 are exact") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const std::vector<T> x(3000000, T(100));
    CHECK(table.sum(3000000, x.data()) == 3e8);
    CHECK(table.sum_of_squares(3000000, x.data()) == 3e10);
  });
}

TEST_CASE("sum_columns: adds to the accumulators, rows around the block") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(22);
    const int64_t w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t rows : {0, 1, 63, 64, 65, 200}) {
        for (int64_t cols : {int64_t{1}, w - 1, w, w + 1, 4 * w, 9 * w + 2}) {
          const int64_t ld = cols + (rows + cols) % 3;
          GuardedBuffer<T> x(rows == 0 ? 0 : (rows - 1) * ld + cols, touch);
          GuardedBuffer<double> acc(cols, touch);
          x.randomize(random);
          acc.fill(0.5);
          table.sum_columns(rows, cols, x.data(), ld, acc.data());
          double worst = 0.0;
          for (int64_t j = 0; j < cols; j++) {
            double expected = 0.5;
            for (int64_t i = 0; i < rows; i++) expected += x[i * ld + j];
            worst = std::max(worst, std::fabs(acc[j] - expected));
          }
          CHECK(worst <= epsilon<T>() * 64.0 * static_cast<double>(rows + 1));
        }
      }
    }
  });
}

TEST_CASE("max_with_index and min_with_index: first occurrence, every position, guard pages") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(23);
    const int64_t w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t n :
           {int64_t{1}, w - 1, w, w + 1, 3 * w + 2, int64_t{4096}, int64_t{4097}, int64_t{9000}}) {
        if (n < 1) continue;
        CAPTURE(n);
        GuardedBuffer<T> x(n, touch);
        for (int64_t i = 0; i < n; i++) x[i] = static_cast<T>(random.integer(-40, 40));  // ties
        int64_t at_max = -1, at_min = -1;
        const T largest = table.max_with_index(n, x.data(), &at_max);
        const T smallest = table.min_with_index(n, x.data(), &at_min);
        CHECK(at_max == std::max_element(x.data(), x.data() + n) - x.data());
        CHECK(at_min == std::min_element(x.data(), x.data() + n) - x.data());
        CHECK(largest == x[at_max]);
        CHECK(smallest == x[at_min]);
        CHECK(table.max_with_index(n, x.data(), nullptr) == largest);
        const int64_t special = random.integer(0, n - 1);
        x[special] = std::numeric_limits<T>::quiet_NaN();
        x[n - 1] = std::numeric_limits<T>::quiet_NaN();
        CHECK(std::isnan(table.max_with_index(n, x.data(), &at_max)));
        CHECK(at_max == special);
        CHECK(std::isnan(table.min_with_index(n, x.data(), &at_min)));
        CHECK(at_min == special);
      }
    }
  });
}

TEST_CASE("max_with_index: infinities only") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const T infinity = std::numeric_limits<T>::infinity();
    const std::vector<T> low(50, -infinity), high(50, infinity);
    int64_t index = -1;
    CHECK(table.max_with_index(50, low.data(), &index) == -infinity);
    CHECK(index == 0);
    CHECK(table.min_with_index(50, high.data(), &index) == infinity);
    CHECK(index == 0);
  });
}

TEST_CASE("read_stream and fma_peak: what benchmarks rely on") {
  for_each_table([](const auto& table) {
    const int64_t n = 16 * table.vec_width;  // two unrolled steps
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    std::vector<T> x(n, T(2));
    CHECK(table.read_stream(n, x.data()) == T(2 * n));
    CHECK(table.read_stream(0, x.data()) == T(0));
    // Each accumulator goes 0.5 -> 0.75: a * 0.5 + 0.5 once.
    const double accumulators = table.fma_peak_flops / (2.0 * table.vec_width);
    CHECK(table.fma_peak(1) == static_cast<T>(0.75 * accumulators * table.vec_width));
  });
}
