// Convolution by Winograd's algorithms against the reference, which sums in
// double: the error is at most 3e-5 of the root mean square of the outputs, on every ISA; the bits
// are the same for 1 to 3 threads and with weights packed earlier.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/conv.h"
#include "core/op.h"
#include "core/parallel.h"
#include "kernel_support.h"
#include "op_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

struct Case {
  int64_t n, groups, c_in, c_out, height, width, pad_y, pad_x;
  int64_t below;  // rows of zeros behind, beyond pad_y
  int64_t taps = 3;
  int64_t stride = 1;
  int64_t lines = 0;  // of the kernel, if not `taps`

  int64_t kernel_lines() const { return lines == 0 ? taps : lines; }
};

conv_desc descriptor(const Case& c) {
  conv_desc d{};
  d.n = c.n;
  d.groups = c.groups;
  d.c_in = c.c_in;
  d.c_out = c.c_out;
  const int64_t in[] = {1, c.height, c.width};
  const int64_t padding[] = {0, c.pad_y, c.pad_x};
  for (int i = 0; i < 3; ++i) {
    d.in[i] = in[i];
    d.padding[i] = padding[i];
    d.kernel[i] = i == 0 ? 1 : i == 1 ? c.kernel_lines() : c.taps;
    d.dilation[i] = 1;
    d.stride[i] = i == 0 ? 1 : c.stride;
    d.out[i] = (in[i] + 2 * padding[i] - d.kernel[i] + (i == 1 ? c.below : 0)) / d.stride[i] + 1;
  }
  return d;
}

// With as many images as it takes for Winograd to be worth while.
Case with_work(Case c) {
  const conv_desc d = descriptor(c);
  const int64_t pixels =
      std::min(d.out[1] * d.out[2], d.in[1] * d.in[2] / (d.stride[1] * d.stride[2]));
  const int64_t image = c.kernel_lines() * c.taps * pixels * d.c_out * (d.c_in / d.groups);
  while (c.n * image < 16 << 20) ++c.n;
  return c;
}

enum class Pass { forward, backward_input, backward_weight };

// Place of an algorithm in a list, counted from 1 on; 0 if it is not there.
template <class Algorithm>
int place_in(const Algorithm* list, int count, const std::string& name) {
  for (int i = 0; i < count; ++i) {
    if (name == list[i].name) return i + 1;
  }
  return 0;
}

// The same as field `algorithm` takes it: whole algorithms follow those for sums.
int place_of(const std::string& name, Pass pass = Pass::forward) {
  int count, place;
  if (pass == Pass::backward_weight) {
    const auto* list = weight_gradient_algorithms<float>(&count);
    place = place_in(list, count, name);
  } else {
    const auto* list = tap_sum_algorithms<float>(&count);
    place = place_in(list, count, name);
    if (place == 0) {
      int whole;
      const auto* whole_list = whole_conv_algorithms<float>(&whole);
      place = place_in(whole_list, whole, name);
      if (place > 0) place += count;
    }
  }
  if (place == 0) FAIL("no algorithm ", name);
  return place;
}

class Convolution {
 public:
  Convolution(const Case& c, Pass pass, Random& random)
      : d_(descriptor(c)),
        forward_(pass == Pass::forward),
        x_(d_.n * d_.c_in * d_.in[1] * d_.in[2]),
        w_(d_.c_out * (d_.c_in / d_.groups) * c.kernel_lines() * c.taps),
        b_(forward_ ? d_.c_out : d_.c_in),
        y_(d_.n * d_.c_out * d_.out[1] * d_.out[2]) {
    for (GuardedBuffer<float>* t : {&x_, &w_, &b_, &y_}) {
      for (int64_t i = 0; i < t->size(); ++i)
        (*t)[i] = static_cast<float>(random.uniform(-1, 1) + random.uniform(-1, 1));
    }
  }

