// The constant table of this ISA's kernels for T.
template <class T>
constexpr KernelTable<T> make_table() {
  return {
#define CONSTANT(type, name, value) value,
#define KERNEL(result, name, arguments) &name<T>,
#include "kernels/kernels.def"
#undef CONSTANT
#undef KERNEL
  };
}
