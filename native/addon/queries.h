// What JavaScript asks about the library and the machine, beside running ops.
#pragma once
#include <napi.h>

namespace laminae {

// opTable() -> [{ name, fields, buffers }] in the order of the op codes
Napi::Value op_table(const Napi::CallbackInfo& info);

// functionNames() -> { unary, binary, compare, activation }: names in the order of their codes,
// unary ones with what their derivative is computed from: "exp:y"
Napi::Value function_names(const Napi::CallbackInfo& info);

// placeBlock(ArrayBuffer, bytes) -> where in it a block of so many bytes begins: at a boundary of
// 64 bytes. A large block asks for huge pages.
Napi::Value place_block(const Napi::CallbackInfo& info);

// cpuInfo() -> { isa, available }
Napi::Value cpu_info(const Napi::CallbackInfo& info);

// setIsa(name) -> false if this machine lacks it
Napi::Value set_isa(const Napi::CallbackInfo& info);

Napi::Value get_num_threads(const Napi::CallbackInfo& info);
void set_thread_count(const Napi::CallbackInfo& info);

// startupError() -> what is wrong with LAMINAE_ISA or LAMINAE_THREADS, or ""
Napi::Value startup_error(const Napi::CallbackInfo& info);

// benchmarkProbe(seconds, bytes) -> FMA operations per second; with bytes > 0 bytes read per second
Napi::Value benchmark_probe(const Napi::CallbackInfo& info);

}  // namespace laminae
