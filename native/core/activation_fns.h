// The activations with parameters, as a list that is expanded into an enum here, into dispatch in
// kernels/activation.inl, and into names for lib/native.ts. Those without are in elementwise_fns.h.
#ifndef LAMINAE_CORE_ACTIVATION_FNS_H_
#define LAMINAE_CORE_ACTIVATION_FNS_H_

#include <cstdint>

// a, b, c are the op's parameters; unused ones are left out. Derivatives are taken from x.
#define LAMINAE_ACTIVATION_FNS(X)                                        \
  X(leaky_relu)  /* x > 0 ? x : a x */                                   \
  X(elu)         /* x > 0 ? a x : b (exp(c x) - 1) */                    \
  X(gelu_tanh)   /* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */ \
  X(mish)        /* x tanh(log(1 + exp(x))) */                           \
  X(hardswish)   /* x min(max(x + 3, 0), 6) / 6 */                       \
  X(hardsigmoid) /* min(max(x + 3, 0), 6) / 6 */                         \
  X(hardtanh)    /* min(max(x, a), b); derivative 0 at a and b */        \
  X(softplus)    /* a x > b ? x : log(1 + exp(a x)) / a */               \
  X(softsign)    /* x / (1 + |x|) */                                     \
  X(log_sigmoid) /* -log(1 + exp(-x)) */

namespace laminae {

#define LAMINAE_FN_VALUE(name) name,
enum class ActivationFn : int32_t { LAMINAE_ACTIVATION_FNS(LAMINAE_FN_VALUE) count };
#undef LAMINAE_FN_VALUE

}  // namespace laminae

#endif  // LAMINAE_CORE_ACTIVATION_FNS_H_
