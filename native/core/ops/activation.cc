// Activations with parameters and their derivatives (core/activation_fns.h has the list and
// formulas).
#include "core/activation_fns.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

void run_activation(const activation_desc& d, Call& call) {
  const ActivationFn fn = checked_fn<ActivationFn>(call, d.fn);
  dispatch_float(call, call.dtype(activation_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(activation_buf::x, d.n);
    T* y = call.out<T>(activation_buf::y, d.n);
    parallel_stream(d.n, kElementGrain / 4, [&](int64_t begin, int64_t end) {
      kernels<T>().activation(fn, end - begin, x + begin, y + begin, d.a, d.b, d.c);
    });
  });
}

void run_activation_backward(const activation_backward_desc& d, Call& call) {
  const ActivationFn fn = checked_fn<ActivationFn>(call, d.fn);
  dispatch_float(call, call.dtype(activation_backward_buf::dy), [&](auto tag) {
    using T = decltype(tag);
    const T* x = call.in<T>(activation_backward_buf::x, d.n);
    const T* dy = call.in<T>(activation_backward_buf::dy, d.n);
    T* dx = call.out<T>(activation_backward_buf::dx, d.n);
    parallel_stream(d.n, kElementGrain / 4, [&](int64_t begin, int64_t end) {
      kernels<T>().activation_backward(fn, end - begin, x + begin, dy + begin, dx + begin, d.a, d.b,
                                       d.c);
    });
  });
}

}  // namespace laminae