  std::vector<float> run(int algorithm, bool exact, const Buffer& packed = missing(),
                         bool ready = false) {
    d_.algorithm = algorithm;
    d_.exact = exact ? 1 : 0;
    d_.packed_ready = ready ? 1 : 0;
    GuardedBuffer<float>& out = forward_ ? y_ : x_;
    GuardedBuffer<float>& in = forward_ ? x_ : y_;
    out.fill(NAN);
    run_op_named(forward_ ? "conv" : "conv_backward_input",
                 {buffer(in), buffer(w_), buffer(b_), buffer(out), packed});
    return std::vector<float>(out.data(), out.data() + out.size());
  }

  int64_t packed_size(int algorithm) {
    d_.algorithm = algorithm;
    d_.exact = 0;
    d_.packed_ready = forward_ ? 0 : 1;  // the place of backward_input
    double size = 0;
    run_op_named("conv_packed_size", {{&size, 1, DType::kFloat64}});
    return static_cast<int64_t>(size);
  }

  // dw, then db
  std::vector<float> run_weight_gradient(int algorithm, bool exact) {
    d_.algorithm = algorithm;
    d_.exact = exact ? 1 : 0;
    GuardedBuffer<float> dw(w_.size());
    GuardedBuffer<float> db(d_.c_out);
    dw.fill(NAN);
    db.fill(NAN);
    run_op_named("conv_backward_weight", {buffer(x_), buffer(y_), buffer(dw), buffer(db)});
    std::vector<float> out(dw.data(), dw.data() + dw.size());
    out.insert(out.end(), db.data(), db.data() + db.size());
    return out;
  }

  GuardedBuffer<float>& input() { return forward_ ? x_ : y_; }

 private:
  static Buffer missing() { return {nullptr, -1, DType::kFloat32}; }

  void run_op_named(const std::string& name, const std::vector<Buffer>& buffers) {
    std::vector<double> slots(kMaxSlots);
    const int64_t* words = reinterpret_cast<const int64_t*>(&d_);
    for (size_t i = 0; i < sizeof(d_) / 8; ++i) slots[i] = static_cast<double>(words[i]);
    run_named(name, slots, buffers);
  }

  conv_desc d_;
  bool forward_;
  GuardedBuffer<float> x_, w_, b_, y_;
};

