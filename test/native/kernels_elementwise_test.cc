// unary, unary_backward, binary, compare, scale_add, affine, fill, end_rows: values against double
// formulas, sizes around the vector width between guard pages, in-place use, NaN rules.
#include <algorithm>
#include <string>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;
using laminae::BinaryFn;
using laminae::CompareFn;
using laminae::SavedForBackward;
using laminae::UnaryFn;

namespace {

double sigmoid(double x) {
  return x < 0.0 ? std::exp(x) / (1.0 + std::exp(x)) : 1.0 / (1.0 + std::exp(-x));
}
double cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double pdf(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::acos(-1.0)); }

struct UnaryReference {
  std::string name;
  UnaryFn fn;
  SavedForBackward saved;
  double low, high;  // inputs to test
  double (*value)(double x);
  double (*derivative)(double x);
};

#define FN(name, saved, low, high, value, derivative)                                   \
  UnaryReference {                                                                      \
#name, UnaryFn::name, SavedForBackward::saved, low, high,                           \
        [](double x) -> double { return value; }, []([[maybe_unused]] double x)         \
                                                       -> double { return derivative; } \
  }

std::vector<UnaryReference> unary_references() {
  return {
      FN(neg, none, -9, 9, -x, -1),
      FN(abs, x, -9, 9, std::fabs(x), x > 0 ? 1 : -1),
      FN(exp, y, -9, 9, std::exp(x), std::exp(x)),
      FN(expm1, y, -2, 2, std::expm1(x), std::exp(x)),
      FN(log, x, 0.01, 9, std::log(x), 1 / x),
      FN(log1p, x, -0.9, 9, std::log1p(x), 1 / (1 + x)),
      FN(sqrt, y, 0.01, 9, std::sqrt(x), 0.5 / std::sqrt(x)),
      FN(rsqrt, y, 0.01, 9, 1 / std::sqrt(x), -0.5 * std::pow(x, -1.5)),
      FN(square, x, -9, 9, x * x, 2 * x),
      FN(reciprocal, y, 0.1, 9, 1 / x, -1 / (x * x)),
      FN(sin, x, -9, 9, std::sin(x), std::cos(x)),
      FN(cos, x, -9, 9, std::cos(x), -std::sin(x)),
      FN(relu, y, -9, 9, x > 0 ? x : 0, x > 0 ? 1 : 0),
      FN(sigmoid, y, -9, 9, sigmoid(x), sigmoid(x) * (1 - sigmoid(x))),
      FN(tanh, y, -4, 4, std::tanh(x), 1 - std::tanh(x) * std::tanh(x)),
      FN(erf, x, -3, 3, std::erf(x), 2 / std::sqrt(std::acos(-1.0)) * std::exp(-x * x)),
      FN(gelu, x, -5, 5, x * cdf(x), cdf(x) + x * pdf(x)),
      FN(silu, x, -9, 9, x * sigmoid(x), sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
      FN(sign, none, -9, 9,
         x > 0   ? 1
         : x < 0 ? -1
                 : 0,
         0),
      FN(floor, none, -9, 9, std::floor(x), 0),
      FN(ceil, none, -9, 9, std::ceil(x), 0),
      FN(round, none, -9, 9, std::nearbyint(x), 0),
      FN(trunc, none, -9, 9, std::trunc(x), 0),
  };
}
#undef FN

template <class Table>
std::vector<int64_t> sizes(const Table& table) {
  const int64_t w = table.vec_width;
  return {0, 1, w - 1, w, w + 1, 3 * w + 2};
}

}  // namespace

TEST_CASE("unary: every function and its derivative, in place and between guard pages") {
  const std::vector<UnaryReference> references = unary_references();
  CHECK(references.size() == static_cast<size_t>(UnaryFn::count));
  for_each_table([&](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(11);
    for (const UnaryReference& f : references) {
      CAPTURE(f.name);
      for (Touch touch : kTouches) {
        for (int64_t n : sizes(table)) {
          GuardedBuffer<T> x(n, touch), y(n, touch), dy(n, touch), dx(n, touch), in_place(n, touch);
          x.randomize(random, f.low, f.high);
          dy.randomize(random, -2.0, 2.0);
          table.unary(f.fn, n, x.data(), y.data());
          for (int64_t i = 0; i < n; i++) in_place[i] = x[i];
          table.unary(f.fn, n, in_place.data(), in_place.data());
          const T* saved = f.saved == SavedForBackward::x   ? x.data()
                           : f.saved == SavedForBackward::y ? y.data()
                                                            : nullptr;
          table.unary_backward(f.fn, n, saved, dy.data(), dx.data());
          double worst_value = 0.0, worst_derivative = 0.0;
          bool same = true;
          for (int64_t i = 0; i < n; i++) {
            const double in = static_cast<double>(x[i]);
            const double value = f.value(in);
            // x (1 + erf) / 2 cancels for negative x, in PyTorch too: the error is relative to x.
            const double magnitude = f.fn == UnaryFn::gelu ? std::fabs(in) : std::fabs(value);
            const double derivative = f.derivative(in) * dy[i];
            worst_value = std::max(worst_value, std::fabs(y[i] - value) / (magnitude + 0.1));
            worst_derivative = std::max(
                worst_derivative, std::fabs(dx[i] - derivative) / (std::fabs(derivative) + 1.0));
            same = same && in_place[i] == y[i];
          }
          CHECK(worst_value <= 4.0 * epsilon<T>());
          CHECK(worst_derivative <= 16.0 * epsilon<T>());
          CHECK(same);
        }
      }
    }
  });
}

