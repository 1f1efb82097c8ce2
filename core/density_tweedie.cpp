// Log-density of a Tweedie variable, a Poisson number of gamma amounts: Var(y) = phi mu^p, 1 < p < 2.
#include "density_rows.hpp"
#include "gamma_functions.hpp"

namespace multilevel {
namespace {

// At y > 0 the density is a sum over the number j of amounts (Dunn and Smyth 2005). About the largest term,
// j* = y^(2-p) / (phi (2-p)), with u = j / j*, a = (2-p) / (p-1) and G(x) = x log x - x - log Gamma(x), it reads
//   log f = -log y - D / (2 phi) + log sum_j exp(-(1 + a) j* (u log u - u + 1) - log j + G(j) + G(j a))
// where D is the unit deviance: nothing of the size of j* is left to cancel. Where terms are many the sum takes every
// h-th, h a quarter of their spread, and is exact to rounding all the same (the trapezoidal rule on a smooth bell).
template <class S>
S log_series(double y, const S& log_phi, const S& log_first, const S& log_second) {
    // log_first = log(2 - p), log_second = log(p - 1)
    const S log_a = log_first - log_second, slope = exp(-log_second);  // 1 + a = 1 / (p - 1)
    const S log_top = exp(log_first) * std::log(y) - log_phi - log_first;
    const S top = exp(log_top);
    const double centre = value_of(top), spread = std::sqrt(centre / value_of(slope));
    const double step = std::max(1.0, std::floor(spread / 4.0));
    const double start = std::max(1.0, std::round(centre));
    if (!(start + step > start && start - step < start)) return S(std::numeric_limits<double>::quiet_NaN());
    const auto exponent = [&](double j) {
        const double log_j = std::log(j);
        const S log_u = with_value(log_j - log_top, j < 2.0 * centre ? std::log1p((j - centre) / centre)
                                                                     : log_j - value_of(log_top));
        return -slope * (j * log_u + (top - j)) - log_j + stirling_gap(S(log_j)) + stirling_gap(log_j + log_a);
    };
    const S middle = exponent(start);
    S sum(1.0);
    for (const double direction : {1.0, -1.0})
        for (double j = start + direction * step; j >= 1.0; j += direction * step) {
            const S term = exp(exponent(j) - middle);
            sum = sum + term;
            if (!(value_of(term) > 1e-20 * value_of(sum))) break;
        }
    return middle + log(sum) + std::log(step);
}

// p = 1 + 1 / (1 + exp(-shape))
struct Tweedie {
    static constexpr int others = 2;
    static constexpr bool positive = false;
    static double constant(const Observed& o) {
        return o.y == 0.0 ? 0.0 : o.y > 0.0 ? -std::log(o.y) : impossible;
    }

    template <class T, class S>
    static Wider<T, S> log_density(const Observed& o, Link link, const T& eta, const S& log_phi, const S& shape) {
        if (o.y < 0.0) return Wider<T, S>(impossible);
        const T log_mu = log_mean(link, eta);
        const S log_first = -softplus(shape), log_second = -softplus(-shape);
        const S first = exp(log_first), second = exp(log_second);
        if (o.y == 0.0) return -exp(first * log_mu - log_phi - log_first);
        const T w = log_mu - std::log(o.y);
        const auto half_deviance = exp(first * std::log(o.y)) *
                                   (expm1(first * w) * exp(-log_first) + expm1(-second * w) * exp(-log_second));
        return log_series(o.y, log_phi, log_first, log_second) - half_deviance * exp(-log_phi) + o.constant;
    }
};

}  // namespace

Routines tweedie_routines() { return routines<Tweedie>(); }

}  // namespace multilevel
