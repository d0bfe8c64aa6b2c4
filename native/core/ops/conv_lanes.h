// What convolutions with images in lanes share.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace laminae {

// Taps [first, first + count) of one dimension.
struct TapRange {
  int64_t first, count;
};

// Those that lie inside x for some grid position in [g, last].
inline TapRange inside(const TapSum& s, int d, int64_t g, int64_t last) {
  const TapDim& t = s.taps[d];
  auto reads = [&](int64_t tap) {
    const int64_t shift = t.offset + tap * t.step;
    return last * s.stride[d] + shift >= 0 && g * s.stride[d] + shift < s.x_size[d];
  };
  TapRange r{0, t.count};
  while (r.count > 0 && !reads(r.first)) ++r.first, --r.count;
  while (r.count > 0 && !reads(r.first + r.count - 1)) --r.count;
  return r;
}

// Images of one group that make the lanes, and the lines of their results to be made.
struct LanesPart {
  int64_t group, image, lanes;
  int64_t first_line, end_line;
};

// The part that this thread makes next, most likely; or this one, if there is none.
inline LanesPart next_part(int64_t images, const LanesPart& part) {
  LanesPart next = part;
  const int64_t image = part.image + num_threads() * part.lanes;
  if (image < images) next.image = image;
  return next;
}

// Memory that is used after some products, asked for by their kernels on the way. Products leave
// the memory idle and what follows them waits for it: tensors that were not used for milliseconds
// are in no cache where others share it. A step of LeNet at batch 256 with images in lanes
// takes 7.5 ms without this (median; least 5.9) and 6.6 with it (6.0), one thread of a Zen 4 core.
template <class T>
class LanesRequests {
 public:
  // `rows` rows of `count` elements, `step` apart.
  void add(const T* at, int64_t count, int64_t step, int64_t rows) {
    if (step == count) {
      count *= rows;
      rows = 1;
    }
    if (count > 0 && rows > 0) areas_[end_++] = {at, count, step, rows};
  }

  // What the next `steps` steps of a kernel ask for; `near`: anything in cache.
  LanesAsk next(int64_t steps, const T* near) {
    if (current_ == end_) return ask_nothing(near);
    Area& area = areas_[current_];
    const int64_t bytes = kernels<T>().lanes_ask_bytes;
    const LanesAsk ask{reinterpret_cast<const char*>(area.at + done_), bytes};
    done_ += steps * bytes / static_cast<int64_t>(sizeof(T));
    if (done_ >= area.count) {
      done_ = 0;
      area.at += area.step;
      if (--area.rows == 0) ++current_;
    }
    return ask;
  }

 private:
  struct Area {
    const T* at;
    int64_t count, step, rows;
  };
  Area areas_[6];
  int current_ = 0, end_ = 0;
  int64_t done_ = 0;
};

// Images of one group as vectors, a lane for each: `lanes` of them, `ld` elements apart; or vectors
// already; or to be made of the gradient of means of tiles, x, and f.
template <class T>
struct LanesSource {
  const T* x;  // of the first image
  int64_t width, lanes, ld;
  bool in_lanes;
  TilesBehind tiles;
  int64_t columns;  // of a line
  const T* f;       // of the first image

  // Asks for elements [first, first + count) of `rows` planes of `size`.
  void request(LanesRequests<T>& requests, int64_t first, int64_t count, int64_t size,
               int64_t rows) const {
    if (!in_lanes) return;
    if (tiles.any) requests.add(f + first * width, count * width, size * width, rows);
    const int64_t part = tiles.any ? 4 : 1;
    requests.add(x + first / part * width, count / part * width, size / part * width, rows);
  }

  // Whether vectors are read where they lie, not made.
  bool lies() const { return in_lanes && !tiles.any; }

  // Elements [first, first + count): where they lie, or made in `room`. Pairs of lines, if of
  // tiles.
  const T* read(int64_t first, int64_t count, T* room) const {
    const KernelTable<T>& kernel = kernels<T>();
    if (tiles.any) {
      kernel.spread_2x2(count / (2 * columns), columns / 2, width, x + first / 4 * width, room);
      kernel.unary_backward(tiles.fn, count * width, f + first * width, room, room);
      return room;
    }
    if (lies()) return x + first * width;
    kernel.images_to_lanes(lanes, count, x + first, ld, room);
    return room;
  }
};

// The planes of one group of some images: `planes` an image, of `size` elements, the group's from
// number `first` on.
struct LanesPlanes {
  int64_t image, lanes;
  int64_t first, planes, size;
  int64_t columns;  // of a line
  int64_t at() const { return (image * planes + first) * size; }
};

template <class T>
LanesSource<T> lanes_source(const T* x, const LanesPlanes& p, bool in_lanes,
                            const TilesBehind& tiles) {
  const T* f = static_cast<const T*>(tiles.f);
  return {tiles.any ? x + p.at() / 4 : x + p.at(),
          kernels<T>().vec_width,
          p.lanes,
          p.planes * p.size,
          in_lanes,
          tiles,
          p.columns,
          tiles.any ? f + p.at() : nullptr};
}

// What a sum reads for a part.
template <class T>
LanesSource<T> lanes_source(const TapSum& s, const T* x, const LanesPart& part) {
  const LanesPlanes p{part.image,  part.lanes, part.group * s.channels, s.groups * s.channels,
                      s.x_plane(), s.x_size[2]};
  return lanes_source(x, p, s.in_lanes, s.read);
}

