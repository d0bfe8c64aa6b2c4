// batch_norm_train, batch_norm_eval: y = (x - mean) / sqrt(var + eps) * weight + bias per channel
// of x [n, c, s], and their backward. What may follow is part of the same pass, see core/ending.h.
//
// Training: mean and biased variance of the batch; running_mean, running_var <- (1 - momentum) old
// + momentum new, with the unbiased variance. Statistics take one pass over memory: sums shifted by
// a number near the mean of each block of a few thousand elements, merged in double, which is as
// accurate as two passes whatever the mean.
//
// With k = 1 / sqrt(var + eps) and N = n s, backward is
//   dbias = sum dy, dweight = k sum dy (x - mean)
//   training:    dx = weight k (dy - dbias / N - (x - mean) k dweight / N), in two passes
//   evaluation:  dx = weight k dy
// where dy is what passes the ending. y is made again of x to tell that (bias is read then only);
// if something was added, y is read, and what passes is written in the pass that adds it up: it is
// the gradient of what was added. With a pass of its own for that, what takes 3.25 ms took 3.75 (8
// images of 256 channels of 56 x 56, one thread of a Zen 5 core).
//
// Ways: large planes go in blocks through over_channels of ops/norm.h; of small ones, and of a
// matrix [n, c], where s == 1, each thread takes some channels side by side and walks rows in the
// order of memory.
#include "core/ops/norm.h"

namespace laminae {

namespace {

struct Shape {
  int64_t n, c, s;
  int64_t total;
};

// From a descriptor. One channel is one contiguous run.
template <class Desc>
Shape shape_of(const Desc& d) {
  const int64_t total = volume(d.n, d.c, d.s);
  return d.c == 1 ? Shape{1, 1, total, total} : Shape{d.n, d.c, d.s, total};
}

// Parameters and statistics of all channels. weight, bias: null if absent.
template <class T>
struct Channels {
  const T* weight;
  const T* bias;
  const double* mean;    // [c]
  const double* invstd;  // [c]

  double weight_at(int64_t j) const {
    return weight == nullptr ? 1.0 : static_cast<double>(weight[j]);
  }
  double bias_at(int64_t j) const { return bias == nullptr ? 0.0 : static_cast<double>(bias[j]); }

  NormTerms<T> forward(int64_t j) const {
    const double a = weight_at(j) * invstd[j];
    const T mean_t = static_cast<T>(mean[j]);
    const double rest = static_cast<double>(mean_t) - mean[j];
    return {mean_t, static_cast<T>(a), static_cast<T>(bias_at(j) + rest * a), T{0}};
  }
};

// Where the normalised values go, and what is done to them on the way.
template <class T>
struct Output {
  T* y;
  const T* add;  // null: nothing
  T low, high;

  Output(const Ending& ending, T* to)
      : y(to),
        add(static_cast<const T*>(ending.add)),
        low(static_cast<T>(ending.low)),
        high(static_cast<T>(ending.high)) {}
  const T* add_at(int64_t i) const { return add == nullptr ? nullptr : add + i; }
};

// ---- channels side by side ----

// Planes of fewer elements than this are walked in the order of memory, all channels together.
constexpr int64_t kSmallPlane = 96;
constexpr int64_t kBlockElements = 8192;  // of a channel, that share their pivot
constexpr int64_t kRunElements = 2048;    // that are added in T, in lanes

int64_t block_rows(int64_t elements, int64_t s) { return std::max<int64_t>(1, elements / s / 8); }

// Channels worth a thread: at least as many elements as a cut unit, so that threads do not share
// cache lines.
int64_t channel_grain(const Shape& shape) {
  const int64_t elements = std::max<int64_t>(1, shape.n * shape.s);
  return std::max(ceil_div(kCutUnit, shape.s), ceil_div(kNormGrain, elements));
}

// Arrays over a strip of channels.
template <class T>
struct Strip {
  int64_t channels;
  T *mean, *a, *b, *c;
  T *y_a, *y_b;  // see Gradients
  double *s1, *s2;

  Strip(Scratch& scratch, int64_t count)
      : channels(count),
        mean(scratch.get<T>(count)),
        a(scratch.get<T>(count)),
        b(scratch.get<T>(count)),
        c(scratch.get<T>(count)),
        y_a(scratch.get<T>(count)),
        y_b(scratch.get<T>(count)),
        s1(scratch.get<double>(count)),
        s2(scratch.get<double>(count)) {}

