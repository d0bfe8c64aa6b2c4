// Max and average pooling and their backward against plain loops, on shapes drawn at random and
// some chosen ones, on every ISA, with all buffers between unreadable pages. Inputs are small
// integers, so sums are exact, and every result is compared bit for bit; divisors are powers of two
// where they are in the way of that.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/op.h"
#include "core/parallel.h"
#include "kernel_support.h"
#include "op_support.h"

using namespace laminae;
using namespace laminae_test;

namespace {

struct Case {
  int64_t planes;
  int64_t in[3], kernel[3], stride[3], padding[3], dilation[3];
  bool ceil_mode;

  int64_t out(int i) const {
    const int64_t room = in[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1;
    int64_t n = (room + (ceil_mode ? stride[i] - 1 : 0)) / stride[i] + 1;
    if (ceil_mode && (n - 1) * stride[i] >= in[i] + padding[i]) --n;
    return n;
  }
  int64_t in_plane() const { return in[0] * in[1] * in[2]; }
  int64_t out_plane() const { return out(0) * out(1) * out(2); }
  int64_t cells() const { return kernel[0] * kernel[1] * kernel[2]; }
};

std::vector<double> fields_of(const Case& c) {
  std::vector<double> f = {static_cast<double>(c.planes)};
  const auto add = [&](const int64_t* v) {
    for (int i = 0; i < 3; ++i) f.push_back(static_cast<double>(v[i]));
  };
  const int64_t out[3] = {c.out(0), c.out(1), c.out(2)};
  add(c.in);
  add(out);
  add(c.kernel);
  add(c.stride);
  add(c.padding);
  return f;
}

std::vector<double> max_fields(const Case& c) {
  std::vector<double> f = fields_of(c);
  for (int i = 0; i < 3; ++i) f.push_back(static_cast<double>(c.dilation[i]));
  return f;
}

std::vector<double> avg_fields(const Case& c, bool count_padding, double divisor) {
  std::vector<double> f = fields_of(c);
  f.push_back(count_padding ? 1 : 0);
  f.push_back(divisor);
  return f;
}

// Calls visit(output, input, cell) for the valid cells of every window of a plane, in order.
template <class Visit>
void for_each_cell(const Case& c, Visit&& visit) {
  const int64_t n[3] = {c.out(0), c.out(1), c.out(2)};
  for (int64_t o = 0; o < n[0] * n[1] * n[2]; ++o) {
    const int64_t at[3] = {o / (n[1] * n[2]), o / n[2] % n[1], o % n[2]};
    for (int64_t cell = 0; cell < c.cells(); ++cell) {
      const int64_t k[3] = {cell / (c.kernel[1] * c.kernel[2]), cell / c.kernel[2] % c.kernel[1],
                            cell % c.kernel[2]};
      int64_t flat = 0;
      bool inside = true;
      for (int i = 0; i < 3; ++i) {
        const int64_t p = at[i] * c.stride[i] - c.padding[i] + k[i] * c.dilation[i];
        inside = inside && p >= 0 && p < c.in[i];
        flat = flat * c.in[i] + p;
      }
      if (inside) visit(o, flat, cell);
    }
  }
}

// Small integers with ties; now and then NaN or -infinity.
template <class T>
void fill_with_integers(GuardedBuffer<T>& b, Random& random, bool special) {
  for (int64_t i = 0; i < b.size(); ++i) {
    const int64_t v = random.integer(-4, 4);
    b[i] = static_cast<T>(v);
    if (!special) continue;
    if (random.integer(0, 30) == 0) b[i] = std::numeric_limits<T>::quiet_NaN();
    if (random.integer(0, 3) == 0) b[i] = -std::numeric_limits<T>::infinity();
  }
}

template <class T>
void check_max(const Case& c, Random& random, bool special, Touch touch) {
  const int64_t in_count = c.planes * c.in_plane();
  const int64_t out_count = c.planes * c.out_plane();
  GuardedBuffer<T> x(in_count, touch), y(out_count, touch), dy(out_count, touch),
      dx(in_count, touch);
  GuardedBuffer<uint8_t> chosen(out_count, touch);
  GuardedBuffer<int32_t> index(out_count, touch);
  fill_with_integers(x, random, special);
  fill_with_integers(dy, random, false);
  dx.fill(T(77));

  std::vector<double> values(static_cast<size_t>(out_count), -HUGE_VAL),
      back(static_cast<size_t>(in_count), 0.0);
  std::vector<double> where(static_cast<size_t>(out_count), -1.0);
  for (int64_t p = 0; p < c.planes; ++p) {
    for_each_cell(c, [&](int64_t o, int64_t i, int64_t) {
      const size_t at = static_cast<size_t>(p * c.out_plane() + o);
      const double v = static_cast<double>(x[p * c.in_plane() + i]);
      if (!(where[at] < 0 || v > values[at] || std::isnan(v))) return;
      values[at] = v;
      where[at] = static_cast<double>(i);
    });
  }
  for (int64_t o = 0; o < out_count; ++o) {
    const int64_t i = static_cast<int64_t>(where[static_cast<size_t>(o)]);
    back[static_cast<size_t>(o / c.out_plane() * c.in_plane() + i)] += static_cast<double>(dy[o]);
  }

  run_named("max_pool", max_fields(c), {buffer(x), buffer(y), Buffer()});
  check_same(y, values, "y without cells");
  run_named("max_pool", max_fields(c),
            {buffer(x), buffer(y), c.cells() <= 255 ? buffer(chosen) : buffer(index)});
  check_same(y, values, "y");
  if (c.cells() <= 255) {
    run_named("max_pool_indices", max_fields(c), {buffer(chosen), buffer(index)});
    run_named("max_pool_backward", max_fields(c), {buffer(dy), buffer(chosen), buffer(dx)});
    check_same(dx, back, "dx");
  }
  check_same(index, where, "index");
}

template <class T>
void check_avg(const Case& c, Random& random, bool count_padding, double divisor, Touch touch) {
  const int64_t in_count = c.planes * c.in_plane();
  const int64_t out_count = c.planes * c.out_plane();
  GuardedBuffer<T> x(in_count, touch), y(out_count, touch), dy(out_count, touch),
      dx(in_count, touch);
  fill_with_integers(x, random, false);
  fill_with_integers(dy, random, false);
  dx.fill(T(77));

  std::vector<double> sums(static_cast<size_t>(out_count), 0.0),
      back(static_cast<size_t>(in_count), 0.0);
  std::vector<double> sizes(static_cast<size_t>(c.out_plane()), 0.0);
  if (divisor != 0) {
    std::fill(sizes.begin(), sizes.end(), divisor);
  } else if (!count_padding) {
    for_each_cell(c, [&](int64_t o, int64_t, int64_t) { sizes[static_cast<size_t>(o)] += 1; });
  } else {
    for (int64_t o = 0; o < c.out_plane(); ++o) {
      const int64_t at[3] = {o / (c.out(1) * c.out(2)), o / c.out(2) % c.out(1), o % c.out(2)};
      int64_t size = 1;
      for (int i = 0; i < 3; ++i) {
        size *=
            std::min(c.kernel[i], c.in[i] + c.padding[i] - (at[i] * c.stride[i] - c.padding[i]));
      }
      sizes[static_cast<size_t>(o)] = static_cast<double>(size);
    }
  }
  for (int64_t p = 0; p < c.planes; ++p) {
    for_each_cell(c, [&](int64_t o, int64_t i, int64_t) {
      const int64_t at = p * c.out_plane() + o;
      sums[static_cast<size_t>(at)] += static_cast<double>(x[p * c.in_plane() + i]);
      back[static_cast<size_t>(p * c.in_plane() + i)] += static_cast<double>(
          static_cast<T>(static_cast<double>(dy[at]) / sizes[static_cast<size_t>(o)]));
    });
  }
  for (int64_t o = 0; o < out_count; ++o) {
    double& s = sums[static_cast<size_t>(o)];
    s = static_cast<double>(static_cast<T>(s / sizes[static_cast<size_t>(o % c.out_plane())]));
  }

  run_named("avg_pool", avg_fields(c, count_padding, divisor), {buffer(x), buffer(y)});
  check_same(y, sums, "y");
  run_named("avg_pool_backward", avg_fields(c, count_padding, divisor), {buffer(dy), buffer(dx)});
  if (divisor != 0) {
    check_same(dx, back, "dx");
    return;
  }
  check_close(dx, back, 8 * epsilon<T>(), "dx");
}

template <class T>
void check_all(const Case& c, Random& random, Touch touch) {
  check_max<T>(c, random, false, touch);
  check_max<T>(c, random, true, touch);
  Case plain = c;
  for (int i = 0; i < 3; ++i) {
    plain.dilation[i] = 1;
    plain.padding[i] = std::min(c.padding[i], c.kernel[i] / 2);
  }
  check_avg<T>(plain, random, true, 4, touch);
  check_avg<T>(plain, random, true, 0, touch);
  check_avg<T>(plain, random, false, 0, touch);
}

Case random_case(Random& random, int rank) {
  Case c{};
  c.planes = random.integer(0, 4) == 0 ? random.integer(16, 40) : random.integer(1, 3);
  c.ceil_mode = random.integer(0, 1) == 1;
  for (int i = 0; i < 3; ++i) {
    const bool used = i >= 3 - rank;
    c.kernel[i] = used ? random.integer(1, rank == 1 ? 7 : 4) : 1;
    c.stride[i] = used ? random.integer(1, 4) : 1;
    c.dilation[i] = used && random.integer(0, 2) == 0 ? random.integer(2, 3) : 1;
    const int64_t reach = (c.kernel[i] - 1) * c.dilation[i] + 1;
    c.padding[i] = used ? random.integer(0, reach / 2) : 0;
    const int64_t more = i == 2 ? random.integer(0, 45) : random.integer(0, 6);
    // Not so small that the input falls between the cells of a dilated window.
    c.in[i] = used ? std::max(c.dilation[i], reach - 2 * c.padding[i]) + more : 1;
  }
  return c;
}

const Case kCases[] = {
    {3, {1, 12, 38}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},   // tiles, planes stacked
    {70, {1, 28, 28}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},  // several bands
    {5, {1, 10, 10}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},   // narrow rows
    {2, {1, 6, 66}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},
    {3, {1, 4, 2}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},
    {2, {1, 113, 112}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {1, 1, 1}, false},  // the stem of a
                                                                            // residual network
    {2, {1, 9, 200}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, false},
    {2, {1, 30, 30}, {1, 16, 15}, {1, 1, 1}, {0, 8, 7}, {1, 1, 1}, false},    // 240 cells
    {2, {1, 30, 30}, {1, 16, 16}, {1, 3, 1}, {0, 8, 8}, {1, 1, 1}, true},     // 256 cells
    {4, {1, 7, 7}, {1, 7, 7}, {1, 7, 7}, {0, 0, 0}, {1, 1, 1}, false},        // one window a plane
    {2, {1, 40, 70}, {1, 20, 70}, {1, 20, 70}, {0, 0, 0}, {1, 1, 1}, false},  // long runs
    {2, {1, 60, 40}, {1, 2, 3}, {1, 11, 2}, {0, 1, 1}, {1, 1, 1}, false},  // more rows than kinds
    {1, {1, 1, 4000}, {1, 1, 3}, {1, 1, 5}, {0, 0, 1}, {1, 1, 1}, false},
    {16, {1, 10, 10}, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},  // planes in lanes
    {37, {1, 4, 4}, {1, 3, 3}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},
    {100, {1, 4, 4}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}, {1, 1, 1}, false},
    {33, {1, 7, 5}, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, false},
    {20, {1, 9, 6}, {1, 2, 3}, {1, 3, 2}, {0, 1, 1}, {1, 2, 2}, true},
    {19, {4, 5, 3}, {2, 2, 2}, {2, 2, 1}, {1, 1, 0}, {1, 1, 1}, false},
};

}  // namespace

