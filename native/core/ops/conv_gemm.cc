// A TapSum as a matrix product whose column matrix is never written.
//
//   y [rows, n * grid] = w [rows, depth] * columns [depth, n * grid]
//
// Columns run over images and grid positions alike, so small maps fill the lanes. A panel of
// gemm_nr columns is read where it lies in the images, or packed from there while the panel before
// it is multiplied, and all row tiles are multiplied with it while it is in cache. A tile is stored
// right into y where its panel lies within one image, and by way of a small buffer otherwise.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/tap_weights.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// Some columns next to each other that are stored to one stretch of y.
struct Segment {
  int64_t column, count;
  int64_t to;  // first element in y, for row 0
};

constexpr int64_t kPieces = 2;  // of x or y that a panel covers, to be asked for or copied

// What the tiles of a panel ask for and copy on their way.
template <class T>
struct Ahead {
  AskRows<T> ask[5 * kPieces];
  int64_t asks = 0;
  CopyRows<T> copy[kPieces];
  int64_t copies = 0;
};

// One panel: where its columns come from and where they go.
class Panel {
 public:
  Panel(const TapSum& s, int64_t nr, Scratch& scratch)
      : s_(s),
        nr_(nr),
        runs_(scratch.get<TapRun>(2 * nr + 1)),
        segments_(scratch.get<Segment>(2 * nr)),
        pointwise_(s.is_plain(0) && s.is_plain(1) && s.is_plain(2)) {}

  // Columns [first, first + count) of all of a group.
  void set(int64_t group, int64_t first, int64_t count) {
    group_ = group;
    run_count_ = 0;
    segment_count_ = 0;
    const int64_t plane = s_.grid_plane();
    const int64_t row = s_.grid[2];
    const int64_t x_image = s_.groups * s_.channels * s_.x_plane();
    const int64_t y_image = s_.groups * s_.rows * s_.grid_plane();
    const int64_t x_group = group * s_.channels * s_.x_plane();
    const int64_t y_group = group * s_.rows * plane;
    int64_t image = first / plane;
    int64_t rest = first % plane;
    int64_t g[3] = {rest / row / s_.grid[1], rest / row % s_.grid[1], rest % row};
    for (int64_t column = 0; column < count;) {
      const int64_t length = std::min(count - column, row - g[2]);
      TapRun& run = runs_[run_count_++];
      run = {column,
             length,
             image * x_image + x_group,
             {g[0] * s_.stride[0], g[1] * s_.stride[1], g[2] * s_.stride[2]}};
      if (segment_count_ > 0 && (g[0] > 0 || g[1] > 0 || g[2] > 0)) {
        segments_[segment_count_ - 1].count += length;
      } else {
        const int64_t y_at = (g[0] * s_.grid[1] + g[1]) * row + g[2];
        segments_[segment_count_++] = {column, length, image * y_image + y_group + y_at};
      }
      column += length;
      g[2] += length;
      if (g[2] < row) continue;
      g[2] = 0;
      if (++g[1] < s_.grid[1]) continue;
      g[1] = 0;
      if (++g[0] < s_.grid[0]) continue;
      g[0] = 0;
      ++image;
    }
    if (count < nr_)
      runs_[run_count_++] = {count, nr_ - count, 0, {INT64_MIN / 4, 0, 0}};  // outside: zeros
    count_ = count;
  }

  int64_t group() const { return group_; }

  // Where its columns lie in x [channels][x_plane], if they may be read there; else nullptr.
  // Nothing is packed then: with packing, 144->24 @56 batch 8 takes 8 % longer, 64->256 1 %.
  // Channels that are multiples of 2 KiB apart compete for few sets of the L1 cache: 32->128 @64
  // takes 25 % longer if they are read there.
  template <class T>
  const T* direct(const T* x) const {
    return is_plain() && run_count_ == 1 && is_readable<T>() ? piece(x, 0) : nullptr;
  }

  // Columns that a panel from `first` on may have: twice as many if they are read in x and stay in
  // a part of L1, so that weights are read once for both. 16->96 @112 batch 8 takes 20 % less so.
  template <class T>
  int64_t room(int64_t first) const {
    constexpr int64_t kTogetherBytes = 8 << 10;
    const int64_t bytes = 2 * nr_ * s_.channels * static_cast<int64_t>(sizeof(T));
    const bool fits = first % s_.grid_plane() + 2 * nr_ <= s_.grid_plane();
    return is_readable<T>() && fits && bytes <= kTogetherBytes ? 2 * nr_ : nr_;
  }

  template <class T>
  void pack(const T* x, T* packed) const {
    kernels<T>().pack_taps(s_, x, run_count_, runs_, packed);
  }

