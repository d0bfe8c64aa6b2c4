// Cross entropy with class indices: logits [n, c, s], targets [n, s], one loss per target or their
// sum or mean.
//
//   loss_i = -(1 - e) w_t l_t - (e / c) sum_j w_j l_j,  l = log_softmax(x_i), t = target_i, w =
//   class weights (1), e = label smoothing; 0 where t is ignore_index. mean: sum_i loss_i / sum_i
//   w_t, over what is not ignored. dx_j = g (a exp(l_j) - (e / c) w_j - (1 - e) w_t [j = t]),  a =
//   (1 - e) w_t + (e / c) sum_j w_j
//
// Without logits the log-probabilities are the input (negative log likelihood) and the exp term is
// absent. Work is cut into tiles of samples that do not depend on threads; a tile's sums are made
// in sample order in double, the sums of the tiles are added in index order.
#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

enum Reduction : int64_t { kNone, kMean, kSum };

constexpr int64_t kRowTile = 64;
constexpr int64_t kStrip = 512;

// Samples first..first+count-1 (of n s) lie at data + offset, `step` apart, their classes `ld`
// apart.
struct Tile {
  int64_t first, count, offset, step, ld;
};

class Tiles {
 public:
  Tiles(int64_t n, int64_t c, int64_t s) : n_(n), c_(c), s_(s), strips_(ceil_div(s, kStrip)) {}

  int64_t count() const {
    if (n_ == 0 || s_ == 0) return 0;
    return s_ == 1 ? ceil_div(n_, kRowTile) : n_ * strips_;
  }
  int64_t grain() const {
    const int64_t samples = s_ == 1 ? kRowTile : s_ < kStrip ? s_ : kStrip;
    return row_grain(4 * c_ * samples);
  }
  Tile at(int64_t i) const {
    if (s_ == 1) {
      const int64_t first = i * kRowTile;
      return {first, n_ - first < kRowTile ? n_ - first : kRowTile, first * c_, c_, 1};
    }
    const int64_t batch = i / strips_;
    const int64_t start = i % strips_ * kStrip;
    return {batch * s_ + start, s_ - start < kStrip ? s_ - start : kStrip, batch * c_ * s_ + start,
            1, s_};
  }

 private:
  int64_t n_, c_, s_, strips_;
};

template <class Desc>
void check(const Desc& d, const Call& call) {
  call.require(d.c > 0, "needs at least one class");
  call.require(d.reduction >= kNone && d.reduction <= kSum, "unknown reduction");
}

template <class Desc>
bool ignored(const Desc& d, const Call& call, int32_t target) {
  if (target == d.ignore_index) return true;
  call.require(target >= 0 && target < d.c, "target is not a class");
  return false;
}

// smooth[p] = sum_j w_j l_j for every sample of the tile
template <class T>
void weighted_sums(const Tile& tile, int64_t c, const T* log_p, const T* weight, double* smooth) {
  if (tile.ld == 1) {
    for (int64_t p = 0; p < tile.count; ++p) {
      const T* row = log_p + tile.offset + p * tile.step;
      smooth[p] = weight == nullptr ? kernels<T>().sum(c, row) : kernels<T>().dot(c, row, weight);
    }
    return;
  }
  for (int64_t p = 0; p < tile.count; ++p) smooth[p] = 0;
  for (int64_t j = 0; j < c; ++j) {
    const T* row = log_p + tile.offset + j * tile.ld;
    const double w = weight == nullptr ? 1.0 : static_cast<double>(weight[j]);
    for (int64_t p = 0; p < tile.count; ++p) smooth[p] += w * static_cast<double>(row[p]);
  }
}

template <class T>
void forward(const cross_entropy_desc& d, Call& call) {
  using B = cross_entropy_buf;
  const int64_t total = volume(d.n, d.c, d.s);
  const int64_t samples = volume(d.n, d.s);
  const T* logits = call.maybe_in<T>(B::logits, total);
  // Written if there are logits, else the input.
  const T* log_p = call.in<T>(B::log_p, total);
  const int32_t* target = call.in<int32_t>(B::target, samples);
  if (logits != nullptr) call.require_apart(B::target, B::log_p);
  call.require_apart(B::target, B::y);
  const T* weight = call.maybe_in<T>(B::weight, d.c);
  T* y = call.out<T>(B::y, d.reduction == kNone ? samples : 1);
  double* total_weight = call.out<double>(B::total_weight, 1);
  const double e = d.label_smoothing;

  const Tiles tiles(d.n, d.c, d.s);
  Scratch scratch;
  double* sums = scratch.get<double>(2 * tiles.count());  // loss, weight per tile
  parallel_for(tiles.count(), tiles.grain(), [&](int64_t begin, int64_t end) {
    Scratch own;
    double* smooth = e != 0 ? own.get<double>(kStrip) : nullptr;
    for (int64_t i = begin; i < end; ++i) {
      const Tile tile = tiles.at(i);
      if (logits != nullptr) {
        T* out = call.out<T>(B::log_p, total) + tile.offset;
        const T* x = logits + tile.offset;
        if (tile.ld == 1) {
          kernels<T>().softmax_rows(tile.count, d.c, x, out, true);
        } else {
          kernels<T>().softmax_columns(d.c, tile.count, tile.ld, x, out, true);
        }
      }
      if (smooth != nullptr) weighted_sums(tile, d.c, log_p, weight, smooth);
      double loss_sum = 0;
      double weight_sum = 0;
      for (int64_t p = 0; p < tile.count; ++p) {
        const int32_t t = target[tile.first + p];
        double loss = 0;
        if (!ignored(d, call, t)) {
          const double w = weight == nullptr ? 1.0 : static_cast<double>(weight[t]);
          loss =
              -(1 - e) * w * static_cast<double>(log_p[tile.offset + p * tile.step + t * tile.ld]);
          if (smooth != nullptr) loss -= e / static_cast<double>(d.c) * smooth[p];
          weight_sum += w;
        }
        loss_sum += loss;
        if (d.reduction == kNone) y[tile.first + p] = static_cast<T>(loss);
      }
      sums[2 * i] = loss_sum;
      sums[2 * i + 1] = weight_sum;
    }
  });
  double loss_sum = 0;
  double weight_sum = 0;
  for (int64_t i = 0; i < tiles.count(); ++i) {
    loss_sum += sums[2 * i];
    weight_sum += sums[2 * i + 1];
  }
  *total_weight = weight_sum;
  if (d.reduction != kNone)
    *y = static_cast<T>(d.reduction == kMean ? loss_sum / weight_sum : loss_sum);
}

