// Weight gradients of convolutions: what infinity reaches, accuracy over many pixels, strides, and
// those of the bias or the weight alone. conv_test.cc has every algorithm against the reference.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "conv_support.h"
#include "core/parallel.h"

using namespace laminae;
using namespace laminae_test;

TEST_CASE("convolution: infinity in x reaches only the weights that meet it") {
  const std::string active = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    for (const auto& [width, stride] :
         {std::pair<int64_t, int64_t>{7, 1}, {21, 1}, {7, 2}, {21, 2}, {101, 2}}) {
      const conv_desc d = descriptor(
          {1, 2, 2, 2, {1, 5, width}, {1, 3, 3}, {1, stride, stride}, {0, 0, 0}, {1, 1, 1}, {}});
      Random random(12);
      Tensors<float> t(d, Touch::end);
      t.fill_integers(random);
      for (int64_t i = 0; i < t.dy.size(); ++i) t.dy[i] = 1;
      t.x[width - 1] = INFINITY;  // first line, last column: met by the last tap of the first line
      const std::vector<float> dw = result(kBackwardWeight, d, 0, t);
      for (int64_t i = 0; i < 9; ++i) CHECK(std::isinf(dw[i]) == (i == 2));
      for (int64_t i = 0; i < t.dw.size(); ++i) CHECK(!std::isnan(dw[i]));
    }
  }
  REQUIRE(set_active_isa(active));
}

TEST_CASE("convolution: weight gradients of pointwise ones stay accurate over many pixels") {
  const std::string active = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    INFO("isa ", std::string(isa->name));
    for (const auto& [c_in, c_out] : {std::pair<int64_t, int64_t>{6, 40}, {40, 6}}) {
      const conv_desc d = descriptor(
          {5, 1, c_in, c_out, {1, 71, 73}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}});
      const int64_t plane = 71 * 73;
      Random random(13);
      Tensors<float> t(d, Touch::end);
      t.x.randomize(random, 0.0, 1.0);  // of one sign, so that sums grow
      t.dy.randomize(random, 0.0, 1.0);
      const std::vector<float> got = result(kBackwardWeight, d, 0, t);
      for (int threads : {2, 3}) {
        set_num_threads(threads);
        CHECK(result(kBackwardWeight, d, 0, t) == got);
      }
      set_num_threads(1);
      double worst = 0.0;
      for (int64_t i = 0; i < t.dw.size() + c_out; ++i) {
        const bool is_bias = i >= t.dw.size();
        const int64_t oc = is_bias ? i - t.dw.size() : i / c_in;
        double sum = 0.0;
        for (int64_t image = 0; image < d.n; ++image) {
          const float* dy = t.dy.data() + (image * c_out + oc) * plane;
          const float* x = t.x.data() + (image * c_in + i % c_in) * plane;
          for (int64_t p = 0; p < plane; ++p) sum += is_bias ? dy[p] : double{dy[p]} * x[p];
        }
        worst = std::max(worst, std::fabs(got[static_cast<size_t>(i)] / sum - 1.0));
      }
      CHECK(worst < 5e-6);
    }
  }
  REQUIRE(set_active_isa(active));
}

TEST_CASE("convolution: weight gradients of pointwise ones at a stride, image by image") {
  const conv_desc d =
      descriptor({3, 1, 2, 3, {1, 1, 4300000}, {1, 1, 1}, {1, 1, 2}, {0, 0, 0}, {1, 1, 1}, {}});
  Random random(14);
  Tensors<float> t(d, Touch::end);
  t.fill_integers(random);
  const std::vector<float> expected =
      result(kBackwardWeight, d, reference_number<float>(kBackwardWeight), t);
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    CHECK(result(kBackwardWeight, d, 0, t) == expected);
  }
  set_num_threads(1);
}

TEST_CASE("convolution: gradients of the bias or the weight alone") {
  Random random(9);
  const Case cases[] = {
      {3, 2, 4, 6, {1, 7, 6}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}},
      {3, 2, 32, 96, {1, 7, 6}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
      {3, 2, 96, 32, {1, 7, 6}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
      {3, 2, 32, 96, {1, 7, 6}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, {}},
      {3, 2, 32, 96, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
  };
  for (const Case& c : cases) {
    const conv_desc d = descriptor(c);
    Tensors<float> t(d, Touch::end);
    t.fill_integers(random);
    const std::vector<float> both = result(kBackwardWeight, d, 0, t);
    poison(t.dw);
    poison(t.db);
    run("conv_backward_weight", d, {buffer(t.x), buffer(t.dy), Buffer{}, buffer(t.db)});
    CHECK(std::equal(t.db.data(), t.db.data() + t.db.size(), both.begin() + t.dw.size()));
    run("conv_backward_weight", d, {buffer(t.x), buffer(t.dy), buffer(t.dw), Buffer{}});
    CHECK(std::equal(t.dw.data(), t.dw.data() + t.dw.size(), both.begin()));
  }
}