TEST_CASE("pooling agrees with plain loops") {
  const int threads = set_num_threads(1);
  const std::string best = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    INFO("ISA ", std::string(isa->name));
    set_active_isa(isa->name);
    Random random(1);
    for (const Touch touch : kTouches) {
      for (const Case& c : kCases) check_all<float>(c, random, touch);
      for (int i = 0; i < 60; ++i) check_all<float>(random_case(random, i % 3 + 1), random, touch);
    }
  }
  set_active_isa(best);
  Random random(2);
  for (int i = 0; i < 30; ++i)
    check_all<double>(random_case(random, i % 3 + 1), random, Touch::end);
  set_num_threads(threads);
}

TEST_CASE("adaptive pooling agrees with plain loops") {
  const int threads = set_num_threads(1);
  Random random(3);
  for (int round = 0; round < 40; ++round) {
    const int64_t planes = 2;
    const int64_t in[3] = {random.integer(1, 3), random.integer(1, 9), random.integer(1, 40)};
    const int64_t out[3] = {random.integer(1, 3), random.integer(1, 9), random.integer(1, 9)};
    const int64_t in_plane = in[0] * in[1] * in[2];
    const int64_t out_plane = out[0] * out[1] * out[2];
    std::vector<double> f = {static_cast<double>(planes)};
    for (const int64_t v : in) f.push_back(static_cast<double>(v));
    for (const int64_t v : out) f.push_back(static_cast<double>(v));
    GuardedBuffer<float> x(planes * in_plane), y(planes * out_plane), z(planes * out_plane),
        dx(planes * in_plane);
    GuardedBuffer<int32_t> index(planes * out_plane);
    fill_with_integers(x, random, false);
    run_named("adaptive_avg_pool", f, {buffer(x), buffer(y)});
    run_named("adaptive_max_pool", f, {buffer(x), buffer(z), buffer(index)});
    std::vector<double> means, maxima, where, back(static_cast<size_t>(planes * in_plane), 0.0);
    for (int64_t o = 0; o < planes * out_plane; ++o) {
      const int64_t at[3] = {o % out_plane / (out[1] * out[2]), o / out[2] % out[1], o % out[2]};
      int64_t first[3], last[3];
      for (int i = 0; i < 3; ++i) {
        first[i] = at[i] * in[i] / out[i];
        last[i] = ((at[i] + 1) * in[i] + out[i] - 1) / out[i];
      }
      double sum = 0, count = 0, best = -HUGE_VAL, best_at = -1;
      const double size =
          static_cast<double>((last[0] - first[0]) * (last[1] - first[1]) * (last[2] - first[2]));
      for (int64_t i = 0; i < in_plane; ++i) {
        const int64_t p[3] = {i / (in[1] * in[2]), i / in[2] % in[1], i % in[2]};
        bool inside = true;
        for (int k = 0; k < 3; ++k) inside = inside && p[k] >= first[k] && p[k] < last[k];
        if (!inside) continue;
        const double v = static_cast<double>(x[o / out_plane * in_plane + i]);
        sum += v;
        count += 1;
        back[static_cast<size_t>(o / out_plane * in_plane + i)] +=
            static_cast<double>(static_cast<float>(1 / size));
        if (v > best) {
          best = v;
          best_at = static_cast<double>(i);
        }
      }
      means.push_back(static_cast<double>(static_cast<float>(sum / count)));
      maxima.push_back(best);
      where.push_back(best_at);
    }
    check_same(y, means, "means");
    check_same(z, maxima, "maxima");
    check_same(index, where, "positions");
    y.fill(1.0f);
    run_named("adaptive_avg_pool_backward", f, {buffer(y), buffer(dx)});
    check_close(dx, back, 1e-6, "dx of means");
  }
  set_num_threads(threads);
}

