// Nodes and weights of Gauss-Hermite quadrature, as adaptive quadrature needs them.
#pragma once

#include <vector>

namespace multilevel {

struct HermiteRule {
    std::vector<double> node;
    std::vector<double> log_weight;  // log(w_i) + node_i^2
};

HermiteRule hermite_rule(int nodes);

}  // namespace multilevel
