// 1x1 convolutions of many channels with seven products for eight (Strassen, "Gaussian elimination
// is not optimal", 1969, in Winograd's form with 15 sums).
//
// Rows of the weights, their channels, and neighbouring columns of an image are halved:
//
//   S1 = A21 + A22,  S2 = S1 - A11,  S3 = A11 - A21,  S4 = A12 - S2
//   T1 = B12 - B11,  T2 = B22 - T1,  T3 = B22 - B12,  T4 = B21 - T2
//   U2 = A11 B11 + S2 T2,  U3 = U2 + S3 T3,  U4 = U2 + S1 T1
//   C11 = A11 B11 + A12 B21,  C12 = U4 + S4 B22,  C21 = U3 + A22 T4,  C22 = U3 + S1 T1
//
// A pair is two panels of gemm_nr columns of one image; its quarters of y hold the sums meanwhile.
// What is left of all images makes single panels, for which B12 and B22 are nothing and four
// products remain, as many as without. So no pixel of an image shows in the bits of another.
#include <algorithm>
#include <cmath>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// From here on it pays to make the factors. 256->128 @56 and 512->128 @28, batch 8, gain 1 to 2 %,
// 256->256 @10 batch 16, of which a third is in single panels, nothing.
constexpr int64_t kMinSize = 256;  // rows and channels
constexpr int64_t kMinColumns = 512;
constexpr int64_t kMostLeft = 8;  // at most the 8th part of an image

// Left and right factors, as they are packed.
enum Weights { kA11, kA12, kS2, kS1, kS3, kA22, kS4, kFactors };
enum Columns { kB11, kB21, kT2, kT1, kT3, kT4, kB22 };
enum Quarter { kC11, kC12, kC21, kC22, kNone };

struct Product {
  Weights a;
  Columns b;
  Quarter to, add;
  bool has_bias, ends;
  Quarter next = kNone;  // is written for the first time by the product behind
};
constexpr Product kPairSums[] = {
    {kA11, kB11, kC12, kNone, false, false, kC11}, {kA12, kB21, kC11, kC12, true, true},
    {kS2, kT2, kC12, kC12, false, false, kC22},    {kS1, kT1, kC22, kNone, false, false, kC21},
    {kS3, kT3, kC21, kC12, true, false},
};
// When C12 += C22 and C22 += C21:
constexpr Product kPairEnds[] = {
    {kA22, kT4, kC21, kC21, false, true},
    {kS4, kB22, kC12, kC12, true, true},
};
constexpr Product kSingle[] = {
    {kA11, kB11, kC21, kNone, false, false},
    {kA12, kB21, kC11, kC21, true, true},
    {kS2, kB11, kC21, kC21, true, false},
    {kA22, kT4, kC21, kC21, false, true},
};
constexpr int64_t kPairCost = 7, kSingleCost = 4;

template <class T>
struct Plan {
  const TapSum& s;
  int64_t nr = kernels<T>().gemm_nr;
  int64_t depth = s.channels / 2;
  int64_t rows = s.rows / 2;
  int64_t tile = balanced_tile(rows, kernels<T>().gemm_mr);
  int64_t tiles = ceil_div(rows, tile);
  int64_t plane = s.grid_plane();
  int64_t pairs = plane / (2 * nr);            // of an image
  int64_t left = plane - pairs * 2 * nr;       // columns of an image that are in none
  int64_t singles = ceil_div(s.n * left, nr);  // of all images
  // Work items of a group.
  int64_t items() const { return (kPairCost * s.n * pairs + kSingleCost * singles) * tiles; }
  // From panel to panel of columns: not a multiple of the size of a cache's way.
  int64_t panel() const { return (depth + 3) * nr; }
  int64_t factor() const { return tiles * tile * depth; }
  int64_t group() const { return kFactors * factor(); }
};

