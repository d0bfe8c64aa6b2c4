// Weight gradient of pointwise convolutions: a product of two matrices along all pixels that are
// read.
//
//   dw[oc][ic] = sum over pixels p of all images of  dy[oc][p] x[ic][p]
//
// One side is packed to panels [pixel][gemm_nr], the other is read where it lies, in tiles of
// gemm_mr rows (kernels/conv_weight_rows.inl). If x is packed, tiles are stored right into dw; if
// dy is, what they make has to be transposed. The cheaper way is taken.
//
// A unit of some hundred pixels is packed at a time: its panels stay in a part of L2, the rows of a
// tile are near for all panels, and no chain of multiply-adds is longer than that.
//
// Threads: panels go to blocks, and where there are many pixels, they go to chunks with sums of
// their own. Items are blocks of chunks. Everything depends on the shape alone.
#include <algorithm>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/integer.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kItems = 8;
constexpr int64_t kUnitPixels = 784;       // of rows: 43 KiB a tile
constexpr int64_t kUnitBytes = 384 << 10;  // of panels: a part of L2
constexpr int64_t kMostPanels = 8;         // of an item, so that units stay long
constexpr int64_t kChunkPixels = 784;      // worth sums of their own
constexpr int64_t kLeastPixels = 192;      // of a chunk that is made to have more items
constexpr int64_t kCopied = 1 << 22;       // elements of x, where there is a stride: 16 MiB
constexpr int64_t kSumBlock = 4096;        // elements added up at a time: in L1

// x or dy.
template <class T>
struct Side {
  const T* data;
  int64_t channels;  // of a group
  int64_t image;     // elements of an image
};

template <class T>
class Product {
 public:
  Product(const ConvShape& s, const T* x, const T* dy, T* dw, T* db)
      : kernel_(kernels<T>()), groups_(s.groups), plane_(s.in_plane()), pixels_(s.n * plane_) {
    const Side<T> in{x, s.channels_in(), s.c_in * plane_};
    const Side<T> out{dy, s.channels_out(), s.c_out * plane_};
    packs_x_ = cost(in, out, false) <= cost(out, in, true);
    packed_ = packs_x_ ? in : out;
    rows_ = packs_x_ ? out : in;
    dw_ = dw;
    db_ = db;
    panels_ = ceil_div(packed_.channels, kernel_.gemm_nr);
    tiles_ = ceil_div(rows_.channels, kernel_.gemm_mr);
    set_items();
  }

