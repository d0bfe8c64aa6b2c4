// Ops that follow indices, between unreadable pages: places at the very ends of their memory are
// reached, what lies outside is refused. Values are checked from JavaScript.
#include <limits>
#include <string>
#include <vector>

#include "core/op.h"
#include "op_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The entries of an array field: eight slots.
void append(std::vector<double>* fields, const std::vector<double>& entries) {
  for (size_t i = 0; i < 8; ++i) fields->push_back(i < entries.size() ? entries[i] : 0);
}

template <class T>
void fill_with(GuardedBuffer<T>& b, const std::vector<double>& values) {
  REQUIRE(b.size() == static_cast<int64_t>(values.size()));
  for (int64_t i = 0; i < b.size(); ++i) b[i] = static_cast<T>(values[static_cast<size_t>(i)]);
}

// x [2, 3, 2] row-major, places along the middle.
std::vector<double> middle(double count) {
  std::vector<double> fields = {1};
  append(&fields, {2});
  append(&fields, {6});
  fields.push_back(count);
  fields.push_back(1);
  append(&fields, {2});
  append(&fields, {1});
  return fields;
}

void index_read(const std::vector<double>& places) {
  const int64_t count = static_cast<int64_t>(places.size());
  GuardedBuffer<float> x(12), y(4 * count);
  GuardedBuffer<double> offsets(count);
  for (int64_t i = 0; i < 12; ++i) x[i] = static_cast<float>(i);
  fill_with(offsets, places);
  run_named("index_read", middle(static_cast<double>(count)),
            {buffer(x), buffer(offsets), buffer(y)});
  for (int64_t o = 0; o < 2; ++o) {
    for (int64_t b = 0; b < count; ++b) {
      for (int64_t i = 0; i < 2; ++i) {
        const double expected =
            6.0 * static_cast<double>(o) + places[static_cast<size_t>(b)] + static_cast<double>(i);
        CHECK(static_cast<double>(y[(o * count + b) * 2 + i]) == expected);
      }
    }
  }
}

void index_write(const std::vector<double>& places, bool accumulate) {
  const int64_t count = static_cast<int64_t>(places.size());
  GuardedBuffer<int32_t> x(12), y(4 * count);
  GuardedBuffer<double> offsets(count);
  x.fill(std::numeric_limits<int32_t>::max());
  y.fill(1);
  fill_with(offsets, places);
  std::vector<double> fields = middle(static_cast<double>(count));
  fields.push_back(accumulate ? 1 : 0);
  run_named("index_write", fields, {buffer(x), buffer(offsets), buffer(y)});
  const int64_t written = static_cast<int64_t>(places[0]);
  CHECK(x[written] == (accumulate ? std::numeric_limits<int32_t>::min() : 1));
  CHECK(x[11 - written] == std::numeric_limits<int32_t>::max());
}

// index [2, 1] along dimension 1 of [2, 3]
void gather(const std::vector<double>& positions, int64_t length = 6) {
  GuardedBuffer<float> x(length), y(2);
  GuardedBuffer<int32_t> index(2);
  for (int64_t i = 0; i < length; ++i) x[i] = static_cast<float>(i);
  fill_with(index, positions);
  std::vector<double> fields = {2};
  append(&fields, {2, 1});
  append(&fields, {3, 0});
  append(&fields, {1, 1});
  fields.insert(fields.end(), {3, 1});
  run_named("gather", fields, {buffer(x), buffer(index), buffer(y)});
  check_same(y, {positions[0], 3 + positions[1]}, "gather");
}

void scatter(const std::vector<double>& positions, int64_t length = 6) {
  GuardedBuffer<float> y(length), src(2);
  GuardedBuffer<int32_t> index(2);
  y.fill(0);
  src.fill(1);
  fill_with(index, positions);
  std::vector<double> fields = {2};
  append(&fields, {2, 1});
  append(&fields, {3, 0});
  append(&fields, {1, 1});
  append(&fields, {1, 1});
  fields.insert(fields.end(), {3, 1, 1});
  run_named("scatter", fields, {buffer(y), buffer(index), buffer(src)});
  CHECK(y[static_cast<int64_t>(positions[0])] == 1.0f);
  CHECK(y[3 + static_cast<int64_t>(positions[1])] == 1.0f);
}

