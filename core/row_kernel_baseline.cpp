#define KERNEL_SET baseline
#include "row_kernel.ipp"