// Largest error over the root mean square of the expected values.
double relative_error(const std::vector<float>& got, const std::vector<float>& expected) {
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

const Case kCases[] = {
    {3, 1, 32, 32, 14, 16, 1, 1, 0},   // whole vectors of channels
    {1, 1, 64, 32, 28, 28, 1, 1, 0},   // several blocks of tiles
    {7, 1, 40, 37, 7, 7, 1, 1, 0},     // tails of channels and rows, tiles that hang over
    {1, 1, 33, 50, 22, 17, 0, 0, 0},   // no padding
    {1, 1, 35, 40, 13, 30, 2, 2, 0},   // more padding than a same convolution has
    {2, 2, 64, 66, 12, 22, 1, 0, 0},   // groups
    {19, 1, 32, 48, 4, 4, 1, 1, 0},    // one tile an image
    {1, 1, 128, 17, 6, 45, 1, 1, 0},   // wide
    {1, 1, 16, 128, 45, 6, 1, 1, 3},   // tall, zeros below
    {5, 1, 32, 32, 8, 16, 0, 1, 2},    // zeros below only
    {1, 1, 300, 20, 13, 14, 1, 1, 0},  // many channels
    {4, 1, 32, 64, 10, 10, 2, 2, 0, 5},  {2, 1, 40, 37, 13, 11, 2, 2, 0, 5},  // tails
    {1, 2, 64, 34, 15, 22, 0, 1, 3, 5},   // groups, less padding, zeros below
    {1, 1, 256, 24, 12, 12, 4, 3, 0, 5},  // more padding, many channels
    {1, 1, 256, 256, 7, 7, 1, 1, 0},      // small tiles from here on
    {2, 1, 300, 250, 7, 5, 1, 1, 0},      // tails
    {20, 1, 96, 80, 2, 2, 1, 1, 0},       // one an image
    {1, 2, 512, 520, 6, 7, 0, 1, 3},      // groups, zeros below
    {2, 1, 500, 500, 9, 6, 1, 0, 0},
};

// Few terms: pairs of lines.
const Case kPairCases[] = {
    {2, 1, 3, 64, 40, 52, 3, 3, 0, 7, 2},   // phases of 4 and 3 taps, several tiles of rows
    {1, 1, 3, 9, 37, 47, 3, 3, 0, 7, 2},    // a tail of rows, an odd number of lines
    {3, 1, 4, 16, 33, 126, 0, 3, 3, 7, 2},  // no padding above, zeros below, pieces of a line
    {1, 2, 6, 66, 47, 56, 2, 2, 0, 11, 4},  // phases of 3 and 2 taps, groups
    {2, 1, 8, 8, 23, 64, 1, 1, 0, 4, 2},    // two phases of 2
    {1, 1, 12, 14, 21, 28, 1, 1, 0},        // 3 taps at stride 1
    {1, 1, 15, 11, 2, 29, 2, 1, 1, 4},      // 4
    {1, 1, 20, 17, 16, 31, 1, 0, 0, 2},     // 2
    {1, 1, 5, 9, 200, 40, 5, 5, 0, 11, 3},  // blocks of lines, phases of 4, 4 and 3
};

// Few channels, many images: tiles along lines with images in lanes.
const Case kLanesCases[] = {
    {32, 1, 6, 16, 14, 14, 0, 0, 0, 5},        // whole groups of images
    {37, 1, 7, 9, 13, 11, 1, 2, 0, 5},         // tails of images, rows and tiles
    {16, 1, 5, 10, 12, 18, 3, 4, 2, 5},        // more padding, zeros below
    {17, 2, 8, 14, 40, 11, 0, 1, 0, 5},        // groups, blocks of lines
    {20, 1, 6, 8, 9, 25, 2, 2, 0, 5, 1, 3},    // 3x5
    {50, 1, 16, 17, 1, 40, 0, 2, 0, 5, 1, 1},  // sequences
    {16, 1, 4, 4, 30, 16, 4, 0, 0, 5, 1, 7},   // 7x5
};

// One algorithm on all ISAs. It has to be the choice.
void check_sums(const Case& c, Pass pass, const std::string& name, Random& random) {
  const std::string active = active_isa().name;
  const int algorithm = place_of(name);
  Convolution conv(c, pass, random);
  const std::vector<float> expected = conv.run(place_of("reference"), false);
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    INFO(name, " isa ", std::string(isa->name), " n ", c.n, " channels ", c.c_in, " ", c.c_out,
         " image ", c.height, " ", c.width, " taps ", c.taps, " stride ", c.stride, " backward ",
         pass == Pass::backward_input);
    set_num_threads(1);
    const std::vector<float> got = conv.run(algorithm, false);
    CHECK(relative_error(got, expected) <= 3e-5);
    CHECK(conv.run(0, false) == got);
    CHECK_THROWS_AS(conv.run(algorithm, true), OpError);
    for (int threads : {2, 3}) {
      set_num_threads(threads);
      CHECK(conv.run(algorithm, false) == got);
    }
    GuardedBuffer<float> packed(conv.packed_size(algorithm));
    packed.fill(NAN);
    const Buffer kept{packed.data(), packed.size(), DType::kFloat32};
    CHECK(conv.run(algorithm, false, kept) == got);
    CHECK(conv.run(algorithm, false, kept, true) == got);
  }
  set_num_threads(1);
  REQUIRE(set_active_isa(active));
}

// The same for a weight gradient.
void check_weight_gradient(const Case& c, const std::string& name, Random& random) {
  const std::string active = active_isa().name;
  const int algorithm = place_of(name, Pass::backward_weight);
  Convolution conv(c, Pass::backward_weight, random);
  const std::vector<float> expected =
      conv.run_weight_gradient(place_of("reference", Pass::backward_weight), false);
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    INFO(name, " isa ", std::string(isa->name), " n ", c.n, " channels ", c.c_in, " ", c.c_out,
         " image ", c.height, " ", c.width, " padding ", c.pad_y, " ", c.pad_x);
    set_num_threads(1);
    const std::vector<float> got = conv.run_weight_gradient(algorithm, false);
    CHECK(relative_error(got, expected) <= 3e-5);
    CHECK(conv.run_weight_gradient(0, false) == got);  // it is the choice
    CHECK_THROWS_AS(conv.run_weight_gradient(algorithm, true), OpError);
    for (int threads : {2, 3}) {
      set_num_threads(threads);
      CHECK(conv.run_weight_gradient(algorithm, false) == got);
    }
  }
  set_num_threads(1);
  REQUIRE(set_active_isa(active));
}

}  // namespace

