// The maximum of a likelihood without random effects: Newton's method on exact derivatives in all linear predictors.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "crossproducts.hpp"
#include "density.hpp"

namespace multilevel {

// offset + X gamma[coefficients]; predictors may share coefficients.
struct FixedPredictor {
    const double* offset;  // (n) or nullptr
    std::vector<Column> columns;
    std::vector<int> coefficients;
};

struct FixedRows {
    std::int64_t n;
    Density density;
    Responses responses;
    std::vector<FixedPredictor> predictors;
    int n_coefficients;
    Eigen::VectorXd precision, centre;  // a normal prior on the coefficients; empty for none
};

struct FixedDerivatives {
    double loglik;
    Eigen::VectorXd gradient;
    Eigen::MatrixXd information;  // minus the Hessian
};

struct FixedFit {
    Eigen::VectorXd gamma;
    FixedDerivatives at;
    bool converged;
    int steps;
};

FixedDerivatives fixed_derivatives(const FixedRows& rows, const Eigen::VectorXd& gamma, bool value_only);

// Climbs from a start of finite likelihood until a further step would promise less than `tolerance`.
FixedFit climb(const FixedRows& rows, const Eigen::VectorXd& start, double tolerance, int most_steps);

}  // namespace multilevel
