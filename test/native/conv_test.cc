// Every convolution algorithm against the reference, on shapes drawn at random and some chosen
// ones, on every ISA and for 1 to 3 threads, with all buffers between unreadable pages. Inputs are
// small integers, so results are exact and are compared bit for bit.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/conv.h"
#include "core/op.h"
#include "core/parallel.h"
#include "kernel_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

struct Case {
  int64_t n, groups, c_in, c_out;
  int64_t in[3], kernel[3], stride[3], padding[3], dilation[3];
  int64_t extra[3];  // rows of zeros behind, beyond `padding`
};

conv_desc descriptor(const Case& c) {
  conv_desc d{};
  d.n = c.n;
  d.groups = c.groups;
  d.c_in = c.c_in;
  d.c_out = c.c_out;
  for (int i = 0; i < 3; ++i) {
    d.in[i] = c.in[i];
    d.kernel[i] = c.kernel[i];
    d.stride[i] = c.stride[i];
    d.padding[i] = c.padding[i];
    d.dilation[i] = c.dilation[i];
    d.out[i] = (c.in[i] + 2 * c.padding[i] + c.extra[i] - c.dilation[i] * (c.kernel[i] - 1) - 1) /
                   c.stride[i] +
               1;
  }
  return d;
}

int op_code(const std::string& name) {
  int count;
  const OpInfo* list = ops(&count);
  for (int i = 0; i < count; ++i) {
    if (name == list[i].name) return i;
  }
  FAIL("no op ", name);
  return -1;
}

// `more`: what the op has behind the fields of conv.
void run(const std::string& name, const conv_desc& d, std::vector<Buffer> buffers,
         const std::vector<double>& more = {}) {
  double slots[kMaxSlots] = {};
  const int64_t* words = reinterpret_cast<const int64_t*>(&d);
  for (size_t i = 0; i < sizeof(d) / 8; ++i) slots[i] = static_cast<double>(words[i]);
  std::copy(more.begin(), more.end(), slots + sizeof(d) / 8);
  run_op(op_code(name), slots, buffers.data());
}

template <class T>
Buffer buffer(GuardedBuffer<T>& b) {
  return {b.data(), b.size(), DTypeOf<T>::kValue};
}

template <class T>
struct Tensors {
  GuardedBuffer<T> x, w, b, dy, y, dx, dw, db;
  Tensors(const conv_desc& d, Touch touch)
      : x(d.n * d.c_in * d.in[0] * d.in[1] * d.in[2], touch),
        w(d.c_out * (d.c_in / d.groups) * d.kernel[0] * d.kernel[1] * d.kernel[2], touch),
        b(std::max(d.c_out, d.c_in), touch),
        dy(d.n * d.c_out * d.out[0] * d.out[1] * d.out[2], touch),
        y(dy.size(), touch),
        dx(x.size(), touch),
        dw(w.size(), touch),
        db(d.c_out, touch) {}

  void fill_integers(Random& random) {
    for (GuardedBuffer<T>* t : {&x, &w, &b, &dy}) {
      for (int64_t i = 0; i < t->size(); ++i) (*t)[i] = static_cast<T>(random.integer(-3, 3));
    }
  }
};

template <class T>
std::vector<T> copy_of(GuardedBuffer<T>& b) {
  return std::vector<T>(b.data(), b.data() + b.size());
}

template <class T>
void poison(GuardedBuffer<T>& b) {
  b.fill(static_cast<T>(NAN));
}

// How often each algorithm computed something, by pass and value of the field `algorithm`.
std::map<int, int> runs[3];

enum Pass { kForward, kBackwardInput, kBackwardWeight };
const char* const kPassNames[] = {"conv", "conv_backward_input", "conv_backward_weight"};

// A sum into poisoned y three times, which must give the same bits: with weights packed for the
// call, into memory that is kept, and as found there.
template <class T>
std::vector<T> sums(const std::string& name, conv_desc d, const std::vector<Buffer>& operands,
                    GuardedBuffer<T>& y) {
  const Buffer missing{nullptr, -1, DTypeOf<T>::kValue};
  const auto run_with = [&](const Buffer& packed) {
    poison(y);
    std::vector<Buffer> buffers = operands;
    buffers.push_back(buffer(y));
    buffers.push_back(packed);
    run(name, d, buffers);
    return copy_of(y);
  };
  const std::vector<T> plain = run_with(missing);
  if (sizeof(T) == sizeof(float)) {
    double size;
    conv_desc asked = d;
    asked.packed_ready = name == "conv" ? 0 : 1;  // the place of backward_input
    run("conv_packed_size", asked, {{&size, 1, DType::kFloat64}});
    GuardedBuffer<T> packed(static_cast<int64_t>(size), Touch::end);
    poison(packed);
    REQUIRE(run_with(buffer(packed)) == plain);
    d.packed_ready = 1;
    REQUIRE(run_with(buffer(packed)) == plain);
  }
  return plain;
}

