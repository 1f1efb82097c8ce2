// Log-probabilities of ordered categories: link(P(y <= j)) = threshold_j - eta.
#include "density_rows.hpp"

namespace multilevel {
namespace {

constexpr double log_half = -0.69314718055994530942;

// log(F(upper) - F(lower)), from whichever tail is the smaller; with F's own symmetry for the logit
template <class T>
T log_difference(Link link, const T& upper, const T& lower) {
    if (!(value_of(upper) > value_of(lower))) return T(impossible);
    if (link == Link::logit) return log_one_minus_exp(lower - upper) - softplus(-upper) - softplus(lower);
    const T below = log_probability(link, upper);
    if (value_of(below) < log_half) return below + log_one_minus_exp(log_probability(link, lower) - below);
    const T above = log_complement(link, lower);
    return above + log_one_minus_exp(log_complement(link, upper) - above);
}

struct Ordinal {
    static constexpr int others = 2;
    static constexpr bool positive = false;
    static double constant(const Observed& o) {
        return o.y >= 0.0 && o.y < o.categories && o.y == std::floor(o.y) ? 0.0 : impossible;
    }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& upper, const S& lower) {
        if (o.y == 0.0) return log_probability(link, upper - eta) + o.constant;
        if (o.y == o.categories - 1) return log_complement(link, lower - eta) + o.constant;
        return log_difference<Wider<T, S>>(link, upper - eta, lower - eta) + o.constant;
    }
};

}  // namespace

Routines ordinal_routines() { return routines<Ordinal>(); }

}  // namespace multilevel
