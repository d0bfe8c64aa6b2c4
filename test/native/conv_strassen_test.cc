// Convolution with seven products for eight: as the tests of Winograd's algorithms, and no image
// shows in the bits of another.
#include <cstdint>
#include <vector>

#include "conv_inexact.h"
#include "core/parallel.h"

using namespace laminae;
using namespace laminae_test;

namespace {

const PlaneCase kCases[] = {
    {3, 1, 256, 256, 14, 14, 0, 0, 0, 1},  // single panels over several images
    {1, 1, 256, 256, 32, 16, 0, 0, 0, 1},  // pairs only
    {1, 1, 256, 258, 1, 520, 0, 0, 0, 1},  // a sequence
    {3, 1, 262, 258, 15, 13, 0, 0, 0, 1},  // tails
    {3, 2, 512, 520, 14, 14, 0, 0, 0, 1},  // groups
};

}  // namespace

TEST_CASE("strassen: within 3e-5 of the reference, the same bits for any number of threads") {
  Random random(21);
  for (const PlaneCase& c : kCases) {
    for (Pass pass : {kForward, kBackwardInput}) check(pass, descriptor(c), "strassen", random);
  }
}

TEST_CASE("strassen: no image shows in the bits of another, however large") {
  Random random(22);
  const conv_desc d = descriptor(kCases[0]);
  Operands t(d, random);
  const int64_t algorithm = number_of(kForward, "strassen");
  const std::vector<float> before = result(kForward, d, algorithm, t, false);
  const int64_t image = t.x.size() / d.n;
  for (int64_t i = 0; i < image; ++i) t.x[image + i] = 1e30f;
  const std::vector<float> after = result(kForward, d, algorithm, t, false);
  const int64_t size = static_cast<int64_t>(before.size()) / d.n;
  const auto same = [&](int64_t i) {
    return std::equal(before.begin() + i * size, before.begin() + (i + 1) * size,
                      after.begin() + i * size);
  };
  CHECK(same(0));
  CHECK(!same(1));
  CHECK(same(2));
}

TEST_CASE("strassen: refuses odd halves, few rows, channels or columns, taps and strides") {
  Random random(23);
  check_refused(
      {
          {3, 1, 256, 257, 14, 14, 0, 0, 0, 1},
          {3, 1, 257, 256, 14, 14, 0, 0, 0, 1},
          {3, 1, 256, 128, 14, 14, 0, 0, 0, 1},
          {3, 1, 128, 256, 14, 14, 0, 0, 0, 1},
          {1, 1, 256, 256, 14, 14, 0, 0, 0, 1},
          {12, 1, 256, 256, 7, 7, 0, 0, 0, 1},
          {1, 1, 256, 256, 32, 32, 0, 0, 0, 3},
          {1, 1, 256, 256, 56, 56, 0, 0, 0, 1, 2},
      },
      "strassen", random);
}