// Forward with each kind of ending, which must be what the ending makes of `plain`.
template <class T>
void check_endings(const conv_desc& d, Tensors<T>& t, const std::vector<T>& plain) {
  const Buffer missing{nullptr, -1, DTypeOf<T>::kValue};
  for (bool adds : {false, true}) {
    for (const std::vector<double>& range : {std::vector<double>{0.0, 6.0}, {-3.0, INFINITY}}) {
      poison(t.y);
      run("conv_then", d,
          {buffer(t.x), buffer(t.w), buffer(t.b), buffer(t.y), missing,
           adds ? buffer(t.dy) : missing},
          range);
      int64_t wrong = 0;
      for (int64_t i = 0; i < t.y.size(); ++i) {
        const double sum = static_cast<double>(plain[i]) + (adds ? t.dy[i] : 0);
        wrong += t.y[i] != std::min(range[1], std::max(range[0], sum));
      }
      REQUIRE(wrong == 0);
    }
  }
}

// Runs one pass with one algorithm (0: the choice among the exact ones) into poisoned outputs and
// returns what it wrote.
template <class T>
std::vector<T> result(Pass pass, conv_desc d, int64_t algorithm, Tensors<T>& t) {
  d.algorithm = algorithm;
  d.exact = 1;
  if (pass == kForward) {
    const std::vector<T> y = sums("conv", d, {buffer(t.x), buffer(t.w), buffer(t.b)}, t.y);
    check_endings(d, t, y);
    return y;
  }
  if (pass == kBackwardInput) {
    return sums("conv_backward_input", d, {buffer(t.dy), buffer(t.w), buffer(t.b)}, t.dx);
  }
  poison(t.dw);
  poison(t.db);
  run("conv_backward_weight", d, {buffer(t.x), buffer(t.dy), buffer(t.dw), buffer(t.db)});
  std::vector<T> out = copy_of(t.dw);
  const std::vector<T> db = copy_of(t.db);
  out.insert(out.end(), db.begin(), db.end());
  return out;
}

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
int algorithm_count(Pass pass) {
  int count;
  if (pass == kBackwardWeight) {
    weight_gradient_algorithms<T>(&count);
  } else {
    int whole;
    whole_conv_algorithms<T>(&whole);
    tap_sum_algorithms<T>(&count);
    count += whole;
  }
  return count;
}

// By value of the field `algorithm`: whole algorithms are counted behind those for sums.
std::string algorithm_name(Pass pass, int algorithm) {
  int count, sums;
  if (pass == kBackwardWeight) return weight_gradient_algorithms<float>(&count)[algorithm - 1].name;
  const TapSumAlgorithm<float>* list = tap_sum_algorithms<float>(&sums);
  if (algorithm <= sums) return list[algorithm - 1].name;
  return whole_conv_algorithms<float>(&count)[algorithm - sums - 1].name;
}

// The number of the reference.
template <class T>
int reference_number(Pass pass) {
  int whole;
  whole_conv_algorithms<T>(&whole);
  return algorithm_count<T>(pass) - (pass == kBackwardWeight ? 0 : whole);
}

template <class T>
void check_case(const conv_desc& d, Touch touch, Random& random) {
  Tensors<T> t(d, touch);
  t.fill_integers(random);
  for (Pass pass : {kForward, kBackwardInput, kBackwardWeight}) {
    const int count = algorithm_count<T>(pass);
    const std::vector<T> expected = result(pass, d, reference_number<T>(pass), t);
    if (pass == kBackwardInput) REQUIRE(expected == scattered_gradient(d, t));
    for (int algorithm = 0; algorithm <= count; ++algorithm) {
      if (algorithm == reference_number<T>(pass)) continue;
      for (int threads : {1, 2, 3}) {
        set_num_threads(threads);
        std::vector<T> got;
        try {
          got = result(pass, d, algorithm, t);
        } catch (const OpError& error) {
          REQUIRE(algorithm > 0);
          REQUIRE(std::string(error.what()).find("does not apply") != std::string::npos);
          break;
        }
        INFO(std::string(kPassNames[pass]), " algorithm ", algorithm, " threads ", threads, " n ",
             d.n, " groups ", d.groups, " channels ", d.c_in, " ", d.c_out, " in ", d.in[0], " ",
             d.in[1], " ", d.in[2], " kernel ", d.kernel[0], " ", d.kernel[1], " ", d.kernel[2],
             " stride ", d.stride[0], " ", d.stride[1], " ", d.stride[2], " padding ", d.padding[0],
             " ", d.padding[1], " ", d.padding[2], " dilation ", d.dilation[0], " ", d.dilation[1],
             " ", d.dilation[2]);
        REQUIRE(got == expected);
        ++runs[pass][algorithm];
      }
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
    for (int i = 0; i < 120; ++i) {
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
    }
    for (Pass pass : {kForward, kBackwardInput, kBackwardWeight}) {
      for (int i = 0; i <= algorithm_count<float>(pass); ++i) {
        if (i == reference_number<float>(pass)) continue;
        // Not exact: conv_winograd_test.cc.
        const bool winograd = i > 0 && algorithm_name(pass, i).rfind("winograd", 0) == 0;
        if (!winograd) CHECK(runs[pass][i] >= 9);
      }
    }
  }
  REQUIRE(set_active_isa(active));
  Random random(8);
  for (int i = 0; i < 60; ++i) {
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
