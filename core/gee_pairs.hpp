// Sums over the pairs of rows of a cluster, from which working correlations are estimated.
#pragma once

#include <Eigen/Dense>
#include <cstdint>

#include "gee.hpp"

namespace multilevel {

// Sums over the pairs (s, t) of each cluster, a time d apart, of (u_s v_t + v_s u_t) / 2 times d a^(d - 1), and times
// d^2 a^(d - 1). gap[r] is the time since the row before.
struct DecayingProducts {
    Eigen::VectorXd first, second;  // K each
};

DecayingProducts decaying_products(const double* u, const double* v, const double* gap, const Clusters& clusters,
                                   double a);

// Pairs of positions by pattern of visits, each with a row of the design of the correlations (in sparse form).
struct PairDesign {
    const std::int64_t* pattern;      // of each cluster
    const std::int64_t* first_pair;   // of each pattern, and the end; pairs in the order (0, 1), (0, 2), ..., (1, 2), ...
    const std::int64_t* first_entry;  // of each pair, and the end
    const std::int64_t* parameter;    // of each entry
    const double* value;              // of each entry
    int n_parameters;
};

// sum over pairs (s, t) of E (u_s v_t + v_s u_t) / 2 in each cluster: q x K.
Eigen::MatrixXd pair_products(const double* u, const double* v, const Clusters& clusters, const PairDesign& design);

// sum over all pairs of w_s w_t E E': q x q; weights may be nullptr.
Eigen::MatrixXd pair_gram(const double* weights, const Clusters& clusters, const PairDesign& design);

}  // namespace multilevel