  void run() {
    Scratch scratch;
    sums_ = scratch.get<T>(dw_ == nullptr ? 0 : (chunks_ - (packs_x_ ? 1 : 0)) * weights());
    bias_ = scratch.get<double>(db_ == nullptr ? 0 : chunks_ * biases());
    if (db_ != nullptr) std::fill(bias_, bias_ + chunks_ * biases(), 0.0);
    parallel_chunks(groups_ * chunks_ * blocks_, [&](int64_t i) {
      const int64_t block = i % blocks_;
      add_item({i / blocks_ / chunks_, i / blocks_ % chunks_, block, panels_ * block / blocks_,
                panels_ * (block + 1) / blocks_});
    });
    if (dw_ != nullptr) finish_weights();
    for (int64_t i = 0; db_ != nullptr && i < biases(); ++i) {
      double sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks_; ++chunk) sum += bias_[chunk * biases() + i];
      db_[i] = static_cast<T>(sum);
    }
  }

 private:
  // Multiply-adds, counting empty lanes, and what packing and transposing take in the time of so
  // many.
  int64_t cost(const Side<T>& packed, const Side<T>& rows, bool transposes) const {
    constexpr int64_t kMove = 12;  // of an element
    const int64_t lanes = ceil_div(packed.channels, kernel_.vec_width) * kernel_.vec_width;
    return pixels_ * (rows.channels * lanes + kMove * packed.channels) +
           (transposes ? kMove * rows.channels * packed.channels : 0);
  }

  // Chunks where they cost nothing, or where panels alone are too few for threads, or odd in
  // number.
  void set_items() {
    chunks_ = std::clamp<int64_t>(pixels_ / kChunkPixels, 1, kItems);
    const auto is_enough = [&](int64_t items) {
      return items >= kItems && (items % 2 == 0 || items >= 4 * kItems);
    };
    while (!is_enough(groups_ * panels_ * chunks_) && pixels_ / (chunks_ + 1) >= kLeastPixels) {
      ++chunks_;
    }
    blocks_ = std::min(
        panels_, std::max(ceil_div(kItems, groups_ * chunks_), ceil_div(panels_, kMostPanels)));
    const int64_t most_panels = ceil_div(panels_, blocks_);
    const int64_t pixel_bytes = most_panels * kernel_.gemm_nr * static_cast<int64_t>(sizeof(T));
    unit_ = std::clamp<int64_t>(kUnitBytes / pixel_bytes, 1, kUnitPixels);
  }

  bool needs_panels() const { return dw_ != nullptr || !packs_x_; }  // which have dy for the bias
  int64_t weights() const { return groups_ * rows_.channels * packed_.channels; }
  int64_t biases() const { return groups_ * (packs_x_ ? rows_ : packed_).channels; }

  // Where the sums of a chunk lie, [groups][rows][packed]: the first in dw if it needs no
  // transposition.
  T* sums(int64_t chunk) const {
    if (!packs_x_) return sums_ + chunk * weights();
    return chunk == 0 ? dw_ : sums_ + (chunk - 1) * weights();
  }

  // Pixels [begin, end) of a side; returns the number of runs.
  int64_t find_runs(const Side<T>& side, int64_t begin, int64_t end, PixelRun* runs) const {
    int64_t count = 0;
    int64_t image = begin / plane_ * side.image;
    for (int64_t first = begin % plane_; begin < end; first = 0, image += side.image) {
      const int64_t length = std::min(end - begin, plane_ - first);
      runs[count++] = {image + first, length};
      begin += length;
    }
    return count;
  }

  struct Item {
    int64_t group, chunk, block;
    int64_t first_panel, end_panel;  // of the block
  };

  // All that a block gives of a chunk.
  void add_item(const Item& item) {
    const int64_t begin = pixels_ * item.chunk / chunks_;
    const int64_t count = pixels_ * (item.chunk + 1) / chunks_ - begin;
    const int64_t units = ceil_div(count, unit_);
    const int64_t most_runs = unit_ / plane_ + 3;
    Scratch scratch;
    T* packed = scratch.get<T>((item.end_panel - item.first_panel) * unit_ * kernel_.gemm_nr);
    PixelRun* packed_runs = scratch.get<PixelRun>(most_runs);
    PixelRun* row_runs = scratch.get<PixelRun>(most_runs);
    double* bias =
        db_ == nullptr ? nullptr : bias_ + (item.chunk * groups_ + item.group) * biases() / groups_;
    for (int64_t u = 0; u < units; ++u) {
      const int64_t first = begin + count * u / units;
      const int64_t end = begin + count * (u + 1) / units;
      const Unit unit{end - first,
                      u == 0,
                      packed_runs,
                      row_runs,
                      find_runs(packed_, first, end, packed_runs),
                      find_runs(rows_, first, end, row_runs)};
      for (int64_t p = item.first_panel; needs_panels() && p < item.end_panel; ++p) {
        pack(unit, item.group, p, packed + (p - item.first_panel) * unit.pixels * kernel_.gemm_nr,
             bias);
      }
      multiply(unit, item, packed, bias);
    }
  }

  struct Unit {
    int64_t pixels;
    bool is_first;  // of its item
    const PixelRun* packed_runs;
    PixelRun* row_runs;
    int64_t packed_run_count, row_run_count;
  };

  int64_t panel_width(int64_t panel) const {
    return std::min<int64_t>(kernel_.gemm_nr, packed_.channels - panel * kernel_.gemm_nr);
  }

  void pack(const Unit& u, int64_t group, int64_t panel, T* to, double* bias) const {
    const int64_t channel = panel * kernel_.gemm_nr;
    const int64_t width = panel_width(panel);
    const T* from = packed_.data + (group * packed_.channels + channel) * plane_;
    const int64_t ld = ceil_div(width, kernel_.vec_width) * kernel_.vec_width;
    T* at = to;
    for (int64_t l = 0; l < u.packed_run_count; ++l) {
      const PixelRun& run = u.packed_runs[l];
      kernel_.pack_panel_transposed(run.count, width, from + run.at, plane_, at, ld);
      at += run.count * ld;
    }
    if (bias == nullptr || packs_x_) return;
    kernel_.sum_columns(u.pixels, width, to, ld, bias + channel);
  }

  void multiply(const Unit& u, const Item& item, const T* packed, double* bias) const {
    PixelRun& next = u.row_runs[u.row_run_count];
    for (int64_t t = 0; t < tiles_; ++t) {
      const int64_t row = rows_.channels * t / tiles_;
      const int64_t count = rows_.channels * (t + 1) / tiles_ - row;
      const T* from = rows_.data + (item.group * rows_.channels + row) * plane_;
      for (int64_t p = item.first_panel; dw_ != nullptr && p < item.end_panel; ++p) {
        next = u.row_runs[0];
        if (p + 1 == item.end_panel) next.at += count * plane_;
        kernel_.conv_weight_rows(
            count, panel_width(p), u.row_run_count, u.row_runs, from, plane_,
            packed + (p - item.first_panel) * u.pixels * kernel_.gemm_nr, !u.is_first,
            sums(item.chunk) + (item.group * rows_.channels + row) * packed_.channels +
                p * kernel_.gemm_nr,
            packed_.channels);
      }
      if (bias == nullptr || !packs_x_ || t % blocks_ != item.block) continue;
      kernel_.sum_runs(count, u.row_run_count, u.row_runs, from, plane_, bias + row);
    }
  }

  // Adds up the chunks in order, and transposes.
  void finish_weights() const {
    T* first = sums(0);
    if (chunks_ > 1) {
      parallel_for(ceil_div(weights(), kSumBlock), 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * kSumBlock; begin < end; ++begin, i += kSumBlock) {
          const int64_t count = std::min(kSumBlock, weights() - i);
          for (int64_t chunk = 1; chunk < chunks_; ++chunk) {
            kernel_.scale_add(count, T{1}, sums(chunk) + i, T{1}, first + i);
          }
        }
      });
    }
    if (packs_x_) return;
    const int64_t rows = rows_.channels;
    const int64_t outputs = packed_.channels;
    for (int64_t group = 0; group < groups_; ++group) {
      const T* from = first + group * rows * outputs;
      T* to = dw_ + group * rows * outputs;
      parallel_for(rows, std::max(kCutUnit, row_grain(outputs)), [&](int64_t begin, int64_t end) {
        kernel_.transpose(end - begin, outputs, from + begin * outputs, outputs, to + begin, rows);
      });
    }
  }

  const KernelTable<T>& kernel_;
  int64_t groups_, plane_, pixels_;
  bool packs_x_;
  Side<T> packed_, rows_;
  int64_t panels_;  // of the packed side
  int64_t tiles_;   // of the rows
  int64_t chunks_, blocks_, unit_;
  T* dw_;
  T* sums_ = nullptr;
  T* db_;
  double* bias_ = nullptr;
};