// Images are lines of one row: what is plain in all dimensions comes joined (conv_plan.h).
template <class T>
bool applies(const TapSum& s) {
  if (sizeof(T) != sizeof(float) || s.exact) return false;
  if (!s.is_plain(0) || !s.is_plain(1) || !s.is_plain(2)) return false;
  if (s.rows % 2 != 0 || s.channels % 2 != 0) return false;
  if (s.rows < kMinSize || s.channels < kMinSize) return false;
  const Plan<T> p{s};
  return s.n * p.plane >= kMinColumns && p.left <= p.plane / kMostLeft;
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return s.groups * Plan<T>{s}.group();
}

// [groups][factors][tiles][depth][tile]
template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  const Plan<T> p{s};
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t size = p.tile * p.depth;
  parallel_for(s.groups * p.tiles, row_grain(4 * size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % p.tiles * p.tile;
      const int64_t rows = std::min(p.tile, p.rows - first);
      const T* of_group = w + i / p.tiles * s.rows * s.channels;
      T* factors = packed + i / p.tiles * p.group() + i % p.tiles * size;
      const auto factor = [&](Weights which) { return factors + which * p.factor(); };
      const auto quarter = [&](int64_t row, int64_t channel, Weights which) {
        if (s.transposed) {
          kernel.pack_panel(p.depth, rows, of_group + channel * s.rows + row, s.rows, factor(which),
                            p.tile);
        } else {
          kernel.pack_panel_transposed(p.depth, rows, of_group + row * s.channels + channel,
                                       s.channels, factor(which), p.tile);
        }
      };
      quarter(first, 0, kA11);
      quarter(first, p.depth, kA12);
      quarter(p.rows + first, 0, kS1);  // A21
      quarter(p.rows + first, p.depth, kA22);
      // to = a x + b to
      const auto add = [&](T a, Weights x, T b, Weights to) {
        kernel.scale_add(size, a, factor(x), b, factor(to));
      };
      std::copy_n(factor(kS1), size, factor(kS3));
      add(T{1}, kA11, T{-1}, kS3);
      add(T{1}, kA22, T{1}, kS1);
      std::copy_n(factor(kS1), size, factor(kS2));
      add(T{-1}, kA11, T{1}, kS2);
      std::copy_n(factor(kS2), size, factor(kS4));
      add(T{1}, kA12, T{-1}, kS4);
    }
  });
}

// A pair of panels of an image, or a single one of what is left of all images, in work items: tile
// t of it begins at item first + t cost.
struct Unit {
  int64_t group, first, cost;
  bool is_pair;
  int64_t index;  // of the pairs or the single panels of its group
};

template <class T>
Unit unit_of(const Plan<T>& p, int64_t item) {
  const int64_t pair_items = kPairCost * p.tiles;
  const int64_t single_items = kSingleCost * p.tiles;
  const int64_t in_group = item % p.items();
  const int64_t in_singles = in_group - p.s.n * p.pairs * pair_items;
  Unit unit;
  unit.group = item / p.items();
  unit.is_pair = in_singles < 0;
  unit.cost = unit.is_pair ? kPairCost : kSingleCost;
  unit.index = unit.is_pair ? in_group / pair_items : in_singles / single_items;
  unit.first = item - (unit.is_pair ? in_group % pair_items : in_singles % single_items);
  return unit;
}

// Of the pair `index` of a group, its first column in images of `channels` in all.
template <class T>
int64_t pair_at(const Plan<T>& p, int64_t index, int64_t channels) {
  return index / p.pairs * channels * p.plane + index % p.pairs * 2 * p.nr;
}

// Rows [row, row + count) of both halves of a unit.
template <class T>
struct Part {
  const Plan<T>& p;
  int64_t row, count;
  const T* weights;  // of the group
  const T* bias;     // of the group, or nullptr
  const T* columns;  // as strassen_columns makes them
  T* y;              // C11, row 0 of the group
  int64_t y_row;
  const T* next_x;  // the pair that comes next, in x and y; or nullptr
  const T* next_y;

