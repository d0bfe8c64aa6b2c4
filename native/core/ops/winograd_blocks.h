// Sums over channels by Winograd's algorithm in blocks of tiles: what forward passes and input
// gradients share (conv_winograd.cc, conv_winograd_strided.cc, conv_winograd_strided_input.cc).
//
//   1. input     rows of x, transposed to channels in lanes and with zeros around them, -> V
//                [frequencies or places][channel blocks][tiles][width]
//   2. products  M = V U, [tiles, channels] [channels, rows] each -> M [frequencies or places][row
//                blocks][tiles][width]
//   3. output    lines of y, transposed back
//
// Tiles are taken in blocks whose V and M stay in L2 for few channels; for many, one pass over all
// of U per block is what counts, so blocks are larger. Every thread takes whole blocks when there
// are enough tiles, else the phases of one block are split over channels or products. Neither shows
// in the bits.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/conv.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/ops/winograd.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

// A sum of n images and groups: `rows` planes of y from `channels` planes of x.
struct BlockSizes {
  int64_t n, groups, channels, rows;
  int64_t x_plane, y_plane;
  int64_t width, nr;
  int64_t channel_blocks = ceil_div(channels, width);  // vectors
  int64_t panels = ceil_div(rows, nr);

  // Rows of tiles [first, last) of block `block` of channels or rows of a group, and its bias.
  template <class T>
  TileRows<const T> input(const T* x, int64_t group, int64_t block, int64_t first,
                          int64_t last) const {
    const int64_t channel = block * width;
    return {x + (group * channels + channel) * x_plane, groups * channels * x_plane,
            std::min(width, channels - channel), first, last};
  }
  template <class T>
  TileRows<T> output(T* y, int64_t group, int64_t block, int64_t first, int64_t last) const {
    const int64_t row = block * width;
    return {y + (group * rows + row) * y_plane, groups * rows * y_plane,
            std::min(width, rows - row), first, last};
  }
  template <class T>
  const T* bias(const T* all, int64_t group, int64_t block) const {
    return all == nullptr ? nullptr : all + group * rows + block * width;
  }

  int64_t row_blocks() const { return panels * (nr / width); }
  int64_t place_size() const { return channel_blocks * width * nr; }  // of a panel of U
};

template <class T>
BlockSizes block_sizes(const TapSum& s) {
  return {s.n,
          s.groups,
          s.channels,
          s.rows,
          s.x_plane(),
          s.grid_plane(),
          kernels<T>().vec_width,
          kernels<T>().gemm_nr};
}

// A product of a block of tiles: vectors of channels, and where its V, U and M are, the latter two
// for the first panel of rows.
struct BlockProduct {
  int64_t blocks, v, u, m;
  int64_t chain = blocks;  // vectors of channels added in one chain
};

// fn(i) for i in [0, count), by all threads, `grain` at least by each.
template <class F>
void parallel_items(int64_t count, int64_t grain, F&& fn) {
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) fn(i);
  });
}

// Calls fn(group, first, last) for blocks of rows of tiles of each group, about `most` tiles each.
// A whole number of blocks for every thread, if that leaves tiles enough: what a block makes and
// threads share crosses from core to core twice. 64->64 @56 batch 1 takes 0.20 ms instead of 0.34
// on two threads, 128->128 @28 batch 8 1.35 instead of 1.75.
template <class F>
void tile_blocks(int64_t groups, int64_t tile_rows, int64_t tile_cols, int64_t most, F&& fn) {
  constexpr int64_t kMinShareTiles = 28;
  int64_t blocks = ceil_div(tile_rows, std::max<int64_t>(1, most / tile_cols));
  const int64_t shared = ceil_div(groups * blocks, num_threads()) * num_threads() / groups;
  const bool whole =
      shared > 0 && tile_rows * tile_cols >= kMinShareTiles * shared && shared <= tile_rows;
  if (whole) blocks = std::max(blocks, shared);
  const auto run = [&](int64_t i) {
    const int64_t b = i % blocks;
    fn(i / blocks, b * tile_rows / blocks, (b + 1) * tile_rows / blocks);
  };
  const int64_t items = groups * blocks;
  if (whole || items >= 4 * num_threads()) {
    parallel_chunks(items, run);
  } else {
    for (int64_t i = 0; i < items; ++i) run(i);
  }
}

