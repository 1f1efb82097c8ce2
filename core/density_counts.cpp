// Log-densities of counts: Poisson and both negative binomials.
#include "counts.hpp"
#include "density_rows.hpp"

namespace multilevel {
namespace {

struct Poisson : counts::Count {
    static constexpr int others = 0;
    template <class T>
    static T log_density(const Observed& o, Link link, const T& eta) {
        if (link != Link::log && link != Link::sqrt && value_of(eta) < 0.0) return T(impossible);
        return times(o.y, log_mean(link, eta)) - mean(link, eta) + o.constant;
    }
};

struct NegativeBinomial2 : counts::Count {
    static constexpr int others = 1;
    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        const auto log_mu = log_mean(link, eta);
        return counts::negative_binomial(o, log_mu, log_phi, log_mu - log_phi);
    }
};

struct NegativeBinomial1 : counts::Count {
    static constexpr int others = 1;
    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        const auto log_mu = log_mean(link, eta);
        return counts::negative_binomial(o, log_mu, log_mu - log_phi, log_phi);
    }
};

}  // namespace

Routines count_routines(Family family) {
    switch (family) {
        case Family::poisson: return routines<Poisson>();
        case Family::nbinom2: return routines<NegativeBinomial2>();
        default: return routines<NegativeBinomial1>();
    }
}

}  // namespace multilevel
