// Addition that is defined for all values: integers wrap around.
#pragma once
#include <type_traits>

namespace laminae {

template <class T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_integral<T>::value) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  } else {
    return a + b;
  }
}

}  // namespace laminae
