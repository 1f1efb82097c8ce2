#define ARROW_SET baseline
#include "arrow_kernel.ipp"
