// The functions the elementwise kernels know, as lists that are expanded into enums here, into
// dispatch in kernels/unary.inl and kernels/binary.inl, and wherever names are needed.
#ifndef LAMINAE_CORE_ELEMENTWISE_FNS_H_
#define LAMINAE_CORE_ELEMENTWISE_FNS_H_

#include <cstdint>

// X(name, saved): `saved` is what unary_backward expects in its `saved` argument: the input (x),
// the output (y), or nothing (none; the pointer may be null).
#define LAMINAE_UNARY_FNS(X)                      \
  X(neg, none)                                    \
  X(abs, x) /* derivative 0 at 0 */               \
  X(exp, y)                                       \
  X(expm1, y)                                     \
  X(log, x)                                       \
  X(log1p, x)                                     \
  X(sqrt, y)                                      \
  X(rsqrt, y)                                     \
  X(square, x)                                    \
  X(reciprocal, y)                                \
  X(sin, x)                                       \
  X(cos, x)                                       \
  X(relu, y) /* NaN stays NaN */                  \
  X(sigmoid, y)                                   \
  X(tanh, y)                                      \
  X(erf, x)                                       \
  X(gelu, x)    /* x (1 + erf(x / sqrt 2)) / 2 */ \
  X(silu, x)    /* x sigmoid(x) */                \
  X(sign, none) /* 0 for NaN */                   \
  X(floor, none)                                  \
  X(ceil, none)                                   \
  X(round, none) /* ties to even */               \
  X(trunc, none)

// max and min propagate NaN from either side.
#define LAMINAE_BINARY_FNS(X) X(add) X(sub) X(mul) X(div) X(max) X(min) X(pow)

// IEEE comparisons: all but ne are false when an operand is NaN.
#define LAMINAE_COMPARE_FNS(X) X(gt) X(ge) X(lt) X(le) X(eq) X(ne)

namespace laminae {

#define LAMINAE_FN_VALUE(name, ...) name,
enum class UnaryFn : int32_t { LAMINAE_UNARY_FNS(LAMINAE_FN_VALUE) count };
enum class BinaryFn : int32_t { LAMINAE_BINARY_FNS(LAMINAE_FN_VALUE) count };
enum class CompareFn : int32_t { LAMINAE_COMPARE_FNS(LAMINAE_FN_VALUE) count };
#undef LAMINAE_FN_VALUE

enum class SavedForBackward : int32_t { none, x, y };

}  // namespace laminae

#endif  // LAMINAE_CORE_ELEMENTWISE_FNS_H_
