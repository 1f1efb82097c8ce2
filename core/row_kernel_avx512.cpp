#define KERNEL_SET avx512
#include "row_kernel.ipp"
