// Every kernel, included once by each isa/<isa>.cc after its Vec and GemmTile. A file comes after
// what it uses.
#include "kernels/math.inl"
#include "kernels/gemm.inl"
#include "kernels/pack.inl"
#include "kernels/elementwise.inl"
#include "kernels/reduce.inl"
#include "kernels/optim.inl"
#include "kernels/bench.inl"

#include "kernels/table.inl"
