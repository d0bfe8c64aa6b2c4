// Choice of the instruction set: what is available, the test hook, and LAMINAE_ISA in child
// processes (the variable is read once).
#include "core/cpu.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

using laminae::active_isa;
using laminae::available_isas;
using laminae::choose_isa;
using laminae::IsaChoice;
using laminae::IsaInfo;
using laminae::set_active_isa;

TEST_CASE("available ISAs: portable first, each with a table") {
  const auto& isas = available_isas();
  REQUIRE(!isas.empty());
  CHECK(std::string(isas[0]->name) == "portable");
  for (const IsaInfo* isa : isas) {
    CHECK(isa->float_kernels->vec_width * 32 == isa->vector_bits);
    CHECK(isa->float_kernels->gemm_nr % isa->float_kernels->vec_width == 0);
  }
#if defined(__linux__) && defined(__x86_64__)
  // The compiler's own detection agrees.
  const auto has = [&](const std::string& name) {
    return std::any_of(isas.begin(), isas.end(),
                       [&](const IsaInfo* isa) { return name == isa->name; });
  };
  CHECK(has("avx2") == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
  CHECK(has("avx512") ==
        (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
#endif
}

TEST_CASE("set_active_isa: any available name, nothing else") {
  const std::string before = active_isa().name;
  for (const IsaInfo* isa : available_isas()) {
    CHECK(set_active_isa(isa->name));
    CHECK(&active_isa() == isa);
    CHECK(&laminae::kernels<float>() == isa->float_kernels);
  }
  CHECK(set_active_isa("portable"));
  CHECK_FALSE(set_active_isa("avx1024"));
  CHECK_FALSE(set_active_isa(""));
  CHECK(std::string(active_isa().name) == "portable");
  CHECK(&laminae::kernels<double>() == &laminae::portable_double_kernels());
  CHECK(set_active_isa(before));
}

TEST_CASE("LAMINAE_ISA: lowers the choice; a wrong name is an error that lists the valid ones") {
  const IsaInfo* best = available_isas().back();
  std::string names;
  for (const IsaInfo* isa : available_isas()) {
    const IsaChoice choice = choose_isa(isa->name);
    CHECK(choice.isa == isa);
    CHECK(choice.error.empty());
    names += (names.empty() ? "" : ", ") + std::string(isa->name);
  }
  CHECK(choose_isa(nullptr).isa == best);
  CHECK(choose_isa("").isa == best);
  CHECK(choose_isa("").error.empty());
  const IsaChoice wrong = choose_isa("sse9");
  CHECK(wrong.isa == best);
  CHECK(wrong.error == "LAMINAE_ISA must be one of " + names + " on this machine, got \"sse9\"");
  CHECK(choose_isa("AVX2").error.find("got \"AVX2\"") != std::string::npos);
}

TEST_CASE("LAMINAE_ISA of this process decides the first choice") {
  const IsaChoice choice = choose_isa(std::getenv("LAMINAE_ISA"));
  CHECK(laminae::isa_error() == choice.error);
  CHECK(&active_isa() == choice.isa);
}
