// sgd and adam against the formulas of PyTorch in double, over several steps and all options.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;

namespace {

constexpr int kSteps = 4;

template <class T>
double worst_error(GuardedBuffer<T>& got, const std::vector<double>& expected) {
  double worst = 0.0;
  for (int64_t i = 0; i < got.size(); i++) {
    const double error = std::fabs(static_cast<double>(got[i]) - expected[i]);
    worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
  }
  return worst;
}

struct SgdOptions {
  double momentum, dampening, weight_decay;
  bool nesterov, maximize;
};

template <class Table>
void check_sgd(const Table& table, const SgdOptions& o, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  Random random(31);
  GuardedBuffer<T> param(n, touch), grad(n, touch), buf(n, touch);
  param.randomize(random);
  buf.fill(std::numeric_limits<T>::quiet_NaN());  // the first step must not read it
  std::vector<double> p(param.data(), param.data() + n), b(n, 0.0);
  const double lr = 0.1;
  for (int step = 0; step < kSteps; step++) {
    grad.randomize(random);
    table.sgd(n, param.data(), grad.data(), o.momentum != 0.0 ? buf.data() : nullptr, lr,
              o.momentum, o.dampening, o.weight_decay, o.nesterov, o.maximize, step == 0);
    for (int64_t i = 0; i < n; i++) {
      double g = o.maximize ? -static_cast<double>(grad[i]) : static_cast<double>(grad[i]);
      g += o.weight_decay * p[i];
      if (o.momentum != 0.0) {
        b[i] = step == 0 ? g : o.momentum * b[i] + (1.0 - o.dampening) * g;
        g = o.nesterov ? g + o.momentum * b[i] : b[i];
      }
      p[i] -= lr * g;
    }
  }
  CHECK(worst_error(param, p) <= 8.0 * epsilon<T>());
  if (o.momentum != 0.0) CHECK(worst_error(buf, b) <= 16.0 * epsilon<T>());
}

struct AdamOptions {
  double weight_decay;
  bool decoupled, maximize, amsgrad;
};

template <class Table>
void check_adam(const Table& table, const AdamOptions& o, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  Random random(32);
  GuardedBuffer<T> param(n, touch), grad(n, touch), m(n, touch), v(n, touch), v_max(n, touch);
  param.randomize(random);
  m.fill(T(0));
  v.fill(T(0));
  v_max.fill(T(0));
  std::vector<double> p(param.data(), param.data() + n), rm(n, 0.0), rv(n, 0.0), rv_max(n, 0.0);
  const double lr = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  for (int step = 1; step <= kSteps; step++) {
    const double scale = 1.0 / step;  // shrinking gradients, so that v falls below its maximum
    grad.randomize(random, -scale, scale);
    const double c1 = 1.0 - std::pow(beta1, step), c2 = 1.0 - std::pow(beta2, step);
    table.adam(n, param.data(), grad.data(), m.data(), v.data(), o.amsgrad ? v_max.data() : nullptr,
               lr, beta1, beta2, eps, o.weight_decay, o.decoupled, c1, c2, o.maximize);
    for (int64_t i = 0; i < n; i++) {
      double g = o.maximize ? -static_cast<double>(grad[i]) : static_cast<double>(grad[i]);
      if (o.decoupled) {
        p[i] *= 1.0 - lr * o.weight_decay;
      } else {
        g += o.weight_decay * p[i];
      }
      rm[i] += (1.0 - beta1) * (g - rm[i]);
      rv[i] = beta2 * rv[i] + (1.0 - beta2) * g * g;
      rv_max[i] = std::max(rv_max[i], rv[i]);
      const double vi = o.amsgrad ? rv_max[i] : rv[i];
      p[i] -= lr / c1 * rm[i] / (std::sqrt(vi) / std::sqrt(c2) + eps);
    }
  }
  CHECK(worst_error(param, p) <= 8.0 * epsilon<T>());
  CHECK(worst_error(m, rm) <= 4.0 * epsilon<T>());
  CHECK(worst_error(v, rv) <= 4.0 * epsilon<T>());
}

}  // namespace

TEST_CASE("sgd: momentum, dampening, Nesterov, weight decay, maximize; guard pages") {
  const SgdOptions options[] = {{0.0, 0.0, 0.0, false, false},  {0.0, 0.0, 0.1, false, false},
                                {0.9, 0.0, 0.0, false, false},  {0.9, 0.0, 0.01, true, false},
                                {0.9, 0.5, 0.01, false, false}, {0.9, 0.0, 0.01, true, true}};
  for_each_table([&](const auto& table) {
    const int64_t w = table.vec_width;
    for (const SgdOptions& o : options) {
      for (Touch touch : kTouches) {
        for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
          check_sgd(table, o, n, touch);
        }
      }
    }
  });
}

TEST_CASE("adam: plain and decoupled weight decay, maximize; guard pages") {
  const AdamOptions options[] = {{0.0, false, false, false},
                                 {0.1, false, false, false},
                                 {0.1, true, false, false},
                                 {0.1, true, true, false},
                                 {0.01, false, false, true}};
  for_each_table([&](const auto& table) {
    const int64_t w = table.vec_width;
    for (const AdamOptions& o : options) {
      for (Touch touch : kTouches) {
        for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
          check_adam(table, o, n, touch);
        }
      }
    }
  });
}
