// Points of likelihood profiles: minima of the deviance (-2 log-likelihood) with one quantity held at a value.
#pragma once

#include <Eigen/Dense>

#include "model.hpp"
#include "search.hpp"

namespace multilevel {

enum class Held { residual = 0, deviation = 1, correlation = 2 };

// A quantity of the covariances that is held. Its coordinate is log sigma for the residual; sigma |T'm| for the
// standard deviation of m'b; and for a correlation of m_1'b with m_2'b the angle whose cosine it is (for compound
// symmetry and autoregression the structure's own angle). Columns m are in the term's working coordinates.
struct Constraint {
    Held held;
    int term;                    // of no meaning for the residual
    Eigen::MatrixXd directions;  // width x (1 for a deviation, 2 for a correlation)
};

struct ProfilePoint {
    Eigen::VectorXd free;                  // what was searched over; a start for the next point
    std::vector<Eigen::MatrixXd> factor_T;  // per term, relative to sigma
    Eigen::VectorXd beta;
    double log_sigma;
    double deviance;
    double slope;                          // of the minimum, in the coordinate
    bool converged;
    int evaluations;
    Eigen::MatrixXd inverse_hessian;       // of the deviance in `free`, approximately
};

// The free parameters of a point (theta, log sigma) at which the constraint holds with its own value there.
Eigen::VectorXd free_parameters(Model& model, const Constraint& constraint, const Eigen::VectorXd& theta,
                                double log_sigma);

// How many parameters stay free beside what is held.
int n_free_parameters(Model& model, const Constraint& constraint);

// Searches from the first column of `starts`; from the others too if it ends at a nearly singular covariance, where
// a search may be stuck; and where a correlation is held also from small deviations. `inverse_hessian` may be empty.
ProfilePoint constrained_minimum(Model& model, const Constraint& constraint, double coordinate,
                                 const Eigen::MatrixXd& starts, const Eigen::MatrixXd& inverse_hessian,
                                 const Heartbeat& heartbeat);

// The sums for other columns of the fixed part and the response: [X y] becomes [X y] map, (p + 1) x (k + 1).
CrossProducts with_tail(const CrossProducts& sums, const Eigen::MatrixXd& map);

}  // namespace multilevel
