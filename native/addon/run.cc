// Op code, slots and typed arrays in, core call out. Whatever JavaScript passes, this only throws.
#include "addon/run.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "addon/environment.h"
#include "addon/errors.h"
#include "core/op.h"

namespace laminae {
namespace {

bool to_dtype(napi_typedarray_type type, DType* dtype) {
  switch (type) {
    case napi_float32_array:
      *dtype = DType::kFloat32;
      return true;
    case napi_float64_array:
      *dtype = DType::kFloat64;
      return true;
    case napi_int32_array:
      *dtype = DType::kInt32;
      return true;
    case napi_uint8_array:
      *dtype = DType::kUint8;
      return true;
    default:
      return false;
  }
}

bool is_nullish(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type == napi_null || type == napi_undefined;
}

bool is_detached(napi_env env, napi_value array_buffer) {
  bool detached = false;
  napi_is_detached_arraybuffer(env, array_buffer, &detached);
  return detached;
}

std::string name_of(const OpInfo& op, size_t buffer) {
  return std::string(op.name) + ": buffer " + std::to_string(buffer);
}

// Fills `buffer` from a typed array and the element it starts at; throws in JavaScript and returns
// false if that is impossible. null and undefined leave the buffer missing.
bool read_buffer(napi_env env, const OpInfo& op, size_t index, napi_value value, double start,
                 Buffer* buffer) {
  napi_typedarray_type type;
  size_t length = 0;
  void* pointer = nullptr;
  napi_value array_buffer = nullptr;
  const napi_status status =
      napi_get_typedarray_info(env, value, &type, &length, &pointer, &array_buffer, nullptr);
  if (status != napi_ok || !to_dtype(type, &buffer->dtype)) {
    if (status != napi_ok && is_nullish(env, value)) return true;
    throw_type_error(
        env, "ERR_INVALID_TYPE",
        name_of(op, index) + " must be a Float32Array, Float64Array, Int32Array or Uint8Array");
    return false;
  }
  // A detached array reports no elements, just as an empty one.
  if (length == 0 && is_detached(env, array_buffer)) {
    throw_type_error(env, "ERR_DETACHED", name_of(op, index) + " was detached (transferred)");
    return false;
  }
  if (!(start >= 0 && start <= static_cast<double>(length)) || start != std::trunc(start)) {
    throw_range_error(env, "ERR_NATIVE",
                      name_of(op, index) + " must start at an integer in 0.." +
                          std::to_string(length) + ", got " + std::to_string(start));
    return false;
  }
  const size_t first = static_cast<size_t>(start);
  buffer->length = static_cast<int64_t>(length - first);
  buffer->data = static_cast<char*>(pointer) + first * dtype_size(buffer->dtype);
  return true;
}

// The op that `value` is the code of, or nullptr. Read as a double: napi_get_value_int32 makes
// an integer of every number.
const OpInfo* find_op(napi_env env, napi_value value, int* op_code) {
  int op_count = 0;
  const OpInfo* table = ops(&op_count);
  double code = -1;
  if (napi_get_value_double(env, value, &code) != napi_ok) return nullptr;
  if (!(code >= 0 && code < op_count) || code != std::trunc(code)) return nullptr;
  *op_code = static_cast<int>(code);
  return &table[*op_code];
}

// An integer in 0..2^53 as it came through a slot; -1 for anything else.
int64_t to_size(double value) {
  const bool ok = value >= 0 && value <= 9007199254740992.0 && value == std::trunc(value);
  return ok ? static_cast<int64_t>(value) : -1;
}

// The memory of n elements from byte `start` of an ArrayBuffer on; nullptr for null and undefined.
// Throws in JavaScript and returns false if it does not hold them.
bool read_elements(napi_env env, const OpInfo& op, size_t index, napi_value value, double start,
                   int64_t n, size_t element, void** elements) {
  void* pointer = nullptr;
  size_t length = 0;
  *elements = nullptr;
  if (napi_get_arraybuffer_info(env, value, &pointer, &length) != napi_ok) {
    if (is_nullish(env, value)) return true;
    throw_type_error(env, "ERR_INVALID_TYPE", name_of(op, index) + " must be an ArrayBuffer");
    return false;
  }
  const int64_t first = to_size(start);
  const bool inside = first >= 0 && static_cast<size_t>(first) <= length &&
                      static_cast<size_t>(first) % element == 0;
  if (!inside || static_cast<size_t>(n) > (length - static_cast<size_t>(first)) / element) {
    throw_range_error(env, "ERR_NATIVE",
                      name_of(op, index) + " must hold " + std::to_string(n) +
                          " elements from byte " + std::to_string(start) + " on, has " +
                          std::to_string(length) + " bytes");
    return false;
  }
  *elements = static_cast<char*>(pointer) + first;
  return true;
}

}  // namespace

void bind_slots(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const bool is_array = info.Length() > 0 && info[0].IsTypedArray() &&
                        info[0].As<Napi::TypedArray>().TypedArrayType() == napi_float64_array;
  if (!is_array) throw Napi::TypeError::New(env, "bind: expected a Float64Array");
  Napi::Float64Array slots = info[0].As<Napi::Float64Array>();
  if (Napi::Value(env, slots.Get("buffer")).IsArrayBuffer()) {
    throw Napi::TypeError::New(env, "bind: expected a view of a SharedArrayBuffer");
  }
  Environment* environment = env.GetInstanceData<Environment>();
  environment->slots_ref = Napi::Persistent(slots);
  environment->slots = slots.Data();
  environment->slot_capacity = slots.ElementLength();
}

// Plain Node-API, because the C++ wrappers cost 100 ns more per call here.
napi_value run_op_from_js(napi_env env, napi_callback_info info) {
  constexpr size_t kMaxArguments = kMaxBuffers + 1;
  napi_value args[kMaxArguments];  // those that were not passed are undefined
  size_t count = kMaxArguments;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, args, nullptr, nullptr) != napi_ok) return nullptr;
  if (napi_get_instance_data(env, &data) != napi_ok || data == nullptr) return nullptr;
  const Environment& environment = *static_cast<Environment*>(data);

  int op_code = 0;
  const OpInfo* op = find_op(env, args[0], &op_code);
  if (op == nullptr) {
    throw_range_error(env, "ERR_NATIVE", "run: unknown op code");
    return nullptr;
  }
  const size_t n_buffers = static_cast<size_t>(op->buffer_count);
  if (environment.slot_capacity < n_buffers + static_cast<size_t>(op->slot_count)) {
    throw_range_error(env, "ERR_NATIVE", "run: bind() was not called with a large enough array");
    return nullptr;
  }
  Buffer buffers[kMaxBuffers];
  for (size_t i = 0; i < n_buffers; ++i) {
    if (!read_buffer(env, *op, i, args[i + 1], environment.slots[i], &buffers[i])) return nullptr;
  }
  try {
    run_op(op_code, environment.slots + n_buffers, buffers);
  } catch (...) {
    throw_current_exception(env, op->name);
  }
  return nullptr;
}

