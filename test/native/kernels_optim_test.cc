// sgd and adam against the formulas of PyTorch in double, over several steps and all options; and
// the list ops, which have to give every parameter the bits it gets alone.
#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "core/op.h"
#include "core/parallel.h"
#include "kernel_support.h"

using namespace laminae_test;

namespace {

constexpr int kSteps = 4;

struct SgdOptions {
  double momentum, dampening, weight_decay;
  bool nesterov, maximize;
};

template <class Table>
void check_sgd(const Table& table, const SgdOptions& o, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  Random random(31);
  GuardedBuffer<T> param(n, touch), grad(n, touch), buf(n, touch);
  param.randomize(random);
  buf.fill(std::numeric_limits<T>::quiet_NaN());  // the first step must not read it
  std::vector<double> p(param.data(), param.data() + n), b(n, 0.0);
  const double lr = 0.1;
  for (int step = 0; step < kSteps; step++) {
    grad.randomize(random);
    table.sgd(n, param.data(), grad.data(), o.momentum != 0.0 ? buf.data() : nullptr, lr,
              o.momentum, o.dampening, o.weight_decay, o.nesterov, o.maximize, step == 0);
    for (int64_t i = 0; i < n; i++) {
      double g = o.maximize ? -static_cast<double>(grad[i]) : static_cast<double>(grad[i]);
      g += o.weight_decay * p[i];
      if (o.momentum != 0.0) {
        b[i] = step == 0 ? g : o.momentum * b[i] + (1.0 - o.dampening) * g;
        g = o.nesterov ? g + o.momentum * b[i] : b[i];
      }
      p[i] -= lr * g;
    }
  }
  CHECK(worst_error(param, p) <= 8.0 * epsilon<T>());
  if (o.momentum != 0.0) CHECK(worst_error(buf, b) <= 16.0 * epsilon<T>());
}

struct AdamOptions {
  double weight_decay;
  bool decoupled, maximize, amsgrad;
};

template <class Table>
void check_adam(const Table& table, const AdamOptions& o, int64_t n, Touch touch) {
  using T = std::decay_t<decltype(table.fma_peak(0))>;
  Random random(32);
  GuardedBuffer<T> param(n, touch), grad(n, touch), m(n, touch), v(n, touch), v_max(n, touch);
  param.randomize(random);
  m.fill(T(0));
  v.fill(T(0));
  v_max.fill(T(0));
  std::vector<double> p(param.data(), param.data() + n), rm(n, 0.0), rv(n, 0.0), rv_max(n, 0.0);
  const double lr = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  for (int step = 1; step <= kSteps; step++) {
    const double scale = 1.0 / step;  // shrinking gradients, so that v falls below its maximum
    grad.randomize(random, -scale, scale);
    const double c1 = 1.0 - std::pow(beta1, step), c2 = 1.0 - std::pow(beta2, step);
    table.adam(n, param.data(), grad.data(), m.data(), v.data(), o.amsgrad ? v_max.data() : nullptr,
               lr, beta1, beta2, eps, o.weight_decay, o.decoupled, c1, c2, o.maximize);
    for (int64_t i = 0; i < n; i++) {
      double g = o.maximize ? -static_cast<double>(grad[i]) : static_cast<double>(grad[i]);
      if (o.decoupled) {
        p[i] *= 1.0 - lr * o.weight_decay;
      } else {
        g += o.weight_decay * p[i];
      }
      rm[i] += (1.0 - beta1) * (g - rm[i]);
      rv[i] = beta2 * rv[i] + (1.0 - beta2) * g * g;
      rv_max[i] = std::max(rv_max[i], rv[i]);
      const double vi = o.amsgrad ? rv_max[i] : rv[i];
      p[i] -= lr / c1 * rm[i] / (std::sqrt(vi) / std::sqrt(c2) + eps);
    }
  }
  CHECK(worst_error(param, p) <= 8.0 * epsilon<T>());
  CHECK(worst_error(m, rm) <= 4.0 * epsilon<T>());
  CHECK(worst_error(v, rv) <= 4.0 * epsilon<T>());
}

}  // namespace

TEST_CASE("sgd: momentum, dampening, Nesterov, weight decay, maximize; guard pages") {
  const SgdOptions options[] = {{0.0, 0.0, 0.0, false, false},  {0.0, 0.0, 0.1, false, false},
                                {0.9, 0.0, 0.0, false, false},  {0.9, 0.0, 0.01, true, false},
                                {0.9, 0.5, 0.01, false, false}, {0.9, 0.0, 0.01, true, true}};
  for_each_table([&](const auto& table) {
    const int64_t w = table.vec_width;
    for (const SgdOptions& o : options) {
      for (Touch touch : kTouches) {
        for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
          check_sgd(table, o, n, touch);
        }
      }
    }
  });
}

