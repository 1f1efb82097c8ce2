// Means from linear predictors, as what densities need: the logarithm of a mean, of a probability, of its complement.
#pragma once

#include <limits>

#include "sigmoids.hpp"

namespace multilevel {

// log mu of a probability; NaN outside (0, 1)
template <class T>
T log_probability(Link link, const T& eta) {
    switch (link) {
        case Link::logit: return -softplus(-eta);
        case Link::probit: return log_normal(eta);
        case Link::cloglog: return log_cloglog(eta);
        case Link::cauchit: return log_cauchy(eta);
        case Link::log: return value_of(eta) > 0.0 ? T(std::numeric_limits<double>::quiet_NaN()) : eta;
        case Link::identity:
            return value_of(eta) > 1.0 ? T(std::numeric_limits<double>::quiet_NaN()) : log(eta);
        default: return T(std::numeric_limits<double>::quiet_NaN());
    }
}

// log(1 - mu)
template <class T>
T log_complement(Link link, const T& eta) {
    switch (link) {
        case Link::logit: return -softplus(eta);
        case Link::probit: return log_normal(-eta);
        case Link::cloglog: return -exp(eta);
        case Link::cauchit: return log_cauchy(-eta);
        case Link::log: return log_one_minus_exp(eta);
        case Link::identity:
            return value_of(eta) < 0.0 ? T(std::numeric_limits<double>::quiet_NaN()) : log1p(-eta);
        default: return T(std::numeric_limits<double>::quiet_NaN());
    }
}

// log mu of a positive mean; NaN where eta belongs to none
template <class T>
T log_mean(Link link, const T& eta) {
    switch (link) {
        case Link::log: return eta;
        case Link::identity: return log(eta);
        case Link::inverse: return -log(eta);
        case Link::inverse_square: return -0.5 * log(eta);
        case Link::sqrt: return log(square(eta));
        default: return log_probability(link, eta);
    }
}

// mu itself, of any sign
template <class T>
T mean(Link link, const T& eta) {
    switch (link) {
        case Link::identity: return eta;
        case Link::inverse: return reciprocal(eta);
        case Link::sqrt: return square(eta);
        default: return exp(log_mean(link, eta));
    }
}

}  // namespace multilevel
