// Dense linear algebra of the tail, on tiles, so that threads can share it.
//
// Each tile is one call of SciPy's single-threaded BLAS or LAPACK: the same numbers on any number of threads.
// Where there is none, or where the matrix is too small for a call, plain loops do the work.
#pragma once

#include <vector>

namespace multilevel::dense {

using Potrf = void (*)(char*, int*, double*, int*, int*);
using Trtri = void (*)(char*, char*, int*, double*, int*, int*);
using Trsm = void (*)(char*, char*, char*, char*, int*, int*, double*, double*, int*, double*, int*);
using Gemm = void (*)(char*, char*, int*, int*, int*, double*, double*, int*, double*, int*, double*, double*, int*);

struct Routines {
    Potrf potrf = nullptr;
    Trtri trtri = nullptr;
    Trsm trsm = nullptr;
    Gemm gemm = nullptr;
};

// Addresses as SciPy's cython_blas and cython_lapack export them.
void set_routines(const Routines& routines);

// Lower Cholesky factor of the lower triangle of a column-major n x n matrix, in place; false if not definite.
bool cholesky(double* matrix, int n);

// R^-T W R^-1 for lower R and a diagonal W given by its roots: both triangles, column-major n x n.
void weighted_inverse(const double* lower, const std::vector<double>& root_weights, int n, double* out);

// lower triangle of matrix (n x n) -= rows' rows, and out = -rows matrix for a symmetric matrix with both triangles.
// `rows` and `out` are count x n; everything is column-major.
void subtract_crossproduct(double* matrix, int n, const double* rows, int count);
void negative_product(const double* rows, int count, const double* matrix, int n, double* out);

// out (columns of a x columns of b) += a'b, for matrices of `count` rows, a column every `stride`. One thread: for use
// inside tasks.
void add_crossproduct(const double* a, int columns_a, const double* b, int columns_b, int count, int stride, double* out);

}  // namespace multilevel::dense
