// What a weak prior adds to the criterion of a generalized mixed model.
#pragma once

#include <Eigen/Dense>
#include <vector>

#include "marginal.hpp"

namespace multilevel {

inline double prior_value(const Prior& prior, const Eigen::VectorXd& psi, int n_theta, const std::vector<TermFactor>& factors) {
    double value = 0.0;
    if (prior.precision.size() > 0)
        value += prior.precision.dot((psi.tail(psi.size() - n_theta) - prior.centre).cwiseAbs2());
    if (prior.avoid_zero > 0.0)
        for (const TermFactor& factor : factors)
            value -= 2.0 * prior.avoid_zero * factor.value.diagonal().cwiseAbs().array().log().sum();
    return value;
}

inline void add_prior_slope(const Prior& prior, const Eigen::VectorXd& psi, int n_theta, const std::vector<TermFactor>& factors,
                            const std::vector<int>& first_parameter, Eigen::VectorXd& gradient) {
    if (prior.precision.size() > 0)
        gradient.tail(psi.size() - n_theta) +=
            2.0 * prior.precision.cwiseProduct(psi.tail(psi.size() - n_theta) - prior.centre);
    if (prior.avoid_zero > 0.0)
        for (std::size_t i = 0; i < factors.size(); ++i)
            for (std::size_t j = 0; j < factors[i].derivative.size(); ++j)
                gradient(first_parameter[i] + j) -=
                    2.0 * prior.avoid_zero *
                    factors[i].derivative[j].diagonal().cwiseQuotient(factors[i].value.diagonal()).sum();
}

}  // namespace multilevel
