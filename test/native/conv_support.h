// What the tests of convolutions share: cases, their tensors between unreadable pages, and running
// a pass with one of its algorithms.
#ifndef LAMINAE_TEST_NATIVE_CONV_SUPPORT_H_
#define LAMINAE_TEST_NATIVE_CONV_SUPPORT_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "core/conv.h"
#include "core/op.h"
#include "kernel_support.h"
#include "op_support.h"

namespace laminae_test {

using laminae::Buffer;
using laminae::conv_desc;
using laminae::DType;
using laminae::DTypeOf;
using laminae::kMaxSlots;

struct Case {
  int64_t n, groups, c_in, c_out;
  int64_t in[3], kernel[3], stride[3], padding[3], dilation[3];
  int64_t extra[3];  // rows of zeros behind, beyond `padding`
};

inline conv_desc descriptor(const Case& c) {
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

// `more`: what the op has behind the fields of conv.
inline void run(const std::string& name, const conv_desc& d, const std::vector<Buffer>& buffers,
                const std::vector<double>& more = {}) {
  std::vector<double> fields(kMaxSlots);
  const int64_t* words = reinterpret_cast<const int64_t*>(&d);
  for (size_t i = 0; i < sizeof(d) / 8; ++i) fields[i] = static_cast<double>(words[i]);
  std::copy(more.begin(), more.end(), fields.begin() + sizeof(d) / 8);
  run_named(name, fields, buffers);
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

enum Pass { kForward, kBackwardInput, kBackwardWeight };

// A sum into poisoned y with weights packed for the call. If `kept`, twice more, which must give
// the same bits: packed into memory that is kept, and as found there.
template <class T>
std::vector<T> sums(const std::string& name, conv_desc d, const std::vector<Buffer>& operands,
                    GuardedBuffer<T>& y, bool kept) {
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
  if (kept && sizeof(T) == sizeof(float)) {
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
      const T low = static_cast<T>(range[0]);
      const T high = static_cast<T>(range[1]);
      int64_t wrong = 0;
      for (int64_t i = 0; i < t.y.size(); ++i) {
        const T sum = adds ? plain[i] + t.dy[i] : plain[i];
        wrong += t.y[i] != std::min(high, std::max(low, sum));
      }
      REQUIRE(wrong == 0);
    }
  }
}

// Runs one pass with one algorithm (0: the choice, among the exact ones if `exact`) into poisoned
// outputs and returns what it wrote: y, dx, or dw and db behind it. Endings too, if `exact`; `kept`
// as above.
template <class T>
std::vector<T> result(Pass pass, conv_desc d, int64_t algorithm, Tensors<T>& t, bool exact = true,
                      bool kept = true) {
  d.algorithm = algorithm;
  d.exact = exact ? 1 : 0;
  if (pass == kForward) {
    const std::vector<T> y = sums("conv", d, {buffer(t.x), buffer(t.w), buffer(t.b)}, t.y, kept);
    if (exact) check_endings(d, t, y);
    return y;
  }
  if (pass == kBackwardInput) {
    return sums("conv_backward_input", d, {buffer(t.dy), buffer(t.w), buffer(t.b)}, t.dx, kept);
  }
  poison(t.dw);
  poison(t.db);
  run("conv_backward_weight", d, {buffer(t.x), buffer(t.dy), buffer(t.dw), buffer(t.db)});
  std::vector<T> out = copy_of(t.dw);
  const std::vector<T> db = copy_of(t.db);
  out.insert(out.end(), db.begin(), db.end());
  return out;
}

template <class T>
int64_t algorithm_count(Pass pass) {
  if (pass == kBackwardWeight) return laminae::weight_gradient_algorithms<T>().count;
  return laminae::tap_sum_algorithms<T>().count + laminae::whole_conv_algorithms<T>().count;
}

// The number of the reference.
template <class T>
int64_t reference_number(Pass pass) {
  if (pass == kBackwardWeight) return algorithm_count<T>(pass);
  return laminae::tap_sum_algorithms<T>().count;
}

// By value of the field `algorithm`: whole algorithms are counted behind those for sums.
inline std::string algorithm_name(Pass pass, int64_t algorithm) {
  const int64_t i = algorithm - 1;
  if (pass == kBackwardWeight) return laminae::weight_gradient_algorithms<float>().first[i].name;
  const auto sums = laminae::tap_sum_algorithms<float>();
  return i < sums.count ? sums.first[i].name
                        : laminae::whole_conv_algorithms<float>().first[i - sums.count].name;
}

}  // namespace laminae_test

#endif  // LAMINAE_TEST_NATIVE_CONV_SUPPORT_H_
