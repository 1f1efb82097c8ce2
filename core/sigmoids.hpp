// Logarithms of distribution functions and of their complements, with derivatives, accurate in both tails.
#pragma once

#include "jet.hpp"

namespace multilevel::sigmoids {

constexpr double log_root_two_pi = 0.91893853320467274178;
constexpr double root_half = 0.70710678118654752440;
constexpr double pi = 3.14159265358979323846;

// log(1 + exp(x))
inline Taylor softplus(double x) {
    const double e = std::exp(-std::abs(x)), r = 1.0 / (1.0 + e);
    const double slope = x > 0.0 ? r : e * r, curvature = e * r * r;
    const double bend = (x > 0.0 ? e - 1.0 : 1.0 - e) * r;  // 1 - 2 slope
    return {(x > 0.0 ? x : 0.0) + std::log1p(e), slope, curvature, curvature * bend};
}

// log log(1 + exp(x))
inline Taylor log_softplus(double x) {
    if (x < -36.0) {
        const double half = 0.5 * std::exp(x);
        return {x - half, 1.0 - half, -half, -half};
    }
    const Taylor s = softplus(x);
    const double g1 = s.f1 / s.f0, g2 = s.f2 / s.f0;
    return {std::log(s.f0), g1, g2 - g1 * g1, s.f3 / s.f0 - 3.0 * g1 * g2 + 2.0 * g1 * g1 * g1};
}

// log(1 - exp(x)), x < 0
inline Taylor log_one_minus_exp(double x) {
    const double r = 1.0 / std::expm1(-x), curvature = -r * (1.0 + r);
    const double value = x > -0.7 ? std::log(-std::expm1(x)) : std::log1p(-std::exp(x));
    return {value, -r, curvature, (1.0 + 2.0 * r) * curvature};
}

// log(1 - exp(-exp(x))): with t = exp(x) its slope is B = t / (exp(t) - 1), and B' = -B c, c = B + t - 1
inline Taylor log_cloglog(double x) {
    const double t = std::exp(x);
    if (t > 750.0) return {0.0, 0.0, 0.0, 0.0};
    double c, c1;  // c and its derivative in x
    if (t < 0.5) {
        // c = t / 2 + sum of B_2k t^2k / (2k)!, Bernoulli's numbers
        constexpr double bernoulli[] = {1.0 / 12.0,         -1.0 / 720.0,           1.0 / 30240.0,
                                        -1.0 / 1209600.0,   1.0 / 47900160.0,       -691.0 / 1307674368000.0,
                                        1.0 / 74724249600.0};
        c = c1 = 0.5 * t;
        double power = t * t;
        for (int k = 0; k < 7; ++k, power *= t * t) {
            c += bernoulli[k] * power;
            c1 += bernoulli[k] * power * (2 * k + 2);
        }
    } else {
        c = -t / std::expm1(-t) - 1.0;
        c1 = (c + 1.0) * (t - c);
        if (t > 40.0) c1 = t;
    }
    const double B = t < 0.5 ? 1.0 - t + c : t / std::expm1(t);
    const double value = t > 0.7 ? std::log1p(-std::exp(-t)) : (t < 1e-8 ? x - 0.5 * t : std::log(-std::expm1(-t)));
    return {value, B, -B * c, B * (c * c - c1)};
}

// log of the normal distribution function. With h = phi / Phi the derivatives are h, -h (x + h), ...; in the lower tail
// x + h and what it leaves are tails of Laplace's continued fraction h = z + 1 / (z + 2 / (z + 3 / ...)), z = -x.
inline Taylor log_normal(double x) {
    if (x < -5.0) {
        const double z = -x;
        double tail = 0.0;
        for (int k = 60; k > 3; --k) tail = k / (z + tail);
        const double third = 3.0 / (z + tail), second = 2.0 / (z + third), first = 1.0 / (z + second);
        const double h = z + first;
        const double difference = 2.0 * (third - second) / ((z + second) * (z + third));  // 2 first - second
        return {-0.5 * x * x - log_root_two_pi - std::log(h), h, -h * first, h * first * difference};
    }
    const double upper = 0.5 * std::erfc(x * root_half);
    const double value = x > 0.0 ? std::log1p(-upper) : std::log(0.5 * std::erfc(-x * root_half));
    const double h = std::exp(-0.5 * x * x - log_root_two_pi - value), r = x + h;
    return {value, h, -h * r, h * (r * r + h * r - 1.0)};
}

// log of the Cauchy distribution function
inline Taylor log_cauchy(double x) {
    const double tail = std::atan2(1.0, std::abs(x)) / pi;  // beyond |x|
    const double mu = x < 0.0 ? tail : 1.0 - tail;
    const double r = 1.0 / (1.0 + x * x);
    const double g1 = r / (pi * mu), m2 = -2.0 * x * r, m3 = (6.0 * x * x - 2.0) * r * r;  // mu'' / mu', mu''' / mu'
    return {x < 0.0 ? std::log(tail) : std::log1p(-tail), g1, g1 * (m2 - g1),
            g1 * (m3 - 3.0 * g1 * m2 + 2.0 * g1 * g1)};
}

}  // namespace multilevel::sigmoids

namespace multilevel {

template <class T>
T softplus(const T& x) { return compose(x, sigmoids::softplus(value_of(x))); }
template <class T>
T log_softplus(const T& x) { return compose(x, sigmoids::log_softplus(value_of(x))); }
template <class T>
T log_one_minus_exp(const T& x) { return compose(x, sigmoids::log_one_minus_exp(value_of(x))); }
template <class T>
T log_cloglog(const T& x) { return compose(x, sigmoids::log_cloglog(value_of(x))); }
template <class T>
T log_normal(const T& x) { return compose(x, sigmoids::log_normal(value_of(x))); }
template <class T>
T log_cauchy(const T& x) { return compose(x, sigmoids::log_cauchy(value_of(x))); }

}  // namespace multilevel
