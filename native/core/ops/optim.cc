// Optimiser steps: parameters, their gradients and their state, updated in place in one pass
// (kernels/optim.inl). A list is all parameters of a group: one parallel region over their elements
// side by side, so that ten small ones cost one region and share the threads. Elements are
// independent, so any split gives the same bits.
#include <algorithm>
#include <string>
#include <vector>

#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// Whether no item writes what is read or written through another buffer: then all may be updated at
// once. Every buffer but `grad` is written.
bool are_apart(const List& list, int buffers, int grad) {
  struct Range {
    uintptr_t begin, end;
    bool written;
  };
  std::vector<Range> ranges;
  ranges.reserve(static_cast<size_t>(list.count() * buffers));
  for (int64_t i = 0; i < list.count(); ++i) {
    const List::Item& item = list[i];
    const uintptr_t bytes = static_cast<uintptr_t>(item.n) * dtype_size(item.dtype);
    for (int b = 0; b < buffers; ++b) {
      if (item.data[b] == nullptr || bytes == 0) continue;
      const auto begin = reinterpret_cast<uintptr_t>(item.data[b]);
      ranges.push_back({begin, begin + bytes, b != grad});
    }
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  uintptr_t end = 0, written_end = 0;  // of the ranges before
  for (const Range& r : ranges) {
    if (r.begin < (r.written ? end : written_end)) return false;
    end = std::max(end, r.end);
    if (r.written) written_end = std::max(written_end, r.end);
  }
  return true;
}

// update(item, begin, end, T()) for all elements of items [first, last), in one region; grain:
// elements worth a thread.
template <class Update>
void update_together(const List& list, int64_t first, int64_t last, int64_t grain,
                     const Update& update) {
  // Where each item begins when all lie side by side, on multiples of the unit of cuts.
  std::vector<int64_t> starts;
  starts.reserve(static_cast<size_t>(last - first));
  int64_t total = 0;
  for (int64_t i = first; i < last; ++i) {
    starts.push_back(total);
    total += round_up(list[i].n, kCutUnit);
  }
  parallel_for(total, grain, [&](int64_t begin, int64_t end) {
    const auto after = std::upper_bound(starts.begin(), starts.end(), begin);
    for (auto start = after - 1; start != starts.end() && *start < end; ++start) {
      const List::Item& item = list[first + (start - starts.begin())];
      const int64_t from = std::max<int64_t>(begin - *start, 0);
      const int64_t to = std::min(end - *start, item.n);
      if (from >= to) continue;
      if (item.dtype == DType::kFloat32) {
        update(item, from, to, float());
      } else {
        update(item, from, to, double());
      }
    }
  });
}

// The first `required` buffers must not be missing.
template <class Buf, class Update>
void update_all(const List& list, int required, int64_t grain, const Update& update) {
  for (int64_t i = 0; i < list.count(); ++i) {
    for (int b = 0; b < required; ++b) {
      if (list[i].n > 0 && list[i].data[b] == nullptr)
        throw OpError("buffer " + std::to_string(b) + " of item " + std::to_string(i) +
                      " is required");
    }
  }
  if (list.count() == 1 || are_apart(list, Buf::kCount, Buf::grad)) {
    update_together(list, 0, list.count(), grain, update);
    return;
  }
  for (int64_t i = 0; i < list.count(); ++i) update_together(list, i, i + 1, grain, update);
}

}  // namespace

void run_sgd_step(const sgd_step_desc& d, const List& list) {
  using B = sgd_step_buf;
  const auto update = [&](const List::Item& item, int64_t begin, int64_t end, auto tag) {
    using T = decltype(tag);
    kernels<T>().sgd(end - begin, item.at<T>(B::param, begin), item.at<T>(B::grad, begin),
                     item.at<T>(B::momentum_buffer, begin), d.lr, d.momentum, d.dampening,
                     d.weight_decay, d.nesterov != 0, d.maximize != 0, d.first_step != 0);
  };
  update_all<B>(list, B::momentum_buffer, kElementGrain, update);
}

void run_adam_step(const adam_step_desc& d, const List& list) {
  using B = adam_step_buf;
  const auto update = [&](const List::Item& item, int64_t begin, int64_t end, auto tag) {
    using T = decltype(tag);
    kernels<T>().adam(end - begin, item.at<T>(B::param, begin), item.at<T>(B::grad, begin),
                      item.at<T>(B::m, begin), item.at<T>(B::v, begin), item.at<T>(B::v_max, begin),
                      d.lr, d.beta1, d.beta2, d.eps, d.weight_decay, d.decoupled != 0,
                      d.bias_correction1, d.bias_correction2, d.maximize != 0);
  };
  update_all<B>(list, B::v_max, kElementGrain / 2, update);
}

void run_rmsprop_step(const rmsprop_step_desc& d, const List& list) {
  using B = rmsprop_step_buf;
  const auto update = [&](const List::Item& item, int64_t begin, int64_t end, auto tag) {
    using T = decltype(tag);
    kernels<T>().rmsprop(end - begin, item.at<T>(B::param, begin), item.at<T>(B::grad, begin),
                         item.at<T>(B::v, begin), item.at<T>(B::mean, begin),
                         item.at<T>(B::momentum_buffer, begin), d.lr, d.alpha, d.eps,
                         d.weight_decay, d.momentum, d.maximize != 0);
  };
  update_all<B>(list, B::mean, kElementGrain / 2, update);
}

void run_adagrad_step(const adagrad_step_desc& d, const List& list) {
  using B = adagrad_step_buf;
  const auto update = [&](const List::Item& item, int64_t begin, int64_t end, auto tag) {
    using T = decltype(tag);
    kernels<T>().adagrad(end - begin, item.at<T>(B::param, begin), item.at<T>(B::grad, begin),
                         item.at<T>(B::total, begin), d.lr, d.eps, d.weight_decay, d.maximize != 0);
  };
  update_all<B>(list, B::kCount, kElementGrain / 2, update);
}

}  // namespace laminae
