// Log-densities of counts above zero: f(y) / (1 - f(0)).
#include "counts.hpp"
#include "density_rows.hpp"

namespace multilevel {
namespace {

struct Positive {
    static constexpr bool positive = true;
    static double constant(const Observed& o) { return o.y >= 1.0 ? counts::Count::constant(o) : impossible; }
};

// log_none: the logarithm of -log f(0)
template <class F, class Z>
Wider<F, Z> truncated(const F& log_f, const Z& log_none) { return log_f - log_cloglog(log_none); }

struct TruncatedPoisson : Positive {
    static constexpr int others = 0;
    template <class T>
    static T log_density(const Observed& o, Link link, const T& eta) {
        if (o.y < 1.0) return T(impossible);
        const T log_mu = log_mean(link, eta);
        return truncated(o.y * log_mu - exp(log_mu) + o.constant, log_mu);
    }
};

template <class T, class S, class D>
auto negative_binomial(const Observed& o, const T& log_mu, const S& log_size, const D& log_odds) {
    return truncated(counts::negative_binomial(o, log_mu, log_size, log_odds),
                     counts::log_no_zero(log_size, log_odds));
}

struct TruncatedNegativeBinomial2 : Positive {
    static constexpr int others = 1;
    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        if (o.y < 1.0) return Wider<T, S>(impossible);
        const auto log_mu = log_mean(link, eta);
        return negative_binomial(o, log_mu, log_phi, log_mu - log_phi);
    }
};

struct TruncatedNegativeBinomial1 : Positive {
    static constexpr int others = 1;
    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        if (o.y < 1.0) return Wider<T, S>(impossible);
        const auto log_mu = log_mean(link, eta);
        return negative_binomial(o, log_mu, log_mu - log_phi, log_phi);
    }
};

}  // namespace

Routines truncated_routines(Family family) {
    switch (family) {
        case Family::truncated_poisson: return routines<TruncatedPoisson>();
        case Family::truncated_nbinom2: return routines<TruncatedNegativeBinomial2>();
        default: return routines<TruncatedNegativeBinomial1>();
    }
}

}  // namespace multilevel
