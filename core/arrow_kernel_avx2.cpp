#define ARROW_SET avx2
#include "arrow_kernel.ipp"
