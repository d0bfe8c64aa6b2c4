// What an op is: a name, a descriptor of named numbers, and buffers.
//
// The one list of ops is ops.def. Here it is expanded into
//   struct <op>_desc  { the fields }          e.g. gemm_desc{m, n, k, ...}
//   struct <op>_buf   { enum: the buffers }   e.g. gemm_buf::a
//   void run_<op>(const <op>_desc&, Call&)    written in ops/*.cc
// A LIST_OP does the same to any number of items, each with all the buffers, in one call:
//   void run_<op>(const <op>_desc&, const List&)
// and in op.cc into the table the binding walks. A caller (the eager binding today, a compiled plan
// later) fills a flat array of doubles, one per field slot, and an array of Buffers; run_op checks
// and dispatches. The op reaches a buffer only through Call::in / Call::out, which ask for the
// extent it is going to touch, so no op can run outside its buffers whatever the descriptor says.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace laminae {

enum class DType : uint8_t { kFloat32, kFloat64, kInt32, kUint8 };

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType kValue = DType::kFloat32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType kValue = DType::kFloat64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType kValue = DType::kInt32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType kValue = DType::kUint8;
};

const char* dtype_name(DType dtype);
size_t dtype_size(DType dtype);  // bytes of one element

// Borrowed memory, valid for the length of one call. A missing optional buffer has data == nullptr
// and length < 0.
struct Buffer {
  void* data = nullptr;
  int64_t length = -1;  // elements from `data` to the end of the allocation
  DType dtype = DType::kFloat32;
};

// A request that would touch memory it does not own, or an impossible descriptor. Callers check
// their arguments before they come here and give better messages; this is the last line.
class OpError : public std::runtime_error {
 public:
  explicit OpError(const std::string& what) : std::runtime_error(what) {}
};

struct OpInfo;

// The items of a list op. All buffers of an item hold n elements of one floating type; the binding
// has checked that.
class List {
 public:
  struct Item {
    int64_t n;
    DType dtype;
    void* const* data;  // one for each buffer; nullptr if it is missing
    template <class T>
    T* at(int buffer, int64_t element) const {
      T* p = static_cast<T*>(data[buffer]);
      return p == nullptr ? nullptr : p + element;
    }
  };

  List(const Item* items, int64_t count) : items_(items), count_(count) {}
  int64_t count() const { return count_; }
  const Item& operator[](int64_t i) const { return items_[i]; }

 private:
  const Item* items_;
  int64_t count_;
};

class Call {
 public:
  Call(const OpInfo& info, const Buffer* buffers) : info_(info), buffers_(buffers) {}

  bool has(int index) const { return buffers_[index].length >= 0; }
  // dtype of a buffer that is present
  DType dtype(int index) const { return buffers_[index].dtype; }

  // Pointer to `extent` elements that may be read, or written.
  template <class T>
  const T* in(int index, int64_t extent) const {
    return static_cast<const T*>(checked(index, DTypeOf<T>::kValue, extent));
  }
  template <class T>
  T* out(int index, int64_t extent) const {
    return static_cast<T*>(checked(index, DTypeOf<T>::kValue, extent));
  }
  // The same for a buffer that may be missing: nullptr then.
  template <class T>
  const T* maybe_in(int index, int64_t extent) const {
    return has(index) ? in<T>(index, extent) : nullptr;
  }
  template <class T>
  T* maybe_out(int index, int64_t extent) const {
    return has(index) ? out<T>(index, extent) : nullptr;
  }

  // For positions that are checked before anything is written: throws if they lie in what is
  // written.
  void require_apart(int positions, int written) const;

  [[noreturn]] void fail(const std::string& text) const;
  // Throws unless `ok`.
  void require(bool ok, const char* text) const {
    if (!ok) fail(text);
  }

 private:
  void* checked(int index, DType dtype, int64_t extent) const;

  const OpInfo& info_;
  const Buffer* buffers_;
};

// The function of a field, of an enum that ends with `count`.
template <class Fn>
Fn checked_fn(const Call& call, int64_t fn) {
  call.require(fn >= 0 && fn < static_cast<int64_t>(Fn::count), "unknown function");
  return static_cast<Fn>(fn);
}

// Calls fn(T()) with the floating type of `dtype`.
template <class F>
void dispatch_float(const Call& call, DType dtype, F&& fn) {
  if (dtype == DType::kFloat32) return fn(float());
  if (dtype == DType::kFloat64) return fn(double());
  call.fail("needs float32 or float64");
}

template <class F>
void dispatch_all(DType dtype, F&& fn) {
  switch (dtype) {
    case DType::kFloat32:
      return fn(float());
    case DType::kFloat64:
      return fn(double());
    case DType::kInt32:
      return fn(int32_t());
    case DType::kUint8:
      return fn(uint8_t());
  }
}

constexpr int kMaxRank = 8;

// Product of at most kMaxRank non-negative sizes; throws OpError when there are more, one is
// negative or the product exceeds 2^53.
int64_t checked_product(const int64_t* sizes, int64_t count);
template <class... Sizes>
int64_t volume(Sizes... sizes) {
  const int64_t list[] = {static_cast<int64_t>(sizes)...};
  return checked_product(list, sizeof...(sizes));
}

// `rank` as a count of dimensions; throws OpError outside 0..kMaxRank.
int checked_rank(int64_t rank);

// One past the last element that a strided walk over `shape` touches (0 for an empty shape
// product).
int64_t strided_extent(int64_t rank, const int64_t* shape, const int64_t* strides);

// ---- expansion of ops.def
// -------------------------------------------------------------------------------------

#define I(field) int64_t field;
#define R(field) double field;
#define A(field, count) int64_t field[count];
#define B(buffer) buffer,
#define FIELDS(...) __VA_ARGS__
#define BUFFERS(...) __VA_ARGS__
#define TYPES(name, fields, ...)       \
  struct name##_desc {                 \
    fields                             \
  };                                   \
  struct name##_buf {                  \
    enum : int { __VA_ARGS__ kCount }; \
  };
#define OP(name, fields, buffers) \
  TYPES(name, fields, buffers)    \
  void run_##name(const name##_desc& d, Call& call);
#define LIST_OP(name, fields, buffers) \
  TYPES(name, fields, buffers)         \
  void run_##name(const name##_desc& d, const List& list);
#include "core/ops.def"
#undef LIST_OP
#undef OP
#undef TYPES
#undef BUFFERS
#undef FIELDS
#undef B
#undef A
#undef R
#undef I

// ---- the table
// ------------------------------------------------------------------------------------------------

struct OpInfo {
  const char* name;
  const char* fields;   // "n c stride_h shape:8 momentum:r", one word per field
  const char* buffers;  // "x weight bias y"
  int slot_count;       // doubles a caller passes
  int buffer_count;
  const char* slot_kinds;                                // one char per slot: 'i' integer, 'r' real
  void (*run)(const void* desc, Call& call);             // null for a list op
  void (*run_list)(const void* desc, const List& list);  // null for the others
};

constexpr int kMaxSlots = 64;
constexpr int kMaxBuffers = 11;

const OpInfo* ops(int* count);

// Converts the slots into the op's descriptor and runs it. Throws OpError on a slot that is not an
// integer where one is needed, on an unknown op code, and on everything the op itself refuses.
void run_op(int op_code, const double* slots, const Buffer* buffers);

// The same for a list op.
void run_list_op(int op_code, const double* slots, const List& list);

}  // namespace laminae
