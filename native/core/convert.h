// Conversion between element types that is defined for every input.
//
// Conversions follow C++ (truncation towards zero) where the target can hold the value; float to
// integer conversions out of range saturate, NaN becomes 0.
#pragma once
#include <cmath>
#include <limits>
#include <type_traits>

namespace laminae {

template <class To, class From>
To convert(From v) {
  if constexpr (std::is_floating_point<From>::value && std::is_integral<To>::value) {
    if (std::isnan(v)) return 0;
    constexpr double kLow = static_cast<double>(std::numeric_limits<To>::min());
    constexpr double kHigh = static_cast<double>(std::numeric_limits<To>::max());
    const double d = static_cast<double>(v);
    if (d <= kLow) return std::numeric_limits<To>::min();
    if (d >= kHigh) return std::numeric_limits<To>::max();
    return static_cast<To>(d);
  } else {
    return static_cast<To>(v);
  }
}

}  // namespace laminae
