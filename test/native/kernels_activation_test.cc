// Activations against their formulas in double: accuracy, tails between guard pages, in place.
#include <algorithm>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double clip(double x, double lo, double hi) { return std::fmin(std::fmax(x, lo), hi); }
double inside(double x, double lo, double hi, double slope) {
  return x > lo && x < hi ? slope : 0.0;
}
double gelu_inner(double x) { return std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x); }

struct Pair {
  double value, slope;
};

Pair expected(ActivationFn fn, double x, double a, double b, double c) {
  switch (fn) {
    case ActivationFn::leaky_relu:
      return x > 0 ? Pair{x, 1.0} : Pair{a * x, a};
    case ActivationFn::elu:
      return x > 0 ? Pair{a * x, a} : Pair{b * std::expm1(c * x), b * c * std::exp(c * x)};
    case ActivationFn::gelu_tanh: {
      const double t = std::tanh(gelu_inner(x));
      const double inner_slope = std::sqrt(2.0 / M_PI) * (1.0 + 3.0 * 0.044715 * x * x);
      return {0.5 * x * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner_slope};
    }
    case ActivationFn::mish: {
      const double t = std::tanh(softplus(x));
      return {x * t, t + x * (1.0 - t * t) * sigmoid(x)};
    }
    case ActivationFn::hardswish:
      return {x * clip(x + 3, 0, 6) / 6, x >= 3 ? 1.0 : x <= -3 ? 0.0 : x / 3 + 0.5};
    case ActivationFn::hardsigmoid:
      return {clip(x + 3, 0, 6) / 6, inside(x, -3, 3, 1.0 / 6)};
    case ActivationFn::hardtanh:
      return {clip(x, a, b), inside(x, a, b, 1)};
    case ActivationFn::softplus:
      return a * x > b ? Pair{x, 1.0} : Pair{softplus(a * x) / a, sigmoid(a * x)};
    case ActivationFn::softsign:
      return {x / (1 + std::fabs(x)), 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x)))};
    case ActivationFn::log_sigmoid:
      return {-softplus(-x), sigmoid(-x)};
    case ActivationFn::count:
      break;
  }
  return {NAN, NAN};
}

// Parameters that are the same numbers in float.
struct Parameters {
  ActivationFn fn;
  double a, b, c;
};

constexpr Parameters kCases[] = {
    {ActivationFn::leaky_relu, 0.25, 0, 0}, {ActivationFn::elu, 1, 1, 1},
    {ActivationFn::elu, 1.5, 0.75, 2},      {ActivationFn::gelu_tanh, 0, 0, 0},
    {ActivationFn::mish, 0, 0, 0},          {ActivationFn::hardswish, 0, 0, 0},
    {ActivationFn::hardsigmoid, 0, 0, 0},   {ActivationFn::hardtanh, -1.5, 2.25, 0},
    {ActivationFn::softplus, 1, 20, 0},     {ActivationFn::softplus, 2, 4, 0},
    {ActivationFn::softsign, 0, 0, 0},      {ActivationFn::log_sigmoid, 0, 0, 0},
};

template <class Table>
void check(const Table& table, const Parameters& p, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  GuardedBuffer<T> x(n, touch), y(n, touch), dy(n, touch), dx(n, touch);
  Random random(11);
  x.randomize(random, -9.0, 9.0);
  dy.randomize(random, -2.0, 2.0);
  table.activation(p.fn, n, x.data(), y.data(), p.a, p.b, p.c);
  table.activation_backward(p.fn, n, x.data(), dy.data(), dx.data(), p.a, p.b, p.c);
  double value_error = 0, slope_error = 0;
  for (int64_t i = 0; i < n; i++) {
    const double xi = static_cast<double>(x[i]);
    const Pair e = expected(p.fn, xi, p.a, p.b, p.c);
    value_error = std::max(value_error, std::fabs(static_cast<double>(y[i]) - e.value));
    slope_error = std::max(
        slope_error, std::fabs(static_cast<double>(dx[i]) - static_cast<double>(dy[i]) * e.slope));
  }
  // values up to 9 (18 in softplus), slopes up to about 2
  CHECK(value_error <= 12.0 * epsilon<T>());
  CHECK(slope_error <= 12.0 * epsilon<T>());

  table.activation_backward(p.fn, n, x.data(), dy.data(), dy.data(), p.a, p.b, p.c);
  table.activation(p.fn, n, x.data(), x.data(), p.a, p.b, p.c);
  bool same = true;
  for (int64_t i = 0; i < n; i++) same = same && x[i] == y[i] && dy[i] == dx[i];
  CHECK(same);  // in place
}

}  // namespace

TEST_CASE("activations: values and slopes, guard pages, in place") {
  for_each_table([](const auto& table) {
    const int64_t w = table.vec_width;
    for (const Parameters& p : kCases) {
      CAPTURE(static_cast<int>(p.fn));
      for (Touch touch : kTouches) {
        for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2, int64_t{1000}}) {
          CAPTURE(n);
          check(table, p, n, touch);
        }
      }
    }
  });
}

TEST_CASE("activations: every function has a case") {
  for (int fn = 0; fn < static_cast<int>(ActivationFn::count); fn++) {
    CHECK(std::any_of(std::begin(kCases), std::end(kCases),
                      [&](const Parameters& p) { return static_cast<int>(p.fn) == fn; }));
  }
}