TEST_CASE("unary: NaN, zeros, infinities and large values") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const T infinity = std::numeric_limits<T>::infinity();
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const auto value = [&](UnaryFn fn, T x) {
      T y;
      table.unary(fn, 1, &x, &y);
      return y;
    };
    const auto derivative = [&](UnaryFn fn, T saved) {
      const T dy = T(1);
      T dx;
      table.unary_backward(fn, 1, &saved, &dy, &dx);
      return dx;
    };
    CHECK(std::isnan(value(UnaryFn::relu, nan)));
    CHECK(value(UnaryFn::relu, -infinity) == T(0));
    CHECK(derivative(UnaryFn::relu, T(0)) == T(0));
    CHECK(derivative(UnaryFn::relu, nan) == T(1));
    CHECK(derivative(UnaryFn::abs, T(0)) == T(0));
    CHECK(value(UnaryFn::sign, nan) == T(0));
    CHECK(value(UnaryFn::abs, -infinity) == infinity);
    CHECK(value(UnaryFn::reciprocal, T(0)) == infinity);
    CHECK(value(UnaryFn::sqrt, infinity) == infinity);
    CHECK(std::isnan(value(UnaryFn::sqrt, T(-1))));
    for (T x : {T(0.5), T(-0.5), T(1.5), T(2.5), T(-2.5), T(0.49999997), T(8388607.5), T(1e10),
                T(-1e30), T(-0.0), infinity, -infinity}) {
      CAPTURE(x);
      CHECK(value(UnaryFn::floor, x) == std::floor(x));
      CHECK(value(UnaryFn::ceil, x) == std::ceil(x));
      CHECK(value(UnaryFn::round, x) == std::nearbyint(x));
      CHECK(value(UnaryFn::trunc, x) == std::trunc(x));
      CHECK(std::signbit(value(UnaryFn::ceil, x)) == std::signbit(std::ceil(x)));
      CHECK(std::signbit(value(UnaryFn::round, x)) == std::signbit(std::nearbyint(x)));
    }
    for (UnaryFn fn : {UnaryFn::floor, UnaryFn::ceil, UnaryFn::round, UnaryFn::trunc}) {
      CHECK(std::isnan(value(fn, nan)));
    }
  });
}

TEST_CASE("binary: every function, steps 0 and 1, in place, between guard pages") {
  const auto reference = [](BinaryFn fn, double a, double b) {
    switch (fn) {
      case BinaryFn::add:
        return a + b;
      case BinaryFn::sub:
        return a - b;
      case BinaryFn::mul:
        return a * b;
      case BinaryFn::div:
        return a / b;
      case BinaryFn::max:
        return std::max(a, b);
      case BinaryFn::min:
        return std::min(a, b);
      default:
        return std::pow(a, b);
    }
  };
  for_each_table([&](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(12);
    for (int fn = 0; fn < static_cast<int>(BinaryFn::count); fn++) {
      CAPTURE(fn);
      for (Touch touch : kTouches) {
        for (int64_t n : sizes(table)) {
          for (int steps = 0; steps < 4; steps++) {
            const int64_t a_step = steps & 1, b_step = steps >> 1;
            GuardedBuffer<T> a(a_step == 0 ? 1 : n, touch), b(b_step == 0 ? 1 : n, touch);
            GuardedBuffer<T> y(n, touch);
            a.randomize(random, 0.1, 3.0);
            b.randomize(random, 0.1, 3.0);
            table.binary(static_cast<BinaryFn>(fn), n, a.data(), a_step, b.data(), b_step,
                         y.data());
            double worst = 0.0;
            for (int64_t i = 0; i < n; i++) {
              const double expected =
                  reference(static_cast<BinaryFn>(fn), a[i * a_step], b[i * b_step]);
              worst = std::max(worst, std::fabs(y[i] - expected) / std::fabs(expected));
            }
            CHECK(worst <= epsilon<T>());
            if (a_step == 1) {
              table.binary(static_cast<BinaryFn>(fn), n, a.data(), 1, b.data(), b_step, a.data());
              CHECK((n == 0 || std::memcmp(a.data(), y.data(), sizeof(T) * n) == 0));
            }
          }
        }
      }
    }
  });
}

