#define ARROW_SET avx512
#include "arrow_kernel.ipp"
