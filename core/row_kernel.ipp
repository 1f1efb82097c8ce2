// Included by row_kernel_*.cpp, each compiled for one instruction set (KERNEL_SET names its namespace).
#include "row_kernel.hpp"
#include "vector_math.hpp"

namespace multilevel::rows::KERNEL_SET {
namespace {

using namespace vector_math;

template <int Order>
void logistic(const Block& block, double* const* out) {
    for (int i = 0; i < block.n; i += lanes) {
        const Doubles eta = load(block.eta + i), y = load(block.y + i), trials = load(block.trials + i);
        const Softplus s = softplus_derivatives(eta);
        store(out[0] + i, y * eta - trials * s.f0 + load(block.constant + i));
        if constexpr (Order >= 1) store(out[1] + i, y - trials * s.f1);
        if constexpr (Order >= 2) store(out[2] + i, -trials * s.f2);
        if constexpr (Order >= 3) store(out[3] + i, -trials * s.f3);
    }
}

template <int Order>
void log_linear(const Block& block, double* const* out) {
    for (int i = 0; i < block.n; i += lanes) {
        const Doubles eta = load(block.eta + i), y = load(block.y + i), mu = exp(eta);
        store(out[0] + i, y * eta - mu + load(block.constant + i));
        if constexpr (Order >= 1) store(out[1] + i, y - mu);
        if constexpr (Order >= 2) store(out[2] + i, -mu);
        if constexpr (Order >= 3) store(out[3] + i, -mu);
    }
}

}  // namespace

RowKernels kernels() {
    return {{logistic<0>, logistic<1>, logistic<2>, logistic<3>},
            {log_linear<0>, log_linear<1>, log_linear<2>, log_linear<3>}};
}

}  // namespace multilevel::rows::KERNEL_SET
