// The two sweeps over the groups of a model with one grouping factor, compiled once for each instruction set.
//
// Groups stand in batches of `lanes`, each entry of a batch's lanes side by side, so that one instruction
// serves several groups. With C = Z'WZ (q x q), R = Z'W[X y] (q x k) and M = T'CT + I of a group:
//   value sweep:   sum of R'T M^-1 T'R and of log |M|,
//   moment sweep:  what the gradient and the average information are made of (see MomentSums).
#pragma once

#include <cstdint>

namespace multilevel::arrow {

constexpr int lanes = 8;
constexpr int most_columns = 4;  // q that the kernels are written out for

inline int triangle(int n) { return n * (n + 1) / 2; }

struct Groups {
    int q;                 // random-effect columns
    int k;                 // p + 1 columns of X and y
    std::int64_t batches;
    const double* own;     // batches x triangle(q) x lanes: C, lower triangle by rows
    const double* tail;    // batches x (q x k) x lanes: R, by rows
};

struct ValueSums {
    double* reduction;  // triangle(k): sum of R'T M^-1 T'R, lower triangle by rows
    double log_det;
};

// With E = R - C T M^-1 T'R, s = E h, and C~ = C - C T M^-1 T'C, summed over the groups:
struct MomentSums {
    double* gradient;  // q x q: C T M^-1 - E P (M^-1 T'R)'
    double* scores;    // triangle(q): s s'
    double* fourth;    // triangle(q) x triangle(q): C~_ab (s s')_cd
    double* against;   // q x q x p: E_ax s_b
};

// Sums over batches [begin, end). T is q x q by rows; scratch has scratch_size(q, k) places.
struct Sweeps {
    void (*value)(const Groups&, std::int64_t begin, std::int64_t end, const double* T, ValueSums&, double* scratch);
    // P is k x k by rows, h has k places.
    void (*moments)(const Groups&, std::int64_t begin, std::int64_t end, const double* T, const double* P,
                    const double* h, MomentSums&, double* scratch);
};

constexpr int scratch_size(int q, int k) {
    return lanes * (k * (k + 1) / 2 + 3 * q * k + 6 * q * q + q + q * q + 10 + 100 + q * q * k + 64);
}

// The sweeps for q columns on the processor this runs on.
Sweeps sweeps_for(int q);

}  // namespace multilevel::arrow
