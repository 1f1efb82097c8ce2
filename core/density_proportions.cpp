// Log-densities of successes in trials and of shares: binomial, beta-binomial and beta.
#include "density_rows.hpp"
#include "gamma_functions.hpp"

namespace multilevel {
namespace {

double log_choose(const Observed& o) {
    if (o.trials == 1.0 && (o.y == 0.0 || o.y == 1.0)) return 0.0;
    const bool possible = o.y >= 0.0 && o.y <= o.trials;
    return possible ? log_factorial(o.trials) - log_factorial(o.y) - log_factorial(o.trials - o.y) : impossible;
}

struct Binomial {
    static constexpr int others = 0;
    static constexpr bool positive = false;
    static double constant(const Observed& o) { return log_choose(o); }

    template <class T>
    static T log_density(const Observed& o, Link link, const T& eta) {
        if (link == Link::logit) return times(o.y, eta) - times(o.trials, softplus(eta)) + o.constant;
        const double failures = o.trials - o.y;
        T sum(o.constant);
        if (o.y != 0.0) sum = sum + o.y * log_probability(link, eta);
        if (failures != 0.0) sum = sum + failures * log_complement(link, eta);
        return sum;
    }
};

// Successes whose probability is a beta variable with mean mu and precision phi: a = mu phi, b = (1 - mu) phi
struct BetaBinomial {
    static constexpr int others = 1;
    static constexpr bool positive = false;
    static double constant(const Observed& o) { return log_choose(o); }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        const double failures = o.trials - o.y;
        const T log_mu = log_probability(link, eta), log_rest = log_complement(link, eta);
        return times(o.y, log_mu) + times(failures, log_rest) + rising_excess(log_mu + log_phi, o.y) +
               rising_excess(log_rest + log_phi, failures) - rising_excess(log_phi, o.trials) + o.constant;
    }
};

struct Beta {
    static constexpr int others = 1;
    static constexpr bool positive = true;
    static double constant(const Observed& o) {
        return o.y > 0.0 && o.y < 1.0 ? -std::log(o.y) - std::log1p(-o.y) : impossible;
    }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        if (o.constant == impossible) return Wider<T, S>(impossible);
        const T log_mu = log_probability(link, eta), log_rest = log_complement(link, eta);
        const auto log_a = log_mu + log_phi, log_b = log_rest + log_phi;
        return exp(log_a) * (std::log(o.y) - log_mu) + exp(log_b) * (std::log1p(-o.y) - log_rest) +
               stirling_gap(log_a) + stirling_gap(log_b) - stirling_gap(log_phi) + o.constant;
    }
};

}  // namespace

Routines proportion_routines(Family family) {
    switch (family) {
        case Family::binomial: return routines<Binomial>();
        case Family::beta_binomial: return routines<BetaBinomial>();
        default: return routines<Beta>();
    }
}

}  // namespace multilevel
