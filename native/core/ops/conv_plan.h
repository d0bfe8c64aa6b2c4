// How a forward pass or an input gradient is computed: its algorithms, chosen once, the weights as
// they read them, and the run.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/op.h"
#include "core/scratch.h"

namespace laminae {

inline bool in_lanes(const TapSum& s) { return s.in_lanes; }
inline bool in_lanes(const ConvShape& s, bool = false) { return s.in_lanes; }

// Algorithm number `forced`, from 1, or if that is 0 the first that applies; nullptr if none does.
template <class Algorithm, class... Shape>
const Algorithm* choose(const Algorithms<Algorithm>& list, int64_t forced, const Call& call,
                        const Shape&... shape) {
  call.require(forced >= 0 && forced <= list.count, "unknown algorithm");
  for (int64_t i = 0; i < list.count; ++i) {
    const Algorithm& algorithm = list.first[i];
    if (forced != 0 && forced != i + 1) continue;
    const bool reads = algorithm.in_lanes || !in_lanes(shape...);
    if (reads && algorithm.applies(shape...)) return &algorithm;
    if (forced != 0) call.fail(std::string("algorithm ") + algorithm.name + " does not apply");
  }
  return nullptr;
}

// The same, where only images in lanes may find none.
template <class Algorithm, class... Shape>
const Algorithm& chosen(const Algorithms<Algorithm>& list, int64_t forced, const Call& call,
                        const Shape&... shape) {
  const Algorithm* algorithm = choose(list, forced, call, shape...);
  call.require(algorithm != nullptr, "no algorithm takes these images in lanes");
  return *algorithm;
}

inline TapSum forward_sum(const ConvShape& s) {
  TapSum t;
  t.n = s.n;
  t.groups = s.groups;
  t.channels = s.channels_in();
  t.rows = s.channels_out();
  t.transposed = false;
  t.exact = s.exact;
  t.in_lanes = s.in_lanes;
  t.made = s.tiles;
  t.ending = s.ending;
  for (int d = 0; d < 3; ++d) {
    t.x_size[d] = s.in[d];
    t.grid[d] = s.out[d];
    t.stride[d] = s.stride[d];
    t.taps[d] = {s.kernel[d], 0, 1, -s.padding[d], s.dilation[d]};
    t.kernel[d] = s.kernel[d];
  }
  return t;
}

// Joins neighbouring dimensions in which nothing happens: longer rows.
inline void join_plain_dimensions(TapSum& t) {
  for (int d = 1; d >= 0; --d) {
    if (!t.is_plain(d) || !t.is_plain(2)) return;
    t.x_size[2] *= t.x_size[d];
    t.grid[2] *= t.grid[d];
    t.x_size[d] = t.grid[d] = 1;
  }
}

template <class T>
class ConvPlan {
 public:
  // `forced`: 0, or the number of an algorithm; whole ones are counted behind those for sums.
  ConvPlan(const ConvShape& s, bool backward, int64_t forced, const Call& call, Scratch& scratch)
      : s_(s), backward_(backward) {
    const Algorithms<TapSumAlgorithm<T>> sums = tap_sum_algorithms<T>();
    if (forced == 0 || forced > sums.count) {
      whole_ = choose(whole_conv_algorithms<T>(), forced == 0 ? 0 : forced - sums.count, call, s,
                      backward);
    }
    if (whole_ != nullptr) {
      if (whole_->pack != nullptr) packed_size_ = whole_->packed_size(s, backward);
      return;
    }
    if (backward) count_ = class_count(s);
    call.require(count_ == 1 || !s.in_lanes, "no strided input gradient takes images in lanes");
    images_ = block_images();
    parts_ = scratch.get<Part>(count_);
    for (int64_t i = 0; i < count_; ++i) {
      const TapSum t = sum_at(i);
      const TapSumAlgorithm<T>* algorithm = &chosen(sums, forced, call, t);
      const int64_t weights = round_up(packed_size_, kAlign);
      parts_[i] = {algorithm, weights};
      packed_size_ = weights + algorithm->packed_size(t);
    }
  }

  // Whether this could be done with images that lie in lanes.
  bool takes_lanes() const {
    return count_ == 1 && whole_ == nullptr && parts_[0].algorithm->in_lanes;
  }