template <class T>
void backward(const cross_entropy_backward_desc& d, Call& call) {
  using B = cross_entropy_backward_buf;
  const int64_t total = volume(d.n, d.c, d.s);
  const int64_t samples = volume(d.n, d.s);
  const bool from_logits = d.from_logits != 0;
  const T* log_p = call.maybe_in<T>(B::log_p, total);
  call.require(!from_logits || call.has(B::log_p), "needs the log-probabilities");
  const int32_t* target = call.in<int32_t>(B::target, samples);
  call.require_apart(B::target, B::dx);
  const T* weight = call.maybe_in<T>(B::weight, d.c);
  const double total_weight = *call.in<double>(B::total_weight, 1);
  const T* dy = call.in<T>(B::dy, d.reduction == kNone ? samples : 1);
  T* dx = call.out<T>(B::dx, total);
  const double e = d.label_smoothing;
  const double e_c = e / static_cast<double>(d.c);
  double all_weights = static_cast<double>(d.c);
  if (weight != nullptr) all_weights = kernels<T>().sum(d.c, weight);
  const T one = 1;

  const Tiles tiles(d.n, d.c, d.s);
  parallel_for(tiles.count(), tiles.grain(), [&](int64_t begin, int64_t end) {
    Scratch own;
    T* a = own.get<T>(kStrip);    // factor of exp(l_j)
    T* b = own.get<T>(kStrip);    // factor of w_j
    T* hit = own.get<T>(kStrip);  // added at the target
    for (int64_t i = begin; i < end; ++i) {
      const Tile tile = tiles.at(i);
      for (int64_t p = 0; p < tile.count; ++p) {
        const int32_t t = target[tile.first + p];
        double g = 0;
        double w = 0;
        if (!ignored(d, call, t)) {
          g = static_cast<double>(dy[d.reduction == kNone ? tile.first + p : 0]);
          if (d.reduction == kMean) g /= total_weight;
          w = weight == nullptr ? 1.0 : static_cast<double>(weight[t]);
        }
        a[p] = static_cast<T>(from_logits ? g * ((1 - e) * w + e_c * all_weights) : 0.0);
        b[p] = static_cast<T>(-g * e_c);
        hit[p] = static_cast<T>(-g * (1 - e) * w);
      }
      T* out = dx + tile.offset;
      if (!from_logits) {
        // a is 0 and, as smoothing needs logits, b too
        const int64_t rows = tile.ld == 1 ? tile.count : d.c;
        const int64_t cols = tile.ld == 1 ? d.c : tile.count;
        for (int64_t r = 0; r < rows; ++r)
          kernels<T>().fill(cols, T{0}, out + r * (tile.ld == 1 ? tile.step : tile.ld));
      } else if (tile.ld == 1) {
        for (int64_t p = 0; p < tile.count; ++p) {
          const int64_t row = p * tile.step;
          kernels<T>().exp_affine(d.c, a + p, 0, log_p + tile.offset + row, b + p, 0,
                                  weight == nullptr ? &one : weight, weight == nullptr ? 0 : 1,
                                  out + row);
        }
      } else {
        for (int64_t j = 0; j < d.c; ++j) {
          const int64_t row = j * tile.ld;
          kernels<T>().exp_affine(tile.count, a, 1, log_p + tile.offset + row, b, 1,
                                  weight == nullptr ? &one : weight + j, 0, out + row);
        }
      }
      for (int64_t p = 0; p < tile.count; ++p) {
        const int32_t t = target[tile.first + p];
        if (t != d.ignore_index) out[p * tile.step + t * tile.ld] += hit[p];
      }
    }
  });
}

}  // namespace

void run_cross_entropy(const cross_entropy_desc& d, Call& call) {
  check(d, call);
  dispatch_float(call, call.dtype(cross_entropy_buf::log_p),
                 [&](auto tag) { forward<decltype(tag)>(d, call); });
}

void run_cross_entropy_backward(const cross_entropy_backward_desc& d, Call& call) {
  check(d, call);
  call.require(d.from_logits != 0 || d.label_smoothing == 0, "label smoothing needs logits");
  dispatch_float(call, call.dtype(cross_entropy_backward_buf::dy),
                 [&](auto tag) { backward<decltype(tag)>(d, call); });
}

}  // namespace laminae
