// Images in lanes: convolutions of them, functions and means of tiles behind them, and bringing
// images there. All must give the same bits as the same algorithm does with images apart, on every
// ISA and for 1 to 3 threads, with all buffers between unreadable pages.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "conv_inexact.h"
#include "conv_support.h"
#include "core/integer.h"
#include "core/parallel.h"

using namespace laminae;
using namespace laminae_test;

namespace {

template <class T>
std::vector<T> in_lanes(const std::vector<T>& images, int64_t n, int64_t lanes, bool back = false) {
  const int64_t size = static_cast<int64_t>(images.size()) / n;
  std::vector<T> out(images.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < size; ++k) {
      const auto apart = static_cast<size_t>(i * size + k);
      const auto inside = static_cast<size_t>((i / lanes * size + k) * lanes + i % lanes);
      out[back ? apart : inside] = images[back ? inside : apart];
    }
  }
  return out;
}

template <class T>
void set(GuardedBuffer<T>& b, const std::vector<T>& values) {
  REQUIRE(b.size() == static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), b.data());
}

// `count` images of b, brought into lanes where they are.
template <class T>
void move_into_lanes(GuardedBuffer<T>& b, int64_t count, int64_t lanes) {
  set(b, in_lanes(copy_of(b), count, lanes));
}

const PlaneCase kCases[] = {
    {2, 1, 6, 16, 14, 14, 0, 0, 0, 5},  // LeNet, second layer: whole strips, tiles of 5
    {1, 1, 1, 6, 28, 28, 2, 2, 0, 5},   // first: tiles of 4, blocks of lines
    {3, 1, 5, 7, 12, 13, 1, 2, 1, 5},   // tails of rows and tiles, zeros below
    {1, 1, 3, 4, 9, 10, 1, 1, 1, 3},    // 3x3, padding beside the lines
    {2, 1, 4, 3, 6, 8, 0, 0, 0, 1},     // 1x1
};
const char* const kNames[] = {"lanes", "winograd lanes"};

// n counts vectors of images; 5 taps a line want work for Winograd's algorithm.
PlaneCase of_vectors(PlaneCase c, int64_t lanes) {
  c.n *= lanes;
  if (c.taps != 5) return c;
  const conv_desc d = descriptor(c);
  const int64_t work = d.c_out * d.c_in * d.out[1] * d.out[2] * c.taps * c.taps;
  c.n = std::max(c.n, round_up((int64_t{17} << 20) / work + 1, lanes));
  return c;
}

// Whether an algorithm takes d.
template <class T>
bool applies(Pass pass, const conv_desc& d, int64_t algorithm, Tensors<T>& t) {
  try {
    result(pass, d, algorithm, t, false, false);
    return true;
  } catch (const OpError& error) {
    REQUIRE(std::string(error.what()).find("does not apply") != std::string::npos);
    return false;
  }
}

template <class T>
void randomize(Tensors<T>& t, Random& random) {
  for (GuardedBuffer<T>* b : {&t.x, &t.w, &t.b, &t.dy}) b->randomize(random);
}

template <class F>
void on_all_isas(F&& check) {
  const std::string active = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    REQUIRE(set_active_isa(isa->name));
    INFO("isa ", std::string(isa->name));
    check();
  }
  set_num_threads(1);
  REQUIRE(set_active_isa(active));
}

int runs;

template <class T>
void check_same_bits(const PlaneCase& c, Random& random) {
  const int64_t lanes = kernels<T>().vec_width;
  const conv_desc d = descriptor(of_vectors(c, lanes));
  for (Pass pass : {kForward, kBackwardInput, kBackwardWeight}) {
    for (const char* name : kNames) {
      const int64_t algorithm = number_of(pass, name);
      Tensors<T> t(d, Touch::end);
      randomize(t, random);
      if (!applies(pass, d, algorithm, t)) continue;
      ++runs;
      INFO(name, " pass ", static_cast<int>(pass), " channels ", d.c_in, " ", d.c_out);
      set_num_threads(1);
      std::vector<T> expected = result(pass, d, algorithm, t, false);
      if (pass != kBackwardWeight) expected = in_lanes(expected, d.n, lanes);
      move_into_lanes(t.x, d.n, lanes);
      move_into_lanes(t.dy, d.n, lanes);
      conv_desc inside = d;
      inside.lanes = lanes;
      inside.algorithm = algorithm;
      for (int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(result(pass, inside, algorithm, t, false) == expected);
      }
      if (pass == kForward) check_endings(inside, t, expected);
    }
  }
}