// What a weight gradient reads for a part: x, and dy.
template <class T>
LanesSource<T> input_source(const ConvShape& s, const T* x, const LanesPart& part) {
  const LanesPlanes p{part.image, part.lanes,   part.group * s.channels_in(),
                      s.c_in,     s.in_plane(), s.in[2]};
  return lanes_source(x, p, s.in_lanes, {});
}
template <class T>
LanesSource<T> gradient_source(const ConvShape& s, const T* dy, const LanesPart& part) {
  const LanesPlanes p{part.image, part.lanes,    part.group * s.channels_out(),
                      s.c_out,    s.out_plane(), s.out[2]};
  return lanes_source(dy, p, s.in_lanes, s.tiles);
}

// The same for images that are made.
template <class T>
struct LanesSink {
  T* y;  // of the first image
  int64_t width, lanes, ld;
  bool in_lanes;
  TilesBehind tiles;
  int64_t columns;
  T* f;

  // Whether vectors are written where they stay, not to `room`.
  bool direct() const { return tiles.any ? f != nullptr : in_lanes; }

  // Where to write vectors from `first` on; then `finish` them.
  T* place(int64_t first, T* room) const {
    return direct() ? (tiles.any ? f : y) + first * width : room;
  }
  void finish(int64_t first, int64_t count, T* room) const {
    const KernelTable<T>& kernel = kernels<T>();
    if (tiles.any) {
      T* from = place(first, room);
      kernel.unary(tiles.fn, count * width, from, from);
      kernel.mean_2x2(count / (2 * columns), columns / 2, width, from, y + first / 4 * width);
    } else if (!in_lanes) {
      kernel.lanes_to_images(lanes, count, room, y + first, ld);
    }
  }

  // Asks for memory for what will be written, as above.
  void request(LanesRequests<T>& requests, int64_t first, int64_t count, int64_t size,
               int64_t rows) const {
    if (!in_lanes) return;
    if (direct()) requests.add(place(first, nullptr), count * width, size * width, rows);
    if (tiles.any) requests.add(y + first / 4 * width, count / 4 * width, size / 4 * width, rows);
  }
  // Requests it at once, for images apart.
  void request(int64_t first, int64_t count) const {
    if (!in_lanes) kernels<T>().prefetch_lanes(lanes, count, y + first, ld);
  }
};

template <class T>
LanesSink<T> lanes_sink(const TapSum& s, T* y, const LanesPart& part) {
  const LanesPlanes p{part.image,        part.lanes,     part.group * s.rows,
                      s.groups * s.rows, s.grid_plane(), s.grid[2]};
  T* f = static_cast<T*>(s.made.f);
  return {s.made.any ? y + p.at() / 4 : y + p.at(),
          kernels<T>().vec_width,
          p.lanes,
          p.planes * p.size,
          s.in_lanes,
          s.made,
          p.columns,
          f == nullptr ? nullptr : f + p.at()};
}

// Winograd's F(M, 5) along lines of `cols` results: 5 at a time, from 9 products, where that saves
// a tenth of those that 4 take, 8 each; it rounds twice as much.
struct LinesTile {
  int64_t outputs;
  explicit LinesTile(int64_t cols)
      : outputs(10 * 9 * ceil_div(cols, 5) <= 9 * 8 * ceil_div(cols, 4) ? 5 : 4) {}
  int64_t points() const { return outputs + 4; }
};

// Lines of results that are made together: tiles take two.
inline int64_t lines_together(const TilesBehind& tiles) { return tiles.any ? 2 : 1; }

// Calls make(part) for all of `lines` lines, in parallel, for tiles in pairs. With fewer groups of
// images than threads, several threads share one, each with its own input.
template <class F>
void for_each_lanes_part(const TapSum& s, int64_t width, int64_t lines, F&& make) {
  const int64_t items = ceil_div(s.n, width) * s.groups;
  const int64_t work = s.rows * s.depth() * s.grid_plane() * width / kConvGrain;
  const int64_t threads = num_threads();
  const int64_t unit = lines_together(s.made);
  const int64_t parts =
      std::max<int64_t>(1, std::min({ceil_div(threads, items), work, lines / unit}));
  parallel_chunks(items * parts, [&](int64_t index) {
    const int64_t part = index % parts;
    const int64_t image = index / parts / s.groups * width;
    make(LanesPart{index / parts % s.groups, image, std::min(width, s.n - image),
                   lines / unit * part / parts * unit,
                   part + 1 == parts ? lines : lines / unit * (part + 1) / parts * unit});
  });
}

// total[i] = the sum of sums[i] [width]; lanes: room for as many as there are sums.
template <class T>
void add_lanes(int64_t count, const T* sums, T* lanes, double* total) {
  const int64_t width = kernels<T>().vec_width;
  kernels<T>().transpose(count, width, sums, width, lanes, count);
  std::fill(total, total + count, 0.0);
  kernels<T>().sum_columns(width, count, lanes, count, total);
}

// out[group][i] = the sum of sums[group][chunk][i], chunk by chunk in order; nullptr: not wanted.
template <class T>
void add_chunks(int64_t groups, int64_t chunks, int64_t count, const double* sums, T* out) {
  if (out == nullptr) return;
  for (int64_t group = 0; group < groups; ++group) {
    for (int64_t i = 0; i < count; ++i) {
      double sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk)
        sum += sums[(group * chunks + chunk) * count + i];
      out[group * count + i] = static_cast<T>(sum);
    }
  }
}

}  // namespace laminae
