// Which instruction sets this CPU and operating system offer, and which one the kernels use.
#ifndef LAMINAE_CORE_CPU_H_
#define LAMINAE_CORE_CPU_H_

#include <string>
#include <vector>

#include "core/kernels.h"

namespace laminae {

enum class Isa { portable, avx2, avx512, neon };

struct IsaInfo {
  Isa isa;
  const char* name;  // "portable", "avx2", "avx512" or "neon"
  int vector_bits;
  const KernelTable<float>* float_kernels;
};

// Every ISA usable here, slowest first; the first is portable.
const std::vector<const IsaInfo*>& available_isas();

struct IsaChoice {
  const IsaInfo* isa;
  std::string error;  // "" when `wanted` was usable
};

// What LAMINAE_ISA=wanted (null: unset) means on this machine: the named ISA, or the fastest when
// it is unset or empty; for a name that is unknown or not available the fastest and an error text
// that lists the valid names. The list holds nothing the CPU lacks, so the variable can only lower
// the choice.
IsaChoice choose_isa(const char* wanted);

// The ISA in use: the fastest available, or the one named by the environment variable LAMINAE_ISA.
// Chosen at the first call, by any thread.
const IsaInfo& active_isa();

// Makes another available ISA the active one for the whole process (a hook for tests). Returns
// false and changes nothing when `name` is unknown or not available. Do not call while kernels run.
bool set_active_isa(const std::string& name);

// What is wrong with LAMINAE_ISA, or "" when it is unset or usable. The library then runs on the
// fastest ISA, but loading it should fail with this text.
const std::string& isa_error();

}  // namespace laminae

#endif  // LAMINAE_CORE_CPU_H_
