// Included by arrow_kernel_*.cpp, each compiled for one instruction set (ARROW_SET names its namespace).
// Nothing here may call an inline function of another header: the linker could then use a copy made for a
// newer processor everywhere.
#include "arrow_kernel.hpp"

namespace multilevel::arrow::ARROW_SET {
namespace {

using Lanes = double[lanes];

template <int Q>
struct Group {
    Lanes C[Q][Q];
    Lanes CT[Q][Q];       // C T
    Lanes inverse[Q][Q];  // M^-1
    Lanes det;

    void read(const double* own) {
        for (int i = 0, at = 0; i < Q; ++i)
            for (int j = 0; j <= i; ++j, ++at)
                for (int l = 0; l < lanes; ++l) C[i][j][l] = C[j][i][l] = own[at * lanes + l];
    }

    // M = T'CT + I, its inverse and determinant by Gauss-Jordan without pivoting: M - I is positive semidefinite.
    void invert(const double* T) {
        for (int i = 0; i < Q; ++i)
            for (int j = 0; j < Q; ++j) {
                for (int l = 0; l < lanes; ++l) CT[i][j][l] = 0.0;
                for (int a = 0; a < Q; ++a)
                    for (int l = 0; l < lanes; ++l) CT[i][j][l] += C[i][a][l] * T[a * Q + j];
            }
        for (int i = 0; i < Q; ++i)
            for (int j = 0; j < Q; ++j) {
                for (int l = 0; l < lanes; ++l) inverse[i][j][l] = i == j ? 1.0 : 0.0;
                for (int a = 0; a < Q; ++a)
                    for (int l = 0; l < lanes; ++l) inverse[i][j][l] += T[a * Q + i] * CT[a][j][l];
            }
        for (int l = 0; l < lanes; ++l) det[l] = 1.0;
        for (int c = 0; c < Q; ++c) {
            Lanes pivot;
            for (int l = 0; l < lanes; ++l) {
                det[l] *= inverse[c][c][l];
                pivot[l] = 1.0 / inverse[c][c][l];
                inverse[c][c][l] = 1.0;
            }
            for (int j = 0; j < Q; ++j)
                for (int l = 0; l < lanes; ++l) inverse[c][j][l] *= pivot[l];
            for (int i = 0; i < Q; ++i) {
                if (i == c) continue;
                Lanes factor;
                for (int l = 0; l < lanes; ++l) {
                    factor[l] = inverse[i][c][l];
                    inverse[i][c][l] = 0.0;
                }
                for (int j = 0; j < Q; ++j)
                    for (int l = 0; l < lanes; ++l) inverse[i][j][l] -= factor[l] * inverse[c][j][l];
            }
        }
    }
};

inline void clear(double* x, int count) {
    for (int i = 0; i < count; ++i) x[i] = 0.0;
}

inline double sum_lanes(const double* x) {
    double sum = 0.0;
    for (int l = 0; l < lanes; ++l) sum += x[l];
    return sum;
}

// TR = T'R and K = M^-1 T'R, both q x k
template <int Q>
inline void project_tail(const Group<Q>& g, const double* T, const double* R, int k, double* TR, double* K) {
    for (int i = 0; i < Q; ++i)
        for (int c = 0; c < k; ++c) {
            double* out = TR + (i * k + c) * lanes;
            for (int l = 0; l < lanes; ++l) out[l] = 0.0;
            for (int a = 0; a < Q; ++a)
                for (int l = 0; l < lanes; ++l) out[l] += T[a * Q + i] * R[(a * k + c) * lanes + l];
        }
    for (int i = 0; i < Q; ++i)
        for (int c = 0; c < k; ++c) {
            double* out = K + (i * k + c) * lanes;
            for (int l = 0; l < lanes; ++l) out[l] = 0.0;
            for (int a = 0; a < Q; ++a)
                for (int l = 0; l < lanes; ++l) out[l] += g.inverse[i][a][l] * TR[(a * k + c) * lanes + l];
        }
}

template <int Q>
void value_sweep(const Groups& groups, std::int64_t begin, std::int64_t end, const double* T, ValueSums& sums,
                 double* scratch) {
    const int k = groups.k, pairs = k * (k + 1) / 2;
    double *reduction = scratch, *TR = reduction + pairs * lanes, *K = TR + Q * k * lanes;
    clear(reduction, pairs * lanes);
    Lanes product;
    for (int l = 0; l < lanes; ++l) product[l] = 1.0;
    Group<Q> g;
    for (std::int64_t b = begin; b < end; ++b) {
        g.read(groups.own + b * (Q * (Q + 1) / 2) * lanes);
        g.invert(T);
        project_tail<Q>(g, T, groups.tail + b * Q * k * lanes, k, TR, K);
        for (int i = 0; i < Q; ++i) {
            double* out = reduction;
            for (int c = 0; c < k; ++c)
                for (int d = 0; d <= c; ++d, out += lanes)
                    for (int l = 0; l < lanes; ++l)
                        out[l] += TR[(i * k + c) * lanes + l] * K[(i * k + d) * lanes + l];
        }
        // |M| >= 1: logarithms are taken of products, before these can overflow
        for (int l = 0; l < lanes; ++l) {
            if (g.det[l] > 1e100) {
                sums.log_det += __builtin_log(g.det[l]);
            } else {
                product[l] *= g.det[l];
                if (product[l] > 1e150) {
                    sums.log_det += __builtin_log(product[l]);
                    product[l] = 1.0;
                }
            }
        }
    }
    for (int l = 0; l < lanes; ++l) sums.log_det += __builtin_log(product[l]);
    for (int i = 0; i < pairs; ++i) sums.reduction[i] += sum_lanes(reduction + i * lanes);
}

template <int Q>
void moment_sweep(const Groups& groups, std::int64_t begin, std::int64_t end, const double* T, const double* P,
                  const double* h, MomentSums& sums, double* scratch) {
    constexpr int n2 = Q * (Q + 1) / 2;
    const int k = groups.k, p = k - 1;
    double *TR = scratch, *K = TR + Q * k * lanes, *E = K + Q * k * lanes, *against = E + Q * k * lanes;
    Lanes gradient[Q][Q], scores[n2], fourth[n2][n2];
    clear(&gradient[0][0][0], Q * Q * lanes);
    clear(&scores[0][0], n2 * lanes);
    clear(&fourth[0][0][0], n2 * n2 * lanes);
    clear(against, Q * Q * p * lanes);
    Group<Q> g;
    for (std::int64_t b = begin; b < end; ++b) {
        const double* R = groups.tail + b * Q * k * lanes;
        g.read(groups.own + b * n2 * lanes);
        g.invert(T);
        project_tail<Q>(g, T, R, k, TR, K);
        Lanes s[Q];
        for (int i = 0; i < Q; ++i) {
            for (int l = 0; l < lanes; ++l) s[i][l] = 0.0;
            for (int c = 0; c < k; ++c) {
                double* e = E + (i * k + c) * lanes;
                for (int l = 0; l < lanes; ++l) e[l] = R[(i * k + c) * lanes + l];
                for (int a = 0; a < Q; ++a)
                    for (int l = 0; l < lanes; ++l) e[l] -= g.CT[i][a][l] * K[(a * k + c) * lanes + l];
                for (int l = 0; l < lanes; ++l) s[i][l] += e[l] * h[c];
            }
        }
        Lanes CTM[Q][Q];  // C T M^-1
        for (int i = 0; i < Q; ++i)
            for (int j = 0; j < Q; ++j) {
                for (int l = 0; l < lanes; ++l) CTM[i][j][l] = 0.0;
                for (int a = 0; a < Q; ++a)
                    for (int l = 0; l < lanes; ++l) CTM[i][j][l] += g.CT[i][a][l] * g.inverse[a][j][l];
                for (int l = 0; l < lanes; ++l) gradient[i][j][l] += CTM[i][j][l];
            }
        for (int j = 0; j < Q; ++j)
            for (int c = 0; c < k; ++c) {
                Lanes pk;  // (P K')_cj
                for (int l = 0; l < lanes; ++l) pk[l] = 0.0;
                for (int d = 0; d < k; ++d)
                    for (int l = 0; l < lanes; ++l) pk[l] += P[c * k + d] * K[(j * k + d) * lanes + l];
                for (int i = 0; i < Q; ++i)
                    for (int l = 0; l < lanes; ++l) gradient[i][j][l] -= E[(i * k + c) * lanes + l] * pk[l];
            }
        Lanes ss[n2];
        for (int i = 0, at = 0; i < Q; ++i)
            for (int j = 0; j <= i; ++j, ++at)
                for (int l = 0; l < lanes; ++l) {
                    ss[at][l] = s[i][l] * s[j][l];
                    scores[at][l] += ss[at][l];
                }
        for (int i = 0, at = 0; i < Q; ++i)
            for (int j = 0; j <= i; ++j, ++at) {
                Lanes reduced;  // C~ = C - C T M^-1 (C T)'
                for (int l = 0; l < lanes; ++l) reduced[l] = g.C[i][j][l];
                for (int a = 0; a < Q; ++a)
                    for (int l = 0; l < lanes; ++l) reduced[l] -= CTM[i][a][l] * g.CT[j][a][l];
                for (int c = 0; c < n2; ++c)
                    for (int l = 0; l < lanes; ++l) fourth[at][c][l] += reduced[l] * ss[c][l];
            }
        for (int i = 0; i < Q; ++i)
            for (int j = 0; j < Q; ++j)
                for (int c = 0; c < p; ++c)
                    for (int l = 0; l < lanes; ++l)
                        against[((i * Q + j) * p + c) * lanes + l] += E[(i * k + c) * lanes + l] * s[j][l];
    }
    for (int i = 0; i < Q * Q; ++i) sums.gradient[i] += sum_lanes(gradient[i / Q][i % Q]);
    for (int i = 0; i < n2; ++i) sums.scores[i] += sum_lanes(scores[i]);
    for (int i = 0; i < n2 * n2; ++i) sums.fourth[i] += sum_lanes(fourth[i / n2][i % n2]);
    for (int i = 0; i < Q * Q * p; ++i) sums.against[i] += sum_lanes(against + i * lanes);
}

}  // namespace

Sweeps sweeps(int q) {
    switch (q) {
        case 1: return {value_sweep<1>, moment_sweep<1>};
        case 2: return {value_sweep<2>, moment_sweep<2>};
        case 3: return {value_sweep<3>, moment_sweep<3>};
        default: return {value_sweep<4>, moment_sweep<4>};
    }
}

}  // namespace multilevel::arrow::ARROW_SET