double number(UnaryFn fn) { return static_cast<double>(static_cast<int32_t>(fn)); }

// A pool of 2x2 tiles of the results of d.
std::vector<double> pool_fields(const conv_desc& d) {
  const auto h = static_cast<double>(d.out[1]);
  const auto w = static_cast<double>(d.out[2]);
  return {static_cast<double>(d.n * d.c_out),
          1,
          h,
          w,
          1,
          h / 2,
          w / 2,
          1,
          2,
          2,
          1,
          2,
          2,
          0,
          0,
          0,
          1,
          0};
}

// conv_tiles and its gradients against convolution, function and pool one after the other.
template <class T>
void check_tiles(const PlaneCase& c, UnaryFn fn, Random& random) {
  const int64_t lanes = kernels<T>().vec_width;
  const conv_desc d = descriptor(of_vectors(c, lanes));
  if (d.out[1] % 2 != 0 || d.out[2] % 2 != 0) return;
  const int64_t count = d.n * d.c_out * d.out[1] * d.out[2];
  const Buffer missing{nullptr, -1, DTypeOf<T>::kValue};
  GuardedBuffer<T> f(count), y(count / 4), means(count / 4);
  for (const char* name : kNames) {
    Tensors<T> t(d, Touch::start);
    randomize(t, random);
    means.randomize(random);
    const auto forced = [&](Pass pass) { return number_of(pass, name); };
    bool all = true;
    for (Pass pass : {kForward, kBackwardInput, kBackwardWeight})
      all = all && applies(pass, d, forced(pass), t);
    if (!all) continue;
    ++runs;
    INFO(name, " channels ", d.c_in, " ", d.c_out, " function ", static_cast<int>(fn));

    // One after the other, images apart.
    set_num_threads(1);
    set(f, result(kForward, d, forced(kForward), t, false));
    run_named("unary", {number(fn), static_cast<double>(count)}, {buffer(f), buffer(f)});
    run_named("avg_pool", pool_fields(d), {buffer(f), buffer(y)});
    const std::vector<T> expected_f = in_lanes(copy_of(f), d.n, lanes);
    const std::vector<T> expected_y = in_lanes(copy_of(y), d.n, lanes);
    run_named("avg_pool_backward", pool_fields(d), {buffer(means), buffer(t.dy)});
    run_named("unary_backward", {number(fn), static_cast<double>(count)},
              {buffer(f), buffer(t.dy), buffer(t.dy)});
    const std::vector<T> bias = copy_of(t.b);
    t.b.fill(0);  // conv_tiles_backward_input has none
    const std::vector<T> expected_dx =
        in_lanes(result(kBackwardInput, d, forced(kBackwardInput), t, false), d.n, lanes);
    std::vector<T> expected_dw = result(kBackwardWeight, d, forced(kBackwardWeight), t, false);
    const std::vector<T> expected_db(expected_dw.end() - d.c_out, expected_dw.end());
    expected_dw.resize(static_cast<size_t>(t.dw.size()));

    set(t.b, bias);
    move_into_lanes(t.x, d.n, lanes);
    move_into_lanes(means, d.n, lanes);
    const auto asked = [&](Pass pass) {
      conv_desc inside = d;
      inside.lanes = lanes;
      inside.algorithm = forced(pass);
      return inside;
    };
    for (int threads : thread_counts()) {
      set_num_threads(threads);
      const auto forward = [&](const Buffer& f_or_none) {
        poison(f);
        poison(y);
        run("conv_tiles", asked(kForward),
            {buffer(t.x), buffer(t.w), buffer(t.b), f_or_none, buffer(y), missing}, {number(fn)});
        return copy_of(y);
      };
      CHECK(forward(missing) == expected_y);
      CHECK(forward(buffer(f)) == expected_y);
      CHECK(copy_of(f) == expected_f);
      poison(t.dx);
      run("conv_tiles_backward_input", asked(kBackwardInput),
          {buffer(f), buffer(means), buffer(t.w), buffer(t.dx), missing}, {number(fn)});
      CHECK(copy_of(t.dx) == expected_dx);
      poison(t.dw);
      poison(t.db);
      conv_desc weight = asked(kBackwardWeight);
      weight.packed_ready = static_cast<int64_t>(number(fn));  // the place of fn
      run("conv_tiles_backward_weight", weight,
          {buffer(t.x), buffer(f), buffer(means), buffer(t.dw), buffer(t.db)});
      CHECK(copy_of(t.dw) == expected_dw);
      // Added up in other blocks of lines.
      for (int64_t i = 0; i < d.c_out; ++i)
        CHECK(std::fabs(t.db[i] - expected_db[static_cast<size_t>(i)]) <=
              1e-5 * static_cast<double>(count));
    }
  }
}

}  // namespace