  // Elements of the packed weights; 0 if `run` reads weights as they are.
  int64_t packed_size() const { return packed_size_; }

  void pack(const T* w, T* packed) const {
    if (whole_ != nullptr) return whole_->pack(s_, backward_, w, packed);
    for (int64_t i = 0; i < count_; ++i) {
      parts_[i].algorithm->pack(sum_at(i), w, packed + parts_[i].weights);
    }
  }

  // The same as `run` after `pack`, if that is slower; else false.
  bool run_unpacked(const T* x, const T* w, const T* bias, T* y) const {
    if (whole_ != nullptr || count_ > 1) return false;
    const TapSumAlgorithm<T>& algorithm = *parts_[0].algorithm;
    const TapSum t = sum_at(0);
    if (algorithm.run_unpacked == nullptr || !algorithm.run_unpacked(t, x, w, bias, y))
      return false;
    if (!algorithm.ends) end_all(t.ending, t.results(), y);
    return true;
  }

  // y from x, or of an input gradient dx from dy.
  void run(const T* x, const T* weights, const T* bias, T* y) const {
    if (whole_ != nullptr) {
      whole_->run(s_, backward_, x, weights, bias, y);
      if (!whole_->ends) end_all(s_.ending, s_.n * s_.c_out * s_.out_plane(), y);
    } else if (count_ == 1) {
      run_sum(parts_[0], sum_at(0), x, weights, bias, y);
    } else {
      run_classes(x, weights, bias, y);
    }
  }

 private:
  struct Part {
    const TapSumAlgorithm<T>* algorithm;
    int64_t weights;  // where they begin among the packed ones
  };
  static constexpr int64_t kAlign = 16;               // elements
  static constexpr int64_t kBlockElements = 1 << 19;  // of dx, before it is interleaved: 2 MiB

  // Images that a sum is about: with several sums a block, so that what they make stays in cache.
  int64_t block_images() const {
    if (count_ == 1) return s_.n;
    const int64_t most = std::max<int64_t>(1, kBlockElements / (s_.c_in * s_.in_plane()));
    const int64_t block = balanced_tile(s_.n, most);
    return most < 16 ? block : std::min(s_.n, round_up(block, 16));  // 16: lanes of a vector
  }

  TapSum sum_at(int64_t index) const {
    TapSum t = backward_ ? class_sum(s_, index, images_) : forward_sum(s_);
    if (!s_.tiles.any) join_plain_dimensions(t);
    return t;
  }

  void run_sum(const Part& part, const TapSum& t, const T* x, const T* weights, const T* bias,
               T* y) const {
    const int64_t planes = t.groups * t.rows;
    const int64_t plane = t.grid_plane();
    const bool empty = t.tap_count() == 0;
    if (empty) {
      for (int64_t i = 0; i < t.n * planes; ++i) {
        std::fill_n(y + i * plane, plane, bias == nullptr ? T{0} : bias[i % planes]);
      }
    } else {
      part.algorithm->run(t, x, weights + part.weights, bias, y);
    }
    if (empty || !part.algorithm->ends) end_all(t.ending, t.results(), y);
  }

  void run_classes(const T* dy, const T* weights, const T* bias, T* dx) const {
    const int64_t image = s_.c_in * s_.in_plane();
    Scratch scratch;
    T* planes = scratch.get<T>(images_ * image);
    for (int64_t first = 0; first < s_.n; first += images_) {
      const int64_t images = std::min(images_, s_.n - first);
      T* plane = planes;
      for (int64_t i = 0; i < count_; ++i) {
        TapSum t = sum_at(i);
        t.n = images;  // the last block may be smaller: its weights are packed all the same
        run_sum(parts_[i], t, dy + first * s_.c_out * s_.out_plane(), weights, bias, plane);
        plane += images * s_.c_in * t.grid_plane();
      }
      interleave_classes(s_, images, planes, dx + first * image);
    }
  }

  const ConvShape& s_;
  const bool backward_;
  const WholeConvAlgorithm<T>* whole_ = nullptr;  // or else
  int64_t count_ = 1;                             // sums: one, or one for each class
  int64_t images_ = 0;                            // that each is about
  Part* parts_ = nullptr;
  int64_t packed_size_ = 0;
};

}  // namespace laminae
