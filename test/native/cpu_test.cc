// Choice of the instruction set: what is available, the test hook, and LAMINAE_ISA in child
// processes (the variable is read once).
#include "core/cpu.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using laminae::active_isa;
using laminae::available_isas;
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

#if defined(__linux__)
namespace {

// Runs this program again with LAMINAE_ISA set, only the case below, and returns its exit status.
int run_child(const char* isa, const char* expected_isa, const char* expected_error) {
  const pid_t pid = fork();
  if (pid == 0) {
    setenv("LAMINAE_ISA", isa, 1);
    setenv("LAMINAE_TEST_EXPECTED_ISA", expected_isa, 1);
    setenv("LAMINAE_TEST_EXPECTED_ERROR", expected_error, 1);
    execl("/proc/self/exe", "laminae_tests", "--test-case=LAMINAE_ISA as this process sees it",
          "--no-run=false", "--minimal", static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("LAMINAE_ISA as this process sees it") {
  const char* expected_isa = std::getenv("LAMINAE_TEST_EXPECTED_ISA");
  const char* expected_error = std::getenv("LAMINAE_TEST_EXPECTED_ERROR");
  if (expected_isa == nullptr || expected_error == nullptr) {
    // Not a child of the case below: whatever the variable says, the choice is an available one.
    CHECK(std::count(available_isas().begin(), available_isas().end(), &active_isa()) == 1);
    return;
  }
  CHECK(std::string(active_isa().name) == expected_isa);
  CHECK(laminae::isa_error() == expected_error);
}

TEST_CASE("LAMINAE_ISA: lowers the choice; a wrong name is an error that lists the valid ones") {
  const std::string best = available_isas().back()->name;
  std::string names;
  for (const IsaInfo* isa : available_isas()) {
    CHECK(run_child(isa->name, isa->name, "") == 0);
    names += (names.empty() ? "" : ", ") + std::string(isa->name);
  }
  CHECK(run_child("", best.c_str(), "") == 0);
  const std::string error =
      "LAMINAE_ISA: must be one of " + names + " on this machine, got \"sse9\"";
  CHECK(run_child("sse9", best.c_str(), error.c_str()) == 0);
}
#endif
