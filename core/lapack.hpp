// Dense factorisations of the tail: SciPy's LAPACK where the tail is large, Eigen where a call is not worth it.
#pragma once

namespace multilevel::lapack {

using Potrf = void (*)(char*, int*, double*, int*, int*);
using Trtri = void (*)(char*, char*, int*, double*, int*, int*);
using Lauum = void (*)(char*, int*, double*, int*, int*);

// Addresses as SciPy's cython_lapack exports them; until they are set, Eigen does all the work.
void set_routines(Potrf potrf, Trtri trtri, Lauum lauum);

// All on the lower triangle of a column-major n x n matrix, in place.
bool cholesky(double* matrix, int n);            // false if not positive definite
void invert_lower(double* matrix, int n);        // L -> L^-1
void lower_crossproduct(double* matrix, int n);  // M -> lower triangle of M'M, M lower triangular

}  // namespace multilevel::lapack