// With one pixel an image, channels lie side by side as a product of matrices reads them: 512->512
// of batch 64 takes 0.14 ms so, 0.33 in runs of one pixel.
template <class T>
void multiply_images(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  const int64_t in = s.channels_in();
  const int64_t out = s.channels_out();
  for (int64_t group = 0; dw != nullptr && group < s.groups; ++group) {
    for (int64_t i = 0; i < s.n; i += kUnitPixels) {
      const Matrix<T> a{dy + i * s.c_out + group * out, s.c_out, true};
      const Matrix<T> b{x + i * s.c_in + group * in, s.c_in, false};
      T* c = dw + group * out * in;
      gemm(Gemm<T>{out, in, std::min(kUnitPixels, s.n - i), a, b, c, in, i > 0});
    }
  }
  if (db == nullptr) return;
  parallel_for(s.c_out, std::max(kCutUnit, conv_grain(s.n)), [&](int64_t begin, int64_t end) {
    Scratch scratch;
    double* sums = scratch.get<double>(end - begin);
    std::fill(sums, sums + (end - begin), 0.0);
    kernels<T>().sum_columns(s.n, end - begin, dy + begin, s.c_out, sums);
    for (int64_t c = begin; c < end; ++c) db[c] = static_cast<T>(sums[c - begin]);
  });
}

