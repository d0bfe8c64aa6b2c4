// What the tests of ops share: running one by name, and comparing what it wrote.
#ifndef LAMINAE_TEST_NATIVE_OP_SUPPORT_H_
#define LAMINAE_TEST_NATIVE_OP_SUPPORT_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/op.h"
#include "kernel_support.h"

namespace laminae_test {

// Fields in the order of ops.def, one number per slot.
inline void run_named(const std::string& name, const std::vector<double>& fields,
                      const std::vector<laminae::Buffer>& buffers) {
  int count;
  const laminae::OpInfo* list = laminae::ops(&count);
  for (int i = 0; i < count; ++i) {
    if (name == list[i].name) return laminae::run_op(i, fields.data(), buffers.data());
  }
  FAIL("no op ", name);
}

template <class T>
laminae::Buffer buffer(GuardedBuffer<T>& b) {
  return {b.data(), b.size(), laminae::DTypeOf<T>::kValue};
}

// |got - expected| <= tolerance max(1, |expected|) everywhere, NaN where NaN is expected. The
// reference may have more digits than double.
template <class T, class Real>
void check_close(GuardedBuffer<T>& got, const std::vector<Real>& expected, double tolerance,
                 const std::string& what) {
  REQUIRE(got.size() == static_cast<int64_t>(expected.size()));
  for (int64_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]);
    const double e = static_cast<double>(expected[static_cast<size_t>(i)]);
    if (g == e || (std::isnan(g) && std::isnan(e))) continue;
    if (std::fabs(g - e) <= tolerance * std::max(1.0, std::fabs(e))) continue;
    INFO(what, " differs at ", i, ": ", g, " instead of ", e);
    FAIL_CHECK("wrong value");
    return;
  }
}

template <class T>
void check_same(GuardedBuffer<T>& got, const std::vector<double>& expected,
                const std::string& what) {
  check_close(got, expected, 0, what);
}

}  // namespace laminae_test

#endif  // LAMINAE_TEST_NATIVE_OP_SUPPORT_H_
