#include "core/op.h"

#include <cmath>
#include <cstring>
#include <utility>

namespace laminae {

namespace {

constexpr int64_t kMaxExact = int64_t{1} << 53;

template <class Desc, class Target, void (*Run)(const Desc&, Target&)>
void run_erased(const void* desc, Target& target) {
  static_assert(sizeof(Desc) % 8 == 0, "descriptor fields are 8 bytes each");
  static_assert(sizeof(Desc) / 8 <= kMaxSlots, "raise kMaxSlots");
  Desc d;
  std::memcpy(&d, desc,
              sizeof(Desc));  // the slots are raw 64-bit words: int64 or double as the field says
  Run(d, target);
}

// Words of the field list: "n:i;shape:i8;eps:r;" -> kinds "iiiiiiiiir"
std::string expand_kinds(const char* spec) {
  std::string kinds;
  for (const char* p = spec; *p; ++p) {
    if (*p != ':') continue;
    const char kind = p[1];
    const int count = (p[2] >= '1' && p[2] <= '9') ? p[2] - '0' : 1;
    kinds.append(static_cast<size_t>(count), kind);
  }
  return kinds;
}

int count_words(const char* text) {
  int n = 0;
  for (const char* p = text; *p; ++p) n += *p == ';';
  return n;
}

struct Row {
  const char* name;
  const char* fields;
  const char* buffers;
  int slots;
  void (*run)(const void*, Call&);
  void (*run_list)(const void*, const List&);
};

#define I(field) #field ":i;"
#define R(field) #field ":r;"
#define A(field, count) #field ":i" #count ";"
#define B(buffer) #buffer ";"
#define FIELDS(...) __VA_ARGS__
#define BUFFERS(...) __VA_ARGS__
#define OP(name, fields, buffers)              \
  {#name,                                      \
   fields,                                     \
   buffers,                                    \
   static_cast<int>(sizeof(name##_desc) / 8),  \
   &run_erased<name##_desc, Call, run_##name>, \
   nullptr},
#define LIST_OP(name, fields, buffers)                 \
  {#name,   fields,                                    \
   buffers, static_cast<int>(sizeof(name##_desc) / 8), \
   nullptr, &run_erased<name##_desc, const List, run_##name>},
const Row kRows[] = {
#include "core/ops.def"
};
#undef LIST_OP
#undef OP
#undef BUFFERS
#undef FIELDS
#undef B
#undef A
#undef R
#undef I

constexpr int kOpCount = sizeof(kRows) / sizeof(kRows[0]);

struct Table {
  std::string kinds[kOpCount];
  OpInfo info[kOpCount];
  Table() {
    for (int i = 0; i < kOpCount; ++i) {
      const Row& row = kRows[i];
      kinds[i] = expand_kinds(row.fields);
      info[i] = {row.name,         row.fields, row.buffers, row.slots, count_words(row.buffers),
                 kinds[i].c_str(), row.run,    row.run_list};
      if (static_cast<int>(kinds[i].size()) != row.slots || info[i].buffer_count > kMaxBuffers) {
        throw OpError(std::string("ops.def: ") + row.name + " is inconsistent");
      }
    }
  }
};

const Table& table() {
  static const Table t;
  return t;
}

std::string buffer_name(const OpInfo& info, int index) {
  const char* p = info.buffers;
  for (int i = 0; i < index; ++i) p = std::strchr(p, ';') + 1;
  return std::string(p, std::strchr(p, ';'));
}

}  // namespace

size_t dtype_size(DType dtype) {
  static const size_t kSizes[] = {4, 8, 4, 1};
  return kSizes[static_cast<int>(dtype)];
}

const char* dtype_name(DType dtype) {
  static const char* const kNames[] = {"float32", "float64", "int32", "uint8"};
  return kNames[static_cast<int>(dtype)];
}

void Call::fail(const std::string& text) const { throw OpError(text); }

void* Call::checked(int index, DType dtype, int64_t extent) const {
  const Buffer& b = buffers_[index];
  if (b.length < 0) fail("buffer " + buffer_name(info_, index) + " is required");
  if (b.dtype != dtype) {
    fail("buffer " + buffer_name(info_, index) + " must be " + dtype_name(dtype) + ", got " +
         dtype_name(b.dtype));
  }
  if (extent < 0 || extent > b.length) {
    fail("buffer " + buffer_name(info_, index) + " must hold " + std::to_string(extent) +
         " elements, got " + std::to_string(b.length));
  }
  return b.data;
}

void Call::require_apart(int positions, int written) const {
  if (!has(positions) || !has(written)) return;
  const auto extent = [this](int index) {
    const Buffer& b = buffers_[index];
    const auto begin = reinterpret_cast<uintptr_t>(b.data);
    return std::make_pair(begin, begin + static_cast<uintptr_t>(b.length) * dtype_size(b.dtype));
  };
  const auto p = extent(positions);
  const auto w = extent(written);
  if (p.first < w.second && w.first < p.second) {
    fail("buffers " + buffer_name(info_, positions) + " and " + buffer_name(info_, written) +
         " must not overlap");
  }
}

int checked_rank(int64_t rank) {
  if (rank < 0 || rank > kMaxRank)
    throw OpError("rank " + std::to_string(rank) + " is not in 0..8");
  return static_cast<int>(rank);
}

int64_t checked_product(const int64_t* sizes, int64_t count) {
  checked_rank(count);
  int64_t product = 1;
  bool empty = false;
  for (int i = 0; i < count; ++i) {
    if (sizes[i] < 0) throw OpError("negative size " + std::to_string(sizes[i]));
    if (sizes[i] == 0) empty = true;
  }
  if (empty) return 0;
  for (int i = 0; i < count; ++i) {
    if (product > kMaxExact / sizes[i]) throw OpError("size overflow");
    product *= sizes[i];
  }
  return product;
}

int64_t strided_extent(int64_t rank, const int64_t* shape, const int64_t* strides) {
  if (checked_product(shape, rank) == 0) return 0;
  int64_t last = 0;
  for (int64_t i = 0; i < rank; ++i) {
    if (strides[i] < 0) throw OpError("negative stride");
    if (shape[i] > 1 && strides[i] > (kMaxExact - last) / (shape[i] - 1))
      throw OpError("size overflow");
    last += (shape[i] - 1) * strides[i];
  }
  return last + 1;
}

const OpInfo* ops(int* count) {
  *count = kOpCount;
  return table().info;
}

namespace {

const OpInfo& info_of(int op_code) {
  if (op_code < 0 || op_code >= kOpCount)
    throw OpError("unknown op code " + std::to_string(op_code));
  return table().info[op_code];
}

// desc: the descriptor struct, slot by slot
void read_slots(const OpInfo& info, const double* slots, int64_t* desc) {
  for (int i = 0; i < info.slot_count; ++i) {
    const double v = slots[i];
    if (info.slot_kinds[i] == 'r') {
      std::memcpy(&desc[i], &v, 8);
      continue;
    }
    if (!(std::fabs(v) <= static_cast<double>(kMaxExact)) || v != std::trunc(v)) {
      throw OpError("descriptor slot " + std::to_string(i) + " must be an integer, got " +
                    std::to_string(v));
    }
    desc[i] = static_cast<int64_t>(v);
  }
}

}  // namespace

void run_op(int op_code, const double* slots, const Buffer* buffers) {
  const OpInfo& info = info_of(op_code);
  if (info.run == nullptr) throw OpError("is a list op");
  Call call(info, buffers);
  int64_t desc[kMaxSlots];
  read_slots(info, slots, desc);
  info.run(desc, call);
}

void run_list_op(int op_code, const double* slots, const List& list) {
  const OpInfo& info = info_of(op_code);
  if (info.run_list == nullptr) throw OpError("is no list op");
  int64_t desc[kMaxSlots];
  read_slots(info, slots, desc);
  info.run_list(desc, list);
}

}  // namespace laminae
