// Reading and writing at lists of positions: what indexing by tensors, embeddings and boolean masks
// come down to.
//
// A place is offsets[b] + an outer offset + an inner offset: index_read copies the elements at all
// places to y [outer, count, inner], index_write brings them back, overwriting or adding. Places
// may repeat: the list is worked through in order and threads share only outer and inner positions,
// which are distinct, so the last write wins and sums have one order, whatever the number of
// threads.
#include "core/integer.h"
#include "core/op.h"
#include "core/ops/strided.h"
#include "core/ops/wrapping.h"
#include "core/parallel.h"

namespace laminae {

namespace {

// The dimensions around the indexed ones.
template <class Desc>
struct Places {
  explicit Places(const Desc& d)
      : outer(d.outer_rank, d.outer_shape, {d.outer_strides}),
        inner(d.inner_rank, d.inner_shape, {d.inner_strides}),
        outer_count(checked_product(d.outer_shape, d.outer_rank)),
        inner_count(checked_product(d.inner_shape, d.inner_rank)),
        // Behind the first element of a place, those of the outer and inner dimensions still
        // follow.
        reach(strided_extent(d.outer_rank, d.outer_shape, d.outer_strides) +
              strided_extent(d.inner_rank, d.inner_shape, d.inner_strides) - 2) {}

  StridedWalk<1> outer;
  StridedWalk<1> inner;
  int64_t outer_count;
  int64_t inner_count;
  int64_t reach;
};

// Elements of x that the list touches; refuses offsets that are not whole numbers >= 0.
int64_t extent_of(const Call& call, const double* offsets, int64_t count, int64_t reach) {
  double last = -1;
  for (int64_t b = 0; b < count; ++b) {
    const double offset = offsets[b];
    call.require(offset >= 0 && offset <= 9e15 &&
                     offset == static_cast<double>(static_cast<int64_t>(offset)),
                 "offsets must be whole numbers >= 0");
    if (offset > last) last = offset;
  }
  return static_cast<int64_t>(last) + reach + 1;
}

// Calls row(o, offset) for the outer positions in [begin, end).
template <class Walk, class Row>
void each_outer(const Walk& outer, int64_t begin, int64_t end, Row&& row) {
  const int64_t length = outer.row_length();
  outer.each(begin / length, ceil_div(end, length), [&](int64_t r, const int64_t* base) {
    const int64_t first = r * length < begin ? begin : r * length;
    const int64_t last = (r + 1) * length > end ? end : (r + 1) * length;
    for (int64_t o = first; o < last; ++o) row(o, base[0] + (o - r * length) * outer.step(0));
  });
}

}  // namespace

void run_index_read(const index_read_desc& d, Call& call) {
  const Places<index_read_desc> places(d);
  const double* offsets = call.in<double>(index_read_buf::offsets, d.count);
  call.require_apart(index_read_buf::offsets, index_read_buf::y);
  dispatch_all(call.dtype(index_read_buf::x), [&](auto tag) {
    using T = decltype(tag);
    T* y = call.out<T>(index_read_buf::y, volume(places.outer_count, d.count, places.inner_count));
    if (places.outer_count == 0 || d.count == 0 || places.inner_count == 0) return;
    const T* x = call.in<T>(index_read_buf::x, extent_of(call, offsets, d.count, places.reach));
    const int64_t length = places.inner.row_length();
    const int64_t step = places.inner.step(0);
    const auto read = [&](const T* from, T* to) {
      places.inner.each(0, places.inner.rows(), [&](int64_t r, const int64_t* at) {
        for (int64_t i = 0; i < length; ++i) to[r * length + i] = from[at[0] + i * step];
      });
    };
    parallel_for(places.outer_count * d.count, row_grain(places.inner_count),
                 [&](int64_t begin, int64_t end) {
                   each_outer(places.outer, begin / d.count, ceil_div(end, d.count),
                              [&](int64_t o, int64_t base) {
                                const int64_t first = o * d.count < begin ? begin - o * d.count : 0;
                                const int64_t last =
                                    (o + 1) * d.count > end ? end - o * d.count : d.count;
                                for (int64_t b = first; b < last; ++b) {
                                  read(x + base + static_cast<int64_t>(offsets[b]),
                                       y + (o * d.count + b) * places.inner_count);
                                }
                              });
                 });
  });
}

void run_index_write(const index_write_desc& d, Call& call) {
  const Places<index_write_desc> places(d);
  const double* offsets = call.in<double>(index_write_buf::offsets, d.count);
  call.require_apart(index_write_buf::offsets, index_write_buf::x);
  dispatch_all(call.dtype(index_write_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const T* y =
        call.in<T>(index_write_buf::y, volume(places.outer_count, d.count, places.inner_count));
    if (places.outer_count == 0 || d.count == 0 || places.inner_count == 0) return;
    T* x = call.out<T>(index_write_buf::x, extent_of(call, offsets, d.count, places.reach));
    const int64_t length = places.inner.row_length();
    const int64_t step = places.inner.step(0);
    // Elements [from, to) of every inner row.
    const auto write = [&](int64_t outer_begin, int64_t outer_end, int64_t from, int64_t to) {
      each_outer(places.outer, outer_begin, outer_end, [&](int64_t o, int64_t base) {
        for (int64_t b = 0; b < d.count; ++b) {
          T* place = x + base + static_cast<int64_t>(offsets[b]);
          const T* source = y + (o * d.count + b) * places.inner_count;
          places.inner.each(0, places.inner.rows(), [&](int64_t r, const int64_t* at) {
            T* p = place + at[0];
            const T* q = source + r * length;
            if (d.accumulate != 0) {
              for (int64_t i = from; i < to; ++i) p[i * step] = wrapping_add(p[i * step], q[i]);
            } else {
              for (int64_t i = from; i < to; ++i) p[i * step] = q[i];
            }
          });
        }
      });
    };
    if (places.outer_count > 1) {
      parallel_for(places.outer_count, row_grain(d.count * places.inner_count),
                   [&](int64_t begin, int64_t end) { write(begin, end, 0, length); });
    } else {
      parallel_for(length, row_grain(d.count * places.inner.rows()),
                   [&](int64_t begin, int64_t end) { write(0, 1, begin, end); });
    }
  });
}

}  // namespace laminae