TEST_CASE("lanes: convolutions give the same bits as with images apart") {
  on_all_isas([] {
    runs = 0;
    Random random(41);
    for (const PlaneCase& c : kCases) {
      check_same_bits<float>(c, random);
      check_same_bits<double>(c, random);
    }
    CHECK(runs >= 24);
  });
}

TEST_CASE("lanes: convolution, function and means of tiles in one, and their gradients") {
  on_all_isas([] {
    runs = 0;
    Random random(42);
    for (const PlaneCase& c : kCases) {
      check_tiles<float>(c, UnaryFn::sigmoid, random);
      check_tiles<float>(c, UnaryFn::relu, random);
      check_tiles<double>(c, UnaryFn::tanh, random);
    }
    CHECK(runs >= 6);
  });
}

TEST_CASE("lanes: images there and back") {
  on_all_isas([] {
    const int64_t lanes = kernels<float>().vec_width;
    Random random(43);
    for (const auto& [groups, size] : {std::pair<int64_t, int64_t>{1, 1}, {3, 37}, {2, 700}}) {
      const int64_t n = groups * lanes;
      GuardedBuffer<float> x(n * size), y(n * size), z(n * size);
      x.randomize(random);
      for (int threads : thread_counts()) {
        set_num_threads(threads);
        poison(y);
        poison(z);
        const auto [dn, ds, dl] = std::array<double, 3>{
            static_cast<double>(n), static_cast<double>(size), static_cast<double>(lanes)};
        run_named("to_lanes", {dn, ds, dl, 0}, {buffer(x), buffer(y)});
        CHECK(copy_of(y) == in_lanes(copy_of(x), n, lanes));
        run_named("to_lanes", {dn, ds, dl, 1}, {buffer(y), buffer(z)});
        CHECK(copy_of(z) == copy_of(x));
      }
    }
  });
}

