// Weight gradient of convolution with output channels in lanes.
//
//   dw[oc][ic][k] = sum_{n, o} dy[n][oc][o] x[n][ic][o stride + k dilation - padding]
//
// dy is transposed to [pixel][oc], a unit of some 512 pixels at a time; a tile of kernel elements
// and 2 vectors of output channels then runs over the pixels of the unit in registers
// (kernels/conv_weight.inl), reading x directly, or through a copy of the needed lines with zeros
// around where taps reach outside.
//
// Threads: the work is cut into kItems parts, each the gradient of some input channels from some
// units, with sums of its own that are added up in order. The more weights, the fewer sums.
// Everything depends on the shape alone.
#include <algorithm>
#include <cstring>

#include "core/conv.h"
#include "core/gemm.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/scratch.h"

namespace laminae {

namespace {

constexpr int64_t kItems = 8;
constexpr int64_t kUnitPixels = 512;         // of dy [512][32] floats: 64 KiB, a part of L2
constexpr int64_t kLeastPixels = 256;        // where there would be too few units
constexpr int64_t kItemWeights = 1 << 16;    // sums of an item: 256 KiB, a part of L2
constexpr int64_t kStripElements = 1 << 16;  // of copied lines: 256 KiB
constexpr int64_t kChannelBlock = 64;        // input channels of an item, at least

// Channels in whole panels: one vector, or gemm_nr at a time.
template <class T>
int64_t padded_channels(int64_t channels, const KernelTable<T>& kernel) {
  const int64_t nr = channels <= kernel.vec_width ? kernel.vec_width : kernel.gemm_nr;
  return (channels + nr - 1) / nr * nr;
}

// What does not change from unit to unit.
struct Plan {
  const ConvShape& s;
  int64_t nr;            // channels of a panel of dy
  int64_t channels_out;  // padded to whole panels
  bool halo;             // taps reach outside x: lines are copied
  int64_t planes;        // (image, o0) pairs
  int64_t unit_planes, unit_lines;
  int64_t units_per_plane, units;
  int64_t strip_lines;  // x lines copied per channel, k0 and plane
  int64_t strip_row;    // their length
  int64_t tap_tile;
  int64_t strip_channels;  // channels copied at a time
  int64_t blocks, chunks;  // of input channels and of units: an item is one of each

  template <class T>
  Plan(const ConvShape& shape, const KernelTable<T>& kernel, bool only_bias) : s(shape) {
    nr = s.channels_out() <= kernel.vec_width ? kernel.vec_width : kernel.gemm_nr;
    channels_out = padded_channels(s.channels_out(), kernel);
    halo = false;
    for (int d = 0; d < 3; ++d) {
      const int64_t last =
          (s.out[d] - 1) * s.stride[d] + (s.kernel[d] - 1) * s.dilation[d] - s.padding[d];
      halo = halo || s.padding[d] > 0 || last >= s.in[d];
    }
    planes = s.n * s.out[0];
    const int64_t weights = only_bias ? 0 : s.channels_in() * s.kernel_size() * channels_out;
    const int64_t most_blocks = (s.channels_in() + kChannelBlock - 1) / kChannelBlock;
    blocks = std::clamp<int64_t>(weights / kItemWeights, 1, most_blocks);
    chunks = std::max<int64_t>(1, kItems / std::max(blocks, s.groups * weights / kItemWeights));
    // Units for all chunks, if they are not too small then.
    const int64_t most =
        std::clamp(planes * s.out[1] * s.out[2] / chunks, kLeastPixels, kUnitPixels);
    unit_lines = balanced_tile(s.out[1], std::max<int64_t>(1, most / s.out[2]));
    unit_planes = balanced_tile(planes, std::max<int64_t>(1, most / (s.out[1] * s.out[2])));
    units_per_plane = (s.out[1] + unit_lines - 1) / unit_lines;
    units = (planes + unit_planes - 1) / unit_planes * units_per_plane;
    chunks = std::min(chunks, units);
    strip_lines = (unit_lines - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1] + 1;
    strip_row = (s.out[2] - 1) * s.stride[2] + (s.kernel[2] - 1) * s.dilation[2] + 1;
    tap_tile =
        balanced_tile(s.kernel[2], std::min<int64_t>(kernel.conv_weight_tile, kConvWeightTaps));
    strip_channels = std::max<int64_t>(
        1, kStripElements / (s.kernel[0] * unit_planes * strip_lines * strip_row));
  }

