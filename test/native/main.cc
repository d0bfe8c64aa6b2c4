// The C++ test runner: doctest's main. Run one case with --test-case="gemm*".
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
