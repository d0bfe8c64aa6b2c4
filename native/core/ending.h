// The ending of an op: what a network does to its result, while that is in a register or the cache:
// y = min(max(y + add, low), high). A residual sum and a ReLU or ReLU6, say.
#pragma once
#include <cmath>
#include <cstdint>

namespace laminae {

struct Ending {
  const void* add = nullptr;  // of the type of y, and as large; nullptr: nothing
  double low = -INFINITY, high = INFINITY;

  bool clamps() const { return low != -INFINITY || high != INFINITY; }
  bool is_any() const { return add != nullptr || clamps(); }
};

// What the fields low and high and the buffer `add`, or none, of an op say; y has `size` elements.
template <class T, class Desc, class Call>
Ending ending_of(const Desc& d, const Call& call, int add, int64_t size) {
  call.require(d.low <= d.high, "low must not be above high");
  return {call.template maybe_in<T>(add, size), d.low, d.high};
}

// What of the gradient of y passes on the way back: all of it unless y <= low or y >= high, so
// nothing at either bound, as in PyTorch, and all where y is NaN.
template <class T>
struct EndingMask {
  T low = T(NAN), high = T(NAN);  // NaN: no bound; an infinite one would stop infinite values
  // For ops that make y again, as (x - mean) a + b.
  const T* a = nullptr;
  const T* b = nullptr;
  // For those that read it, as something was added: y, and what passes, to be written. Or null.
  const T* y = nullptr;
  T* passed = nullptr;
};

}  // namespace laminae
