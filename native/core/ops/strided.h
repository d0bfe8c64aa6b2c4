// Walking several strided operands over one shape.
//
// StridedWalk<N> merges adjacent dimensions wherever all N operands allow it, so that the innermost
// one becomes as long as possible; each() then calls its body once per innermost row with the N
// element offsets.
#pragma once
#include <cstdint>

#include "core/op.h"

namespace laminae {

template <int N>
class StridedWalk {
 public:
  StridedWalk(int64_t rank, const int64_t* shape, const int64_t* const (&strides)[N]) {
    const int given = checked_rank(rank);
    for (int d = 0; d < given; ++d) {
      if (shape[d] == 1) continue;
      bool merges = rank_ > 0;
      for (int i = 0; i < N && merges; ++i)
        merges = strides_[i][rank_ - 1] == shape[d] * strides[i][d];
      if (!merges) ++rank_;
      shape_[rank_ - 1] = merges ? shape_[rank_ - 1] * shape[d] : shape[d];
      for (int i = 0; i < N; ++i) strides_[i][rank_ - 1] = strides[i][d];
    }
    if (rank_ == 0) {
      rank_ = 1;
      shape_[0] = 1;
      for (int i = 0; i < N; ++i) strides_[i][0] = 1;
    }
    for (int d = 0; d < rank_ - 1; ++d) rows_ *= shape_[d];
  }

  int64_t rows() const { return rows_; }
  int64_t row_length() const { return shape_[rank_ - 1]; }
  // Stride of operand i within a row.
  int64_t step(int i) const { return strides_[i][rank_ - 1]; }

  // body(row, offsets) for rows in [begin, end)
  template <class F>
  void each(int64_t begin, int64_t end, F&& body) const {
    int64_t index[kMaxRank] = {};
    int64_t offsets[N] = {};
    int64_t rest = begin;
    for (int d = rank_ - 2; d >= 0; --d) {
      index[d] = rest % shape_[d];
      rest /= shape_[d];
      for (int i = 0; i < N; ++i) offsets[i] += index[d] * strides_[i][d];
    }
    for (int64_t row = begin; row < end; ++row) {
      body(row, offsets);
      for (int d = rank_ - 2; d >= 0; --d) {
        for (int i = 0; i < N; ++i) offsets[i] += strides_[i][d];
        if (++index[d] < shape_[d]) break;
        for (int i = 0; i < N; ++i) offsets[i] -= strides_[i][d] * shape_[d];
        index[d] = 0;
      }
    }
  }

 private:
  int rank_ = 0;
  int64_t rows_ = 1;
  int64_t shape_[kMaxRank] = {};
  int64_t strides_[N][kMaxRank] = {};
};

}  // namespace laminae
