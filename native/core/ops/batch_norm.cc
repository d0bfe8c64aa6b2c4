// batch_norm_train, batch_norm_eval: y = (x - mean) / sqrt(var + eps) * weight + bias per channel
// of x [n, c, s], and their backward.
//
// Training: mean and biased variance of the batch; running_mean, running_var <- (1 - momentum) old
// + momentum new, with the unbiased variance. Statistics take one pass over memory: sums shifted by
// a number near the mean of each block of a few thousand elements, merged in double, which is as
// accurate as two passes whatever the mean.
//
// With k = 1 / sqrt(var + eps) and N = n s, backward is
//   dbias = sum dy, dweight = k sum dy (x - mean)
//   training:    dx = weight k (dy - dbias / N - (x - mean) k dweight / N), one pass to reduce and
//   one to apply evaluation:  dx = weight k dy
//
// Layouts: channels of contiguous runs (s > 1) go through over_channels of ops/norm.h; for s == 1,
// a matrix [n, c], lanes are channels, and threads share the columns.
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

// Parameters and statistics of all channels. weight, bias, running_*: null if absent.
template <class T>
struct Channels {
  const T* weight;
  const T* bias;
  double* mean;    // [c]
  double* invstd;  // [c]

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

// ---- matrices: columns in lanes ----

constexpr int64_t kRowBlock = 1024;  // rows that share their pivots
constexpr int64_t kRowRun = 128;     // rows that are added in T

// Columns worth a thread: at least a cut unit, so that threads do not share cache lines.
int64_t column_grain(int64_t rows) {
  return std::max(kCutUnit, (kNormGrain + rows - 1) / std::max<int64_t>(1, rows));
}

// Arrays over a strip of columns.
template <class T>
struct Strip {
  T *mean, *a, *b, *c;
  double *s1, *s2;

  Strip(Scratch& scratch, int64_t cols)
      : mean(scratch.get<T>(cols)),
        a(scratch.get<T>(cols)),
        b(scratch.get<T>(cols)),
        c(scratch.get<T>(cols)),
        s1(scratch.get<double>(cols)),
        s2(scratch.get<double>(cols)) {}