napi_value run_list_op_from_js(napi_env env, napi_callback_info info) {
  size_t arg_count = 0;
  void* instance = nullptr;
  if (napi_get_cb_info(env, info, &arg_count, nullptr, nullptr, nullptr) != napi_ok) return nullptr;
  if (napi_get_instance_data(env, &instance) != napi_ok || instance == nullptr) return nullptr;
  const Environment& environment = *static_cast<Environment*>(instance);
  const OpInfo* op = nullptr;
  try {
    std::vector<napi_value> args(arg_count);
    if (napi_get_cb_info(env, info, &arg_count, args.data(), nullptr, nullptr) != napi_ok)
      return nullptr;
    int op_code = 0;
    if (arg_count > 0) op = find_op(env, args[0], &op_code);
    const size_t n_buffers = op == nullptr ? 1 : static_cast<size_t>(op->buffer_count);
    if (op == nullptr || (arg_count - 1) % n_buffers != 0) {
      throw_range_error(env, "ERR_NATIVE", "runList: unknown op code or number of buffers");
      return nullptr;
    }
    const size_t count = (arg_count - 1) / n_buffers;
    const size_t fields = static_cast<size_t>(op->slot_count);
    if (environment.slot_capacity < fields + count * (n_buffers + 2)) {
      throw_range_error(env, "ERR_NATIVE",
                        "runList: bind() was not called with a large enough array");
      return nullptr;
    }
    std::vector<void*> data(count * n_buffers);
    std::vector<List::Item> items(count);
    for (size_t i = 0; i < count; ++i) {
      const double* slots = environment.slots + fields + i * (n_buffers + 2);
      const int64_t n = to_size(slots[0]);
      const int64_t type = to_size(slots[1]);
      if (n < 0 || type < 0 || type > 1) {
        throw_range_error(env, "ERR_NATIVE",
                          std::string(op->name) + ": no size or type of item " + std::to_string(i));
        return nullptr;
      }
      const DType dtype = type == 0 ? DType::kFloat32 : DType::kFloat64;
      items[i] = {n, dtype, &data[i * n_buffers]};
      for (size_t b = 0; b < n_buffers; ++b) {
        if (!read_elements(env, *op, b, args[1 + i * n_buffers + b], slots[2 + b], n,
                           dtype_size(dtype), &data[i * n_buffers + b]))
          return nullptr;
      }
    }
    run_list_op(op_code, environment.slots, List(items.data(), static_cast<int64_t>(count)));
  } catch (...) {
    throw_current_exception(env, op == nullptr ? "runList" : op->name);
  }
  return nullptr;
}

}  // namespace laminae