  void set(int64_t j, const NormTerms<T>& t) {
    mean[j] = t.mean;
    a[j] = t.a;
    b[j] = t.b;
    c[j] = t.c;
  }
  void clear_sums() {
    std::fill_n(s1, channels, 0.0);
    std::fill_n(s2, channels, 0.0);
  }
};

// moments[j] of the channels of a strip, which begin at x.
template <class T>
void strip_moments(const Shape& shape, const T* x, Strip<T>& strip, Moments* moments) {
  const int64_t ld = shape.c * shape.s;
  const int64_t block = block_rows(kBlockElements, shape.s);
  const int64_t run = block_rows(kRunElements, shape.s);
  for (int64_t first = 0; first < shape.n; first += block) {
    const int64_t rows = std::min(block, shape.n - first);
    const T* own = x + first * ld;
    // The pivots: see typical_value. The same five places in every channel.
    const T* sample[5];
    for (int64_t k = 0; k < 5; ++k) {
      const int64_t i = (rows * shape.s - 1) * k / 4;
      sample[k] = own + i / shape.s * ld + i % shape.s;
    }
    for (int64_t j = 0; j < strip.channels; ++j) {
      const int64_t at = j * shape.s;
      strip.mean[j] =
          median(sample[0][at], sample[1][at], sample[2][at], sample[3][at], sample[4][at]);
    }
    strip.clear_sums();
    for (int64_t i = 0; i < rows; i += run) {
      kernels<T>().channel_shifted_sums(std::min(run, rows - i), strip.channels, shape.s, ld,
                                        own + i * ld, strip.mean, strip.s1, strip.s2);
    }
    for (int64_t j = 0; j < strip.channels; ++j) {
      moments[j].add(Moments::shifted(static_cast<double>(rows * shape.s),
                                      static_cast<double>(strip.mean[j]), strip.s1[j],
                                      strip.s2[j]));
    }
  }
}

// ---- forward ----

// finish(channel, moments) stores the statistics before forward() of the channel is asked for.
template <class T, class Finish>
void normalize_by_batch(const Shape& shape, const T* x, const Channels<T>& channels,
                        const Output<T>& out, Finish&& finish) {
  if (shape.s < kSmallPlane) {
    const int64_t ld = shape.c * shape.s;
    parallel_for(shape.c, channel_grain(shape), [&](int64_t begin, int64_t end) {
      Scratch scratch;
      Strip<T> strip(scratch, end - begin);
      Moments* moments = scratch_array<Moments>(scratch, strip.channels);
      const int64_t at = begin * shape.s;
      strip_moments(shape, x + at, strip, moments);
      for (int64_t j = 0; j < strip.channels; ++j) {
        finish(begin + j, moments[j]);
        strip.set(j, channels.forward(begin + j));
      }
      kernels<T>().channel_affine(shape.n, strip.channels, shape.s, ld, x + at, strip.mean, strip.a,
                                  strip.b, out.add_at(at), out.low, out.high, out.y + at);
    });
    return;
  }
  const NormLayout l(shape.n, shape.c, shape.s, 1);
  over_channels<Moments>(
      l, [&](int64_t, const NormBlock& b) { return block_moments(x, b, l.step()); }, finish,
      [&](int64_t j, const NormBlock& b) {
        const NormTerms<T> t = channels.forward(j);
        kernels<T>().shifted_affine(b.rows, b.length, l.step(), x + b.at, t.mean, t.a, t.b,
                                    out.add_at(b.at), out.low, out.high, out.y + b.at);
      });
}

// The statistics are known.
template <class T>
void normalize(const Shape& shape, const T* x, const Channels<T>& channels, const Output<T>& out) {
  const int64_t ld = shape.c * shape.s;
  Scratch scratch;
  Strip<T> strip(scratch, shape.c);
  for (int64_t j = 0; j < shape.c; ++j) strip.set(j, channels.forward(j));
  if (shape.n > 1 || shape.s == 1) {
    parallel_for(shape.n, ceil_div(kNormGrain, ld), [&](int64_t begin, int64_t end) {
      const int64_t at = begin * ld;
      kernels<T>().channel_affine(end - begin, shape.c, shape.s, ld, x + at, strip.mean, strip.a,
                                  strip.b, out.add_at(at), out.low, out.high, out.y + at);
    });
    return;
  }
  parallel_for(shape.c, channel_grain(shape), [&](int64_t begin, int64_t end) {
    const int64_t at = begin * shape.s;
    kernels<T>().channel_affine(1, end - begin, shape.s, ld, x + at, strip.mean + begin,
                                strip.a + begin, strip.b + begin, out.add_at(at), out.low, out.high,
                                out.y + at);
  });
}

// ---- backward ----

// Gradients of one channel's parameters, and the terms of its dx.
template <class T>
struct Gradients {
  Channels<T> channels;
  T* dweight;  // null: not wanted
  T* dbias;
  double count;  // n s
  bool training;
  bool has_ending;
  EndingMask<T> mask;  // a and b are yet to be set