  void set(int64_t j, const NormTerms<T>& t) {
    mean[j] = t.mean;
    a[j] = t.a;
    b[j] = t.b;
    c[j] = t.c;
  }
};

// What typical_value of ops/norm.h is for a block, for every column.
template <class T>
void typical_values(int64_t rows, int64_t cols, int64_t ld, const T* x, T* pivot) {
  const T* row[5];
  for (int64_t k = 0; k < 5; ++k) row[k] = x + (rows - 1) * k / 4 * ld;
  for (int64_t j = 0; j < cols; ++j)
    pivot[j] = median(row[0][j], row[1][j], row[2][j], row[3][j], row[4][j]);
}

template <class T>
void column_moments(int64_t rows, int64_t cols, int64_t ld, const T* x, const Strip<T>& strip,
                    Moments* moments) {
  for (int64_t first = 0; first < rows; first += kRowBlock) {
    const int64_t count = std::min(kRowBlock, rows - first);
    const T* block = x + first * ld;
    typical_values(count, cols, ld, block, strip.mean);
    std::fill_n(strip.s1, cols, 0.0);
    std::fill_n(strip.s2, cols, 0.0);
    for (int64_t i = 0; i < count; i += kRowRun) {
      kernels<T>().column_shifted_sums(std::min(kRowRun, count - i), cols, ld, block + i * ld,
                                       strip.mean, strip.s1, strip.s2);
    }
    for (int64_t j = 0; j < cols; ++j) {
      moments[j].add(Moments::shifted(static_cast<double>(count),
                                      static_cast<double>(strip.mean[j]), strip.s1[j],
                                      strip.s2[j]));
    }
  }
}

// ---- forward ----

// finish(channel, moments) stores the statistics before forward() of the channel is asked for.
template <class T, class Finish>
void normalize_by_batch(const Shape& shape, const T* x, const Channels<T>& channels, T* y,
                        Finish&& finish) {
  const int64_t n = shape.n, c = shape.c, s = shape.s;
  if (s == 1) {
    parallel_for(c, column_grain(n), [&](int64_t begin, int64_t end) {
      Scratch scratch;
      const int64_t cols = end - begin;
      Strip<T> strip(scratch, cols);
      double* storage = scratch.get<double>(3 * cols);
      Moments* moments = reinterpret_cast<Moments*>(storage);
      for (int64_t j = 0; j < cols; ++j) new (moments + j) Moments();
      column_moments(n, cols, c, x + begin, strip, moments);
      for (int64_t j = 0; j < cols; ++j) {
        finish(begin + j, moments[j]);
        strip.set(j, channels.forward(begin + j));
      }
      kernels<T>().column_affine(n, cols, c, x + begin, strip.mean, strip.a, strip.b, y + begin);
    });
    return;
  }
  const NormLayout l(n, c, s);
  over_channels<Moments>(
      l, [&](int64_t, const NormBlock& b) { return block_moments(x, b, l.step()); }, finish,
      [&](int64_t j, const NormBlock& b) {
        const NormTerms<T> t = channels.forward(j);
        for (int64_t i = b.at; i < b.at + b.rows * l.step(); i += l.step()) {
          kernels<T>().shifted_affine(b.length, x + i, t.mean, t.a, t.b, y + i);
        }
      });
}

// The statistics are known.
template <class T>
void normalize(const Shape& shape, const T* x, const Channels<T>& channels, T* y) {
  const int64_t n = shape.n, c = shape.c, s = shape.s;
  if (s == 1) {
    Scratch scratch;
    Strip<T> strip(scratch, c);
    for (int64_t j = 0; j < c; ++j) strip.set(j, channels.forward(j));
    parallel_for(n, (kNormGrain + c - 1) / c, [&](int64_t begin, int64_t end) {
      kernels<T>().column_affine(end - begin, c, c, x + begin * c, strip.mean, strip.a, strip.b,
                                 y + begin * c);
    });
    return;
  }
  parallel_for(n * c, (kNormGrain + s - 1) / s, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const NormTerms<T> t = channels.forward(i % c);
      kernels<T>().shifted_affine(s, x + i * s, t.mean, t.a, t.b, y + i * s);
    }
  });
}

// ---- backward ----

// Gradients of one channel's parameters, and the terms of its dx.
template <class T>
struct Gradients {
  const T* weight;
  const double* mean;
  const double* invstd;
  T* dweight;  // null: not wanted
  T* dbias;
  double count;  // n s
  bool training;

  T mean_as_t(int64_t j) const { return static_cast<T>(mean[j]); }

  // From the sums of dy and dy (x - mean_as_t).
  NormTerms<T> finish(int64_t j, const GradientSums& sums) const {
    const double k = invstd[j];
    const double rest = static_cast<double>(mean_as_t(j)) - mean[j];
    const double dgamma = k * (sums.dy_x + rest * sums.dy);
    if (dweight != nullptr) dweight[j] = static_cast<T>(dgamma);
    if (dbias != nullptr) dbias[j] = static_cast<T>(sums.dy);
    const double a = (weight == nullptr ? 1.0 : static_cast<double>(weight[j])) * k;
    if (!training) return {mean_as_t(j), static_cast<T>(a), T{0}, T{0}};
    const double b = -a * k * dgamma / count;
    return {mean_as_t(j), static_cast<T>(a), static_cast<T>(b),
            static_cast<T>(rest * b - a * sums.dy / count)};
  }
};

