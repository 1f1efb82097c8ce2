#define KERNEL_SET avx2
#include "row_kernel.ipp"
