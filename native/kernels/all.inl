// Every kernel, included once by each isa/<isa>.cc after its Vec and GemmTile. What other files
// build on comes first, then one line per family.
#include "kernels/gemm.inl"
#include "kernels/math.inl"
#include "kernels/pack.inl"
#include "kernels/tap_sum.inl"

#include "kernels/activation.inl"
#include "kernels/bench.inl"
#include "kernels/binary.inl"
#include "kernels/conv_channels.inl"
#include "kernels/conv_lanes.inl"
#include "kernels/conv_weight.inl"
#include "kernels/depthwise.inl"
#include "kernels/elementwise.inl"
#include "kernels/norm.inl"
#include "kernels/optim.inl"
#include "kernels/pool.inl"
#include "kernels/reduce.inl"
#include "kernels/softmax.inl"
#include "kernels/unary.inl"
#include "kernels/winograd.inl"

#include "kernels/table.inl"
