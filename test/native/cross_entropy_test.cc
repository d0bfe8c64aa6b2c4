// The cross entropy ops between unreadable pages: what they refuse, and that a refusal comes before
// anything is touched outside of a buffer. Values are checked from JavaScript.
#include <string>
#include <vector>

#include "core/op.h"
#include "kernel_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

int op_code(const std::string& name) {
  int count;
  const OpInfo* list = ops(&count);
  for (int i = 0; i < count; ++i) {
    if (name == list[i].name) return i;
  }
  FAIL("no op ", name);
  return -1;
}

template <class T>
Buffer buffer(GuardedBuffer<T>& b) {
  return {b.data(), b.size(), DTypeOf<T>::kValue};
}

struct CrossEntropy {
  double n, c, s, reduction = 1, ignore_index = -100, smoothing = 0;

  // Forward and backward from logits with all targets `target`.
  void run(int32_t target) const {
    const int64_t samples = static_cast<int64_t>(n * s), count = static_cast<int64_t>(n * c * s);
    GuardedBuffer<float> x(count), log_p(count), y(reduction == 0 ? samples : 1), dx(count);
    GuardedBuffer<int32_t> targets(samples);
    GuardedBuffer<double> total(1);
    Random random(1);
    x.randomize(random);
    targets.fill(target);
    run(x, log_p, targets, y, total, dx);
    // The gradient of a softmax adds up to 0 for each sample.
    double largest = 0;
    for (int64_t i = 0; i < samples; ++i) {
      const int64_t first = i / static_cast<int64_t>(s) * static_cast<int64_t>(c * s);
      double sum = 0;
      for (int64_t j = 0; j < static_cast<int64_t>(c); ++j) {
        sum += static_cast<double>(
            dx[first + j * static_cast<int64_t>(s) + i % static_cast<int64_t>(s)]);
      }
      largest = std::fmax(largest, std::fabs(sum));
    }
    CHECK(largest <= 4.0 * epsilon<float>());
  }

  void run(GuardedBuffer<float>& x, GuardedBuffer<float>& log_p, GuardedBuffer<int32_t>& targets,
           GuardedBuffer<float>& y, GuardedBuffer<double>& total, GuardedBuffer<float>& dx) const {
    const double forward[] = {n, c, s, reduction, ignore_index, smoothing};
    const Buffer in[] = {buffer(x), buffer(log_p), buffer(targets), {}, buffer(y), buffer(total)};
    run_op(op_code("cross_entropy"), forward, in);
    y.fill(1.0f);
    const double backward[] = {n, c, s, reduction, ignore_index, smoothing, 1};
    const Buffer back[] = {buffer(log_p), buffer(targets), {},
                           buffer(total), buffer(y),       buffer(dx)};
    run_op(op_code("cross_entropy_backward"), backward, back);
  }
};

}  // namespace

TEST_CASE("cross entropy: rows and images, every reduction, with smoothing") {
  for (double s : {1.0, 3.0, 700.0}) {
    for (double reduction : {0.0, 1.0, 2.0}) {
      for (double smoothing : {0.0, 0.25}) {
        CrossEntropy{70, 5, s, reduction, -100, smoothing}.run(4);
        CrossEntropy{70, 5, s, reduction, 4, smoothing}.run(2);
      }
    }
  }
}

TEST_CASE("cross entropy: a target that is no class is refused, whatever it is") {
  for (int32_t target : {5, -1, INT32_MAX, INT32_MIN}) {
    CHECK_THROWS_AS((CrossEntropy{70, 5, 1}.run(target)), OpError);
    CHECK_THROWS_AS((CrossEntropy{2, 5, 700}.run(target)), OpError);
  }
}

TEST_CASE("cross entropy: backward checks the targets again") {
  GuardedBuffer<float> log_p(10), dy(1), dx(10);
  GuardedBuffer<int32_t> targets(2);
  GuardedBuffer<double> total(1);
  targets.fill(7);
  total.fill(2.0);
  const double slots[] = {2, 5, 1, 1, -100, 0, 1};
  const Buffer buffers[] = {buffer(log_p), buffer(targets), {},
                            buffer(total), buffer(dy),      buffer(dx)};
  CHECK_THROWS_AS(run_op(op_code("cross_entropy_backward"), slots, buffers), OpError);
}

TEST_CASE("cross entropy: short buffers and impossible descriptors are refused") {
  CHECK_THROWS_AS((CrossEntropy{-1, 5, 1}.run(0)), std::exception);
  CHECK_THROWS_AS((CrossEntropy{2, 0, 1}.run(0)), OpError);
  CHECK_THROWS_AS((CrossEntropy{2, 5, 1, 3}.run(0)), OpError);
  GuardedBuffer<float> x(10), log_p(10), y(1), dx(10), short_x(9);
  GuardedBuffer<int32_t> targets(2);
  GuardedBuffer<double> total(1);
  targets.fill(0);
  const CrossEntropy call{2, 5, 1};
  CHECK_NOTHROW(call.run(x, log_p, targets, y, total, dx));
  CHECK_THROWS_AS(call.run(short_x, log_p, targets, y, total, dx), OpError);
  CHECK_THROWS_AS(call.run(x, short_x, targets, y, total, dx), OpError);
  CHECK_THROWS_AS(call.run(x, log_p, targets, y, total, short_x), OpError);
}
