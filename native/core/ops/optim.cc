// Optimiser steps: one parameter, its gradient and its state, updated in place in one pass
// (kernels/optim.inl). Elements are independent, so any split gives the same bits.
#include "core/kernels.h"
#include "core/op.h"
#include "core/ops/strided.h"
#include "core/parallel.h"

namespace laminae {

namespace {

template <class T>
T* shifted(T* p, int64_t offset) {
  return p == nullptr ? nullptr : p + offset;
}

}  // namespace

void run_sgd_step(const sgd_step_desc& d, Call& call) {
  using B = sgd_step_buf;
  dispatch_float(call, call.dtype(B::param), [&](auto tag) {
    using T = decltype(tag);
    T* param = call.out<T>(B::param, d.n);
    const T* grad = call.in<T>(B::grad, d.n);
    T* buffer = call.maybe_out<T>(B::momentum_buffer, d.n);
    parallel_for(d.n, kElementGrain, [&](int64_t begin, int64_t end) {
      kernels<T>().sgd(end - begin, param + begin, grad + begin, shifted(buffer, begin), d.lr,
                       d.momentum, d.dampening, d.weight_decay, d.nesterov != 0, d.maximize != 0,
                       d.first_step != 0);
    });
  });
}

void run_adam_step(const adam_step_desc& d, Call& call) {
  using B = adam_step_buf;
  dispatch_float(call, call.dtype(B::param), [&](auto tag) {
    using T = decltype(tag);
    T* param = call.out<T>(B::param, d.n);
    const T* grad = call.in<T>(B::grad, d.n);
    T* m = call.out<T>(B::m, d.n);
    T* v = call.out<T>(B::v, d.n);
    T* v_max = call.maybe_out<T>(B::v_max, d.n);
    parallel_for(d.n, kElementGrain / 2, [&](int64_t begin, int64_t end) {
      kernels<T>().adam(end - begin, param + begin, grad + begin, m + begin, v + begin,
                        shifted(v_max, begin), d.lr, d.beta1, d.beta2, d.eps, d.weight_decay,
                        d.decoupled != 0, d.bias_correction1, d.bias_correction2, d.maximize != 0);
    });
  });
}

void run_rmsprop_step(const rmsprop_step_desc& d, Call& call) {
  using B = rmsprop_step_buf;
  dispatch_float(call, call.dtype(B::param), [&](auto tag) {
    using T = decltype(tag);
    T* param = call.out<T>(B::param, d.n);
    const T* grad = call.in<T>(B::grad, d.n);
    T* v = call.out<T>(B::v, d.n);
    T* mean = call.maybe_out<T>(B::mean, d.n);
    T* buffer = call.maybe_out<T>(B::momentum_buffer, d.n);
    parallel_for(d.n, kElementGrain / 2, [&](int64_t begin, int64_t end) {
      kernels<T>().rmsprop(end - begin, param + begin, grad + begin, v + begin,
                           shifted(mean, begin), shifted(buffer, begin), d.lr, d.alpha, d.eps,
                           d.weight_decay, d.momentum, d.maximize != 0);
    });
  });
}

void run_adagrad_step(const adagrad_step_desc& d, Call& call) {
  using B = adagrad_step_buf;
  dispatch_float(call, call.dtype(B::param), [&](auto tag) {
    using T = decltype(tag);
    T* param = call.out<T>(B::param, d.n);
    const T* grad = call.in<T>(B::grad, d.n);
    T* total = call.out<T>(B::total, d.n);
    parallel_for(d.n, kElementGrain / 2, [&](int64_t begin, int64_t end) {
      kernels<T>().adagrad(end - begin, param + begin, grad + begin, total + begin, d.lr, d.eps,
                           d.weight_decay, d.maximize != 0);
    });
  });
}

}  // namespace laminae
