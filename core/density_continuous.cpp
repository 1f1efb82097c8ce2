// Log-densities of measurements: normal, Student's t, gamma and inverse Gaussian.
#include "density_rows.hpp"
#include "gamma_functions.hpp"

namespace multilevel {
namespace {

constexpr double half_log_two_pi = gamma_functions::half_log_two_pi;

struct Gaussian {
    static constexpr int others = 1;
    static constexpr bool positive = false;
    static double constant(const Observed&) { return -half_log_two_pi; }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        return -0.5 * (square(o.y - mean(link, eta)) * exp(-log_phi) + log_phi) + o.constant;
    }
};

// y = mu + sqrt(phi) t, nu = exp(log_nu) degrees of freedom
struct Student {
    static constexpr int others = 2;
    static constexpr bool positive = false;
    static double constant(const Observed&) { return -half_log_two_pi; }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi, const S& log_nu) {
        const auto z2 = square(o.y - mean(link, eta)) * exp(-log_phi);
        const S half = 0.69314718055994530942 * S(-1.0) + log_nu;  // log(nu / 2)
        return rising_excess(half, 0.5) - 0.5 * log_phi - 0.5 * (exp(log_nu) + 1.0) * log1p(z2 * exp(-log_nu)) +
               o.constant;
    }
};

// Shape 1 / phi, mean mu
struct Gamma {
    static constexpr int others = 1;
    static constexpr bool positive = true;
    static double constant(const Observed& o) { return o.y > 0.0 ? -std::log(o.y) : impossible; }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        if (o.constant == impossible) return Wider<T, S>(impossible);
        const T l = std::log(o.y) - log_mean(link, eta);
        return stirling_gap(-log_phi) - exp(-log_phi) * (expm1(l) - l) + o.constant;
    }
};

struct InverseGaussian {
    static constexpr int others = 1;
    static constexpr bool positive = true;
    static double constant(const Observed& o) {
        return o.y > 0.0 ? -half_log_two_pi - 1.5 * std::log(o.y) : impossible;
    }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi) {
        if (o.constant == impossible) return Wider<T, S>(impossible);
        const T relative = expm1(std::log(o.y) - log_mean(link, eta));
        return -0.5 * (log_phi + square(relative) * exp(-log_phi) * (1.0 / o.y)) + o.constant;
    }
};

}  // namespace

Routines continuous_routines(Family family) {
    switch (family) {
        case Family::gaussian: return routines<Gaussian>();
        case Family::student: return routines<Student>();
        case Family::gamma: return routines<Gamma>();
        default: return routines<InverseGaussian>();
    }
}

}  // namespace multilevel
