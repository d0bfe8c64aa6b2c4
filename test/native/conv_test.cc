// Every convolution algorithm against the reference, on shapes drawn at random and some chosen
// ones, on every ISA and for 1 to 3 threads, with all buffers between unreadable pages. Inputs are
// small integers, so results are exact and are compared bit for bit.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "conv_support.h"
#include "core/parallel.h"

using namespace laminae;
using namespace laminae_test;

namespace {

// How many cases each algorithm computed, by pass and value of the field `algorithm`.
std::map<int, int> runs[3];

const char* const kPassNames[] = {"conv", "conv_backward_input", "conv_backward_weight"};

// dx by its definition: every gradient goes to what it was computed from. Integers, so exact.
template <class T>
std::vector<T> scattered_gradient(const conv_desc& d, Tensors<T>& t) {
  const int64_t inputs = d.c_in / d.groups;
  const int64_t outputs = d.c_out / d.groups;
  const int64_t in_plane = d.in[0] * d.in[1] * d.in[2];
  std::vector<T> dx(static_cast<size_t>(t.dx.size()));
  for (size_t i = 0; i < dx.size(); ++i) dx[i] = t.b[static_cast<int64_t>(i) / in_plane % d.c_in];
  int64_t at_dy = 0;
  for (int64_t item = 0; item < d.n * d.c_out; ++item) {
    const int64_t oc = item % d.c_out;
    for (int64_t o0 = 0; o0 < d.out[0]; ++o0) {
      for (int64_t o1 = 0; o1 < d.out[1]; ++o1) {
        for (int64_t o2 = 0; o2 < d.out[2]; ++o2, ++at_dy) {
          for (int64_t tap = 0; tap < d.kernel[0] * d.kernel[1] * d.kernel[2]; ++tap) {
            const int64_t i0 =
                o0 * d.stride[0] - d.padding[0] + tap / d.kernel[2] / d.kernel[1] * d.dilation[0];
            const int64_t i1 =
                o1 * d.stride[1] - d.padding[1] + tap / d.kernel[2] % d.kernel[1] * d.dilation[1];
            const int64_t i2 = o2 * d.stride[2] - d.padding[2] + tap % d.kernel[2] * d.dilation[2];
            if (i0 < 0 || i0 >= d.in[0] || i1 < 0 || i1 >= d.in[1] || i2 < 0 || i2 >= d.in[2])
              continue;
            for (int64_t c = 0; c < inputs; ++c) {
              const int64_t channel = item / d.c_out * d.c_in + oc / outputs * inputs + c;
              dx[static_cast<size_t>(((channel * d.in[0] + i0) * d.in[1] + i1) * d.in[2] + i2)] +=
                  t.dy[at_dy] *
                  t.w[(oc * inputs + c) * d.kernel[0] * d.kernel[1] * d.kernel[2] + tap];
            }
          }
        }
      }
    }
  }
  return dx;
}

template <class T>
void check_case(const conv_desc& d, Touch touch, Random& random) {
  Tensors<T> t(d, touch);
  t.fill_integers(random);
  for (Pass pass : {kForward, kBackwardInput, kBackwardWeight}) {
    const int64_t count = algorithm_count<T>(pass);
    set_num_threads(2);
    const std::vector<T> expected = result(pass, d, reference_number<T>(pass), t);
    if (pass == kBackwardInput) REQUIRE(expected == scattered_gradient(d, t));
    for (int64_t algorithm = 0; algorithm <= count; ++algorithm) {
      if (algorithm == reference_number<T>(pass)) continue;
      bool applies = true;
      for (int threads : thread_counts()) {
        set_num_threads(threads);
        std::vector<T> got;
        try {
          got = result(pass, d, algorithm, t);
        } catch (const OpError& error) {
          REQUIRE(algorithm > 0);
          REQUIRE(std::string(error.what()).find("does not apply") != std::string::npos);
          applies = false;
          break;
        }
        INFO(std::string(kPassNames[pass]), " algorithm ", algorithm, " threads ", threads, " n ",
             d.n, " groups ", d.groups, " channels ", d.c_in, " ", d.c_out, " in ", d.in[0], " ",
             d.in[1], " ", d.in[2], " kernel ", d.kernel[0], " ", d.kernel[1], " ", d.kernel[2],
             " stride ", d.stride[0], " ", d.stride[1], " ", d.stride[2], " padding ", d.padding[0],
             " ", d.padding[1], " ", d.padding[2], " dilation ", d.dilation[0], " ", d.dilation[1],
             " ", d.dilation[2]);
        REQUIRE(got == expected);
      }
      runs[pass][algorithm] += applies;
    }
  }
  set_num_threads(1);
}

Case random_case(Random& random) {
  Case c{};
  const int64_t kGroups[] = {1, 1, 1, 2, 3};
  c.groups = kGroups[random.integer(0, 4)];
  c.n = random.integer(0, 9) == 0 ? random.integer(15, 35) : random.integer(1, 3);
  c.c_in = c.groups * (random.integer(0, 4) == 0 ? random.integer(12, 34) : random.integer(1, 5));
  c.c_out = c.groups * (random.integer(0, 4) == 0 ? random.integer(14, 36) : random.integer(1, 8));
  const int rank = static_cast<int>(random.integer(1, 3));
  for (int i = 0; i < 3; ++i) {
    const bool used = i >= 3 - rank;
    c.kernel[i] = used ? random.integer(1, i == 2 ? 7 : 3) : 1;
    c.dilation[i] = used ? random.integer(1, 3) : 1;
    c.stride[i] = used ? random.integer(1, 3) : 1;
    c.padding[i] = used ? random.integer(0, 3) : 0;
    c.extra[i] = used ? random.integer(0, 1) : 0;
    const int64_t reach = c.dilation[i] * (c.kernel[i] - 1) + 1;
    const int64_t least = std::max<int64_t>(1, reach - 2 * c.padding[i]);
    c.in[i] = used ? least + random.integer(0, i == 2 ? 20 : 4) : 1;
  }
  return c;
}

}  // namespace