  int64_t strip_plane() const { return strip_lines * strip_row; }
  int64_t strip_size(int64_t channels) const {
    return channels * s.kernel[0] * unit_planes * strip_plane();
  }
  int64_t unit_pixels() const { return unit_planes * unit_lines * s.out[2]; }
};

// One unit of output pixels: lines [first_line, first_line + lines) of planes [first_plane,
// first_plane + planes).
struct Unit {
  int64_t first_plane, planes;
  int64_t first_line, lines;
};

Unit unit_at(const Plan& p, int64_t index) {
  Unit u;
  u.first_plane = index / p.units_per_plane * p.unit_planes;
  u.planes = std::min(p.unit_planes, p.planes - u.first_plane);
  u.first_line = index % p.units_per_plane * p.unit_lines;
  u.lines = std::min(p.unit_lines, p.s.out[1] - u.first_line);
  return u;
}

// dy of a unit as [channels_out / nr][pixels][nr], dy pointing to the group's first channel of
// image 0.
template <class T>
void pack_gradient(const Plan& p, const Unit& u, const T* dy, T* packed) {
  const ConvShape& s = p.s;
  const int64_t plane_pixels = u.lines * s.out[2];
  const int64_t pixels = u.planes * plane_pixels;
  for (int64_t oc = 0; oc < s.channels_out(); oc += p.nr) {
    const int64_t width = std::min(p.nr, s.channels_out() - oc);
    for (int64_t i = 0; i < u.planes; ++i) {
      const int64_t image = (u.first_plane + i) / s.out[0];
      const int64_t o0 = (u.first_plane + i) % s.out[0];
      const T* from =
          dy + (image * s.c_out + oc) * s.out_plane() + (o0 * s.out[1] + u.first_line) * s.out[2];
      kernels<T>().pack_panel_transposed(plane_pixels, width, from, s.out_plane(),
                                         packed + oc * pixels + i * plane_pixels * p.nr, p.nr);
    }
  }
}

// Lines of x that the unit reads, zero outside the image:
// [channels][kernel[0]][planes][strip_lines][strip_row].
template <class T>
void copy_strip(const Plan& p, const Unit& u, const T* x, int64_t channels, T* strip) {
  const ConvShape& s = p.s;
  const int64_t first = -s.padding[2];
  const int64_t low = std::min(p.strip_row, std::max<int64_t>(0, -first));
  const int64_t high = std::max(low, std::min(p.strip_row, s.in[2] - first));
  // Lines [above, below) are inside the image.
  const int64_t top = u.first_line * s.stride[1] - s.padding[1];
  const int64_t above = std::clamp<int64_t>(-top, 0, p.strip_lines);
  const int64_t below = std::clamp<int64_t>(s.in[1] - top, above, p.strip_lines);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t k0 = 0; k0 < s.kernel[0]; ++k0) {
      for (int64_t i = 0; i < u.planes; ++i, strip += p.strip_plane()) {
        const int64_t image = (u.first_plane + i) / s.out[0];
        const int64_t i0 =
            (u.first_plane + i) % s.out[0] * s.stride[0] + k0 * s.dilation[0] - s.padding[0];
        const bool outside = i0 < 0 || i0 >= s.in[0];
        const int64_t begin = outside ? p.strip_lines : above;
        const int64_t end = outside ? p.strip_lines : below;
        std::fill(strip, strip + begin * p.strip_row, T{0});
        std::fill(strip + end * p.strip_row, strip + p.strip_plane(), T{0});
        if (begin == end) continue;
        const T* lines =
            x + ((image * s.c_in + c) * s.in[0] + i0) * s.in[1] * s.in[2] + (top + begin) * s.in[2];
        // Those of the next channel: 64->128 3x3 @56 at stride 2 batch 8 takes 5 % less time so.
        if (c + 1 < channels) {
          kernels<T>().prefetch_lanes(1, (end - begin) * s.in[2], lines + s.in_plane(), 0);
        }
        for (int64_t line = begin; line < end; ++line) {
          T* to = strip + line * p.strip_row;
          const T* from = lines + (line - begin) * s.in[2] + first;
          std::fill(to, to + low, T{0});
          std::copy(from + low, from + high, to + low);
          std::fill(to + high, to + p.strip_row, T{0});
        }
      }
    }
  }
}

// Where the taps of channel c and kernel line (k0, k1) begin, and where the lines of the unit lie
// from there.
template <class T>
struct Source {
  const T* base;
  int64_t channel, k0, k1;  // strides
  int64_t* lines;
  int64_t line_count;
};

