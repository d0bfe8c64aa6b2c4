// to_lanes: images as vectors, a lane for each, or back.
#include "core/integer.h"
#include "core/kernels.h"
#include "core/op.h"
#include "core/parallel.h"

namespace laminae {

void run_to_lanes(const to_lanes_desc& d, Call& call) {
  dispatch_float(call, call.dtype(to_lanes_buf::x), [&](auto tag) {
    using T = decltype(tag);
    const KernelTable<T>& kernel = kernels<T>();
    const int64_t width = kernel.vec_width;
    call.require(d.n >= 0 && d.size >= 0, "sizes must not be negative");
    call.require(d.lanes == width, "lanes must be those of a vector");
    call.require(d.n % width == 0, "lanes need whole vectors");
    const int64_t total = volume(d.n, d.size, 1, 1, 1);
    const T* x = call.in<T>(to_lanes_buf::x, total);
    T* y = call.out<T>(to_lanes_buf::y, total);
    if (total == 0) return;
    // Pieces of whole blocks of a transposition; several of each group, as groups may be few.
    constexpr int64_t kPiece = 256;
    const int64_t pieces = ceil_div(d.size, kPiece);
    const int64_t grain = ceil_div(kElementGrain, kPiece * width);
    parallel_for(d.n / width * pieces, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t group = i / pieces * width * d.size;
        const int64_t first = i % pieces * kPiece;
        const int64_t count = std::min(kPiece, d.size - first);
        if (d.back != 0) {
          kernel.lanes_to_images(width, count, x + group + first * width, y + group + first,
                                 d.size);
        } else {
          kernel.images_to_lanes(width, count, x + group + first, d.size,
                                 y + group + first * width);
        }
      }
    });
  });
}

}  // namespace laminae