// Writes rows of tiles of y, cut into tiles as `map` says: make(m, bias, top, lines, pixels) makes
// lines [top, top + lines) of a row of tiles, with channels in lanes. m: the products of the first
// tile; bias: of the first plane, or null.
template <class T, class Make>
void write_tiles(const TileMap& map, const T* m, const T* bias, const TileRows<T>& y, Make&& make) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t width = kernel.vec_width;
  const int64_t plane = map.height * map.width;
  Scratch scratch;
  T* lane_bias = scratch.get<T>(width);
  T* pixels = scratch.get<T>(map.size * map.width * width);
  std::fill(lane_bias, lane_bias + width, T{0});
  if (bias != nullptr) std::copy(bias, bias + y.lanes, lane_bias);
  map.each_image(y.first, y.last,
                 [&](int64_t image, int64_t tile_row, int64_t count, int64_t tile) {
                   for (int64_t i = 0; i < count; ++i) {
                     const int64_t line = (tile_row + i) * map.size + map.top;
                     const int64_t top = line < 0 ? -line : 0;
                     const int64_t lines = std::min(line + map.size, map.height) - line - top;
                     T* to = y.planes + image * y.image_step + (line + top) * map.width;
                     kernel.prefetch_lanes(y.lanes, lines * map.width, to, plane);
                     make(m + (tile + i * map.tile_cols) * width, lane_bias, top, lines, pixels);
                     kernel.lanes_to_images(y.lanes, lines * map.width, pixels, to, plane);
                   }
                 });
}

// Makes y from x with transformed weights u. A plan says what is special:
//   sizes, x_map                     the sum, and how x is cut into tiles
//   tile_elements()                  of a tile in the larger of V and M
//   v_elements(n), m_elements(n)     with n for each frequency or place
//   u_group(), u_panel()             distances in U
//   products()                       for each panel of rows
//   product(i, v_size, m_size)       number i of them, with so many elements for each frequency or
//                                    place of V and M
//   input(x, v, v_size)              transforms a block of channels
//   output(m, m_size, bias, y)       transforms a block of rows
template <class T, class Plan>
void run_blocks(const Plan& plan, const T* x, const T* u, const T* bias, T* y) {
  constexpr int64_t kBlockElements = 1 << 18;  // 1 MiB
  constexpr int64_t kMinBlockTiles = 56;
  const BlockSizes& s = plan.sizes;
  const TileMap& map = plan.x_map;
  const auto run = [&](int64_t group, int64_t first, int64_t last) {
    const int64_t tiles = (last - first) * map.tile_cols;
    const int64_t block = tiles * s.width;
    const int64_t v_size = s.channel_blocks * block;
    const int64_t m_size = s.row_blocks() * block;
    Scratch scratch;
    T* v = scratch.get<T>(plan.v_elements(v_size));
    T* m = scratch.get<T>(plan.m_elements(m_size));
    parallel_items(s.channel_blocks, row_grain(plan.v_elements(block)), [&](int64_t i) {
      plan.input(s.input(x, group, i, first, last), v + i * block, v_size);
    });
    const int64_t work = plan.product(0, v_size, m_size).blocks * s.width * s.nr * tiles;
    parallel_items(plan.products() * s.panels, conv_grain(work), [&](int64_t i) {
      const int64_t panel = i % s.panels;
      const BlockProduct p = plan.product(i / s.panels, v_size, m_size);
      const T* from = u + group * plan.u_group() + panel * plan.u_panel() + p.u;
      multiply_tiles(tiles, p.blocks, p.chain, v + p.v, from, from + plan.u_panel(),
                     m + p.m + panel * s.nr * tiles);
    });
    parallel_items(s.row_blocks(), row_grain(plan.m_elements(block)), [&](int64_t i) {
      if (i * s.width >= s.rows) return;
      plan.output(m + i * block, m_size, s.bias(bias, group, i),
                  s.output(y, group, i, first, last));
    });
  };
  tile_blocks(s.groups, s.n * map.tile_rows, map.tile_cols,
              std::max(kMinBlockTiles, kBlockElements / plan.tile_elements()), run);
}

}  // namespace laminae