  T* at(Quarter q) const { return y + (row + q / 2 * p.rows) * y_row + q % 2 * p.nr; }

  void multiply(const Product& product, const AskRows<T>* ask, int64_t asks) const {
    GemmTiles<T> g{};
    g.m = count;
    g.tile = p.tile;
    g.n = p.nr;
    g.k = p.depth;
    g.a = weights + product.a * p.factor() + row * p.depth;
    g.b = columns + product.b * p.panel();
    g.ldb = p.nr;
    g.c = at(product.to);
    g.ldc = y_row;
    if (product.has_bias && bias != nullptr) g.row_bias = bias + row + product.to / 2 * p.rows;
    if (product.add != kNone) g.add = at(product.add);
    if (product.ends) {
      g.clamps = p.s.ending.clamps();
      g.low = static_cast<T>(p.s.ending.low);
      g.high = static_cast<T>(p.s.ending.high);
    }
    g.ask = ask;
    g.asks = asks;
    kernels<T>().gemm_tiles(g);
  }

  // Product `number` of a pair. It asks for a part of the next pair, and for what is written next.
  void multiply(const Product& product, int64_t number) const {
    AskRows<T> ask[3];
    int64_t asks = 0;
    if (next_x != nullptr) {
      const int64_t from = p.s.channels * number / kPairCost;
      const int64_t rows = p.s.channels * (number + 1) / kPairCost - from;
      const int64_t each = ceil_div(rows, ceil_div(count, p.tile));
      ask[asks++] = {next_x + from * p.plane, p.plane, rows, 2 * p.nr, 0, each};
    }
    if (product.next != kNone) ask[asks++] = {at(product.next), y_row, count, p.nr, 0, p.tile};
    if (number == kPairCost - 1 && next_y != nullptr) {
      ask[asks++] = {next_y + p.nr, y_row, count, p.nr, 0, p.tile};
    }
    multiply(product, ask, asks);
  }

  void make_pair() const {
    constexpr T kAll = static_cast<T>(INFINITY);
    const KernelTable<T>& kernel = kernels<T>();
    int64_t number = 0;
    for (const Product& product : kPairSums) multiply(product, number++);
    kernel.end_rows(count, p.nr, at(kC22), -kAll, kAll, at(kC12), y_row);
    kernel.end_rows(count, p.nr, at(kC21), static_cast<T>(p.s.ending.low),
                    static_cast<T>(p.s.ending.high), at(kC22), y_row);
    for (const Product& product : kPairEnds) multiply(product, number++);
  }

  void make_single() const {
    for (const Product& product : kSingle) multiply(product, nullptr, 0);
  }
};

// A single panel: packed from x, made in a buffer and copied to y.
template <class T>
class Single {
 public:
  Single(const Plan<T>& p, Scratch& scratch)
      : p_(p), runs_(scratch.get<TapRun>(p.nr + 1)), buffer_(scratch.get<T>(p.s.rows * p.nr)) {}

  void pack(int64_t index, const T* x, T* columns) {
    const int64_t panel = p_.panel();
    const int64_t columns_left = std::min(p_.nr, p_.s.n * p_.left - index * p_.nr);
    pieces_ = 0;
    for (int64_t column = 0; column < columns_left; ++pieces_) {
      const int64_t place = index * p_.nr + column;
      const int64_t pixel = place % p_.left;
      const int64_t length = std::min(columns_left - column, p_.left - pixel);
      runs_[pieces_] = {column,
                        length,
                        place / p_.left * p_.s.groups * p_.s.channels * p_.plane,
                        {0, 0, p_.plane - p_.left + pixel}};
      column += length;
    }
    int64_t runs = pieces_;
    if (columns_left < p_.nr)
      runs_[runs++] = {columns_left, p_.nr - columns_left, 0, {INT64_MIN / 4, 0, 0}};  // zeros
    const int64_t size = p_.depth * p_.nr;
    T* b21 = columns + kB21 * panel;
    T* t4 = columns + kT4 * panel;
    kernels<T>().pack_taps(p_.s, x, runs, runs_, columns);
    std::copy_backward(columns + size, columns + 2 * size, b21 + size);
    std::copy_n(b21, size, t4);
    kernels<T>().scale_add(size, T{-1}, columns + kB11 * panel, T{1}, t4);
  }

