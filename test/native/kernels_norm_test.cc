// Batch normalisation and its backward against plain loops in double, on every ISA, with all
// buffers between unreadable pages: both layouts, all lengths around the vector widths, and the
// accuracy of the statistics. What follows in the same pass gives the bits of separate passes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/op.h"
#include "core/parallel.h"
#include "kernel_support.h"
#include "op_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

// The reference of the double kernels has to be better than they are.
using Real = long double;

// Roughly normal numbers.
template <class T>
void fill_normal(GuardedBuffer<T>& b, Random& random, double mean) {
  for (int64_t i = 0; i < b.size(); ++i) {
    double s = -6;
    for (int k = 0; k < 12; ++k) s += random.uniform(0, 1);
    b[i] = static_cast<T>(mean + s);
  }
}

// The bounds of an ending.
struct Range {
  double low, high;
  bool passes(double y) const { return !(y <= low || y >= high); }
};
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Range kAll = {-kInfinity, kInfinity}, kRelu = {0, kInfinity}, kNarrow = {-0.25, 0.75};

// One of the forward ops and its backward, with an ending or without.
template <class T>
struct Passes {
  GuardedBuffer<T>&x, &dy, &weight, &bias, &add, &y, &dx, &dweight, &dbias;
  GuardedBuffer<double>&mean, &invstd;
  std::vector<double> shape;

  void forward(bool training, bool adds, Range range) {
    GuardedBuffer<T> running_mean(weight.size(), Touch::end),
        running_var(weight.size(), Touch::end);
    running_mean.fill(T(0.25));
    running_var.fill(T(2));
    std::vector<double> fields = shape;
    if (training) fields.push_back(0.5);
    fields.insert(fields.end(), {1e-5, range.low, range.high});
    run_named(training ? "batch_norm_train" : "batch_norm_eval", fields,
              {buffer(x), buffer(weight), buffer(bias), buffer(running_mean), buffer(running_var),
               adds ? buffer(add) : Buffer(), buffer(y), buffer(mean), buffer(invstd)});
  }
  // `passed`: null, or what passes is told by y and goes there.
  void backward(bool training, Range range, GuardedBuffer<T>* passed = nullptr) {
    std::vector<double> fields = shape;
    fields.insert(fields.end(), {training ? 1.0 : 0.0, range.low, range.high});
    const bool keeps = passed != nullptr;
    run_named("batch_norm_backward", fields,
              {buffer(x), buffer(dy), buffer(weight), buffer(bias), buffer(mean), buffer(invstd),
               keeps ? buffer(y) : Buffer(), keeps ? buffer(*passed) : Buffer(), buffer(dx),
               buffer(dweight), buffer(dbias)});
  }
};

template <class T>
std::vector<double> values(GuardedBuffer<T>& b) {
  return std::vector<double>(b.data(), b.data() + b.size());
}

template <class T>
void check_endings(Passes<T> p, bool training, Touch touch) {
  GuardedBuffer<T> dy(p.dy.size(), touch), passed(p.dy.size(), touch);
  std::copy_n(p.dy.data(), dy.size(), dy.data());
  for (const bool adds : {false, true}) {
    for (const Range range : {kAll, kRelu, kNarrow}) {
      INFO("adds ", adds, ", from ", range.low, " to ", range.high);
      p.forward(training, false, kAll);
      std::vector<double> expected = values(p.y);
      for (int64_t i = 0; i < p.y.size(); ++i) {
        T v = p.y[i];
        if (adds) v = v + p.add[i];
        if (v <= static_cast<T>(range.low)) v = static_cast<T>(range.low);
        if (v >= static_cast<T>(range.high)) v = static_cast<T>(range.high);
        expected[static_cast<size_t>(i)] = static_cast<double>(v);
      }
      p.forward(training, adds, range);
      check_same(p.y, expected, "y with an ending");

      // Its gradient, and that of dy as the ending passes it on.
      std::copy_n(dy.data(), dy.size(), p.dy.data());
      p.backward(training, range, adds ? &passed : nullptr);
      const std::vector<double> dx = values(p.dx), dweight = values(p.dweight);
      const std::vector<double> dbias = values(p.dbias);
      if (adds) {
        p.backward(training, range, &p.dy);
        check_same(p.dy, values(passed), "what passes, in the place of dy");
        check_same(p.dx, dx, "dx of what passes, in the place of dy");
        std::copy_n(dy.data(), dy.size(), p.dy.data());
      }
      for (int64_t i = 0; i < p.y.size(); ++i) {
        if (!range.passes(static_cast<double>(p.y[i]))) p.dy[i] = T(0);
      }
      if (adds) check_same(passed, values(p.dy), "what passes");
      p.backward(training, kAll);
      check_same(p.dx, dx, "dx through an ending");
      check_same(p.dweight, dweight, "dweight through an ending");
      check_same(p.dbias, dbias, "dbias through an ending");
    }
  }
  std::copy_n(dy.data(), dy.size(), p.dy.data());
}

