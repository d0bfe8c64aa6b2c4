// The gemm op against sums in double precision, between unreadable pages: every way a product is
// cut and packed, on every instruction set; the same bits on one to four threads.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/parallel.h"
#include "op_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

struct Product {
  int64_t m, n, k;
};

constexpr Product kProducts[] = {
    {1, 1, 0},      {1, 40, 7},     {3, 5, 1},       {64, 64, 64},    {256, 120, 40},
    {61, 300, 50},  {300, 61, 50},  {1000, 130, 8},  {130, 1000, 8},  {7, 2000, 40},
    {2000, 7, 40},  {33, 33, 700},  {20, 700, 90},   {10, 1030, 300}, {70, 1100, 260},
    {1, 1500, 300}, {255, 257, 9},  {8, 512, 70},    {40, 1100, 20},  {1, 70, 130},
    {11, 50, 300},  {16, 200, 101}, {37, 1000, 300}, {17, 70, 4000},
};

// The product with endings, which must be what the ending makes of `plain`.
template <class T>
void check_ending(const std::vector<double>& fields, const std::vector<Buffer>& operands,
                  GuardedBuffer<T>& plain) {
  Random random(1);
  GuardedBuffer<T> c(plain.size()), add(plain.size());
  add.randomize(random);
  for (bool adds : {false, true}) {
    const T low = adds ? T(-0.25) : T(0);
    const T high = adds ? T(0.5) : std::numeric_limits<T>::infinity();
    c.fill(std::numeric_limits<T>::quiet_NaN());
    std::vector<double> with_range = fields;
    with_range.push_back(low);
    with_range.push_back(high);
    std::vector<Buffer> buffers = operands;
    buffers.push_back(buffer(c));
    buffers.push_back(adds ? buffer(add) : Buffer{});
    run_named("gemm_then", with_range, buffers);
    int64_t wrong = 0;
    for (int64_t i = 0; i < c.size(); ++i) {
      wrong += c[i] != std::min(high, std::max(low, adds ? plain[i] + add[i] : plain[i]));
    }
    CHECK(wrong == 0);
  }
}

template <class T>
void check_product(const Product& p, bool transpose_a, bool transpose_b, bool accumulate,
                   bool biased) {
  Random random(static_cast<uint64_t>(p.m * 31 + p.n * 7 + p.k));
  GuardedBuffer<T> a(p.m * p.k), b(p.k * p.n), bias(p.n), start(p.m * p.n), first(p.m * p.n);
  for (GuardedBuffer<T>* buffer : {&a, &b, &bias, &start}) buffer->randomize(random);
  std::vector<double> expected(static_cast<size_t>(p.m * p.n));
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = (accumulate ? start[i * p.n + j] : 0.0) + (biased ? bias[j] : 0.0);
      for (int64_t q = 0; q < p.k; ++q) {
        sum += static_cast<double>(a[transpose_a ? q * p.m + i : i * p.k + q]) *
               static_cast<double>(b[transpose_b ? j * p.k + q : q * p.n + j]);
      }
      expected[static_cast<size_t>(i * p.n + j)] = sum;
    }
  }
  const std::vector<double> fields = {
      1, double(p.m), double(p.n), double(p.k),       double(transpose_a), double(transpose_b),
      0, 0,           0,           double(accumulate)};
  const std::vector<Buffer> operands = {buffer(a), buffer(b), biased ? buffer(bias) : Buffer{}};
  const std::vector<int> counts = thread_counts(4);
  for (int threads : counts) {
    set_num_threads(threads);
    GuardedBuffer<T> c(p.m * p.n);
    if (accumulate) {
      std::memcpy(c.data(), start.data(), static_cast<size_t>(c.size()) * sizeof(T));
    } else {
      c.fill(std::numeric_limits<T>::quiet_NaN());
    }

    run_named("gemm", fields, {operands[0], operands[1], operands[2], buffer(c)});
    check_close(c, expected, epsilon<T>() * (8.0 + 0.5 * static_cast<double>(p.k)),
                "c on " + std::to_string(threads) + " threads");
    if (threads == counts.front()) {
      std::memcpy(first.data(), c.data(), static_cast<size_t>(c.size()) * sizeof(T));
    }
    CHECK(std::memcmp(first.data(), c.data(), static_cast<size_t>(c.size()) * sizeof(T)) == 0);
    if (!accumulate) check_ending(fields, operands, c);
  }
}

template <class T>
void check_products() {
  for (const Product& p : kProducts) {
    for (int form = 0; form < 16; ++form) {
      INFO(p.m, "x", p.n, "x", p.k, " form ", form);
      check_product<T>(p, (form & 1) != 0, (form & 2) != 0, (form & 4) != 0, (form & 8) != 0);
    }
  }
}

}  // namespace

TEST_CASE("gemm agrees with double precision, and threads do not show in its bits") {
  const int threads = num_threads();
  const std::string best = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    INFO(std::string(isa->name));
    REQUIRE(set_active_isa(isa->name));
    check_products<float>();
  }
  REQUIRE(set_active_isa(best));
  check_products<double>();
  set_num_threads(threads);
}

TEST_CASE("gemm_then: every product of a batch has its own part of what is added") {
  constexpr int64_t kBatch = 5, kM = 3, kN = 7, kStride = 25;  // of c, with a gap
  GuardedBuffer<float> a(kBatch * kM), b(kBatch * kN), add(kBatch * kStride), c(kBatch * kStride);
  Random random(3);
  for (GuardedBuffer<float>* buffer : {&a, &b, &add, &c}) buffer->randomize(random);
  run_named("gemm_then",
            {double(kBatch), double(kM), double(kN), 1, 0, 0, double(kM), double(kN),
             double(kStride), 0, -0.5, 0.5},
            {buffer(a), buffer(b), Buffer{}, buffer(c), buffer(add)});
  for (int64_t i = 0; i < kBatch; ++i) {
    for (int64_t j = 0; j < kM * kN; ++j) {
      const float sum = a[i * kM + j / kN] * b[i * kN + j % kN] + add[i * kStride + j];
      CHECK(c[i * kStride + j] == doctest::Approx(std::min(0.5f, std::max(-0.5f, sum))));
    }
  }
}
