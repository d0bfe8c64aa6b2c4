// Vec of the neon ISA against its contract.
#if defined(__aarch64__) || defined(_M_ARM64)

#include <doctest/doctest.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <arm_neon.h>

#include <string>

#include "core/cpu.h"
#include "simd/vec.h"

#define LAMINAE_REGION_BASELINE
#include "simd/region_begin.h"

namespace {

#include "simd/vec_neon.h"

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

TEST_CASE("Vec of neon fulfils its contract") {
  check_all(report_failure);
  CHECK(Vec<float>::kWidth == 4);
}

#endif