// All of a convolution whose pixels are those of x.
template <class T>
void multiply(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  if (s.in_plane() == 1) return multiply_images(s, x, dy, dw, db);
  Product<T>(s, x, dy, dw, db).run();
}

// The pixels of x that one with a stride reads. The lines of the next plane are asked for: the
// gradient of 256->512 @56 at stride 2 of batch 8 takes 7.9 ms so, 8.6 without.
template <class T>
void copy_pixels(const ConvShape& s, const T* x, T* to) {
  const KernelTable<T>& kernel = kernels<T>();
  const int64_t plane = s.out[1] * s.out[2];
  const int64_t line = s.stride[1] * s.in[2];
  const int64_t planes = s.n * s.c_in * s.out[0];
  const auto at = [&](int64_t i) {
    return x + (i / s.out[0] * s.in[0] + i % s.out[0] * s.stride[0]) * s.in[1] * s.in[2];
  };
  parallel_for(planes, row_grain(plane), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernel.prefetch_lanes(s.out[1], s.in[2], at(std::min(i + 1, end - 1)), line);
      kernel.copy_lines(s.out[1], s.out[2], at(i), line, s.in[2], 0, s.stride[2], to + i * plane,
                        s.out[2]);
    }
  });
}

// The same for one with a stride, some images at a time. 512->1024 @28 at stride 2 of batch 8 takes
// 7.2 ms so, 9.3 with taps.
template <class T>
void multiply_strided(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  const int64_t image = s.c_in * s.out_plane();
  const int64_t images = std::clamp<int64_t>(kCopied / image, 1, s.n);
  const int64_t weights = s.c_out * s.channels_in();
  const auto add = [](int64_t count, const T* from, T* to) {
    if (to != nullptr) kernels<T>().scale_add(count, T{1}, from, T{1}, to);
  };
  Scratch scratch;
  T* copied = scratch.get<T>(dw == nullptr ? 0 : images * image);
  T* dw_part = scratch.get<T>(dw == nullptr || images == s.n ? 0 : weights);
  T* db_part = scratch.get<T>(db == nullptr || images == s.n ? 0 : s.c_out);
  ConvShape part = s;
  for (int64_t i = 0; i < s.n; i += images) {
    part.n = std::min(images, s.n - i);
    if (dw != nullptr) copy_pixels(part, x + i * s.c_in * s.in_plane(), copied);
    ConvShape plain = part;
    for (int d = 0; d < 3; ++d) {
      plain.in[d] = s.out[d];
      plain.stride[d] = 1;
    }
    const T* dy_part = dy + i * s.c_out * s.out_plane();
    if (i == 0) {
      multiply<T>(plain, copied, dy_part, dw, db);
      continue;
    }
    multiply<T>(plain, copied, dy_part, dw == nullptr ? nullptr : dw_part,
                db == nullptr ? nullptr : db_part);
    add(weights, dw_part, dw);
    add(s.c_out, db_part, db);
  }
}

bool is_plain(const ConvShape& s) {
  for (int d = 0; d < 3; ++d) {
    if (s.stride[d] != 1 || s.in[d] != s.out[d]) return false;
  }
  return true;
}

}  // namespace

template <class T>
bool weight_gradient_pointwise_applies(const ConvShape& s) {
  return s.kernel_size() == 1 && s.padding[0] == 0 && s.padding[1] == 0 && s.padding[2] == 0;
}

template <class T>
void weight_gradient_pointwise(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  if (is_plain(s)) return multiply(s, x, dy, dw, db);
  multiply_strided(s, x, dy, dw, db);
}

template bool weight_gradient_pointwise_applies<float>(const ConvShape&);
template bool weight_gradient_pointwise_applies<double>(const ConvShape&);
template void weight_gradient_pointwise<float>(const ConvShape&, const float*, const float*, float*,
                                               float*);
template void weight_gradient_pointwise<double>(const ConvShape&, const double*, const double*,
                                                double*, double*);

}  // namespace laminae
