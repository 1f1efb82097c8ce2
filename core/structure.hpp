// Covariance structures of random-effect terms: parameters <-> lower-triangular factor T, Sigma = sigma^2 T T'.
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

// T, and its derivative in every parameter.
struct TermFactor {
    Eigen::MatrixXd value;
    std::vector<Eigen::MatrixXd> derivative;
};

// Unstructured: lower triangle column by column. Diagonal: standard deviations. Compound symmetry and
// autoregressive: standard deviation(s), then eta with correlation rho(eta), see correlation().
TermFactor term_factor(const Term& term, const double* theta);

// rho(eta) = eta / sqrt(1 + eta^2) for the autoregressive structure; for compound symmetry the same curve
// is mapped onto (-1 / (width - 1), 1), where the correlation matrix is positive definite.
double correlation(const Term& term, double eta);
double correlation_slope(const Term& term, double eta);

}  // namespace multilevel
