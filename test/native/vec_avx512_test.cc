// Vec of the avx512 ISA against its contract.
#if defined(__x86_64__) || defined(_M_X64)

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// See isa/avx512.cc.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <doctest/doctest.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <immintrin.h>

#include <string>

#include "core/cpu.h"
#include "simd/vec.h"

#define LAMINAE_REGION_AVX512
#include "simd/region_begin.h"

namespace {

#include "simd/vec_avx512.h"

#include "vec_checks.inl"

void check_all(void (*report)(const char*, int)) {
  check_vec<float>(report);
  check_float_parts(report);
}

}  // namespace

#include "simd/region_end.h"

namespace {

void report_failure(const char* operation, int detail) {
  INFO(std::string(operation), ", ", detail);
  CHECK(false);
}

}  // namespace

TEST_CASE("Vec of avx512 fulfils its contract") {
  for (const laminae::IsaInfo* info : laminae::available_isas()) {
    if (info->isa != laminae::Isa::avx512) continue;
    check_all(report_failure);
    CHECK(Vec<float>::kWidth * 32 == info->vector_bits);
  }
}

#endif
