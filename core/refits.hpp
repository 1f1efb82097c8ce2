// The same model fitted to many responses, on all threads: bootstraps, simulations, power.
#pragma once

#include <Eigen/Dense>
#include <vector>

#include "model.hpp"
#include "search.hpp"

namespace multilevel {

// One column a response; in working units.
struct Refits {
    Eigen::MatrixXd theta;      // (n_parameters, count)
    Eigen::MatrixXd beta;       // (p, count)
    Eigen::VectorXd criterion;  // (count)
    Eigen::VectorXd pwrss;      // (count)
    Eigen::VectorXi evaluations;
    Eigen::VectorXi converged;
    Eigen::MatrixXi rank;       // (terms, count)
};

// `responses` holds `count` columns of rows.n values, scaled as rows.response says. Every search begins at
// `start`; each response is a task of its own, so results are the same on any number of threads.
Refits refit_many(const Model& model, const RowData& rows, const double* responses, int count,
                  const Eigen::VectorXd& start, bool reml, const SearchSettings& settings);

}  // namespace multilevel
