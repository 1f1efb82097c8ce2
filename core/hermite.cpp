#include "hermite.hpp"

#include <Eigen/Dense>
#include <cmath>
#include <numbers>

namespace multilevel {

// The nodes are the eigenvalues of the Jacobi matrix of the orthonormal Hermite polynomials (Golub and Welsch 1969).
// With the Hermite functions f_k(x) = p_k(x) exp(-x^2 / 2), w_i exp(x_i^2) is 1 / sum over k of f_k(x_i)^2.
HermiteRule hermite_rule(int nodes) {
    Eigen::MatrixXd jacobi = Eigen::MatrixXd::Zero(nodes, nodes);
    for (int k = 1; k < nodes; ++k) jacobi(k, k - 1) = jacobi(k - 1, k) = std::sqrt(0.5 * k);
    const Eigen::VectorXd roots = Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(jacobi, Eigen::EigenvaluesOnly).eigenvalues();
    HermiteRule rule;
    for (int i = 0; i < nodes; ++i) {
        const double x = 0.5 * (roots(i) - roots(nodes - 1 - i));  // symmetric about zero
        double before = 0.0, current = std::exp(-0.5 * x * x) / std::sqrt(std::sqrt(std::numbers::pi)), sum = 0.0;
        for (int k = 0; k < nodes; ++k) {
            sum += current * current;
            const double next = std::sqrt(2.0 / (k + 1)) * x * current - std::sqrt(k / (k + 1.0)) * before;
            before = current;
            current = next;
        }
        rule.node.push_back(x);
        rule.log_weight.push_back(-std::log(sum));
    }
    return rule;
}

}  // namespace multilevel