  bool keeps_y() const { return mask.y != nullptr; }
  bool remakes_y() const { return has_ending && !keeps_y(); }
  // Where what passes is found, once it is written.
  const T* passed_of(const T* dy) const { return keeps_y() ? mask.passed : dy; }
  // For elements from `at` on.
  EndingMask<T> mask_at(int64_t at, const T* a, const T* b) const {
    EndingMask<T> part = mask;
    part.a = a;
    part.b = b;
    if (keeps_y()) {
      part.y += at;
      part.passed += at;
    }
    return part;
  }

  T mean_as_t(int64_t j) const { return static_cast<T>(channels.mean[j]); }

  // From the sums of dy and dy (x - mean_as_t).
  NormTerms<T> finish(int64_t j, const GradientSums& sums) const {
    const double k = channels.invstd[j];
    const double rest = static_cast<double>(mean_as_t(j)) - channels.mean[j];
    const double dgamma = k * (sums.dy_x + rest * sums.dy);
    if (dweight != nullptr) dweight[j] = static_cast<T>(dgamma);
    if (dbias != nullptr) dbias[j] = static_cast<T>(sums.dy);
    const double a = channels.weight_at(j) * k;
    if (!training) return {mean_as_t(j), static_cast<T>(a), T{0}, T{0}};
    const double b = -a * k * dgamma / count;
    return {mean_as_t(j), static_cast<T>(a), static_cast<T>(b),
            static_cast<T>(rest * b - a * sums.dy / count)};
  }
};

template <class T>
void backward_side_by_side(const Shape& shape, const T* x, const T* dy, const Gradients<T>& g,
                           T* dx) {
  const int64_t ld = shape.c * shape.s;
  const int64_t run = block_rows(kRunElements, shape.s);
  parallel_for(shape.c, channel_grain(shape), [&](int64_t begin, int64_t end) {
    Scratch scratch;
    Strip<T> strip(scratch, end - begin);
    strip.clear_sums();
    for (int64_t j = 0; j < strip.channels; ++j) {
      const NormTerms<T> y = g.channels.forward(begin + j);
      strip.mean[j] = y.mean;
      strip.y_a[j] = y.a;
      strip.y_b[j] = y.b;
    }
    const int64_t first = begin * shape.s;
    for (int64_t i = 0; i < shape.n; i += run) {
      const int64_t at = i * ld + first;
      const int64_t rows = std::min(run, shape.n - i);
      const EndingMask<T> mask = g.mask_at(at, strip.y_a, strip.y_b);
      if (g.keeps_y()) {
        kernels<T>().passing_rows(rows, strip.channels * shape.s, ld, dy + at, mask);
      }
      kernels<T>().channel_gradient_sums(rows, strip.channels, shape.s, ld, x + at,
                                         g.passed_of(dy) + at, strip.mean,
                                         g.remakes_y() ? &mask : nullptr, strip.s1, strip.s2);
    }
    for (int64_t j = 0; j < strip.channels; ++j)
      strip.set(j, g.finish(begin + j, {strip.s1[j], strip.s2[j]}));
    if (dx == nullptr) return;
    const EndingMask<T> mask = g.mask_at(first, strip.y_a, strip.y_b);
    kernels<T>().channel_norm_gradient(
        shape.n, strip.channels, shape.s, ld, x + first, g.passed_of(dy) + first, strip.mean,
        strip.a, g.training ? strip.b : nullptr, g.training ? strip.c : nullptr,
        g.remakes_y() ? &mask : nullptr, dx + first);
  });
}

template <class T>
void backward_planes(const NormLayout& l, const T* x, const T* dy, const Gradients<T>& g, T* dx) {
  Scratch scratch;
  NormTerms<T>* terms = scratch.get<NormTerms<T>>(l.c);
  over_channels<GradientSums>(
      l,
      [&](int64_t j, const NormBlock& b) {
        const NormTerms<T> y = g.channels.forward(j);
        const EndingMask<T> mask = g.mask_at(b.at, &y.a, &y.b);
        double sums[2];
        kernels<T>().gradient_sums(b.rows, b.length, l.step(), x + b.at, dy + b.at, y.mean,
                                   g.has_ending ? &mask : nullptr, sums);
        return GradientSums{sums[0], sums[1]};
      },
      [&](int64_t j, const GradientSums& sums) { terms[j] = g.finish(j, sums); },
      [&](int64_t j, const NormBlock& b) {
        if (dx == nullptr) return;
        const NormTerms<T>& t = terms[j];
        const NormTerms<T> y = g.channels.forward(j);
        const EndingMask<T> mask = g.mask_at(b.at, &y.a, &y.b);
        kernels<T>().norm_gradient(b.rows, b.length, l.step(), x + b.at, g.passed_of(dy) + b.at,
                                   t.mean, t.a, g.training ? &t.b : nullptr,
                                   g.training ? &t.c : nullptr, g.remakes_y() ? &mask : nullptr,
                                   dx + b.at);
      });
}

}  // namespace

void run_batch_norm_train(const batch_norm_train_desc& d, Call& call) {
  using Buf = batch_norm_train_buf;
  const Shape shape = shape_of(d);
  call.require(shape.total > 0, "needs at least one value per channel");
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, shape.total);
    const Output<T> out(ending_of<T>(d, call, Buf::add, shape.total),
                        call.out<T>(Buf::y, shape.total));
    double* mean = call.out<double>(Buf::mean, d.c);
    double* invstd = call.out<double>(Buf::invstd, d.c);
    const Channels<T> channels{call.maybe_in<T>(Buf::weight, d.c), call.maybe_in<T>(Buf::bias, d.c),
                               mean, invstd};
    T* running_mean = call.maybe_out<T>(Buf::running_mean, d.c);
    T* running_var = call.maybe_out<T>(Buf::running_var, d.c);
    const auto blend = [&](T old, double fresh) {
      return static_cast<T>((1 - d.momentum) * static_cast<double>(old) + d.momentum * fresh);
    };
    normalize_by_batch(shape, x, channels, out, [&](int64_t j, const Moments& m) {
      mean[j] = m.mean;
      invstd[j] = 1 / std::sqrt(m.variance() + d.eps);
      if (running_mean != nullptr) running_mean[j] = blend(running_mean[j], m.mean);
      if (running_var != nullptr) running_var[j] = blend(running_var[j], m.m2 / (m.count - 1));
    });
  });
}

