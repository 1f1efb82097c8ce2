// Minimises the criterion of a generalized linear mixed model over psi = (theta, gamma): quasi-Newton steps from an
// analytic curvature, without bounds; singular covariances are reached exactly and certified.
#pragma once

#include <Eigen/Dense>
#include <functional>
#include <vector>

#include "marginal.hpp"

namespace multilevel {

struct MarginalSettings {
    double tolerance = 1e-9;  // decrease of the criterion that one more step may promise
    int max_evaluations = 500;
};

struct MarginalResult {
    Eigen::VectorXd psi;
    double criterion;
    int evaluations;
    int iterations;
    double stationarity;    // decrease that one more step would promise
    double null_slope;      // least slope of the criterion in a direction of variance that is missing; 0 if none is
    bool converged;
    std::vector<int> rank;  // per term: rank of Sigma
    double settled;         // criterion where the first descent ended, before a variance that was missing was added
};

Eigen::VectorXd marginal_start(Marginal& model, const Eigen::VectorXd& gamma);
MarginalResult search_marginal(Marginal& model, const Eigen::VectorXd& start, const MarginalSettings& settings,
                               const std::function<void()>& heartbeat);

// Second derivatives of the criterion by central differences of its gradient; rows and columns of parameters that
// are not `free` are zero.
Eigen::MatrixXd marginal_hessian(Marginal& model, const Eigen::VectorXd& psi, const std::vector<bool>& free);

}  // namespace multilevel