  // Has it brought near in the course of `tiles` tiles of another panel; true if packed too.
  template <class T>
  bool bring_near(const T* x, int64_t tiles, T* packed, Ahead<T>& ahead) const {
    constexpr int64_t kMostPace = 8;
    if (!is_plain()) return false;
    const bool copies = tiles > 1 && direct(x) == nullptr;
    const int64_t each = ceil_div(s_.channels, copies ? tiles - 1 : tiles);
    // Spread over half of the steps: memory answers late when it is asked for much at once.
    const int64_t pace = std::clamp<int64_t>(s_.channels / (2 * each * run_count_), 1, kMostPace);
    for (int64_t i = 0; i < run_count_; ++i) {
      const int64_t count = copies ? each : s_.channels;
      ahead.ask[ahead.asks++] = {piece(x, i), s_.x_plane(), count, runs_[i].count, 0, each};
      if (!copies) continue;
      ahead.copy[ahead.copies++] = {
          piece(x, i), s_.x_plane(), s_.channels, runs_[i].count, packed + runs_[i].column,
          each,        pace};
    }
    return copies;
  }

  // Asks for rows [row, row + count) of y, or what is added to it, `each` in each tile from number
  // `first` on; not where they are many small pieces.
  template <class T>
  void ask_for_rows(const T* y, int64_t row, int64_t count, int64_t first, int64_t each,
                    Ahead<T>& ahead) const {
    if (segment_count_ > kPieces) return;
    const int64_t plane = s_.grid_plane();
    for (int64_t i = 0; i < segment_count_; ++i) {
      ahead.ask[ahead.asks++] = {
          y + row * plane + segments_[i].to, plane, count, segments_[i].count, first, each};
    }
  }

  // Rows [row, row + rows) of y = weights [tiles][depth][tile] * columns [depth][ld] + bias, with
  // the ending; weights and bias of the first of them. buffer holds tile * nr elements.
  template <class T>
  void multiply(int64_t row, int64_t rows, int64_t tile, const T* weights, const T* columns,
                int64_t ld, const T* bias, T* y, T* buffer, const Ahead<T>& ahead) const {
    const int64_t plane = s_.grid_plane();
    GemmTiles<T> g = {rows,    tile,  count_,    s_.depth(), weights,    columns,     ld,
                      nullptr, plane, bias,      nullptr,    nullptr,    false,       T{0},
                      T{0},    0,     ahead.ask, ahead.asks, ahead.copy, ahead.copies};
    if (segment_count_ == 1) {
      const int64_t at = row * plane + segments_[0].to;
      g.c = y + at;
      const Ending& ending = s_.ending;
      if (ending.add != nullptr) g.add = static_cast<const T*>(ending.add) + at;
      g.clamps = ending.clamps();
      g.low = static_cast<T>(ending.low);
      g.high = static_cast<T>(ending.high);
      kernels<T>().gemm_tiles(g);
      return;
    }
    g.c = buffer;
    g.ldc = nr_;
    for (const int64_t end = row + rows; row < end; row += tile) {
      g.m = std::min(tile, end - row);
      kernels<T>().gemm_tiles(g);
      g.a += tile * g.k;
      if (bias != nullptr) g.row_bias += tile;
      ++g.number;
      for (int64_t i = 0; i < segment_count_; ++i) {
        const Segment& segment = segments_[i];
        T* at = y + row * plane + segment.to;
        kernels<T>().copy_rows(g.m, segment.count, buffer + segment.column, nr_, nullptr, T{1}, at,
                               plane);
        end_rows(s_.ending, g.m, segment.count, y, at, plane);
      }
    }
  }

 private:
  template <class T>
  bool is_readable() const {
    constexpr int64_t kNear = 128, kApart = 2048;  // bytes
    return pointwise_ && shift_of<T>(s_.x_plane(), kApart) >= kNear;
  }
  // Whether it consists of few pieces of x, full of columns.
  bool is_plain() const { return pointwise_ && run_count_ <= kPieces && count_ % nr_ == 0; }
  template <class T>
  const T* piece(const T* x, int64_t i) const {
    return x + runs_[i].image + runs_[i].at[2];
  }

  const TapSum& s_;
  int64_t nr_;
  TapRun* runs_;
  Segment* segments_;
  bool pointwise_;
  int64_t group_ = 0;
  int64_t run_count_ = 0;
  int64_t segment_count_ = 0;
  int64_t count_ = 0;
};

bool applies(const TapSum&) { return true; }

template <class T>
using Weights = TapWeights<T, &KernelTable<T>::gemm_mr>;

