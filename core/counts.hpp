// What densities of counts share.
#pragma once

#include "density_rows.hpp"
#include "gamma_functions.hpp"

namespace multilevel::counts {

struct Count {
    static constexpr bool positive = false;
    static double constant(const Observed& o) {
        return o.y >= 0.0 && o.y == std::floor(o.y) ? -log_factorial(o.y) : impossible;
    }
};

// log of the mean number of events that leave no count, -log P(0) = size log(1 + mu / size)
template <class S, class D>
auto log_no_zero(const S& log_size, const D& log_odds) { return log_size + log_softplus(log_odds); }

// A Poisson variable whose mean is gamma with shape `size`; log_odds = log(mu / size)
template <class T, class S, class D>
auto negative_binomial(const Observed& o, const T& log_mu, const S& log_size, const D& log_odds) {
    return rising_excess(log_size, o.y) + times(o.y, log_mu - softplus(log_odds)) -
           exp(log_no_zero(log_size, log_odds)) + o.constant;
}

}  // namespace multilevel::counts
