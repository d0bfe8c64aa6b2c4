// A TapSum as a matrix product whose column matrix is never written.
//
//   y [rows, n * grid] = w [rows, depth] * columns [depth, n * grid]
//
// Columns run over images and grid positions alike, so small maps fill the lanes. A panel of
// gemm_nr columns is packed straight from the images, by the first row tile if it is a piece of
// them as it is, and all row tiles are multiplied with it while it is in cache. A tile is stored
// right into y where its panel lies within one image, and by way of a small buffer otherwise.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

// Some columns next to each other that are stored to one stretch of y.
struct Segment {
  int64_t column, count;
  int64_t to;  // first element in y, for row 0
};

constexpr int64_t kPieces = 2;  // of y or x that a panel covers, to be asked for

// What a tile asks for on its way.
template <class T>
struct AheadList {
  AheadRows<T> list[2 * kPieces];
  int64_t count = 0;
  void add(const AheadRows<T>& ahead) { list[count++] = ahead; }
  // `rows` rows of each of the others, `offset` behind them.
  void add(const AheadList& others, int64_t offset, int64_t rows) {
    for (int64_t i = 0; i < others.count; ++i) {
      const AheadRows<T>& other = others.list[i];
      add({other.at + offset, other.step, rows, other.width});
    }
  }
};

// One panel: where its columns come from and where they go.
class Panel {
 public:
  Panel(const TapSum& s, int64_t nr, Scratch& scratch)
      : s_(s), nr_(nr), runs_(scratch.get<TapRun>(nr + 1)), segments_(scratch.get<Segment>(nr)) {
    for (int d = 0; d < 3; ++d) {
      pointwise_ = pointwise_ && s.taps[d].count == 1 && s.taps[d].offset == 0 &&
                   s.stride[d] == 1 && s.grid[d] == s.x_size[d];
    }
  }

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

  template <class T>
  void pack(const T* x, T* packed) const {
    kernels<T>().pack_taps(s_, x, run_count_, runs_, packed);
  }

  // Where the panel lies in x [channels][x_plane] as it is; nullptr if it does not.
  template <class T>
  const T* unpacked(const T* x) const {
    const bool whole = pointwise_ && run_count_ == 1 && count_ == nr_;
    return whole ? x + runs_[0].image + runs_[0].at[2] : nullptr;
  }

  // Asks for `rows` rows of y, which are made next, or for channels [channel, channel + count) of
  // x, which are packed next; not where they are many small pieces.
  template <class T>
  void ask_for_rows(const T* y, int64_t rows, AheadList<T>& list) const {
    if (segment_count_ > kPieces) return;
    for (int64_t i = 0; i < segment_count_; ++i) {
      list.add({y + segments_[i].to, s_.grid_plane(), rows, segments_[i].count});
    }
  }
  template <class T>
  void ask_for_channels(const T* x, int64_t channel, int64_t count, AheadList<T>& list) const {
    if (!pointwise_ || segment_count_ > kPieces) return;
    for (int64_t i = 0; i < segment_count_; ++i) {
      list.add({x + channel * s_.x_plane() + runs_[i].image + runs_[i].at[2], s_.x_plane(), count,
                runs_[i].count});
    }
  }

  // As multiply, for the first tile of a panel that lies in x as it is; packs it on the way.
  template <class T>
  void pack_and_multiply(const T* from, int64_t rows, const T* weights, int64_t ld, T* packed,
                         const T* bias, T* y, const AheadList<T>& ahead) const {
    kernels<T>().gemm_tile_packing(rows, s_.channels, weights, ld, from, s_.x_plane(), packed,
                                   y + segments_[0].to, s_.grid_plane(), bias, ahead.list,
                                   ahead.count);
  }

  // y (of row 0 of the tile) = weights [depth][ld] * packed + bias; buffer holds rows * nr
  // elements.
  template <class T>
  void multiply(int64_t rows, const T* weights, int64_t ld, const T* packed, const T* bias, T* y,
                T* buffer, const AheadList<T>& ahead) const {
    const int64_t plane = s_.grid_plane();
    if (segment_count_ == 1) {
      kernels<T>().gemm_tile(rows, count_, s_.depth(), weights, ld, packed, y + segments_[0].to,
                             plane, false, bias, nullptr, ahead.list, ahead.count);
      return;
    }
    kernels<T>().gemm_tile(rows, count_, s_.depth(), weights, ld, packed, buffer, nr_, false, bias,
                           nullptr, ahead.list, ahead.count);
    for (int64_t i = 0; i < segment_count_; ++i) {
      const Segment& segment = segments_[i];
      kernels<T>().copy_rows(rows, segment.count, buffer + segment.column, nr_, nullptr, T{1},
                             y + segment.to, plane);
    }
  }

 private:
  const TapSum& s_;
  int64_t nr_;
  TapRun* runs_;
  Segment* segments_;
  bool pointwise_ = true;
  int64_t group_ = 0;
  int64_t run_count_ = 0;
  int64_t segment_count_ = 0;
  int64_t count_ = 0;
};

constexpr int64_t kAskingTiles = 4;  // the last tiles of a panel ask for the channels of the next
// Two panels that stay in L1 beside the rows of a tile take turns, so that rows are read once for
// both.
constexpr int64_t kTogetherBytes = 24 << 10;

bool applies(const TapSum&) { return true; }

template <class T>
int64_t tile_of(const TapSum& s) {
  return balanced_tile(s.rows, kernels<T>().gemm_mr);
}

