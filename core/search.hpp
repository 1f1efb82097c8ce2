// Minimises the criterion over the covariance parameters: average-information Newton without bounds.
#pragma once

#include <Eigen/Dense>
#include <functional>
#include <vector>

#include "model.hpp"

namespace multilevel {

struct SearchSettings {
    double tolerance = 1e-9;     // decrease of the criterion that one more step may promise
    int max_evaluations = 500;
};

struct SearchResult {
    Eigen::VectorXd theta;
    double criterion;
    double pwrss;                  // penalised weighted residual sum of squares
    int evaluations;
    int iterations;
    double stationarity;           // decrease that one more Newton step would promise
    double null_eigenvalue;        // least slope of the criterion in a direction that Sigma lacks
    bool converged;
    std::vector<int> rank;         // per term: rank of Sigma
};

// Called between iterations; may throw to stop the search (an interrupt from the keyboard).
using Heartbeat = std::function<void()>;

Eigen::VectorXd moment_start(const Model& model);
SearchResult search(Model& model, const Eigen::VectorXd& start, bool reml, const SearchSettings& settings,
                    const Heartbeat& heartbeat);

}  // namespace multilevel