// y with the ending of s.
template <class T>
void multiply_all(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const int64_t nr = kernels<T>().gemm_nr;
  const int64_t depth = s.depth();
  const int64_t tile = Weights<T>::tile(s);
  const int64_t tiles = (s.rows + tile - 1) / tile;
  const int64_t columns = s.n * s.grid_plane();
  const int64_t panels = (columns + nr - 1) / nr;

  // Tiles [begin, end) of a panel.
  auto multiply = [&](const Panel& panel, int64_t begin, int64_t end, const T* from, int64_t ld,
                      T* buffer, const Ahead<T>& ahead) {
    const int64_t row = begin * tile;
    panel.multiply(row, std::min(end * tile, s.rows) - row, tile,
                   weights + (panel.group() * tiles + begin) * tile * depth, from, ld,
                   bias == nullptr ? nullptr : bias + panel.group() * s.rows + row, y, buffer,
                   ahead);
  };

  if (s.groups * panels >= tiles) {
    // Cut between vectors, so that an odd number of panels is shared evenly too. Not in kCutUnits
    // of them, which are many panels.
    const int64_t width = kernels<T>().vec_width;
    const int64_t vectors = ceil_div(columns, width);
    const int64_t grain = std::min(conv_grain(s.rows * depth * width), kCutUnit - 1);
    parallel_for(s.groups * vectors, grain, [&](int64_t begin, int64_t end) {
      Scratch own;
      T* packed[2] = {own.get<T>(nr * depth), own.get<T>(nr * depth)};
      T* buffer = own.get<T>(nr * tile);
      Panel both[2] = {Panel(s, nr, own), Panel(s, nr, own)};
      int64_t i = begin;  // vectors before it are in a panel
      auto set = [&](Panel& panel) {
        if (i >= end) return false;
        const int64_t vector = i % vectors;
        const int64_t last = std::min(columns, (vector + end - i) * width);
        const int64_t left = last - vector * width;
        const int64_t room = panel.template room<T>(vector * width);
        const int64_t count = std::min(left < room ? nr : room, left);
        panel.set(i / vectors, vector * width, count);
        i += ceil_div(count, width);
        return true;
      };
      bool is_packed = false;
      bool more = set(both[0]);
      for (int current = 0; more; current ^= 1) {
        const Panel& now = both[current];
        Panel& next = both[current ^ 1];
        const T* in_x = now.direct(x);
        if (in_x == nullptr && !is_packed) now.pack(x, packed[current]);
        more = set(next);
        Ahead<T> ahead;
        for (const T* rows : {static_cast<const T*>(y), static_cast<const T*>(s.ending.add)}) {
          if (rows == nullptr) continue;
          now.ask_for_rows(rows, tile, s.rows - tile, 0, tile, ahead);
          if (more) next.ask_for_rows(rows, 0, tile, tiles - 1, tile, ahead);
        }
        is_packed = more && next.bring_near(x, tiles, packed[current ^ 1], ahead);
        if (in_x == nullptr) {
          multiply(now, 0, tiles, packed[current], nr, buffer, ahead);
        } else {
          multiply(now, 0, tiles, in_x, s.x_plane(), buffer, ahead);
        }
      }
    });
    return;
  }
  // A small map with many channels: pack the few panels once, split the rows.
  for (int64_t group = 0; group < s.groups; ++group) {
    Scratch shared;
    T* packed = shared.get<T>(panels * nr * depth);
    auto set = [&](Panel& panel, int64_t p) {
      panel.set(group, p * nr, std::min(nr, columns - p * nr));
    };
    parallel_for(panels, row_grain(nr * depth), [&](int64_t begin, int64_t end) {
      Scratch own;
      Panel panel(s, nr, own);
      for (int64_t p = begin; p < end; ++p) {
        set(panel, p);
        panel.pack(x, packed + p * nr * depth);
      }
    });
    parallel_for(tiles, conv_grain(columns * depth * tile), [&](int64_t begin, int64_t end) {
      Scratch own;
      T* buffer = own.get<T>(nr * tile);
      Panel panel(s, nr, own);
      for (int64_t p = 0; p < panels; ++p) {
        set(panel, p);
        multiply(panel, begin, end, packed + p * nr * depth, nr, buffer, {});
      }
    });
  }
}

// What is added is read by the tiles if planes are whole cache lines: 64->256 @56 batch 8 takes 20
// % less so. Where they are not, a pass of its own reads it with fewer lines: 256->1024 @14 takes 3
// to 10 % less so.
template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  constexpr int64_t kLine = 64;
  if (s.ending.add == nullptr || s.grid_plane() * static_cast<int64_t>(sizeof(T)) % kLine == 0) {
    multiply_all(s, x, weights, bias, y);
    return;
  }
  end_afterwards(s, y, [&](const TapSum& plain) { multiply_all(plain, x, weights, bias, y); });
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_gemm() {
  return {"gemm", applies, Weights<T>::size, Weights<T>::pack, run<T>, true};
}

template TapSumAlgorithm<float> tap_sum_gemm();
template TapSumAlgorithm<double> tap_sum_gemm();

}  // namespace laminae