TEST_CASE("winograd: within 3e-5 of the reference, the same bits for any number of threads") {
  Random random(11);
  for (const Case& few : kCases) {
    const Case c = with_work(few);
    check_sums(c, Pass::forward, "winograd", random);
    check_sums(c, Pass::backward_input, "winograd", random);
  }
}

TEST_CASE("winograd: pairs of lines within 3e-5 of the reference, the same bits for any threads") {
  Random random(15);
  for (const Case& c : kPairCases) {
    check_sums(c, Pass::forward, "winograd pairs", random);
    // The channels of dy are those of y.
    if (c.stride == 1) check_sums(c, Pass::backward_input, "winograd pairs", random);
  }
}

TEST_CASE("winograd: images in lanes within 3e-5 of the reference, the same bits for any threads") {
  Random random(16);
  for (const Case& few : kLanesCases) {
    const Case c = with_work(few);
    check_sums(c, Pass::forward, "winograd lanes", random);
    check_sums(c, Pass::backward_input, "winograd lanes", random);
    check_weight_gradient(c, "winograd lanes", random);
  }
  check_weight_gradient({150, 1, 1, 6, 28, 28, 2, 2, 0, 5}, "winograd lanes", random);
}

TEST_CASE(
    "winograd: weight gradients within 3e-5 of the reference, the same bits for any threads") {
  Random random(14);
  for (const Case& few :
       {Case{3, 1, 32, 32, 14, 14, 1, 1, 0},   // whole vectors
        Case{6, 1, 70, 37, 7, 7, 1, 1, 0},     // tails
        Case{1, 1, 33, 90, 34, 29, 0, 0, 0},   // no padding
        Case{1, 2, 64, 66, 22, 20, 1, 0, 3},   // groups, zeros below
        Case{3, 1, 40, 40, 13, 30, 2, 2, 0},   // more padding
        Case{1, 1, 16, 16, 112, 90, 1, 1, 0},  // several blocks of tiles
        Case{1, 1, 16, 20, 12, 500, 1, 1, 0},  // fewer rows of tiles than blocks
        Case{1, 1, 260, 280, 7, 6, 1, 1, 0},   // many channels, few tiles
        Case{1, 1, 96, 340, 45, 46, 1, 1, 0},  // many products, blocks that threads share
        Case{2, 1, 32, 32, 10, 10, 2, 2, 0, 5}, Case{1, 1, 40, 37, 30, 31, 0, 1, 2, 5},
        Case{2, 2, 96, 66, 11, 14, 3, 2, 0, 5}}) {
    check_weight_gradient(with_work(few), "winograd", random);
  }
}

TEST_CASE("winograd: not where exact sums are asked for, nor where it does not pay") {
  Random random(12);
  const int winograd = place_of("winograd");
  Convolution conv(with_work(kCases[0]), Pass::forward, random);
  CHECK_THROWS_AS(conv.run(winograd, true), OpError);
  CHECK(conv.run(0, true) == conv.run(place_of("gemm"), false));
  for (const Case& c :
       {Case{1, 1, 320, 320, 5, 4, 1, 1, 0},    // 2 or 6 tiles
        Case{16, 1, 512, 512, 3, 3, 1, 1, 0},   // 4 tiles of 2x2 for 9 outputs
        Case{1, 1, 1024, 1024, 7, 7, 1, 1, 0},  // weights of 67 or 151 MB
        Case{4, 1, 15, 32, 56, 56, 1, 1, 0},    // few channels
        Case{4, 1, 32, 15, 56, 56, 1, 1, 0}, Case{1, 1, 32, 32, 40, 40, 1, 1, 0}}) {  // little work
    Convolution other(c, Pass::forward, random);
    CHECK_THROWS_AS(other.run(winograd, false), OpError);
  }
}

