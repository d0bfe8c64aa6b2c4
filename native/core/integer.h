// Integers rounded to multiples, and divided with rounding.
#pragma once
#include <cstdint>

namespace laminae {

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }  // a >= 0, b > 0
inline int64_t floor_div(int64_t a, int64_t b) { return (a - (a % b + b) % b) / b; }  // b > 0
inline int64_t round_up(int64_t n, int64_t unit) { return ceil_div(n, unit) * unit; }

}  // namespace laminae
