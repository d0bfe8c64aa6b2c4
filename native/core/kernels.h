// The kernel table: constants and function pointers of one instruction set (kernels/kernels.def),
// and access to the one in use.
//
// float kernels come from the active ISA (core/cpu.h), double kernels always from the portable one:
// double exists for gradient checks and tests, where speed does not matter.
//
//   const KernelTable<T>& k = kernels<T>();
//   k.scale_add(n, ...);
#ifndef LAMINAE_CORE_KERNELS_H_
#define LAMINAE_CORE_KERNELS_H_

#include <cstdint>

#include "core/activation_fns.h"
#include "core/elementwise_fns.h"
#include "core/ending.h"
#include "core/tap_sum.h"

namespace laminae {

template <class T>
struct KernelTable {
#define CONSTANT(type, name, value) type name;
#define KERNEL(result, name, arguments) result(*name) arguments;
#include "kernels/kernels.def"
#undef CONSTANT
#undef KERNEL
};

// The tables of the ISAs in this binary, each defined in isa/<isa>.cc. Calling a kernel of an ISA
// that the CPU lacks is an illegal instruction: ask available_isas() in core/cpu.h.
const KernelTable<float>& portable_float_kernels();
const KernelTable<double>& portable_double_kernels();
const KernelTable<float>& avx2_float_kernels();
const KernelTable<float>& avx512_float_kernels();
const KernelTable<float>& neon_float_kernels();

template <class T>
const KernelTable<T>& kernels();
template <>
const KernelTable<float>& kernels<float>();
template <>
const KernelTable<double>& kernels<double>();

}  // namespace laminae

#endif  // LAMINAE_CORE_KERNELS_H_
