// rmsprop and adagrad against the formulas of PyTorch in double, over several steps.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;

namespace {

constexpr int kSteps = 4;

struct Options {
  double weight_decay, momentum;
  bool centered, maximize;
};

template <class Table>
void check_rmsprop(const Table& table, const Options& o, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  Random random(33);
  GuardedBuffer<T> param(n, touch), grad(n, touch), v(n, touch), mean(n, touch), buf(n, touch);
  param.randomize(random);
  for (auto* state : {&v, &mean, &buf}) state->fill(T(0));
  std::vector<double> p(param.data(), param.data() + n), rv(n, 0.0), rm(n, 0.0), rb(n, 0.0);
  const double lr = 0.01, alpha = 0.5, eps = 0.125;
  for (int step = 0; step < kSteps; step++) {
    grad.randomize(random);
    table.rmsprop(n, param.data(), grad.data(), v.data(), o.centered ? mean.data() : nullptr,
                  o.momentum > 0 ? buf.data() : nullptr, lr, alpha, eps, o.weight_decay, o.momentum,
                  o.maximize);
    for (int64_t i = 0; i < n; i++) {
      double g = o.maximize ? -static_cast<double>(grad[i]) : static_cast<double>(grad[i]);
      g += o.weight_decay * p[i];
      rv[i] = alpha * rv[i] + (1 - alpha) * g * g;
      rm[i] = alpha * rm[i] + (1 - alpha) * g;
      const double variance = o.centered ? rv[i] - rm[i] * rm[i] : rv[i];
      rb[i] = o.momentum * rb[i] + g / (std::sqrt(variance) + eps);
      p[i] -= lr * rb[i];
    }
  }
  CHECK(worst_error(param, p) <= 16.0 * epsilon<T>());
  CHECK(worst_error(v, rv) <= 8.0 * epsilon<T>());
}

template <class Table>
void check_adagrad(const Table& table, double weight_decay, bool maximize, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  Random random(34);
  GuardedBuffer<T> param(n, touch), grad(n, touch), total(n, touch);
  param.randomize(random);
  total.fill(T(0.5));
  std::vector<double> p(param.data(), param.data() + n), sums(n, 0.5);
  const double lr = 0.1, eps = 1e-10;
  for (int step = 0; step < kSteps; step++) {
    grad.randomize(random);
    table.adagrad(n, param.data(), grad.data(), total.data(), lr, eps, weight_decay, maximize);
    for (int64_t i = 0; i < n; i++) {
      double g = maximize ? -static_cast<double>(grad[i]) : static_cast<double>(grad[i]);
      g += weight_decay * p[i];
      sums[i] += g * g;
      p[i] -= lr * g / (std::sqrt(sums[i]) + eps);
    }
  }
  CHECK(worst_error(param, p) <= 8.0 * epsilon<T>());
  CHECK(worst_error(total, sums) <= 16.0 * epsilon<T>());
}

}  // namespace

TEST_CASE("rmsprop: centered, momentum, weight decay, maximize; guard pages") {
  const Options options[] = {{0.0, 0.0, false, false},
                             {0.1, 0.0, false, true},
                             {0.0, 0.9, false, false},
                             {0.01, 0.5, true, false}};
  for_each_table([&](const auto& table) {
    const int64_t w = table.vec_width;
    for (const Options& o : options) {
      for (Touch touch : kTouches) {
        for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
          check_rmsprop(table, o, n, touch);
        }
      }
    }
  });
}

TEST_CASE("adagrad: weight decay, maximize; guard pages") {
  for_each_table([](const auto& table) {
    const int64_t w = table.vec_width;
    for (Touch touch : kTouches) {
      for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
        check_adagrad(table, 0.0, false, n, touch);
        check_adagrad(table, 0.1, true, n, touch);
      }
    }
  });
}