TEST_CASE("lanes: a function and means of tiles, and their gradient") {
  on_all_isas([] {
    Random random(44);
    for (const auto& [rows, columns, inner] :
         {std::array<int64_t, 3>{5, 7, 1}, {1, 1, 3}, {14, 14, 16}, {3, 2, 37}, {400, 33, 1}}) {
      const int64_t means = rows * columns * inner;
      GuardedBuffer<float> x(4 * means), f(4 * means), y(means), dy(means), dx(4 * means);
      x.randomize(random);
      dy.randomize(random);
      const auto fields = [&](double fn) {
        return std::vector<double>{fn, static_cast<double>(rows), static_cast<double>(columns),
                                   static_cast<double>(inner)};
      };
      // The element of x at a cell of mean i.
      const auto cell = [columns = columns, inner = inner](int64_t i, int64_t below,
                                                           int64_t right) {
        const int64_t at = i / inner;
        return ((at / columns * 2 + below) * columns + at % columns) * 2 * inner + right * inner +
               i % inner;
      };
      for (int threads : thread_counts()) {
        set_num_threads(threads);
        poison(f);
        poison(y);
        run_named("mean_tiles", fields(number(UnaryFn::sigmoid)),
                  {buffer(x), buffer(f), buffer(y)});
        std::vector<float> expected(static_cast<size_t>(means));
        const std::vector<float> function = copy_of(f);
        run_named("unary", {number(UnaryFn::sigmoid), static_cast<double>(4 * means)},
                  {buffer(x), buffer(f)});
        CHECK(function == copy_of(f));
        for (int64_t i = 0; i < means; ++i) {
          expected[static_cast<size_t>(i)] =
              (f[cell(i, 0, 0)] + f[cell(i, 0, 1)] + f[cell(i, 1, 0)] + f[cell(i, 1, 1)]) * 0.25f;
        }
        CHECK(copy_of(y) == expected);
        poison(y);
        const Buffer missing{nullptr, -1, DType::kFloat32};
        run_named("mean_tiles", fields(number(UnaryFn::sigmoid)), {buffer(x), missing, buffer(y)});
        CHECK(copy_of(y) == expected);
        poison(y);
        run_named("mean_tiles", fields(-1), {buffer(f), missing, buffer(y)});
        CHECK(copy_of(y) == expected);

        poison(dx);
        run_named("mean_tiles_backward", fields(-1), {missing, buffer(dy), buffer(dx)});
        std::vector<float> spread(static_cast<size_t>(4 * means));
        for (int64_t i = 0; i < means; ++i) {
          for (int64_t at : {cell(i, 0, 0), cell(i, 0, 1), cell(i, 1, 0), cell(i, 1, 1)})
            spread[static_cast<size_t>(at)] = dy[i] * 0.25f;
        }
        CHECK(copy_of(dx) == spread);
        run_named("unary_backward", {number(UnaryFn::sigmoid), static_cast<double>(4 * means)},
                  {buffer(f), buffer(dx), buffer(dx)});
        const std::vector<float> gradient = copy_of(dx);
        poison(dx);
        run_named("mean_tiles_backward", fields(number(UnaryFn::sigmoid)),
                  {buffer(f), buffer(dy), buffer(dx)});
        CHECK(copy_of(dx) == gradient);
      }
    }
  });
}