template <class T>
void check(int64_t n, int64_t c, int64_t s, double mean, Touch touch, Random& random) {
  INFO("n ", n, ", c ", c, ", s ", s, ", mean ", mean);
  const int64_t total = n * c * s;
  GuardedBuffer<T> x(total, touch), dy(total, touch), y(total, touch), dx(total, touch),
      add(total, touch);
  GuardedBuffer<T> weight(c, touch), bias(c, touch), running_mean(c, touch), running_var(c, touch),
      dweight(c, touch), dbias(c, touch);
  GuardedBuffer<double> saved_mean(c, touch), invstd(c, touch);
  fill_normal(x, random, mean);
  fill_normal(dy, random, 0);
  Random more(7);
  fill_normal(add, more, 0);
  weight.randomize(random, -2, 2);
  bias.randomize(random, -2, 2);
  const double eps = 1e-5;
  const double count = static_cast<double>(n * s);

  std::vector<Real> means(static_cast<size_t>(c), Real(0)), vars = means, sum_dy = means,
                                                            sum_dy_hat = means;
  const auto channel = [&](int64_t i) { return static_cast<size_t>(i / s % c); };
  for (int64_t i = 0; i < total; ++i) means[channel(i)] += static_cast<Real>(x[i]) / count;
  for (int64_t i = 0; i < total; ++i) {
    vars[channel(i)] += std::pow(static_cast<Real>(x[i]) - means[channel(i)], 2) / count;
  }
  const auto hat = [&](int64_t i) {
    return (static_cast<Real>(x[i]) - means[channel(i)]) / std::sqrt(vars[channel(i)] + eps);
  };
  std::vector<Real> y64, dx64, eval64, half_means, half_vars;
  for (int64_t i = 0; i < total; ++i) {
    sum_dy[channel(i)] += static_cast<Real>(dy[i]);
    sum_dy_hat[channel(i)] += static_cast<Real>(dy[i]) * hat(i);
  }
  for (int64_t i = 0; i < total; ++i) {
    const size_t j = channel(i);
    const Real w = static_cast<Real>(weight[static_cast<int64_t>(j)]);
    y64.push_back(hat(i) * w + static_cast<Real>(bias[static_cast<int64_t>(j)]));
    const Real inner = static_cast<Real>(dy[i]) - (sum_dy[j] + hat(i) * sum_dy_hat[j]) / count;
    dx64.push_back(w / std::sqrt(vars[j] + eps) * inner);
    eval64.push_back(w / std::sqrt(vars[j] + eps) * static_cast<Real>(dy[i]));
  }
  for (size_t j = 0; j < means.size(); ++j) {
    half_means.push_back(Real(0.5) * means[j]);
    half_vars.push_back(Real(0.5) + Real(0.5) * vars[j] * count / (count - 1));
  }

  running_mean.fill(T(0));
  running_var.fill(T(1));
  const double unit = epsilon<T>();
  const std::vector<double> shape = {static_cast<double>(n), static_cast<double>(c),
                                     static_cast<double>(s)};
  std::vector<double> train = shape, back = shape, eval_back = shape;
  train.insert(train.end(), {0.5, eps, kAll.low, kAll.high});
  back.insert(back.end(), {1, kAll.low, kAll.high});
  eval_back.insert(eval_back.end(), {0, kAll.low, kAll.high});
  run_named("batch_norm_train", train,
            {buffer(x), buffer(weight), buffer(bias), buffer(running_mean), buffer(running_var),
             Buffer(), buffer(y), buffer(saved_mean), buffer(invstd)});
  check_close(y, y64, 16 * unit, "y");
  check_close(saved_mean, means, 4 * unit, "mean");
  check_close(running_mean, half_means, 4 * unit, "running mean");
  check_close(running_var, half_vars, 16 * unit, "running variance");
  const std::vector<Buffer> buffers = {
      buffer(x), buffer(dy), buffer(weight), buffer(bias),    buffer(saved_mean), buffer(invstd),
      Buffer(),  Buffer(),   buffer(dx),     buffer(dweight), buffer(dbias)};
  run_named("batch_norm_backward", back, buffers);
  const double longest = 8 * unit * std::sqrt(count);
  check_close(dx, dx64, 64 * unit, "dx");
  check_close(dweight, sum_dy_hat, longest, "dweight");
  check_close(dbias, sum_dy, longest, "dbias");
  run_named("batch_norm_backward", eval_back, buffers);
  check_close(dx, eval64, 8 * unit, "dx of evaluation");
  for (const bool training : {true, false}) {
    check_endings<T>({x, dy, weight, bias, add, y, dx, dweight, dbias, saved_mean, invstd, shape},
                     training, touch);
  }
}

}  // namespace