template <class T>
void backward_columns(int64_t n, int64_t c, const T* x, const T* dy, const Gradients<T>& g, T* dx) {
  parallel_for(c, column_grain(n), [&](int64_t begin, int64_t end) {
    Scratch scratch;
    const int64_t cols = end - begin;
    Strip<T> strip(scratch, cols);
    std::fill_n(strip.s1, cols, 0.0);
    std::fill_n(strip.s2, cols, 0.0);
    for (int64_t j = 0; j < cols; ++j) strip.mean[j] = g.mean_as_t(begin + j);
    for (int64_t i = 0; i < n; i += kRowRun) {
      kernels<T>().column_gradient_sums(std::min(kRowRun, n - i), cols, c, x + i * c + begin,
                                        dy + i * c + begin, strip.mean, strip.s1, strip.s2);
    }
    for (int64_t j = 0; j < cols; ++j)
      strip.set(j, g.finish(begin + j, {strip.s1[j], strip.s2[j]}));
    if (dx == nullptr) return;
    kernels<T>().column_norm_gradient(n, cols, c, x + begin, dy + begin, strip.mean, strip.a,
                                      strip.b, strip.c, dx + begin);
  });
}

template <class T>
void backward_planes(const NormLayout& l, const T* x, const T* dy, const Gradients<T>& g, T* dx) {
  Scratch scratch;
  NormTerms<T>* terms = scratch.get<NormTerms<T>>(l.c);
  over_channels<GradientSums>(
      l,
      [&](int64_t j, const NormBlock& b) {
        double sums[2];
        kernels<T>().gradient_sums(b.rows, b.length, l.step(), x + b.at, dy + b.at, g.mean_as_t(j),
                                   sums);
        return GradientSums{sums[0], sums[1]};
      },
      [&](int64_t j, const GradientSums& sums) { terms[j] = g.finish(j, sums); },
      [&](int64_t j, const NormBlock& b) {
        if (dx == nullptr) return;
        const NormTerms<T>& t = terms[j];
        for (int64_t i = b.at; i < b.at + b.rows * l.step(); i += l.step()) {
          if (g.training) {
            kernels<T>().norm_gradient(b.length, x + i, dy + i, t.mean, t.a, t.b, t.c, dx + i);
          } else {
            kernels<T>().scale_add(b.length, t.a, dy + i, T{0}, dx + i);
          }
        }
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
    T* y = call.out<T>(Buf::y, shape.total);
    const Channels<T> channels{call.maybe_in<T>(Buf::weight, d.c), call.maybe_in<T>(Buf::bias, d.c),
                               call.out<double>(Buf::mean, d.c),
                               call.out<double>(Buf::invstd, d.c)};
    T* running_mean = call.maybe_out<T>(Buf::running_mean, d.c);
    T* running_var = call.maybe_out<T>(Buf::running_var, d.c);
    const auto blend = [&](T old, double fresh) {
      return static_cast<T>((1 - d.momentum) * static_cast<double>(old) + d.momentum * fresh);
    };
    normalize_by_batch(shape, x, channels, y, [&](int64_t j, const Moments& m) {
      channels.mean[j] = m.mean;
      channels.invstd[j] = 1 / std::sqrt(m.variance() + d.eps);
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
    T* y = call.out<T>(Buf::y, shape.total);
    const T* running_mean = call.in<T>(Buf::running_mean, d.c);
    const T* running_var = call.in<T>(Buf::running_var, d.c);
    const Channels<T> channels{call.maybe_in<T>(Buf::weight, d.c), call.maybe_in<T>(Buf::bias, d.c),
                               call.out<double>(Buf::mean, d.c),
                               call.out<double>(Buf::invstd, d.c)};
    for (int64_t j = 0; j < d.c; ++j) {
      channels.mean[j] = static_cast<double>(running_mean[j]);
      channels.invstd[j] = 1 / std::sqrt(static_cast<double>(running_var[j]) + d.eps);
    }
    if (shape.total > 0) normalize(shape, x, channels, y);
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
    const Gradients<T> g{call.maybe_in<T>(Buf::weight, d.c),
                         call.in<double>(Buf::mean, d.c),
                         call.in<double>(Buf::invstd, d.c),
                         call.maybe_out<T>(Buf::dweight, d.c),
                         call.maybe_out<T>(Buf::dbias, d.c),
                         static_cast<double>(shape.n * shape.s),
                         d.training != 0};
    if (shape.s == 1) {
      backward_columns(shape.n, shape.c, x, dy, g, dx);
    } else {
      backward_planes(NormLayout(shape.n, shape.c, shape.s), x, dy, g, dx);
    }
  });
}

}  // namespace laminae
