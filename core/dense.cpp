#include "dense.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "threads.hpp"

namespace multilevel::dense {
namespace {

Routines blas;

constexpr int worth_a_call = 48;
// A tile's three operands stay in a core's second-level cache; small matrices have tiles enough for all threads.
int tile_size_for(int n) { return n < 1500 ? 160 : 256; }

bool has_blas() { return blas.potrf && blas.trtri && blas.trsm && blas.gemm; }

// Tiles of a square column-major matrix.
struct Tiles {
    double* data;
    int n;
    int tile_size = tile_size_for(n);

    int count() const { return (n + tile_size - 1) / tile_size; }
    int size(int i) const { return std::min(tile_size, n - i * tile_size); }
    double* at(int i, int j) const {
        return data + static_cast<std::size_t>(j) * tile_size * n + static_cast<std::size_t>(i) * tile_size;
    }
};

// out += alpha op(a) op(b), all with leading dimension n
void multiply(char op_a, char op_b, int rows, int columns, int inner, double alpha, const double* a, const double* b,
              double* out, int n) {
    double one = 1.0;
    blas.gemm(&op_a, &op_b, &rows, &columns, &inner, &alpha, const_cast<double*>(a), &n, const_cast<double*>(b), &n,
              &one, out, &n);
}

bool factor_tile(const Tiles& m, int k) {
    char lower = 'L';
    int size = m.size(k), n = m.n, info = 0;
    blas.potrf(&lower, &size, m.at(k, k), &n, &info);
    return info == 0;
}

// below: A_ik <- A_ik L_kk^-T
void solve_tile(const Tiles& m, int i, int k) {
    char side = 'R', lower = 'L', transposed = 'T', general = 'N';
    int rows = m.size(i), columns = m.size(k), n = m.n;
    double one = 1.0;
    blas.trsm(&side, &lower, &transposed, &general, &rows, &columns, &one, m.at(k, k), &n, m.at(i, k), &n);
}

bool tiled_cholesky(double* matrix, int n) {
    const Tiles m{matrix, n};
    const int count = m.count();
    for (int k = 0; k < count; ++k) {
        if (!factor_tile(m, k)) return false;
        const int below = count - k - 1;
        parallel_for(below, [&](int i) { solve_tile(m, k + 1 + i, k); });
        parallel_for(below * (below + 1) / 2, [&](int pair) {
            int i = 0;
            while ((i + 1) * (i + 2) / 2 <= pair) ++i;
            const int j = pair - i * (i + 1) / 2, row = k + 1 + i, column = k + 1 + j;
            multiply('N', 'T', m.size(row), m.size(column), m.size(k), -1.0, m.at(row, k), m.at(column, k),
                     m.at(row, column), n);
        });
    }
    return true;
}

// Column j of tiles of L^-1: X_jj = L_jj^-1, then X_ij = -L_ii^-1 (sum over k of L_ik X_kj).
void invert_tile_column(const Tiles& lower, const Tiles& inverse, int j) {
    char side = 'L', lower_triangle = 'L', plain = 'N', general = 'N';
    int n = lower.n, columns = lower.size(j), info = 0;
    double minus_one = -1.0;
    for (int c = 0; c < columns; ++c) {
        double* column = inverse.data + (static_cast<std::size_t>(j) * inverse.tile_size + c) * n;
        std::fill(column, column + n, 0.0);
        std::copy_n(lower.at(j, j) + static_cast<std::size_t>(c) * n + c, columns - c, inverse.at(j, j) + static_cast<std::size_t>(c) * n + c);
    }
    blas.trtri(&lower_triangle, &general, &columns, inverse.at(j, j), &n, &info);
    for (int i = j + 1; i < lower.count(); ++i) {
        int rows = lower.size(i);
        for (int k = j; k < i; ++k)
            multiply('N', 'N', rows, columns, lower.size(k), 1.0, lower.at(i, k), inverse.at(k, j), inverse.at(i, j), n);
        blas.trsm(&side, &lower_triangle, &plain, &general, &rows, &columns, &minus_one, lower.at(i, i), &n,
                  inverse.at(i, j), &n);
    }
}

void tiled_weighted_inverse(const double* lower, const std::vector<double>& root_weights, int n, double* out) {
    std::vector<double> storage(static_cast<std::size_t>(n) * n);
    const Tiles factor{const_cast<double*>(lower), n}, inverse{storage.data(), n}, product{out, n};
    const int count = factor.count();
    parallel_for(count, [&](int j) { invert_tile_column(factor, inverse, j); });
    for (int r = 0; r < n; ++r)
        if (root_weights[r] != 1.0)
            for (int c = 0; c < n; ++c) storage[static_cast<std::size_t>(c) * n + r] *= root_weights[r];
    parallel_for(count * (count + 1) / 2, [&](int pair) {
        int i = 0;
        while ((i + 1) * (i + 2) / 2 <= pair) ++i;
        const int j = pair - i * (i + 1) / 2;
        for (int c = 0; c < product.size(j); ++c)
            std::fill_n(product.at(i, j) + static_cast<std::size_t>(c) * n, product.size(i), 0.0);
        const int inner = n - i * product.tile_size;
        multiply('T', 'N', product.size(i), product.size(j), inner, 1.0, inverse.at(i, i), inverse.at(i, j),
                 product.at(i, j), n);
        if (i == j) return;
        for (int c = 0; c < product.size(j); ++c)  // the other triangle
            for (int r = 0; r < product.size(i); ++r)
                product.at(j, i)[static_cast<std::size_t>(r) * n + c] = product.at(i, j)[static_cast<std::size_t>(c) * n + r];
    });
}

// Without BLAS: plain loops, column by column. Also where a call would cost more than the work.
bool small_cholesky(double* matrix, int n) {
    for (int k = 0; k < n; ++k) {
        double* column = matrix + static_cast<std::size_t>(k) * n;
        for (int j = 0; j < k; ++j) {
            const double* earlier = matrix + static_cast<std::size_t>(j) * n;
            for (int i = k; i < n; ++i) column[i] -= earlier[k] * earlier[i];
        }
        if (!(column[k] > 0.0)) return false;
        const double pivot = std::sqrt(column[k]);
        for (int i = k; i < n; ++i) column[i] /= pivot;
    }
    return true;
}

void small_weighted_inverse(const double* lower, const std::vector<double>& root_weights, int n, double* out) {
    thread_local std::vector<double> inverse;
    inverse.assign(static_cast<std::size_t>(n) * n, 0.0);
    for (int j = 0; j < n; ++j) {
        double* x = &inverse[static_cast<std::size_t>(j) * n];
        x[j] = 1.0;
        for (int k = j; k < n; ++k) {
            const double* column = lower + static_cast<std::size_t>(k) * n;
            x[k] /= column[k];
            for (int i = k + 1; i < n; ++i) x[i] -= column[i] * x[k];
        }
    }
    for (int j = 0; j < n; ++j)
        for (int r = j; r < n; ++r) inverse[static_cast<std::size_t>(j) * n + r] *= root_weights[r];
    for (int i = 0; i < n; ++i)
        for (int j = 0; j <= i; ++j) {
            double dot = 0.0;
            for (int r = i; r < n; ++r)
                dot += inverse[static_cast<std::size_t>(i) * n + r] * inverse[static_cast<std::size_t>(j) * n + r];
            out[static_cast<std::size_t>(i) * n + j] = out[static_cast<std::size_t>(j) * n + i] = dot;
        }
}

}  // namespace

void set_routines(const Routines& routines) { blas = routines; }

bool cholesky(double* matrix, int n) {
    if (has_blas() && n >= worth_a_call) return tiled_cholesky(matrix, n);
    return small_cholesky(matrix, n);
}

void weighted_inverse(const double* lower, const std::vector<double>& root_weights, int n, double* out) {
    if (has_blas() && n >= worth_a_call) return tiled_weighted_inverse(lower, root_weights, n, out);
    small_weighted_inverse(lower, root_weights, n, out);
}

}  // namespace multilevel::dense
