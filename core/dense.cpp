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

struct Operand {
    char op;  // 'N', or 'T' for the transpose
    const double* data;
    int stride;  // from a column to the next
};

// out += alpha op(a) op(b)
void multiply(int rows, int columns, int inner, double alpha, Operand a, Operand b, double* out, int stride) {
    double one = 1.0;
    blas.gemm(&a.op, &b.op, &rows, &columns, &inner, &alpha, const_cast<double*>(a.data), &a.stride,
              const_cast<double*>(b.data), &b.stride, &one, out, &stride);
}

// The pair (i, j), j <= i, at place `index` of the lower triangle, row by row.
struct Pair {
    int i = 0, j;
    explicit Pair(int index) {
        while ((i + 1) * (i + 2) / 2 <= index) ++i;
        j = index - i * (i + 1) / 2;
    }
};

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
        parallel_for(below * (below + 1) / 2, [&](int index) {
            const Pair pair(index);
            const int row = k + 1 + pair.i, column = k + 1 + pair.j;
            multiply(m.size(row), m.size(column), m.size(k), -1.0, {'N', m.at(row, k), n}, {'T', m.at(column, k), n},
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
            multiply(rows, columns, lower.size(k), 1.0, {'N', lower.at(i, k), n}, {'N', inverse.at(k, j), n},
                     inverse.at(i, j), n);
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
    parallel_for(count * (count + 1) / 2, [&](int index) {
        const auto [i, j] = Pair(index);
        for (int c = 0; c < product.size(j); ++c)
            std::fill_n(product.at(i, j) + static_cast<std::size_t>(c) * n, product.size(i), 0.0);
        const int inner = n - i * product.tile_size;
        multiply(product.size(i), product.size(j), inner, 1.0, {'T', inverse.at(i, i), n}, {'N', inverse.at(i, j), n},
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

// visit(begin, end) for slices of [0, n), shared among threads.
template <class Visit>
void parallel_slices(int n, Visit visit) {
    constexpr int slice = 64;
    parallel_for((n + slice - 1) / slice, [&](int k) { visit(k * slice, std::min(n, (k + 1) * slice)); });
}

// Eight sums side by side, which a processor adds together.
double dot_product(const double* a, const double* b, int n) {
    constexpr int width = 8;
    double sums[width] = {};
    int i = 0;
    for (; i + width <= n; i += width)
        for (int k = 0; k < width; ++k) sums[k] += a[i + k] * b[i + k];
    double sum = 0.0;
    for (; i < n; ++i) sum += a[i] * b[i];
    for (double each : sums) sum += each;
    return sum;
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

void subtract_crossproduct(double* matrix, int n, const double* rows, int count) {
    auto column = [&](int j) { return rows + static_cast<std::size_t>(j) * count; };
    parallel_slices(n, [&](int begin, int end) {
        double* out = matrix + static_cast<std::size_t>(begin) * n + begin;
        if (has_blas() && n >= worth_a_call) {  // the slice's square reaches into the upper triangle, which nobody reads
            multiply(n - begin, end - begin, count, -1.0, {'T', column(begin), count}, {'N', column(begin), count}, out, n);
            return;
        }
        for (int j = begin; j < end; ++j)
            for (int i = j; i < n; ++i)
                matrix[static_cast<std::size_t>(j) * n + i] -= dot_product(column(i), column(j), count);
    });
}

void add_crossproduct(const double* a, int columns_a, const double* b, int columns_b, int count, int stride, double* out) {
    constexpr int worth = 12;
    if (has_blas() && std::min(columns_a, columns_b) >= worth) {
        multiply(columns_a, columns_b, count, 1.0, {'T', a, stride}, {'N', b, stride}, out, columns_a);
        return;
    }
    for (int j = 0; j < columns_b; ++j)
        for (int i = 0; i < columns_a; ++i)
            out[static_cast<std::size_t>(j) * columns_a + i] +=
                dot_product(a + static_cast<std::size_t>(i) * stride, b + static_cast<std::size_t>(j) * stride, count);
}

void negative_product(const double* rows, int count, const double* matrix, int n, double* out) {
    parallel_slices(n, [&](int begin, int end) {
        double* first = out + static_cast<std::size_t>(begin) * count;
        std::fill_n(first, static_cast<std::size_t>(end - begin) * count, 0.0);
        const double* factor = matrix + static_cast<std::size_t>(begin) * n;
        if (has_blas() && n >= worth_a_call) {
            multiply(count, end - begin, n, -1.0, {'N', rows, count}, {'N', factor, n}, first, count);
            return;
        }
        for (int j = 0; j < end - begin; ++j)
            for (int k = 0; k < n; ++k)
                for (int r = 0; r < count; ++r)
                    first[static_cast<std::size_t>(j) * count + r] -=
                        rows[static_cast<std::size_t>(k) * count + r] * factor[static_cast<std::size_t>(j) * n + k];
    });
}

}  // namespace multilevel::dense
