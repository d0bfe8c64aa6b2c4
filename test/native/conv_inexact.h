// What the tests of algorithms that round unlike a sum of products share: cases, and the comparison
// with the reference.
#ifndef LAMINAE_TEST_NATIVE_CONV_INEXACT_H_
#define LAMINAE_TEST_NATIVE_CONV_INEXACT_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "conv_support.h"
#include "core/parallel.h"

namespace laminae_test {

// A convolution of planes, and rows of zeros `below`, beyond pad_y.
struct PlaneCase {
  int64_t n, groups, c_in, c_out, height, width, pad_y, pad_x, below;
  int64_t taps = 3;
  int64_t stride = 1;
  int64_t lines = 0;  // of the kernel, if not `taps`
};

inline conv_desc descriptor(const PlaneCase& c) {
  const int64_t lines = c.lines == 0 ? c.taps : c.lines;
  return descriptor(Case{c.n,
                         c.groups,
                         c.c_in,
                         c.c_out,
                         {1, c.height, c.width},
                         {1, lines, c.taps},
                         {1, c.stride, c.stride},
                         {0, c.pad_y, c.pad_x},
                         {1, 1, 1},
                         {0, c.below, 0}});
}

// The value of the field `algorithm` for the one of a name.
inline int64_t number_of(Pass pass, const std::string& name) {
  for (int64_t i = 1; i <= algorithm_count<float>(pass); ++i) {
    if (algorithm_name(pass, i) == name) return i;
  }
  FAIL("no algorithm ", name);
  return 0;
}

struct Operands : Tensors<float> {
  Operands(const conv_desc& d, Random& random) : Tensors<float>(d, Touch::end) {
    for (GuardedBuffer<float>* t : {&x, &w, &b, &dy}) {
      for (int64_t i = 0; i < t->size(); ++i)
        (*t)[i] = static_cast<float>(random.uniform(-1, 1) + random.uniform(-1, 1));
    }
  }
};

// Largest error over the root mean square of the expected values.
inline double relative_error(const std::vector<float>& got, const std::vector<float>& expected) {
  double squares = 0;
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double e = static_cast<double>(expected[i]);
    squares += e * e;
    const double error = std::fabs(static_cast<double>(got[i]) - e);
    if (!(error <= worst)) worst = error;  // NaN as well
  }
  return worst / std::sqrt(squares / static_cast<double>(got.size()));
}

// One algorithm on all ISAs. It has to be the choice, but not where exact sums are asked for.
inline void check(Pass pass, const conv_desc& d, const std::string& name, Random& random) {
  const std::string active = laminae::active_isa().name;
  const int64_t algorithm = number_of(pass, name);
  Operands t(d, random);
  laminae::set_num_threads(2);  // the reference takes most of the time
  const std::vector<float> expected =
      result(pass, d, reference_number<float>(pass), t, false, false);
  for (const laminae::IsaInfo* isa : laminae::available_isas()) {
    REQUIRE(laminae::set_active_isa(isa->name));
    INFO(name, " pass ", static_cast<int>(pass), " isa ", std::string(isa->name), " n ", d.n,
         " groups ", d.groups, " channels ", d.c_in, " ", d.c_out, " image ", d.in[1], " ", d.in[2],
         " kernel ", d.kernel[1], " ", d.kernel[2], " stride ", d.stride[1], " padding ",
         d.padding[1], " ", d.padding[2]);
    std::vector<float> first;
    for (int threads : thread_counts()) {
      laminae::set_num_threads(threads);
      const std::vector<float> got = result(pass, d, algorithm, t, false);
      if (first.empty()) first = got;
      CHECK(got == first);
    }
    CHECK(relative_error(first, expected) <= 3e-5);
    if (pass == kForward) check_endings(d, t, first);
    CHECK(result(pass, d, 0, t, false) == first);
    CHECK_THROWS_AS(result(pass, d, algorithm, t, true), laminae::OpError);
  }
  laminae::set_num_threads(1);
  REQUIRE(laminae::set_active_isa(active));
}

// That an algorithm of forward passes refuses some.
inline void check_refused(const std::vector<PlaneCase>& cases, const std::string& name,
                          Random& random) {
  for (const PlaneCase& c : cases) {
    const conv_desc d = descriptor(c);
    Operands t(d, random);
    CHECK_THROWS_AS(result(kForward, d, number_of(kForward, name), t, false), laminae::OpError);
  }
}

}  // namespace laminae_test

#endif  // LAMINAE_TEST_NATIVE_CONV_INEXACT_H_
