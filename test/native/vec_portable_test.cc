// Vec of the portable ISA against its contract.
#include <doctest/doctest.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <string>

#include "core/cpu.h"
#include "simd/vec.h"

#define LAMINAE_REGION_BASELINE
#include "simd/region_begin.h"

namespace {

#include "simd/vec_portable.h"

#include "vec_checks.inl"

void check_all(void (*report)(const char*, int)) {
  check_vec<float>(report);
  check_float_parts(report);
  check_vec<double>(report);
}

}  // namespace

#include "simd/region_end.h"

namespace {

void report_failure(const char* operation, int detail) {
  INFO(std::string(operation), ", ", detail);
  CHECK(false);
}

}  // namespace

TEST_CASE("Vec of portable fulfils its contract") {
  check_all(report_failure);
  CHECK(Vec<float>::kWidth == 4);
}
