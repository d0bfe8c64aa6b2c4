// What this machine gives at best, on the ISA and the number of threads in use: the roofs against
// which benchmarks hold the kernels. Clocks drift, so a benchmark measures them in its own process
// and beside the row they belong to.
#pragma once

#include <cstdint>

namespace laminae {

// Multiply-adds on registers only, in floating-point operations per second, all threads together.
// Runs for about `seconds` and returns the best of several stretches.
double probe_fma(double seconds);

// Bytes per second at which the threads together read a buffer of `bytes` over and over, each its
// own part: the bandwidth of whichever cache the buffer fits, or of memory. The buffer is kept for
// the next call. Throws std::invalid_argument for fewer than 64 KiB or more than 1 GiB.
double probe_read(int64_t bytes, double seconds);

}  // namespace laminae