void sort(double outer, double n, double inner, double k, double room) {
  GuardedBuffer<float> x(static_cast<int64_t>(outer * n * inner)), y(static_cast<int64_t>(room));
  GuardedBuffer<int32_t> index(static_cast<int64_t>(room));
  Random random(1);
  x.randomize(random);
  run_named("sort", {outer, n, inner, k, 1}, {buffer(x), buffer(y), buffer(index)});
  for (int64_t i = 0; i < index.size(); ++i) CHECK(static_cast<double>(index[i]) < n);
}

}  // namespace

TEST_CASE("index_read and index_write reach both ends and nothing beyond") {
  index_read({4, 0, 2, 4});
  index_read({});
  index_write({0}, false);
  index_write({4}, true);
  for (const double wrong : {5.0, -1.0, 0.5, kNaN, 1e300, 9e15}) {
    INFO("offset ", wrong);
    CHECK_THROWS_AS(index_read({0, wrong}), OpError);
    CHECK_THROWS_AS(index_write({0, wrong}, true), OpError);
  }
}

TEST_CASE("indexed ops refuse outputs that are too small") {
  GuardedBuffer<float> x(12), y(7);
  GuardedBuffer<double> offsets(2);
  offsets.fill(0);
  CHECK_THROWS_AS(run_named("index_read", middle(2), {buffer(x), buffer(offsets), buffer(y)}),
                  OpError);
  CHECK_THROWS_AS(run_named("index_read", middle(3), {buffer(x), buffer(offsets), buffer(x)}),
                  OpError);
}

TEST_CASE("gather and scatter reach both ends and nothing beyond") {
  gather({0, 2});
  scatter({0, 2});
  const int32_t lowest = std::numeric_limits<int32_t>::min();
  for (const double wrong :
       {3.0, -1.0, static_cast<double>(lowest), -1.0 - static_cast<double>(lowest)}) {
    INFO("index ", wrong);
    CHECK_THROWS_AS(gather({0, wrong}), OpError);
    CHECK_THROWS_AS(scatter({wrong, 0}), OpError);
  }
  CHECK_THROWS_AS(gather({0, 0}, 5), OpError);
  CHECK_THROWS_AS(scatter({0, 0}, 5), OpError);
}

TEST_CASE("sort keeps inside of what it was given") {
  sort(3, 17, 5, 17, 3 * 17 * 5);
  sort(1, 1000, 1, 7, 7);
  sort(2, 4, 3, 0, 0);
  sort(0, 4, 3, 2, 0);
  CHECK_THROWS_AS(sort(1, 4, 1, 5, 5), OpError);
  CHECK_THROWS_AS(sort(1, 4, 1, -1, 1), OpError);
  CHECK_THROWS_AS(sort(1, 4, 1, 3, 2), OpError);
}

TEST_CASE("running sums and products keep inside of what they were given") {
  GuardedBuffer<float> x(30), y(30), small(29), products(6);
  x.fill(1);
  for (double fn = 0; fn < 3; ++fn) {
    run_named("cumulate", {fn, 2, 5, 3}, {buffer(x), buffer(y)});
    CHECK(y[29] == (fn == 0 ? 5.0f : 1.0f));
    CHECK_THROWS_AS(run_named("cumulate", {fn, 2, 5, 3}, {buffer(x), buffer(small)}), OpError);
  }
  CHECK_THROWS_AS(run_named("cumulate", {3, 2, 5, 3}, {buffer(x), buffer(y)}), OpError);
  run_named("product", {2, 5, 3}, {buffer(x), buffer(products)});
  check_same(products, {1, 1, 1, 1, 1, 1}, "product");
  CHECK_THROWS_AS(run_named("product", {2, 5, 4}, {buffer(x), buffer(products)}), OpError);
}