TEST_CASE("adam: plain and decoupled weight decay, maximize; guard pages") {
  const AdamOptions options[] = {{0.0, false, false, false},
                                 {0.1, false, false, false},
                                 {0.1, true, false, false},
                                 {0.1, true, true, false},
                                 {0.01, false, false, true}};
  for_each_table([&](const auto& table) {
    const int64_t w = table.vec_width;
    for (const AdamOptions& o : options) {
      for (Touch touch : kTouches) {
        for (int64_t n : {int64_t{0}, int64_t{1}, w - 1, w, w + 1, 3 * w + 2}) {
          check_adam(table, o, n, touch);
        }
      }
    }
  });
}

namespace {

using laminae::DType;
using laminae::List;

// Parameters of both types, each with its gradient and two states.
struct Parameters {
  std::vector<std::vector<double>> memory;  // room for n elements of either type
  std::vector<std::vector<void*>> data;
  std::vector<List::Item> items;

  explicit Parameters(const std::vector<int64_t>& sizes) {
    Random random(3);
    for (size_t i = 0; i < sizes.size(); ++i) {
      const bool wide = i % 3 == 1;
      const size_t first = memory.size();
      for (int b = 0; b < 4; ++b) {
        memory.emplace_back(static_cast<size_t>(sizes[i]) + 1);
        void* p = memory.back().data();
        for (int64_t k = 0; k < sizes[i]; ++k) {
          const double v = random.uniform(0.1, 1);
          if (wide) {
            static_cast<double*>(p)[k] = v;
          } else {
            static_cast<float*>(p)[k] = static_cast<float>(v);
          }
        }
      }
      data.push_back({});
      for (size_t b = 0; b < 4; ++b) data.back().push_back(memory[first + b].data());
      data.back().push_back(nullptr);
      items.push_back({sizes[i], wide ? DType::kFloat64 : DType::kFloat32, nullptr});
    }
    for (size_t i = 0; i < items.size(); ++i) items[i].data = data[i].data();
  }

  // The same bits, NaN or not.
  bool same_as(const Parameters& o) const {
    for (size_t i = 0; i < memory.size(); ++i) {
      if (std::memcmp(memory[i].data(), o.memory[i].data(), memory[i].size() * sizeof(double)) != 0)
        return false;
    }
    return true;
  }
};

void run_list(const std::string& name, const List& list) {
  int count;
  const laminae::OpInfo* ops = laminae::ops(&count);
  for (int i = 0; i < count; ++i) {
    if (name != ops[i].name) continue;
    std::vector<double> slots(static_cast<size_t>(ops[i].slot_count), 0.5);
    for (size_t k = 0; k < slots.size(); ++k) {
      if (ops[i].slot_kinds[k] == 'i') slots[k] = 0;
    }
    laminae::run_list_op(i, slots.data(), list);
    return;
  }
  FAIL("no op ", name);
}

const char* const kSteps4[] = {"sgd_step", "adam_step", "rmsprop_step", "adagrad_step"};

}  // namespace

TEST_CASE("list ops: every parameter as alone, for any number of threads") {
  const std::vector<int64_t> sizes = {1, 0, 63, 64, 65, 100'000, 0, 7, 200, 40'000, 5, 70'001, 3};
  const std::string best = laminae::active_isa().name;
  const int threads = laminae::set_num_threads(1);
  for (const laminae::IsaInfo* isa : laminae::available_isas()) {
    laminae::set_active_isa(isa->name);
    for (const std::string name : kSteps4) {
      INFO(isa->name, " ", name);
      laminae::set_num_threads(1);
      Parameters alone(sizes);
      const Parameters before(sizes);
      for (const List::Item& item : alone.items) run_list(name, List(&item, 1));
      CHECK(!alone.same_as(before));
      for (const int n : {1, 2, 3}) {
        laminae::set_num_threads(n);
        Parameters together(sizes);
        run_list(name, List(together.items.data(), static_cast<int64_t>(together.items.size())));
        CHECK(together.same_as(alone));
      }
    }
  }
  laminae::set_active_isa(best);
  laminae::set_num_threads(threads);
}

TEST_CASE("list ops: what shares memory is updated one after the other") {
  const std::vector<int64_t> sizes(6, 50'000);
  const auto share = [](Parameters& p) {
    p.data[2][0] = static_cast<float*>(p.data[0][0]) + 1000;  // parts of one parameter
    p.data[3][1] = p.data[0][0];                              // a gradient that is a parameter
  };
  for (const std::string name : kSteps4) {
    Parameters alone(sizes), together(sizes);
    share(alone);
    share(together);
    alone.items[2].n = together.items[2].n = 40'000;
    for (const List::Item& item : alone.items) run_list(name, List(&item, 1));
    const int threads = laminae::set_num_threads(3);
    run_list(name, List(together.items.data(), 6));
    laminae::set_num_threads(threads);
    CHECK(together.same_as(alone));
  }
}

TEST_CASE("list ops: a missing buffer is refused before anything is written") {
  Parameters p({5, 5});
  const Parameters before({5, 5});
  p.data[1][1] = nullptr;
  for (const std::string name : kSteps4) {
    CHECK_THROWS_AS(run_list(name, List(p.items.data(), 2)), laminae::OpError);
  }
  CHECK(p.same_as(before));
}
