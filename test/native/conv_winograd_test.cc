// Convolution by Winograd's algorithms against the reference, which sums in
// double: the error is at most 3e-5 of the root mean square of the outputs, on every ISA; the bits
// are the same for 1 to 3 threads and with weights packed earlier.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "conv_inexact.h"
#include "core/parallel.h"

using namespace laminae;
using namespace laminae_test;

namespace {

// With as many images as it takes for Winograd to be worth while.
conv_desc with_work(const PlaneCase& c) {
  conv_desc d = descriptor(c);
  const int64_t pixels =
      std::min(d.out[1] * d.out[2], d.in[1] * d.in[2] / (d.stride[1] * d.stride[2]));
  const int64_t image = d.kernel[1] * d.kernel[2] * pixels * d.c_out * (d.c_in / d.groups);
  while (d.n * image < 16 << 20) ++d.n;
  return d;
}

const PlaneCase kCases[] = {
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
    {4, 1, 32, 64, 10, 10, 2, 2, 0, 5},
    {2, 1, 40, 37, 13, 11, 2, 2, 0, 5},   // tails
    {1, 2, 64, 34, 15, 22, 0, 1, 3, 5},   // groups, less padding, zeros below
    {1, 1, 256, 24, 12, 12, 4, 3, 0, 5},  // more padding, many channels
    {1, 1, 256, 256, 7, 7, 1, 1, 0},      // small tiles from here on
    {2, 1, 300, 250, 7, 5, 1, 1, 0},      // tails
    {20, 1, 96, 80, 2, 2, 1, 1, 0},       // one an image
    {1, 2, 512, 520, 6, 7, 0, 1, 3},      // groups, zeros below
    {2, 1, 500, 500, 9, 6, 1, 0, 0},
    {16, 1, 260, 390, 4, 4, 1, 1, 0},  // many weights and few tiles: never packed as a whole
    {3, 1, 200, 390, 10, 5, 2, 2, 0, 5},
};

// Weight gradients.
const PlaneCase kWeightCases[] = {
    {3, 1, 32, 32, 14, 14, 1, 1, 0},   // whole vectors
    {6, 1, 70, 37, 7, 7, 1, 1, 0},     // tails
    {1, 1, 33, 90, 34, 29, 0, 0, 0},   // no padding
    {1, 2, 64, 66, 22, 20, 1, 0, 3},   // groups, zeros below
    {3, 1, 40, 40, 13, 30, 2, 2, 0},   // more padding
    {1, 1, 16, 16, 112, 90, 1, 1, 0},  // several blocks of tiles
    {1, 1, 16, 20, 12, 500, 1, 1, 0},  // fewer rows of tiles than blocks
    {1, 1, 260, 280, 7, 6, 1, 1, 0},   // many channels, few tiles
    {1, 1, 96, 340, 45, 46, 1, 1, 0},  // many products, blocks that threads share
    {2, 1, 32, 32, 10, 10, 2, 2, 0, 5}, {1, 1, 40, 37, 30, 31, 0, 1, 2, 5},
    {2, 2, 96, 66, 11, 14, 3, 2, 0, 5}, {1, 1, 208, 208, 12, 10, 2, 2, 0, 5}};

// Few terms: pairs of lines.
const PlaneCase kPairCases[] = {
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
const PlaneCase kLanesCases[] = {
    {32, 1, 6, 16, 14, 14, 0, 0, 0, 5},        // whole groups of images, tiles of 5
    {21, 1, 5, 8, 13, 13, 1, 0, 0, 5},         // a tail of tiles of 5
    {37, 1, 7, 9, 13, 11, 1, 2, 0, 5},         // tails of images, rows and tiles of 4
    {16, 1, 5, 10, 12, 18, 3, 4, 2, 5},        // more padding, zeros below
    {17, 2, 8, 14, 40, 11, 0, 1, 0, 5},        // groups, blocks of lines
    {20, 1, 6, 8, 9, 25, 2, 2, 0, 5, 1, 3},    // 3x5
    {50, 1, 16, 17, 1, 40, 0, 2, 0, 5, 1, 1},  // sequences
    {16, 1, 4, 4, 30, 16, 4, 0, 0, 5, 1, 7},   // 7x5
};

const PlaneCase kStridedCases[] = {
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

TEST_CASE("winograd: within 3e-5 of the reference, the same bits for any number of threads") {
  Random random(11);
  for (const PlaneCase& c : kCases) {
    for (Pass pass : {kForward, kBackwardInput}) check(pass, with_work(c), "winograd", random);
  }
  // More than 2^20 results: eight columns a tile for nine.
  check(kForward, descriptor(PlaneCase{1, 1, 16, 16, 260, 257, 2, 2, 0, 5}), "winograd", random);
}

TEST_CASE("winograd: pairs of lines within 3e-5 of the reference, the same bits for any threads") {
  Random random(15);
  for (const PlaneCase& c : kPairCases) {
    check(kForward, descriptor(c), "winograd pairs", random);
    // The channels of dy are those of y.
    if (c.stride == 1) check(kBackwardInput, descriptor(c), "winograd pairs", random);
  }
}

TEST_CASE("winograd: images in lanes within 3e-5 of the reference, the same bits for any threads") {
  Random random(16);
  for (const PlaneCase& c : kLanesCases) {
    for (Pass pass : {kForward, kBackwardInput, kBackwardWeight})
      check(pass, with_work(c), "winograd lanes", random);
  }
  const PlaneCase first{150, 1, 1, 6, 28, 28, 2, 2, 0, 5};
  check(kBackwardWeight, descriptor(first), "winograd lanes", random);
}

TEST_CASE(
    "winograd: weight gradients within 3e-5 of the reference, the same bits for any threads") {
  Random random(14);
  for (const PlaneCase& c : kWeightCases) check(kBackwardWeight, with_work(c), "winograd", random);
}

TEST_CASE("winograd: not where exact sums are asked for, nor where it does not pay") {
  Random random(12);
  const conv_desc d = with_work(kCases[0]);
  Operands t(d, random);
  CHECK(result(kForward, d, 0, t) == result(kForward, d, number_of(kForward, "gemm"), t));
  check_refused({{1, 1, 320, 320, 5, 4, 1, 1, 0},    // 2 or 6 tiles
                 {16, 1, 512, 512, 3, 3, 1, 1, 0},   // 4 tiles of 2x2 for 9 outputs
                 {1, 1, 1024, 1024, 7, 7, 1, 1, 0},  // weights of 67 or 151 MB
                 {4, 1, 15, 32, 56, 56, 1, 1, 0},    // few channels
                 {4, 1, 32, 15, 56, 56, 1, 1, 0},
                 {1, 1, 32, 32, 40, 40, 1, 1, 0}},  // little work
                "winograd", random);
}

TEST_CASE("winograd: pairs of lines not where few are stored") {
  Random random(16);
  check_refused({{2, 1, 1, 64, 40, 52, 3, 3, 0, 7, 2},    // 14 terms
                 {2, 1, 3, 7, 40, 52, 3, 3, 0, 7, 2},     // 7 rows
                 {2, 1, 3, 64, 20, 15, 0, 0, 0, 7, 2},    // 5 pixels
                 {2, 1, 3, 64, 7, 52, 0, 3, 0, 7, 2},     // one line
                 {2, 1, 8, 64, 40, 40, 2, 2, 0, 5},       // 5 taps at stride 1
                 {1, 1, 8, 16, 32, 224, 3, 3, 0, 7, 2}},  // V beyond L1
                "winograd pairs", random);
}

TEST_CASE("winograd: a NaN spreads over the tiles that read it and no further") {
  Random random(13);
  const conv_desc d = descriptor(PlaneCase{1, 1, 64, 128, 16, 16, 1, 1, 0});
  Operands t(d, random);
  t.x[5 * 256 + 6 * 16 + 9] = NAN;  // row 6, column 9: read by tiles (1, 2) alone
  run("conv", d, {buffer(t.x), buffer(t.w), buffer(t.b), buffer(t.y), Buffer{}});
  for (int64_t i = 0; i < 128 * 256; ++i) {
    const int64_t row = i / 16 % 16;
    const int64_t col = i % 16;
    CHECK(std::isnan(t.y[i]) == (row / 4 == 1 && col / 4 == 2));
  }
}

TEST_CASE("winograd strided: within 3e-5 of the reference, the same bits for any threads") {
  Random random(15);
  for (const PlaneCase& c : kStridedCases) {
    check(kForward, with_work(c), "winograd strided", random);
    check(kBackwardInput, with_work(c), "winograd strided input", random);
    check(kBackwardWeight, with_work(c), "winograd strided", random);
  }
}