template <class T>
Source<T> direct_source(const Plan& p, const Unit& u, const T* x, int64_t* lines) {
  const ConvShape& s = p.s;
  int64_t count = 0;
  for (int64_t i = 0; i < u.planes; ++i) {
    const int64_t image = (u.first_plane + i) / s.out[0];
    const int64_t o0 = (u.first_plane + i) % s.out[0];
    for (int64_t l = 0; l < u.lines; ++l) {
      const int64_t i1 = (u.first_line + l) * s.stride[1];
      lines[count++] = image * s.c_in * s.in_plane() + (o0 * s.stride[0] * s.in[1] + i1) * s.in[2];
    }
  }
  return {x,     s.in_plane(), s.dilation[0] * s.in[1] * s.in[2], s.dilation[1] * s.in[2],
          lines, count};
}

template <class T>
Source<T> strip_source(const Plan& p, const Unit& u, const T* strip, int64_t* lines) {
  const ConvShape& s = p.s;
  int64_t count = 0;
  for (int64_t i = 0; i < u.planes; ++i) {
    for (int64_t l = 0; l < u.lines; ++l) {
      lines[count++] = i * p.strip_plane() + l * s.stride[1] * p.strip_row;
    }
  }
  const int64_t k0 = u.planes * p.strip_plane();
  return {strip, s.kernel[0] * k0, k0, s.dilation[1] * p.strip_row, lines, count};
}

// Kernel lines in the order of the sums.
template <class T>
struct KernelLine {
  const ConvShape& s;
  const Source<T>& x;
  int64_t c = 0, k0 = 0, k1 = 0;

  // Where its taps begin; moves on to the next line.
  const T* next() {
    const T* at = x.base + c * x.channel + k0 * x.k0 + k1 * x.k1;
    if (++k1 == s.kernel[1]) {
      k1 = 0;
      if (++k0 == s.kernel[0]) {
        k0 = 0;
        ++c;
      }
    }
    return at;
  }
};

// acc [channels * kernel][channels_out] = the unit's share, for `channels` input channels; added to
// it if it `accumulates`.
template <class T>
void add_unit(const Plan& p, const Source<T>& x, int64_t channels, int64_t pixels, const T* dy,
              bool accumulates, T* acc) {
  const ConvShape& s = p.s;
  const int64_t kernel_lines = channels * s.kernel[0] * s.kernel[1];
  const KernelTable<T>& kernel = kernels<T>();
  const T* rows[kConvWeightRows];
  for (int64_t oc = 0; oc < p.channels_out; oc += p.nr) {
    const int64_t width = std::min(p.nr, s.channels_out() - oc);
    const int64_t tile =
        width <= kernel.vec_width ? kernel.conv_weight_tile_narrow : kernel.conv_weight_tile;
    const int64_t row_tile =
        balanced_tile(kernel_lines, std::min<int64_t>(kConvWeightRows, tile / p.tap_tile));
    KernelLine<T> line{s, x};
    for (int64_t first = 0; first < kernel_lines; first += row_tile) {
      const int64_t count = std::min(row_tile, kernel_lines - first);
      for (int64_t r = 0; r < count; ++r) rows[r] = line.next();
      for (int64_t k2 = 0; k2 < s.kernel[2]; k2 += p.tap_tile) {
        const int64_t taps = std::min(p.tap_tile, s.kernel[2] - k2);
        kernel.conv_weight_taps(count, taps, width, x.line_count, x.lines, s.out[2], rows,
                                s.dilation[2], s.stride[2], dy + oc * pixels, p.nr, accumulates,
                                acc + (first * s.kernel[2] + k2) * p.channels_out + oc,
                                s.kernel[2] * p.channels_out, p.channels_out);
        for (int64_t r = 0; r < count; ++r) rows[r] += p.tap_tile * s.dilation[2];
      }
    }
  }
}

// Sums of the packed channels' elements: db [channels_out] += sum over pixels of dy.
template <class T>
void add_bias(const Plan& p, int64_t pixels, const T* dy, double* db) {
  for (int64_t oc = 0; oc < p.s.channels_out(); oc += p.nr) {
    kernels<T>().sum_columns(pixels, std::min(p.nr, p.s.channels_out() - oc), dy + oc * pixels,
                             p.nr, db + oc);
  }
}