TEST_CASE("binary: NaN in max and min, powers") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const T nan = std::numeric_limits<T>::quiet_NaN();
    const auto value = [&](BinaryFn fn, T a, T b) {
      T y;
      table.binary(fn, 1, &a, 1, &b, 1, &y);
      return y;
    };
    for (BinaryFn fn : {BinaryFn::max, BinaryFn::min}) {
      CHECK(std::isnan(value(fn, nan, T(1))));
      CHECK(std::isnan(value(fn, T(1), nan)));
      CHECK(value(fn, T(2), T(2)) == T(2));
    }
    CHECK(value(BinaryFn::pow, T(-2), T(3)) == T(-8));
    CHECK(value(BinaryFn::pow, nan, T(0)) == T(1));
    CHECK(value(BinaryFn::pow, T(0), T(0)) == T(1));
    const T base[3] = {T(-3), T(0.5), T(7)};
    const T two = T(2);
    T y[3];
    table.binary(BinaryFn::pow, 3, base, 1, &two, 0, y);
    CHECK(y[0] == T(9));
    CHECK(y[1] == T(0.25));
    CHECK(y[2] == T(49));
  });
}

TEST_CASE("compare: every relation, steps 0 and 1, NaN, between guard pages") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(13);
    for (Touch touch : kTouches) {
      for (int64_t n : sizes(table)) {
        for (int steps = 0; steps < 4; steps++) {
          const int64_t a_step = steps & 1, b_step = steps >> 1;
          GuardedBuffer<T> a(a_step == 0 ? 1 : n, touch), b(b_step == 0 ? 1 : n, touch);
          GuardedBuffer<uint8_t> y(n, touch);
          for (auto* buffer : {&a, &b}) {
            for (int64_t i = 0; i < buffer->size(); i++) {
              const int64_t v = random.integer(-1, 2);
              (*buffer)[i] = v == 2 ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(v);
            }
          }
          for (int fn = 0; fn < static_cast<int>(CompareFn::count); fn++) {
            y.fill(7);
            table.compare(static_cast<CompareFn>(fn), n, a.data(), a_step, b.data(), b_step,
                          y.data());
            bool right = true;
            for (int64_t i = 0; i < n; i++) {
              const T p = a[i * a_step], q = b[i * b_step];
              const bool expected[] = {p > q, p >= q, p < q, p <= q, p == q, p != q};
              right = right && y[i] == (expected[fn] ? 1 : 0);
            }
            CHECK(right);
          }
        }
      }
    }
  });
}

TEST_CASE("scale_add, affine, fill: values, guard pages, beta 0 ignores what y holds") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    Random random(14);
    for (Touch touch : kTouches) {
      for (int64_t n : sizes(table)) {
        GuardedBuffer<T> x(n, touch), y(n, touch), z(n, touch);
        x.randomize(random);
        for (T beta : {T(0), T(1), T(-0.75)}) {
          y.randomize(random);
          const std::vector<T> before(y.data(), y.data() + n);
          if (beta == T(0)) y.fill(std::numeric_limits<T>::quiet_NaN());
          table.scale_add(n, T(1.5), x.data(), beta, y.data());
          double worst = 0.0;
          for (int64_t i = 0; i < n; i++) {
            const double expected =
                1.5 * x[i] + (beta == T(0) ? 0.0 : static_cast<double>(beta) * before[i]);
            const double error = std::fabs(y[i] - expected);
            worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
          }
          CHECK(worst <= 4.0 * epsilon<T>());
        }
        table.affine(n, T(2), x.data(), T(-0.5), z.data());
        double worst = 0.0;
        for (int64_t i = 0; i < n; i++) {
          worst = std::max(worst, std::fabs(z[i] - (2.0 * x[i] - 0.5)));
        }
        CHECK(worst <= 2.0 * epsilon<T>());
        table.fill(n, T(3), z.data());
        CHECK(std::all_of(z.data(), z.data() + n, [](T v) { return v == T(3); }));
      }
    }
  });
}

TEST_CASE("end_rows: the sum is limited row by row, nothing between rows is touched, NaN stays") {
  for_each_table([](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    constexpr int64_t kRows = 3;
    Random random(15);
    for (int64_t n : sizes(table)) {
      if (n == 0) continue;
      const int64_t step = n + 5;
      const int64_t size = (kRows - 1) * step + n;
      GuardedBuffer<T> y(size, Touch::end), add(size, Touch::end);
      for (bool adds : {false, true}) {
        y.randomize(random);
        add.randomize(random);
        y[n - 1] = std::numeric_limits<T>::quiet_NaN();
        const std::vector<T> before(y.data(), y.data() + size);
        table.end_rows(kRows, n, adds ? add.data() : nullptr, T(-0.25), T(0.5), y.data(), step);
        int64_t wrong = std::isnan(y[n - 1]) ? 0 : 1;
        for (int64_t i = 0; i < size; ++i) {
          if (i == n - 1) continue;
          const T sum = adds ? before[i] + add[i] : before[i];
          const T expected = std::min(T(0.5), std::max(T(-0.25), sum));
          wrong += y[i] != (i % step < n ? expected : before[i]);
        }
        CHECK(wrong == 0);
      }
    }
  });
}
