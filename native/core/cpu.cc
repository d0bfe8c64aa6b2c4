// CPU feature detection and the choice of the active ISA.
//
// x86-64: a vector extension counts as available only if CPUID names it and the operating system
// saves its registers (XGETBV: XCR0 bits 1-2 for AVX, 5-7 as well for AVX-512).
// AArch64: NEON is part of the baseline.

#include "core/cpu.h"

#include <atomic>
#include <cstdlib>

#if defined(__x86_64__) || defined(_M_X64)
#define LAMINAE_CPU_X64 1
#if defined(_MSC_VER)
#include <immintrin.h>
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#elif defined(__aarch64__) || defined(_M_ARM64)
#define LAMINAE_CPU_ARM64 1
#endif

namespace laminae {
namespace {

#if defined(LAMINAE_CPU_X64)

struct CpuidResult {
  uint32_t eax, ebx, ecx, edx;
};

CpuidResult cpuid(uint32_t leaf, uint32_t subleaf) {
#if defined(_MSC_VER)
  int r[4];
  __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
  return {static_cast<uint32_t>(r[0]), static_cast<uint32_t>(r[1]), static_cast<uint32_t>(r[2]),
          static_cast<uint32_t>(r[3])};
#else
  CpuidResult r = {0, 0, 0, 0};
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);  // zeros for a missing leaf
  return r;
#endif
}

// XCR0: which register sets the operating system saves on a context switch.
uint64_t saved_registers() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
#endif
}

bool all_bits(uint64_t value, uint64_t bits) { return (value & bits) == bits; }
constexpr uint64_t bit(int n) { return uint64_t{1} << n; }

struct X64Features {
  bool avx2 = false;
  bool avx512 = false;
};

X64Features detect() {
  X64Features f;
  if (cpuid(0, 0).eax < 7) return f;
  const CpuidResult leaf1 = cpuid(1, 0);
  // ECX: FMA 12, OSXSAVE 27, AVX 28, F16C 29.
  if (!all_bits(leaf1.ecx, bit(12) | bit(27) | bit(28) | bit(29))) return f;
  const uint64_t xcr0 = saved_registers();
  if (!all_bits(xcr0, bit(1) | bit(2))) return f;
  const CpuidResult leaf7 = cpuid(7, 0);
  // EBX: BMI1 3, AVX2 5, BMI2 8.
  f.avx2 = all_bits(leaf7.ebx, bit(3) | bit(5) | bit(8));
  // EBX: AVX-512 F 16, DQ 17, CD 28, BW 30, VL 31.
  const bool cpu512 = all_bits(leaf7.ebx, bit(16) | bit(17) | bit(28) | bit(30) | bit(31));
  bool os512 = all_bits(xcr0, bit(5) | bit(6) | bit(7));
#if defined(__APPLE__)
  // macOS enables the wide registers on first use, so XCR0 does not show them yet.
  int enabled = 0;
  size_t size = sizeof(enabled);
  os512 = sysctlbyname("hw.optional.avx512f", &enabled, &size, nullptr, 0) == 0 && enabled != 0;
#endif
  f.avx512 = f.avx2 && cpu512 && os512;
  return f;
}

#endif  // LAMINAE_CPU_X64

std::vector<const IsaInfo*> find_isas() {
  static const IsaInfo portable = {Isa::portable, "portable", 128, &portable_float_kernels()};
  std::vector<const IsaInfo*> isas = {&portable};
#if defined(LAMINAE_CPU_X64)
  const X64Features features = detect();
  static const IsaInfo avx2 = {Isa::avx2, "avx2", 256, &avx2_float_kernels()};
  static const IsaInfo avx512 = {Isa::avx512, "avx512", 512, &avx512_float_kernels()};
  if (features.avx2) isas.push_back(&avx2);
  if (features.avx512) isas.push_back(&avx512);
#elif defined(LAMINAE_CPU_ARM64)
  static const IsaInfo neon = {Isa::neon, "neon", 128, &neon_float_kernels()};
  isas.push_back(&neon);
#endif
  return isas;
}

const IsaInfo* find_isa(const std::string& name) {
  for (const IsaInfo* isa : available_isas()) {
    if (name == isa->name) return isa;
  }
  return nullptr;
}

// Reads LAMINAE_ISA once.
const IsaChoice& initial_choice() {
  static const IsaChoice choice = choose_isa(std::getenv("LAMINAE_ISA"));
  return choice;
}

std::atomic<const IsaInfo*> g_active{nullptr};

}  // namespace

const std::vector<const IsaInfo*>& available_isas() {
  static const std::vector<const IsaInfo*> isas = find_isas();
  return isas;
}

IsaChoice choose_isa(const char* wanted) {
  const IsaInfo* best = available_isas().back();
  if (wanted == nullptr || wanted[0] == '\0') return {best, ""};
  if (const IsaInfo* isa = find_isa(wanted)) return {isa, ""};
  std::string names;
  for (const IsaInfo* isa : available_isas()) {
    if (!names.empty()) names += ", ";
    names += isa->name;
  }
  const std::string error = "LAMINAE_ISA must be one of " + names + " on this machine, got \"";
  return {best, error + wanted + "\""};
}

const IsaInfo& active_isa() {
  const IsaInfo* isa = g_active.load(std::memory_order_acquire);
  if (isa == nullptr) {
    const IsaInfo* chosen = initial_choice().isa;
    // A concurrent set_active_isa wins; a concurrent first call stores the same pointer.
    if (g_active.compare_exchange_strong(isa, chosen, std::memory_order_acq_rel)) isa = chosen;
  }
  return *isa;
}

bool set_active_isa(const std::string& name) {
  const IsaInfo* isa = find_isa(name);
  if (isa == nullptr) return false;
  g_active.store(isa, std::memory_order_release);
  return true;
}

const std::string& isa_error() { return initial_choice().error; }

template <>
const KernelTable<float>& kernels<float>() {
  return *active_isa().float_kernels;
}

template <>
const KernelTable<double>& kernels<double>() {
  return portable_double_kernels();
}

}  // namespace laminae