void run_batch_norm_eval(const batch_norm_eval_desc& d, Call& call) {
  using Buf = batch_norm_eval_buf;
  const Shape shape = shape_of(d);
  dispatch_float(call, call.dtype(Buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, shape.total);
    const Output<T> out(ending_of<T>(d, call, Buf::add, shape.total),
                        call.out<T>(Buf::y, shape.total));
    double* mean = call.out<double>(Buf::mean, d.c);
    double* invstd = call.out<double>(Buf::invstd, d.c);
    const T* running_mean = call.in<T>(Buf::running_mean, d.c);
    const T* running_var = call.in<T>(Buf::running_var, d.c);
    const Channels<T> channels{call.maybe_in<T>(Buf::weight, d.c), call.maybe_in<T>(Buf::bias, d.c),
                               mean, invstd};
    for (int64_t j = 0; j < d.c; ++j) {
      mean[j] = static_cast<double>(running_mean[j]);
      invstd[j] = 1 / std::sqrt(static_cast<double>(running_var[j]) + d.eps);
    }
    if (shape.total > 0) normalize(shape, x, channels, out);
  });
}

void run_batch_norm_backward(const batch_norm_backward_desc& d, Call& call) {
  using Buf = batch_norm_backward_buf;
  const Shape shape = shape_of(d);
  dispatch_float(call, call.dtype(Buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(Buf::x, shape.total);
    const T* dy = call.in<T>(Buf::dy, shape.total);
    T* dx = call.maybe_out<T>(Buf::dx, shape.total);
    call.require(d.low <= d.high, "low must not be above high");
    EndingMask<T> mask;
    if (!std::isinf(d.low)) mask.low = static_cast<T>(d.low);
    if (!std::isinf(d.high)) mask.high = static_cast<T>(d.high);
    mask.y = call.maybe_in<T>(Buf::y, shape.total);
    mask.passed = call.maybe_out<T>(Buf::passed, shape.total);
    call.require((mask.y == nullptr) == (mask.passed == nullptr), "y and passed go together");
    const Gradients<T> g{{call.maybe_in<T>(Buf::weight, d.c), call.maybe_in<T>(Buf::bias, d.c),
                          call.in<double>(Buf::mean, d.c), call.in<double>(Buf::invstd, d.c)},
                         call.maybe_out<T>(Buf::dweight, d.c),
                         call.maybe_out<T>(Buf::dbias, d.c),
                         static_cast<double>(shape.n * shape.s),
                         d.training != 0,
                         !std::isinf(d.low) || !std::isinf(d.high) || mask.y != nullptr,
                         mask};
    if (shape.s > 0 && shape.s < kSmallPlane) {
      backward_side_by_side(shape, x, dy, g, dx);
    } else {
      backward_planes(NormLayout(shape.n, shape.c, shape.s, 2), x, dy, g, dx);
    }
  });
}

}  // namespace laminae