TEST_CASE("positions: scatter and gather, and what they refuse") {
  GuardedBuffer<float> x(4), y(6), z(4);
  GuardedBuffer<int32_t> index(4);
  const int32_t at[] = {2, 0, 1, 1};
  for (int i = 0; i < 4; ++i) {
    x[i] = static_cast<float>(i + 1);
    index[i] = at[i];
  }
  run_named("scatter_planes", {2, 2, 3, 0}, {buffer(x), buffer(index), buffer(y)});
  check_same(y, {2, 0, 1, 0, 4, 0}, "the last value stays");
  run_named("scatter_planes", {2, 2, 3, 1}, {buffer(x), buffer(index), buffer(y)});
  check_same(y, {2, 0, 1, 0, 7, 0}, "values add up");
  run_named("gather_planes", {2, 2, 3}, {buffer(y), buffer(index), buffer(z)});
  check_same(z, {1, 2, 7, 7}, "gathered");
  index[3] = 3;
  CHECK_THROWS_AS(run_named("scatter_planes", {2, 2, 3, 0}, {buffer(x), buffer(index), buffer(y)}),
                  OpError);
  CHECK_THROWS_AS(run_named("gather_planes", {2, 2, 3}, {buffer(y), buffer(index), buffer(z)}),
                  OpError);
  index[3] = -1;
  CHECK_THROWS_AS(run_named("scatter_planes", {2, 2, 3, 0}, {buffer(x), buffer(index), buffer(y)}),
                  OpError);
}