TEST_CASE("winograd: pairs of lines not where exact sums are asked for, nor where few are stored") {
  Random random(16);
  const int pairs = place_of("winograd pairs");
  Convolution conv(kPairCases[0], Pass::forward, random);
  CHECK_THROWS_AS(conv.run(pairs, true), OpError);
  for (const Case& c : {Case{2, 1, 1, 64, 40, 52, 3, 3, 0, 7, 2},      // 14 terms
                        Case{2, 1, 3, 7, 40, 52, 3, 3, 0, 7, 2},       // 7 rows
                        Case{2, 1, 3, 64, 20, 15, 0, 0, 0, 7, 2},      // 5 pixels
                        Case{2, 1, 3, 64, 7, 52, 0, 3, 0, 7, 2},       // one line
                        Case{2, 1, 8, 64, 40, 40, 2, 2, 0, 5},         // 5 taps at stride 1
                        Case{1, 1, 8, 16, 32, 224, 3, 3, 0, 7, 2}}) {  // V beyond L1
    Convolution other(c, Pass::forward, random);
    CHECK_THROWS_AS(other.run(pairs, false), OpError);
  }
}

TEST_CASE("winograd: a NaN spreads over the tiles that read it and no further") {
  Random random(13);
  const Case c{1, 1, 64, 128, 16, 16, 1, 1, 0};
  Convolution conv(c, Pass::forward, random);
  conv.input()[5 * 256 + 6 * 16 + 9] = NAN;  // row 6, column 9: read by tiles (1, 2) alone
  const std::vector<float> y = conv.run(place_of("winograd"), false);
  for (int64_t i = 0; i < 128 * 256; ++i) {
    const int64_t row = i / 16 % 16;
    const int64_t col = i % 16;
    CHECK(std::isnan(y[static_cast<size_t>(i)]) == (row / 4 == 1 && col / 4 == 2));
  }
}

namespace {

const Case kStridedCases[] = {
    {2, 1, 32, 32, 56, 56, 1, 1, 0, 3, 2},  // whole vectors of channels, tiles of 4
    {1, 1, 33, 50, 45, 34, 0, 0, 0, 3, 2},  // tails, no padding, an odd and an even size
    {3, 1, 40, 37, 28, 31, 1, 1, 0, 3, 2},  // tiles of 3
    {9, 1, 64, 48, 5, 6, 1, 1, 0, 3, 2},    // one tile an image
    {9, 1, 64, 48, 6, 5, 1, 1, 0, 3, 2},    {2, 1, 35, 40, 21, 30, 2, 2, 0, 3, 2},  // more padding
    {2, 1, 35, 40, 22, 31, 2, 2, 3, 3, 2},   // and zeros below
    {2, 2, 64, 66, 32, 24, 1, 0, 0, 3, 2},   // groups
    {1, 1, 16, 128, 90, 12, 1, 1, 3, 3, 2},  // tall, zeros below
    {1, 1, 128, 17, 12, 91, 3, 4, 0, 3, 2},  // wide
    {2, 1, 300, 24, 23, 24, 1, 1, 0, 3, 2},  // many channels
    {8, 1, 512, 64, 16, 16, 1, 1, 0, 3, 2}, {8, 1, 64, 512, 16, 16, 1, 1, 0, 3, 2},
};

}  // namespace

TEST_CASE("winograd strided: within 3e-5 of the reference, the same bits for any threads") {
  Random random(15);
  for (const Case& few : kStridedCases) {
    const Case c = with_work(few);
    check_sums(c, Pass::forward, "winograd strided", random);
    check_sums(c, Pass::backward_input, "winograd strided input", random);
  }
}

TEST_CASE("winograd strided: weight gradients within 3e-5 of the reference, for any threads") {
  Random random(16);
  for (const Case& few : kStridedCases) {
    check_weight_gradient(with_work(few), "winograd strided", random);
  }
}
