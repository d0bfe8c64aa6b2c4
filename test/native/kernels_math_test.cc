// Accuracy of the elementary functions in units in the last place against double, over a sweep of
// all exponents, dense grids and the special values.
#include <algorithm>
#include <string>
#include <type_traits>

#include "kernel_support.h"

using namespace laminae_test;
using laminae::KernelTable;
using laminae::UnaryFn;

namespace {

double reference_sigmoid(double x) {
  return x < 0.0 ? std::exp(x) / (1.0 + std::exp(x)) : 1.0 / (1.0 + std::exp(-x));
}
double reference_exp(double x) { return std::exp(x); }
double reference_log(double x) { return std::log(x); }
double reference_tanh(double x) { return std::tanh(x); }
double reference_erf(double x) { return std::erf(x); }

struct Function {
  std::string name;
  UnaryFn fn;
  double (*reference)(double);
};

const Function kFunctions[] = {
    {"exp", UnaryFn::exp, reference_exp},    {"log", UnaryFn::log, reference_log},
    {"tanh", UnaryFn::tanh, reference_tanh}, {"sigmoid", UnaryFn::sigmoid, reference_sigmoid},
    {"erf", UnaryFn::erf, reference_erf},
};

// Every sign and exponent (with `per_exponent` mantissas each), a dense grid where the functions
// bend, and the ends.
std::vector<float> inputs(int per_exponent, int grid) {
  std::vector<float> x;
  Random random(7);
  for (uint32_t top = 0; top < 512; top++) {
    for (int i = 0; i < per_exponent; i++) {
      const uint32_t mantissa = i == 0 ? 0u : i == 1 ? 0x7fffffu : random.bits() & 0x7fffffu;
      const uint32_t bits = (top << 23) | mantissa;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      x.push_back(value);
    }
  }
  for (int i = 0; i < grid; i++) {
    x.push_back(static_cast<float>(-110.0 + 220.0 * i / grid));
    x.push_back(static_cast<float>(-5.0 + 10.0 * i / grid));
    x.push_back(static_cast<float>(0.4 + 1.2 * i / grid));
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (float value : {0.0f, -0.0f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
                      88.72283f, 88.72284f, -87.33655f, -103.27893f, -103.972084f, -104.5f}) {
    x.push_back(value);
  }
  return x;
}

double worst_ulp(const KernelTable<float>& table, const Function& f, const std::vector<float>& x,
                 float* where) {
  std::vector<float> y(x.size());
  table.unary(f.fn, static_cast<int64_t>(x.size()), x.data(), y.data());
  double worst = 0.0;
  for (size_t i = 0; i < x.size(); i++) {
    const double distance = ulp_distance(y[i], f.reference(static_cast<double>(x[i])));
    if (distance > worst) {
      worst = distance;
      *where = x[i];
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("exp, log, tanh, sigmoid, erf: at most 2 ulp in float on every ISA") {
  const std::vector<float> x = inputs(200, 20000);
  for (const laminae::IsaInfo* isa : laminae::available_isas()) {
    for (const Function& f : kFunctions) {
      float where = 0.0f;
      const double worst = worst_ulp(*isa->float_kernels, f, x, &where);
      INFO(std::string(isa->name), " ", f.name, " at x = ", where);
      CHECK(worst <= 2.0);
    }
  }
}

TEST_CASE("exp, log, tanh, sigmoid, erf: special values and signs of zero") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for_each_table([&](const auto& table) {
    using T = std::decay_t<decltype(table.fma_peak(0))>;
    const auto value = [&](UnaryFn fn, float x) {
      const T in = static_cast<T>(x);
      T out;
      table.unary(fn, 1, &in, &out);
      return static_cast<double>(out);
    };
    CHECK(value(UnaryFn::exp, -infinity) == 0.0);
    CHECK(value(UnaryFn::exp, infinity) == infinity);
    CHECK(value(UnaryFn::exp, 0.0f) == 1.0);
    CHECK(value(UnaryFn::log, 0.0f) == -infinity);
    CHECK(value(UnaryFn::log, -0.0f) == -infinity);
    CHECK(value(UnaryFn::log, infinity) == infinity);
    CHECK(value(UnaryFn::log, 1.0f) == 0.0);
    CHECK(std::isnan(value(UnaryFn::log, -1.0f)));
    CHECK(std::isnan(value(UnaryFn::log, -infinity)));
    CHECK(value(UnaryFn::sigmoid, -infinity) == 0.0);
    CHECK(value(UnaryFn::sigmoid, infinity) == 1.0);
    CHECK(value(UnaryFn::sigmoid, 0.0f) == 0.5);
    for (UnaryFn fn : {UnaryFn::tanh, UnaryFn::erf}) {
      CHECK(value(fn, infinity) == 1.0);
      CHECK(value(fn, -infinity) == -1.0);
      CHECK(value(fn, 0.0f) == 0.0);
      CHECK(std::signbit(value(fn, -0.0f)));
    }
    for (const Function& f : kFunctions) {
      CAPTURE(f.name);
      CHECK(std::isnan(value(f.fn, nan)));
    }
  });
}

TEST_CASE("double functions: relative error near 1e-16") {
  const std::vector<float> x = inputs(40, 4000);
  const std::vector<double> in(x.begin(), x.end());
  std::vector<double> out(in.size());
  for (const Function& f : kFunctions) {
    laminae::portable_double_kernels().unary(f.fn, static_cast<int64_t>(in.size()), in.data(),
                                             out.data());
    double worst = 0.0;
    for (size_t i = 0; i < in.size(); i++) {
      const double expected = f.reference(in[i]);
      if (out[i] == expected || (std::isnan(out[i]) && std::isnan(expected))) continue;
      worst = std::max(worst, std::fabs(out[i] - expected) / std::fabs(expected));
    }
    CAPTURE(f.name);
    CHECK(worst <= 1e-15);
  }
}
