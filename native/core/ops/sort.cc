// sort: the first k of every line along n of [outer, n, inner] in order, with their positions.
//
// Equal values keep their order, NaN counts as the largest (both as in PyTorch). k < n selects
// without sorting the rest.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/op.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

template <class T>
struct Entry {
  T value;
  int32_t position;
};

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_floating_point<T>::value) {
    return std::isnan(value);
  } else {
    return false;
  }
}

template <class T>
bool less(T a, T b) {
  return a < b || (is_nan(b) && !is_nan(a));
}

// Positions decide between equal values, which makes an unstable algorithm stable.
template <class T>
struct Before {
  bool descending;
  bool operator()(const Entry<T>& a, const Entry<T>& b) const {
    if (less(a.value, b.value)) return !descending;
    if (less(b.value, a.value)) return descending;
    return a.position < b.position;
  }
};

template <class T>
void sort_lines(const sort_desc& d, const T* x, T* y, int32_t* index) {
  const Before<T> before{d.descending != 0};
  // About log2 n comparisons an element, each a few times the cost of an addition.
  parallel_for(d.outer * d.inner, row_grain(16 * d.n), [&](int64_t begin, int64_t end) {
    Scratch scratch;
    Entry<T>* line = scratch.get<Entry<T>>(d.n);
    for (int64_t l = begin; l < end; ++l) {
      const T* from = x + l / d.inner * d.n * d.inner + l % d.inner;
      for (int64_t i = 0; i < d.n; ++i) line[i] = {from[i * d.inner], static_cast<int32_t>(i)};
      if (d.k < d.n) {
        std::partial_sort(line, line + d.k, line + d.n, before);
      } else {
        std::sort(line, line + d.n, before);
      }
      const int64_t to = l / d.inner * d.k * d.inner + l % d.inner;
      for (int64_t i = 0; i < d.k; ++i) {
        y[to + i * d.inner] = line[i].value;
        index[to + i * d.inner] = line[i].position;
      }
    }
  });
}

}  // namespace

void run_sort(const sort_desc& d, Call& call) {
  call.require(d.k >= 0 && d.k <= d.n, "k must be in 0..n");
  call.require(d.n <= std::numeric_limits<int32_t>::max(), "too long for int32 positions");
  dispatch_all(call.dtype(sort_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(sort_buf::x, volume(d.outer, d.n, d.inner));
    T* y = call.out<T>(sort_buf::y, volume(d.outer, d.k, d.inner));
    int32_t* index = call.out<int32_t>(sort_buf::index, volume(d.outer, d.k, d.inner));
    if (d.outer > 0 && d.k > 0 && d.inner > 0) sort_lines(d, x, y, index);
  });
}

}  // namespace laminae
