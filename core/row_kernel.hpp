// Log-densities of the two commonest responses over blocks of rows, compiled once for each instruction set.
#pragma once

namespace multilevel::rows {

constexpr int block_size = 256;  // most rows at once, a multiple of any number of lanes

// So many rows; there is room to read and write up to the next multiple of 8.
struct Block {
    int n;
    const double* y;
    const double* trials;
    const double* constant;
    const double* eta;
};

// Values and derivatives in eta, up to the order that is the place in the array.
struct RowKernels {
    using Kernel = void (*)(const Block&, double* const* out);
    Kernel logistic[4];    // y eta - trials log(1 + exp(eta)) + constant
    Kernel log_linear[4];  // y eta - exp(eta) + constant
};

// Those for the processor this runs on.
RowKernels row_kernels();

}  // namespace multilevel::rows