TEST_CASE("convolution: all algorithms agree bit for bit on integers") {
  const std::string active = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    INFO("isa ", std::string(isa->name));
    Random random(7);
    for (std::map<int, int>& of_pass : runs) of_pass.clear();
    for (int i = 0; i < random_cases(120); ++i) {
      check_case<float>(descriptor(random_case(random)), i % 2 == 0 ? Touch::end : Touch::start,
                        random);
    }
    const Case chosen[] = {
        // LeNet, first layer
        {20, 1, 1, 6, {1, 12, 12}, {1, 5, 5}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // LeNet, second
        {33, 1, 6, 16, {1, 8, 8}, {1, 5, 5}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // one group of images for several threads
        {16, 1, 6, 16, {1, 14, 14}, {1, 5, 5}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // with padding
        {17, 1, 1, 6, {1, 10, 9}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}, {}},
        // 3x3
        {2, 1, 32, 64, {1, 14, 14}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}},
        // few columns
        {1, 1, 64, 96, {1, 7, 7}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}},
        // one tap of 3x3 that meets more than zeros, 3x3 of 5x5, none of 3, and one with a stride
        {17, 1, 34, 10, {1, 1, 1}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}},
        {3, 1, 20, 33, {1, 2, 2}, {1, 5, 5}, {1, 1, 1}, {0, 2, 2}, {1, 1, 1}, {}},
        {2, 1, 5, 18, {1, 1, 1}, {1, 1, 3}, {1, 1, 1}, {0, 0, 1}, {1, 1, 2}, {0, 0, 2}},
        {2, 1, 5, 18, {1, 2, 1}, {3, 3, 5}, {1, 2, 3}, {1, 1, 3}, {1, 2, 1}, {}},
        // stride 2
        {2, 1, 16, 32, {1, 15, 15}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {}},
        // stem
        {2, 1, 3, 16, {1, 33, 31}, {1, 7, 7}, {1, 2, 2}, {0, 3, 3}, {1, 1, 1}, {}},
        // pointwise
        {2, 1, 40, 33, {1, 9, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // pointwise, two groups, in all three dimensions
        {2, 2, 22, 30, {2, 9, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // pointwise with more channels out than in, and with many weights
        {3, 1, 32, 64, {1, 9, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {2, 2, 32, 96, {2, 5, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {2, 1, 256, 512, {1, 2, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {2, 1, 512, 256, {1, 2, 3}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // pointwise: several units of pixels, of parts of images and of many; chunks of them; one
        // pixel an image
        {4, 4, 160, 180, {1, 15, 15}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {1, 1, 19, 41, {1, 97, 101}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {1, 1, 41, 19, {3, 37, 41}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {50, 2, 38, 34, {1, 7, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {45, 2, 70, 34, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {790, 1, 5, 7, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // the same at strides, in all three dimensions
        {3, 2, 38, 34, {5, 9, 20}, {1, 1, 1}, {3, 2, 2}, {0, 0, 0}, {1, 1, 1}, {}},
        {2, 1, 20, 40, {1, 3, 3}, {1, 1, 1}, {1, 3, 3}, {0, 0, 0}, {1, 1, 1}, {}},
        // pointwise, few channels: panels of twice the width
        {3, 1, 7, 40, {1, 13, 15}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // pointwise, with channels 2 KiB apart, one tile of them and several
        {2, 1, 21, 60, {1, 16, 32}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        {2, 1, 40, 9, {1, 16, 32}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // one tap with padding, with a stride along columns, and with few channels out
        {2, 1, 45, 70, {1, 6, 5}, {1, 1, 1}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}},
        {2, 1, 31, 5, {1, 7, 19}, {1, 1, 1}, {1, 2, 1}, {0, 0, 0}, {1, 1, 1}, {}},
        // pointwise, stride 2
        {2, 1, 5, 7, {1, 9, 7}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, {}},
        // strided gradients: many images in several blocks, three and more phases, empty classes
        {37, 1, 64, 5, {1, 33, 31}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {}},
        {2, 1, 300, 3, {1, 44, 47}, {1, 1, 1}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, {}},
        {2, 1, 8, 9, {4, 9, 70}, {2, 3, 5}, {2, 1, 3}, {0, 1, 2}, {1, 1, 1}, {}},
        {1, 2, 6, 34, {5, 6, 67}, {3, 3, 4}, {3, 2, 4}, {1, 1, 2}, {1, 2, 1}, {}},
        // channels in lanes: three dimensions, strides and dilations apart, two groups, a line cut
        // into blocks, a part of a vector
        {2, 1, 16, 48, {5, 6, 9}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {}},
        {1, 2, 32, 64, {6, 9, 23}, {2, 3, 4}, {2, 3, 2}, {1, 2, 0}, {1, 2, 3}, {}},
        {1, 1, 30, 15, {1, 1, 3000}, {1, 1, 3}, {1, 1, 1}, {0, 0, 1}, {1, 1, 1}, {}},
        {1, 1, 128, 31, {1, 3, 700}, {1, 3, 3}, {1, 2, 1}, {0, 1, 1}, {1, 1, 1}, {}},
        {3, 1, 47, 16, {1, 7, 7}, {1, 5, 3}, {1, 1, 1}, {0, 2, 1}, {1, 1, 1}, {}},
        // classes of pixels woven in lanes: lines of two classes below each other and not, a line
        // cut into blocks, four classes in three dimensions, two groups
        {2, 1, 32, 16, {1, 15, 14}, {1, 4, 4}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {}},
        {1, 1, 33, 40, {1, 5, 1400}, {1, 3, 5}, {1, 1, 2}, {0, 1, 2}, {1, 1, 1}, {}},
        {1, 2, 64, 20, {5, 9, 41}, {3, 3, 9}, {2, 2, 4}, {1, 1, 4}, {1, 1, 1}, {}},
        {3, 1, 30, 70, {1, 15, 29}, {1, 3, 3}, {1, 2, 3}, {0, 1, 0}, {1, 1, 1}, {}},
        // depthwise
        {2, 24, 24, 24, {1, 11, 17}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}},
        // depthwise, two outputs a channel, stride 2
        {1, 8, 8, 16, {1, 11, 17}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {}},
        // stride larger than kernel and input
        {1, 1, 2, 3, {1, 5, 5}, {1, 2, 2}, {1, 7, 9}, {0, 3, 4}, {1, 1, 1}, {}},
        // many weights, long kernel
        {1, 1, 70, 300, {1, 1, 9}, {1, 1, 13}, {1, 1, 1}, {0, 0, 6}, {1, 1, 1}, {}},
        // dilated, long kernel
        {18, 1, 2, 5, {1, 6, 40}, {1, 3, 11}, {1, 1, 1}, {0, 1, 5}, {1, 1, 2}, {}},
    };
    for (const Case& c : chosen) check_case<float>(descriptor(c), Touch::end, random);
    // Every width of a line that is cut into tiles of pixels.
    for (int64_t width = 1; width <= 30; ++width) {
      const int64_t lines = width % 3 + 1;
      check_case<float>(
          descriptor(
              {1, 1, 16, 31, {1, lines, width}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}}),
          Touch::end, random);
      check_case<float>(descriptor({1,
                                    1,
                                    31,
                                    5,
                                    {1, lines, width + 10},
                                    {1, 3, 4},
                                    {1, 1, 2},
                                    {0, 1, 1},
                                    {1, 1, 1},
                                    {}}),
                        Touch::end, random);
    }
    for (Pass pass : {kForward, kBackwardInput, kBackwardWeight}) {
      for (int64_t i = 0; i <= algorithm_count<float>(pass); ++i) {
        if (i == reference_number<float>(pass)) continue;
        const std::string name = i == 0 ? "" : algorithm_name(pass, i);
        // Not exact: conv_winograd_test.cc, conv_strassen_test.cc.
        if (name.rfind("winograd", 0) == 0 || name == "strassen") continue;
        if (pass == kForward && name == "strided channels") continue;
        CHECK(runs[pass][i] >= 3);
      }
    }
  }
  REQUIRE(set_active_isa(active));
  Random random(8);
  for (int i = 0; i < random_cases(60); ++i) {
    check_case<double>(descriptor(random_case(random)), i % 2 == 0 ? Touch::end : Touch::start,
                       random);
  }
}

TEST_CASE("convolution: channels for themselves, of all widths") {
  const std::string active = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    INFO("isa ", std::string(isa->name));
    Random random(11);
    for (int64_t width = 1; width <= 40; ++width) {
      for (int64_t kernel : {1, 2, 3, 5}) {
        const int64_t stride = random.integer(1, 3);
        const int64_t multiplier = random.integer(0, 3) == 0 ? random.integer(2, 3) : 1;
        const int64_t dilation = random.integer(0, 3) == 0 ? 2 : 1;
        const int64_t padding = std::max<int64_t>((dilation * (kernel - 1) + 1 - width + 1) / 2,
                                                  random.integer(0, kernel));
        const int64_t depth = random.integer(0, 4) == 0 ? random.integer(2, 4) : 1;
        const int64_t kernel0 = depth > 1 ? 2 : 1;
        check_case<float>(descriptor({2,
                                      3,
                                      3,
                                      3 * multiplier,
                                      {depth, width % 11 + dilation * kernel, width},
                                      {kernel0, kernel, kernel},
                                      {1, stride, stride},
                                      {0, padding, padding},
                                      {1, dilation, dilation},
                                      {}}),
                          width % 2 == 0 ? Touch::end : Touch::start, random);
      }
    }
    // More planes than one call of a kernel takes before their ending.
    for (int64_t stride : {1, 2}) {
      check_case<float>(descriptor({2,
                                    21,
                                    21,
                                    21,
                                    {1, 40, 41},
                                    {1, 3, 3},
                                    {1, stride, stride},
                                    {0, 1, 1},
                                    {1, 1, 1},
                                    {}}),
                        Touch::end, random);
    }
    // Bands of lines, and strides that differ.
    check_case<float>(
        descriptor({1, 2, 2, 2, {1, 150, 90}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}}),
        Touch::end, random);
    check_case<float>(
        descriptor({1, 2, 2, 2, {1, 150, 131}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, {}}),
        Touch::start, random);
    check_case<float>(
        descriptor({1, 2, 2, 4, {2, 90, 131}, {1, 5, 5}, {1, 2, 2}, {0, 2, 2}, {1, 1, 1}, {}}),
        Touch::end, random);
    check_case<float>(
        descriptor({1, 2, 2, 2, {1, 30, 31}, {1, 3, 3}, {1, 1, 2}, {0, 1, 1}, {1, 1, 1}, {}}),
        Touch::end, random);
    // Paddings that differ, in value and in parity; lines longer than a tile; a stride beyond the
    // last column.
    for (int64_t kernel : {3, 5}) {
      for (int64_t stride : {1, 2}) {
        for (int64_t left : {0, 1, 2}) {
          check_case<float>(descriptor({2,
                                        3,
                                        3,
                                        3,
                                        {1, 12 + left, 70 + 8 * left},
                                        {1, kernel, kernel},
                                        {1, stride, stride},
                                        {0, 1, left},
                                        {1, 1, 1},
                                        {}}),
                            left == 1 ? Touch::start : Touch::end, random);
        }
      }
    }
  }
  REQUIRE(set_active_isa(active));
}

TEST_CASE("convolution: an empty batch has zero gradients") {
  conv_desc d = descriptor({0, 1, 2, 3, {1, 4, 4}, {1, 3, 3}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {}});
  Tensors<double> t(d, Touch::end);
  poison(t.dw);
  poison(t.db);
  run("conv", d, {buffer(t.x), buffer(t.w), Buffer{}, buffer(t.y), Buffer{}});
  run("conv_backward_input", d, {buffer(t.dy), buffer(t.w), Buffer{}, buffer(t.dx), Buffer{}});
  run("conv_backward_weight", d, {buffer(t.x), buffer(t.dy), buffer(t.dw), buffer(t.db)});
  CHECK(std::all_of(t.dw.data(), t.dw.data() + t.dw.size(), [](double v) { return v == 0.0; }));
  CHECK(std::all_of(t.db.data(), t.db.data() + t.db.size(), [](double v) { return v == 0.0; }));
}

TEST_CASE("convolution: refuses what would leave its buffers") {
  const Case good{1, 1, 2, 4, {1, 5, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {}};
  Tensors<float> t(descriptor(good), Touch::end);
  auto attempt = [&](void (*change)(conv_desc&)) {
    conv_desc d = descriptor(good);
    change(d);
    return [d, &t] {
      float packed[1];  // too small
      const Buffer kept = d.packed_ready != 0 ? Buffer{packed, 1, DType::kFloat32}
                                              : Buffer{nullptr, -1, DType::kFloat32};
      run("conv", d, {buffer(t.x), buffer(t.w), buffer(t.b), buffer(t.y), kept});
    };
  };
  CHECK_NOTHROW(attempt([](conv_desc&) {})());
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.n = 2; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.in[1] = 6; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.out[2] = 6; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.kernel[2] = 4; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.stride[2] = 0; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.dilation[0] = 0; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.padding[1] = -1; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.groups = 3; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.groups = 0; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.c_in = int64_t{1} << 52; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.algorithm = 99; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.algorithm = -1; })(), OpError);
  CHECK_THROWS_AS(attempt([](conv_desc& d) { d.packed_ready = 1; })(), OpError);
}
