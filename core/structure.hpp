// Covariance structures of random-effect terms: from parameters to a factor T, Sigma = sigma^2 T T'.
//
// Parameters are free of bounds ("sign-free"): T and T with a column's sign turned give the same Sigma.
#pragma once

#include <Eigen/Dense>
#include <vector>

namespace multilevel {

enum class StructureKind { unstructured = 0, diagonal = 1, compound_symmetry = 2, autoregressive = 3 };

// One random-effects term: `width` columns of a factor, beginning at column `first`.
struct Term {
    int factor;
    int first;
    int width;
    StructureKind kind;
    bool homogeneous;  // one common standard deviation for all columns

    int n_parameters() const;
};

// T with Sigma = sigma^2 T T', triangular or not, and its derivative in every parameter.
struct TermFactor {
    Eigen::MatrixXd value;
    std::vector<Eigen::MatrixXd> derivative;
};

// Unstructured: lower triangle column by column. Diagonal: standard deviations. Compound symmetry and
// autoregressive: standard deviation(s), of which the size counts, then an angle eta, whose sine and cosine make
// the correlation rho: both ends of its range are reached at a finite angle.
//
//   autoregressive      rho = cos eta, T = diag(sd) L with innovations of standard deviation sin eta
//   compound symmetry   1 - rho = q / (q - 1) sin^2 eta, T = diag(sd) (a I + b J), with
//                       a = sqrt(q / (q - 1)) sin eta and a + q b = sqrt(q) cos eta
TermFactor term_factor(const Term& term, const double* theta);

}  // namespace multilevel
