// Softmax kernels against plain loops in double, between guard pages: rows and columns around the
// vector width, in place, and the gradient helper of the cross entropy.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;

namespace {

template <class Table>
using ElementOf = std::decay_t<decltype(std::declval<const Table&>().fma_peak(0))>;

// One line of n numbers, `step` apart.
template <class T>
std::vector<double> line(const T* x, int64_t n, int64_t step) {
  std::vector<double> values(n);
  for (int64_t i = 0; i < n; i++) values[i] = static_cast<double>(x[i * step]);
  return values;
}

std::vector<double> log_softmax(const std::vector<double>& x) {
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double v : x) sum += std::exp(v - top);
  std::vector<double> y;
  for (double v : x) y.push_back(v - top - std::log(sum));
  return y;
}

// Derivative of (log-)softmax from its output.
std::vector<double> derivative(const std::vector<double>& y, const std::vector<double>& dy,
                               bool log_form) {
  double sum = 0;
  for (size_t i = 0; i < y.size(); i++) sum += log_form ? dy[i] : y[i] * dy[i];
  std::vector<double> dx;
  for (size_t i = 0; i < y.size(); i++) {
    dx.push_back(log_form ? dy[i] - std::exp(y[i]) * sum : y[i] * (dy[i] - sum));
  }
  return dx;
}

double worst(const std::vector<double>& a, const std::vector<double>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); i++) {
    const double error = std::fabs(a[i] - b[i]);
    largest = std::isnan(error) ? HUGE_VAL : std::max(largest, error);
  }
  return largest;
}

// `lines` softmaxes over n classes: rows, or columns with `pad` elements behind each row of x.
template <class Table>
void check(const Table& table, int64_t lines, int64_t n, bool columns, int64_t pad, bool log_form,
           Touch touch) {
  using T = ElementOf<Table>;
  CAPTURE(lines);
  CAPTURE(n);
  CAPTURE(columns);
  CAPTURE(log_form);
  const int64_t ld = columns ? lines + pad : n;
  const int64_t count = columns ? (n - 1) * ld + lines : lines * n;
  GuardedBuffer<T> x(count, touch), y(count, touch), dy(count, touch), dx(count, touch);
  Random random(7);
  x.randomize(random, -6.0, 6.0);
  dy.randomize(random, -2.0, 2.0);
  const T kept = T(77);
  y.fill(kept);
  dx.fill(kept);
  if (columns) {
    table.softmax_columns(n, lines, ld, x.data(), y.data(), log_form);
    table.softmax_columns_backward(n, lines, ld, y.data(), dy.data(), dx.data(), log_form);
  } else {
    table.softmax_rows(lines, n, x.data(), y.data(), log_form);
    table.softmax_rows_backward(lines, n, y.data(), dy.data(), dx.data(), log_form);
  }
  const int64_t step = columns ? ld : 1;
  for (int64_t l = 0; l < lines; l++) {
    const int64_t first = columns ? l : l * n;
    std::vector<double> expected = log_softmax(line(x.data() + first, n, step));
    if (!log_form) {
      for (double& v : expected) v = std::exp(v);
    }
    const std::vector<double> got = line(y.data() + first, n, step);
    // values up to about 13 + log n in log form, below 1 else
    CHECK(worst(got, expected) <= (log_form ? 16.0 : 4.0) * epsilon<T>());
    const std::vector<double> slope =
        derivative(expected, line(dy.data() + first, n, step), log_form);
    CHECK(worst(line(dx.data() + first, n, step), slope) <= 8.0 * epsilon<T>() * (n + 2));
  }
  // What lies between the columns is not touched.
  for (int64_t j = 0; columns && j + 1 < n; j++) {
    for (int64_t p = lines; p < ld; p++) CHECK(y[j * ld + p] == kept);
  }
  // In place gives the same bits.
  std::vector<T> apart(y.data(), y.data() + count);
  if (columns) {
    table.softmax_columns(n, lines, ld, x.data(), x.data(), log_form);
  } else {
    table.softmax_rows(lines, n, x.data(), x.data(), log_form);
  }
  bool same = true;
  for (int64_t l = 0; l < lines; l++) {
    for (int64_t j = 0; j < n; j++) {
      const int64_t at = columns ? j * ld + l : l * n + j;
      same = same && x[at] == apart[at];
    }
  }
  CHECK(same);
}

}  // namespace

TEST_CASE("softmax and log-softmax: sizes around the vector width, guard pages") {
  for_each_table([](const auto& table) {
    const int64_t w = table.vec_width;
    const int64_t sizes[] = {1, 2, w - 1, w, w + 1, 3 * w + 2, 67};
    for (Touch touch : kTouches) {
      for (int64_t lines : sizes) {
        for (int64_t n : sizes) {
          for (bool log_form : {false, true}) {
            check(table, lines, n, false, 0, log_form, touch);
            check(table, lines, n, true, (lines + n) % 3, log_form, touch);
          }
        }
      }
    }
  });
}

TEST_CASE("softmax: long rows and columns, summed in blocks") {
  for_each_table([](const auto& table) {
    for (bool log_form : {false, true}) {
      check(table, 2, 10007, false, 0, log_form, Touch::end);
      check(table, 3, 1003, true, 1, log_form, Touch::end);
    }
  });
}

TEST_CASE("exp_affine: factors for all or one each, guard pages") {
  for_each_table([](const auto& table) {
    using T = ElementOf<std::decay_t<decltype(table)>>;
    const int64_t w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
        for (int bits = 0; bits < 8; bits++) {
          const int64_t a_step = bits & 1, b_step = (bits >> 1) & 1, w_step = (bits >> 2) & 1;
          CAPTURE(n);
          CAPTURE(bits);
          GuardedBuffer<T> a(a_step == 0 ? 1 : n, touch), b(b_step == 0 ? 1 : n, touch),
              weight(w_step == 0 ? 1 : n, touch), x(n, touch), y(n, touch);
          Random random(9);
          for (auto* buffer : {&a, &b, &weight, &x}) buffer->randomize(random, -2.0, 2.0);
          table.exp_affine(n, a.data(), a_step, x.data(), b.data(), b_step, weight.data(), w_step,
                           y.data());
          double error = 0;
          for (int64_t i = 0; i < n; i++) {
            const double expected =
                static_cast<double>(a[i * a_step]) * std::exp(static_cast<double>(x[i])) +
                static_cast<double>(b[i * b_step]) * static_cast<double>(weight[i * w_step]);
            error = std::max(error, std::fabs(static_cast<double>(y[i]) - expected));
          }
          CHECK(error <= 32.0 * epsilon<T>());
        }
      }
    }
  });
}