TEST_CASE("batch norm agrees with plain loops") {
  const int threads = set_num_threads(1);
  const std::string best = active_isa().name;
  struct Shape {
    int64_t n, c, s;
  };
  std::vector<Shape> shapes = {{3, 2, 9000}, {40, 3, 300},  {1, 2, 4096},
                               {2000, 3, 1}, {300, 150, 1}, {5000, 1, 1}};
  for (const int64_t length : {2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 129}) {
    shapes.push_back({5, 3, length});
    shapes.push_back({7, length, 1});
    shapes.push_back({length, 5, 1});
  }
  for (const IsaInfo* isa : available_isas()) {
    INFO("ISA ", std::string(isa->name));
    set_active_isa(isa->name);
    Random random(1);
    for (const Touch touch : kTouches) {
      for (const Shape& shape : shapes) check<float>(shape.n, shape.c, shape.s, 0.5, touch, random);
    }
    for (const double mean : {1e3, 1e5}) {
      check<float>(4, 2, 5000, mean, Touch::end, random);
      check<float>(3000, 5, 1, mean, Touch::end, random);
    }
  }
  set_active_isa(best);
  Random random(2);
  for (const Shape& shape : shapes)
    check<double>(shape.n, shape.c, shape.s, 0.5, Touch::end, random);
  set_num_threads(threads);
}

TEST_CASE("batch norm of large tensors, which are walked in another order") {
  const int before = num_threads();
  Random random(3);
  for (const int threads : thread_counts()) {
    INFO(threads, " threads");
    set_num_threads(threads);
    check<float>(6, 60, 3001, 0.5, Touch::end, random);  // channels together: 22
    check<float>(3, 45, 8000, 0.5, Touch::end, random);  // in pieces
    check<float>(50, 3, 7100, 0.5, Touch::end, random);  // with two threads all blocks are shared
  }
  set_num_threads(before);
}

TEST_CASE("the gradient at the bounds of an ending is 0, beyond infinity there is none to stop") {
  // In evaluation y is x, to the bit.
  const std::vector<float> x = {-1, 0, 3, 6, 7, INFINITY};
  GuardedBuffer<float> in(6, Touch::end), dy(6, Touch::end), dx(6, Touch::end), one(6, Touch::end);
  GuardedBuffer<float> y(6, Touch::end), passed(6, Touch::end), zero(6, Touch::end);
  GuardedBuffer<double> mean(6, Touch::end), invstd(6, Touch::end);
  const std::string best = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    INFO("ISA ", std::string(isa->name));
    set_active_isa(isa->name);
    std::copy(x.begin(), x.end(), in.data());
    dy.fill(1);
    one.fill(1);
    zero.fill(0);
    for (const Range range : {Range{0, 6}, kRelu, kAll}) {
      for (const bool keeps : {false, true}) {
        const Buffer none;
        run_named("batch_norm_eval", {1, 6, 1, 0, range.low, range.high},
                  {buffer(in), none, none, buffer(zero), buffer(one), none, buffer(y), buffer(mean),
                   buffer(invstd)});
        run_named(
            "batch_norm_backward", {1, 6, 1, 0, range.low, range.high},
            {buffer(in), buffer(dy), none, none, buffer(mean), buffer(invstd),
             keeps ? buffer(y) : none, keeps ? buffer(passed) : none, buffer(dx), none, none});
        std::vector<double> expected;
        for (const float v : x) {
          const bool bounded = range.high < kInfinity;
          expected.push_back((v > range.low && (v < range.high || !bounded)) ? 1 : 0);
        }
        check_same(dx, expected, "dx");
      }
    }
  }
  set_active_isa(best);
}