TEST_CASE("lanes: what the ops refuse") {
  const int64_t lanes = kernels<float>().vec_width;
  const auto message = [](const std::string& name, const conv_desc& d, std::vector<double> more) {
    Tensors<float> t(d, Touch::end);
    GuardedBuffer<float> f(t.y.size());
    const Buffer missing{nullptr, -1, DType::kFloat32};
    const std::vector<Buffer> buffers =
        name == "conv"
            ? std::vector<Buffer>{buffer(t.x), buffer(t.w), missing, buffer(t.y), missing}
        : name == "conv_backward_input"
            ? std::vector<Buffer>{buffer(t.dy), buffer(t.w), missing, buffer(t.dx), missing}
        : name == "conv_backward_weight"
            ? std::vector<Buffer>{buffer(t.x), buffer(t.dy), buffer(t.dw), missing}
        : name == "conv_tiles"
            ? std::vector<Buffer>{buffer(t.x), buffer(t.w), missing,
                                  buffer(f),   buffer(t.y), missing}
            : std::vector<Buffer>{missing, buffer(t.dy), buffer(t.w), buffer(t.dx), missing};
    try {
      run(name, d, buffers, more);
    } catch (const OpError& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  const auto of = [&](const PlaneCase& c, int64_t asked) {
    conv_desc d = descriptor(of_vectors(c, lanes));
    d.lanes = asked;
    return d;
  };
  const PlaneCase second{1, 1, 6, 16, 14, 14, 0, 0, 0, 5};
  CHECK(message("conv", of(second, lanes / 2), {}) == "lanes must be those of a vector");
  PlaneCase grouped = second;
  grouped.groups = 2;
  CHECK(message("conv", of(grouped, lanes), {}) == "lanes need one group and whole vectors");
  conv_desc part = of(second, lanes);
  part.n -= 1;
  CHECK(message("conv", part, {}) == "lanes need one group and whole vectors");
  // Many channels are made with channels in lanes.
  const PlaneCase wide{1, 1, 256, 256, 40, 40, 0, 0, 0, 3};
  CHECK(message("conv", of(wide, lanes), {}) == "no algorithm takes these images in lanes");
  CHECK(message("conv_backward_weight", of(wide, lanes), {}) ==
        "no algorithm takes these images in lanes");
  PlaneCase strided = second;
  strided.stride = 2;
  CHECK(message("conv_backward_input", of(strided, lanes), {}) ==
        "no strided input gradient takes images in lanes");
  CHECK(message("conv_tiles", of(second, lanes), {99}) == "unknown function");
  CHECK(message("conv_tiles", of(second, 0), {number(UnaryFn::tanh)}) ==
        "tiles need planes in lanes, of even height and width");
  PlaneCase odd = second;
  odd.width = 13;
  CHECK(message("conv_tiles", of(odd, lanes), {number(UnaryFn::tanh)}) ==
        "tiles need planes in lanes, of even height and width");
  CHECK(message("conv_tiles_backward_input", of(second, lanes), {number(UnaryFn::tanh)}) ==
        "needs what the function gave");
  GuardedBuffer<float> x(64), y(64);
  CHECK_THROWS_AS(
      run_named("to_lanes", {static_cast<double>(lanes), 1, static_cast<double>(lanes) + 1, 0},
                {buffer(x), buffer(y)}),
      OpError);
  CHECK_THROWS_AS(
      run_named("to_lanes", {static_cast<double>(lanes) + 1, 1, static_cast<double>(lanes), 0},
                {buffer(x), buffer(y)}),
      OpError);
  const Buffer missing{nullptr, -1, DType::kFloat32};
  CHECK_THROWS_AS(run_named("mean_tiles_backward", {number(UnaryFn::tanh), 1, 1, 1},
                            {missing, buffer(x), buffer(y)}),
                  OpError);
  CHECK_THROWS_AS(run_named("mean_tiles", {-2, 1, 1, 1}, {buffer(x), missing, buffer(y)}), OpError);
  CHECK_THROWS_AS(run_named("mean_tiles", {-1, 1, 1, 0}, {buffer(x), missing, buffer(y)}), OpError);
}

TEST_CASE("lanes: conv_lanes tells where images are best in lanes") {
  on_all_isas([] {
    const int64_t lanes = kernels<float>().vec_width;
    GuardedBuffer<float> x(1);
    const auto width_of = [&](const PlaneCase& c, bool exact = false, int64_t more = 0) {
      conv_desc d = descriptor(of_vectors(c, lanes));
      d.n += more;
      d.exact = exact ? 1 : 0;
      double width = -1;
      run("conv_lanes", d, {buffer(x), {&width, 1, DType::kFloat64}});
      return width;
    };
    const auto vector = static_cast<double>(lanes);
    const PlaneCase second{64, 1, 6, 16, 14, 14, 0, 0, 0, 5};
    CHECK(width_of(second) == vector);
    CHECK(width_of(second, true) == 0);  // weights by taps
    CHECK(width_of(second, false, 1) == 0);
    CHECK(width_of({64, 1, 1, 6, 28, 28, 2, 2, 0, 5}) == vector);
    CHECK(width_of({64, 2, 6, 16, 14, 14, 0, 0, 0, 5}) == 0);
    CHECK(width_of({64, 1, 6, 16, 15, 15, 0, 0, 0, 5, 2}) == 0);
    CHECK(width_of({8, 1, 64, 64, 14, 14, 1, 1, 0, 3}) == 0);
  });
}