// acc and db: everything that units [first, last) give to input channels [channel, channel +
// channels) of one group, and to the bias if db is given. x, dy: first element of the group in
// image 0.
template <class T>
void add_units(const Plan& p, int64_t first, int64_t last, const T* x, int64_t channel,
               int64_t channels, const T* dy, T* acc, double* db) {
  const ConvShape& s = p.s;
  Scratch scratch;
  T* packed = scratch.get<T>(p.unit_pixels() * p.channels_out);
  int64_t* lines = scratch.get<int64_t>(p.unit_planes * p.unit_lines);
  T* strip = scratch.get<T>(p.halo ? p.strip_size(std::min(p.strip_channels, channels)) : 0);
  for (int64_t index = first; index < last; ++index) {
    const Unit u = unit_at(p, index);
    const int64_t pixels = u.planes * u.lines * s.out[2];
    pack_gradient(p, u, dy, packed);
    if (db != nullptr) add_bias(p, pixels, packed, db);
    if (acc == nullptr) continue;
    const int64_t block = p.halo ? p.strip_channels : channels;
    for (int64_t c = 0; c < channels; c += block) {
      const int64_t count = std::min(block, channels - c);
      const T* from = x + (channel + c) * s.in_plane();
      T* to = acc + c * s.kernel_size() * p.channels_out;
      if (p.halo) {
        copy_strip(p, u, from, count, strip);
        add_unit(p, strip_source<T>(p, u, strip, lines), count, pixels, packed, index > first, to);
      } else {
        add_unit(p, direct_source<T>(p, u, from, lines), count, pixels, packed, index > first, to);
      }
    }
  }
}

}  // namespace

template <class T>
void weight_gradient_taps(const ConvShape& s, const T* x, const T* dy, T* dw, T* db) {
  const KernelTable<T>& kernel = kernels<T>();
  const Plan p(s, kernel, dw == nullptr);
  const int64_t depth = s.channels_in() * s.kernel_size();
  const int64_t weights = dw == nullptr ? 0 : depth * p.channels_out;
  const int64_t blocks = p.blocks;
  const int64_t chunks = p.chunks;
  const int64_t biases = db == nullptr ? 0 : p.channels_out;
  const int64_t outputs = s.channels_out();
  // A single sum is transposed while it is in cache: 512->512 3x3 @7 batch 1 takes 5 % less time.
  const bool single = chunks == 1;
  Scratch scratch;
  T* sums = scratch.get<T>(single ? 0 : s.groups * chunks * weights);  // [group][chunk][depth][oc]
  double* bias_sums = scratch.get<double>(s.groups * chunks * biases);

  parallel_chunks(s.groups * chunks * blocks, [&](int64_t item) {
    const int64_t block = item % blocks;
    const int64_t chunk = item / blocks % chunks;
    const int64_t group = item / blocks / chunks;
    const int64_t channel = s.channels_in() * block / blocks;
    const int64_t count = s.channels_in() * (block + 1) / blocks - channel;
    const int64_t first = channel * s.kernel_size();
    const int64_t rows = count * s.kernel_size();
    Scratch own;
    T* acc = nullptr;
    if (dw != nullptr) {
      acc = single ? own.get<T>(rows * p.channels_out)
                   : sums + (group * chunks + chunk) * weights + first * p.channels_out;
    }
    double* bias_acc = nullptr;
    if (db != nullptr && block == 0) {
      bias_acc = bias_sums + (group * chunks + chunk) * biases;
      std::fill(bias_acc, bias_acc + biases, 0.0);
    }
    add_units(p, p.units * chunk / chunks, p.units * (chunk + 1) / chunks,
              x + group * s.channels_in() * s.in_plane(), channel, count,
              dy + group * s.channels_out() * s.out_plane(), acc, bias_acc);
    if (single && dw != nullptr) {
      kernel.transpose(rows, outputs, acc, p.channels_out, dw + group * outputs * depth + first,
                       depth);
    }
  });

  // Sums of the chunks in order, and back to [oc][depth].
  for (int64_t group = 0; group < s.groups; ++group) {
    T* acc = sums + group * chunks * weights;
    if (dw != nullptr && !single) {
      T* to = dw + group * outputs * depth;
      const int64_t grain = std::max(kCutUnit, row_grain(chunks * p.channels_out));
      parallel_for(depth, grain, [&](int64_t begin, int64_t end) {
        T* first = acc + begin * p.channels_out;
        for (int64_t chunk = 1; chunk < chunks; ++chunk) {
          kernel.scale_add((end - begin) * p.channels_out, T{1}, first + chunk * weights, T{1},
                           first);
        }
        kernel.transpose(end - begin, outputs, first, p.channels_out, to + begin, depth);
      });
    }
    if (db != nullptr) {
      const double* from = bias_sums + group * chunks * biases;
      for (int64_t oc = 0; oc < outputs; ++oc) {
        double sum = 0.0;
        for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += from[chunk * biases + oc];
        db[group * outputs + oc] = static_cast<T>(sum);
      }
    }
  }
}

template void weight_gradient_taps<float>(const ConvShape&, const float*, const float*, float*,
                                          float*);
template void weight_gradient_taps<double>(const ConvShape&, const double*, const double*, double*,
                                           double*);

}  // namespace laminae