template <class T>
int64_t packed_size(const TapSum& s) {
  return tap_weights_size(s, tile_of<T>(s));
}

template <class T>
void pack(const TapSum& s, const T* w, T* packed) {
  pack_tap_weights(s, w, tile_of<T>(s), packed);
}

template <class T>
void run(const TapSum& s, const T* x, const T* weights, const T* bias, T* y) {
  const int64_t nr = kernels<T>().gemm_nr;
  const int64_t depth = s.depth();
  const int64_t tile = tile_of<T>(s);
  const int64_t tiles = (s.rows + tile - 1) / tile;
  const int64_t columns = s.n * s.grid_plane();
  const int64_t panels = (columns + nr - 1) / nr;

  auto tile_rows = [&](int64_t t) { return std::min(tile, s.rows - t * tile); };
  auto tile_weights = [&](const Panel& panel, int64_t t) {
    return weights + (panel.group() * tiles + t) * tile * depth;
  };
  auto tile_bias = [&](const Panel& panel, int64_t t) {
    return bias == nullptr ? nullptr : bias + panel.group() * s.rows + t * tile;
  };
  auto tile_y = [&](int64_t t) { return y + t * tile * s.grid_plane(); };
  auto multiply = [&](const Panel& panel, int64_t t, const T* packed, T* buffer,
                      const AheadList<T>& ahead) {
    panel.multiply(tile_rows(t), tile_weights(panel, t), tile, packed, tile_bias(panel, t),
                   tile_y(t), buffer, ahead);
  };

  if (s.groups * panels >= tiles) {
    // Cut between vectors, so that an odd number of panels is shared evenly too. Not in kCutUnits
    // of them, which are many panels.
    const int64_t width = kernels<T>().vec_width;
    const int64_t vectors = ceil_div(columns, width);
    const int64_t grain = std::min(conv_grain(s.rows * depth * width), kCutUnit - 1);
    const int64_t together =
        2 * nr * depth * static_cast<int64_t>(sizeof(T)) <= kTogetherBytes ? 2 : 1;
    parallel_for(s.groups * vectors, grain, [&](int64_t begin, int64_t end) {
      Scratch own;
      T* packed[2] = {own.get<T>(nr * depth), own.get<T>(together == 2 ? nr * depth : 0)};
      T* buffer = own.get<T>(nr * tile);
      struct Group {
        Panel panels[2];
        int64_t count;
      } both[2] = {{{Panel(s, nr, own), Panel(s, nr, own)}, 0},
                   {{Panel(s, nr, own), Panel(s, nr, own)}, 0}};
      int64_t i = begin;  // vectors before it are in a group of panels
      auto fill = [&](Group& group) {
        for (group.count = 0; group.count < together && i < end; ++group.count) {
          const int64_t vector = i % vectors;
          const int64_t last = std::min(columns, (vector + end - i) * width);
          const int64_t count = std::min(nr, last - vector * width);
          group.panels[group.count].set(i / vectors, vector * width, count);
          i += ceil_div(count, width);
        }
      };
      const int64_t asking = std::min(tiles, kAskingTiles);
      const int64_t share = ceil_div(s.channels, asking);
      const int64_t tile_step = tile * s.grid_plane();
      int current = 0;
      for (fill(both[0]); both[current].count > 0; current ^= 1) {
        const Group& now = both[current];
        Group& next = both[current ^ 1];
        fill(next);
        AheadList<T> rows[2] = {};  // of y that the panels make first
        for (int64_t q = 0; q < now.count; ++q) now.panels[q].ask_for_rows(y, tile, rows[q]);
        for (int64_t t = 0; t < tiles; ++t) {
          const int64_t channel = (t + asking - tiles) * share;
          for (int64_t q = 0; q < now.count; ++q) {
            const Panel& panel = now.panels[q];
            AheadList<T> ahead;
            if (q + 1 < now.count) {
              ahead.add(rows[q + 1], t * tile_step, tile_rows(t));
            } else if (t + 1 < tiles) {
              ahead.add(rows[0], (t + 1) * tile_step, tile_rows(t + 1));
            } else if (next.count > 0) {
              next.panels[0].ask_for_rows(y, tile_rows(0), ahead);
            }
            if (channel >= 0 && channel < s.channels && q < next.count) {
              next.panels[q].ask_for_channels(x, channel, std::min(share, s.channels - channel),
                                              ahead);
            }
            const T* unpacked = t > 0 ? nullptr : panel.unpacked(x);
            if (unpacked != nullptr) {
              panel.pack_and_multiply(unpacked, tile_rows(0), tile_weights(panel, 0), tile,
                                      packed[q], tile_bias(panel, 0), y, ahead);
              continue;
            }
            if (t == 0) panel.pack(x, packed[q]);
            multiply(panel, t, packed[q], buffer, ahead);
          }
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
    parallel_for(panels, conv_grain(4 * nr * depth), [&](int64_t begin, int64_t end) {
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
        for (int64_t t = begin; t < end; ++t) {
          multiply(panel, t, packed + p * nr * depth, buffer, {});
        }
      }
    });
  }
}

}  // namespace

template <class T>
TapSumAlgorithm<T> tap_sum_gemm() {
  return {"gemm", applies, packed_size<T>, pack<T>, run<T>};
}

template TapSumAlgorithm<float> tap_sum_gemm();
template TapSumAlgorithm<double> tap_sum_gemm();

}  // namespace laminae