  void make(Part<T> part, T* y) const {
    part.y = buffer_;
    part.y_row = p_.nr;
    part.make_single();
    for (int64_t i = 0; i < pieces_; ++i) {
      T* to = y + runs_[i].image / p_.s.channels * p_.s.rows + runs_[i].at[2];
      for (const int64_t row : {part.row, p_.rows + part.row}) {
        kernels<T>().copy_rows(part.count, runs_[i].count, buffer_ + row * p_.nr + runs_[i].column,
                               p_.nr, nullptr, T{1}, to + row * p_.plane, p_.plane);
      }
    }
  }

 private:
  const Plan<T>& p_;
  TapRun* runs_;
  T* buffer_;
  int64_t pieces_ = 0;
};

template <class T>
void multiply_all(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  const Plan<T> p{s};
  const int64_t panel = p.panel();
  const int64_t grain = std::min(conv_grain(p.tile * panel), kCutUnit - 1);
  const auto x_of = [&](const Unit& u) {
    return x + u.group * s.channels * p.plane + pair_at(p, u.index, s.groups * s.channels);
  };
  const auto y_of = [&](const Unit& u) {
    return y + u.group * s.rows * p.plane + pair_at(p, u.index, s.groups * s.rows);
  };
  parallel_for(s.groups * p.items(), grain, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    T* columns = scratch.get<T>(kFactors * panel);
    Single<T> single(p, scratch);
    for (int64_t item = begin; item < end;) {
      const Unit unit = unit_of(p, item);
      const int64_t from = ceil_div(item - unit.first, unit.cost);
      const int64_t to = std::min(p.tiles, ceil_div(end - unit.first, unit.cost));
      item = unit.first + unit.cost * p.tiles;
      if (from >= to) continue;
      Part<T> part{p,
                   from * p.tile,
                   std::min(to * p.tile, p.rows) - from * p.tile,
                   packed + unit.group * p.group(),
                   bias == nullptr ? nullptr : bias + unit.group * s.rows,
                   columns,
                   nullptr,
                   p.plane,
                   nullptr,
                   nullptr};
      if (unit.is_pair) {
        const T* left = x_of(unit);
        kernels<T>().strassen_columns(p.depth, left, left + p.depth * p.plane, p.plane, columns,
                                      panel);
        part.y = y_of(unit);
        const Unit next = item < end ? unit_of(p, item) : unit;
        if (item < end && next.is_pair) {
          part.next_x = x_of(next);
          part.next_y = y_of(next);
        }
        part.make_pair();
      } else {
        single.pack(unit.index, x + unit.group * s.channels * p.plane, columns);
        single.make(part, y + unit.group * s.rows * p.plane);
      }
    }
  });
}

// What is added at the end is a pass of its own: quarters of y take several sums.
template <class T>
void run(const TapSum& s, const T* x, const T* packed, const T* bias, T* y) {
  if (s.ending.add == nullptr) {
    multiply_all(s, x, packed, bias, y);
    return;
  }
  end_afterwards(s, y, [&](const TapSum& plain) { multiply_all(plain, x, packed, bias, y); });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_strassen() {
  return {"strassen", applies<T>, packed_size<T>, pack<T>, run<T>, true};
}

template TapSumAlgorithm<float> tap_sum_strassen();
template TapSumAlgorithm<double> tap_sum_strassen();

}  // namespace laminae
