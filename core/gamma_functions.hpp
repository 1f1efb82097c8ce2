// The gamma function's logarithm and its differences, with derivatives.
//
// Large arguments by Stirling's series, small ones moved up by the recurrence (Abramowitz and Stegun 6.1.15, 6.1.41 and
// 6.4.6). Densities need differences of log-gammas that nearly cancel; those have functions of their own.
#pragma once

#include "jet.hpp"

namespace multilevel::gamma_functions {

constexpr double half_log_two_pi = 0.91893853320467274178;
constexpr double stirling_from = 10.0;
// log Gamma(x) = (x - 1/2) log x - x + log(2 pi) / 2 + sum of stirling[k] / x^(2k + 1)
constexpr int stirling_terms = 8;
constexpr double stirling[stirling_terms] = {1.0 / 12.0,   -1.0 / 360.0,       1.0 / 1260.0, -1.0 / 1680.0,
                                             1.0 / 1188.0, -691.0 / 360360.0, 1.0 / 156.0,  -3617.0 / 122400.0};

// The series, x >= stirling_from
template <int Order>
Taylor stirling_series(double x) {
    const double r = 1.0 / x, r2 = r * r;
    Taylor s;
    for (int k = stirling_terms - 1; k >= 0; --k) {
        const int m = 2 * k + 1;
        s.f0 = s.f0 * r2 + stirling[k];
        if constexpr (Order >= 1) s.f1 = s.f1 * r2 - stirling[k] * m;
        if constexpr (Order >= 2) s.f2 = s.f2 * r2 + stirling[k] * m * (m + 1);
        if constexpr (Order >= 3) s.f3 = s.f3 * r2 - stirling[k] * m * (m + 1) * (m + 2);
    }
    return {s.f0 * r, s.f1 * r2, s.f2 * r2 * r, s.f3 * r2 * r2};
}

// log Gamma, digamma, trigamma and tetragamma of x > 0
template <int Order>
Taylor log_gamma(double x) {
    Taylor moved;
    double product = 1.0;
    while (x < stirling_from) {
        const double r = 1.0 / x;
        product *= x;
        if constexpr (Order >= 1) moved.f1 += r;
        if constexpr (Order >= 2) moved.f2 -= r * r;
        if constexpr (Order >= 3) moved.f3 += 2.0 * r * r * r;
        x += 1.0;
    }
    const double log_x = std::log(x), r = 1.0 / x;
    const Taylor s = stirling_series<Order>(x);
    Taylor out{(x - 0.5) * log_x - x + half_log_two_pi + s.f0};
    if (product != 1.0) out.f0 -= std::log(product);
    if constexpr (Order >= 1) out.f1 = log_x - 0.5 * r + s.f1 - moved.f1;
    if constexpr (Order >= 2) out.f2 = r + 0.5 * r * r + s.f2 - moved.f2;
    if constexpr (Order >= 3) out.f3 = -r * r - r * r * r + s.f3 - moved.f3;
    return out;
}

// A variable for functions of one number written in jets
template <int Order>
auto variable(double x) {
    if constexpr (Order == 0) return x;
    else return Jet<1, Order>::variable(x, 0);
}

template <int Order>
Taylor stirling_gap(double log_x) {
    const double x = std::exp(log_x);
    if (x >= stirling_from) {
        const double r = 1.0 / x, r2 = r * r;
        Taylor out{0.5 * log_x - half_log_two_pi, 0.5};
        double power = r;
        for (int k = 0; k < stirling_terms; ++k, power *= r2) {
            const double m = -(2.0 * k + 1.0), term = stirling[k] * power;
            out.f0 -= term;
            out.f1 -= term * m;
            out.f2 -= term * m * m;
            out.f3 -= term * m * m * m;
        }
        return out;
    }
    const auto l = variable<Order>(log_x);
    const auto y = exp(l);
    return taylor(y * l - y + l - compose(y, log_gamma<Order>(x + 1.0)));
}

// log(exp(log_x) + a) and its derivatives in log_x
inline Taylor log_shifted(double x, double log_x, double a) {
    if (a == 0.0) return {log_x, 1.0, 0.0, 0.0};
    const double p = x / (x + a), curvature = p * (1.0 - p);
    return {std::log(x + a), p, curvature, curvature * (1.0 - 2.0 * p)};
}

inline void add(Taylor& sum, const Taylor& term, double sign = 1.0) {
    sum.f0 += sign * term.f0;
    sum.f1 += sign * term.f1;
    sum.f2 += sign * term.f2;
    sum.f3 += sign * term.f3;
}

constexpr double most_factors = 12.0;

template <int Order>
Taylor rising_excess(double log_x, double y) {
    Taylor out;
    if (y == 0.0) return out;
    const double x = std::exp(log_x);
    if (log_x > 100.0) {
        const double excess = 0.5 * y * (y - 1.0) / x;
        return {excess, -excess, excess, -excess};
    }
    if (y <= most_factors && y == std::floor(y)) {  // the product of 1 + i / x
        double product = 1.0;
        for (double i = 1.0; i < y; i += 1.0) {
            const double w = i / (x + i), curvature = w * (1.0 - w);
            if (x > 1e3) out.f0 += std::log1p(i / x);
            else product *= x + i;
            out.f1 -= w;
            out.f2 += curvature;
            out.f3 -= curvature * (1.0 - 2.0 * w);
        }
        if (x <= 1e3) out.f0 = std::log(product) - (y - 1.0) * log_x;
        return out;
    }
    double moved = 0.0;
    for (; x + moved < stirling_from; moved += 1.0) {
        add(out, log_shifted(x, log_x, moved));
        add(out, log_shifted(x, log_x, moved + y), -1.0);
    }
    const auto l = variable<Order>(log_x);
    const auto z = exp(l) + moved;
    auto series = (z + (y - 0.5)) * log1p(y / z) - y + compose(z + y, stirling_series<Order>(x + moved + y)) -
                  compose(z, stirling_series<Order>(x + moved));
    if (moved > 0.0) series = series + y * (log(z) - l);
    add(out, taylor(series));
    return out;
}

}  // namespace multilevel::gamma_functions

namespace multilevel {

template <class T>
T log_gamma(const T& x) { return compose(x, gamma_functions::log_gamma<order_of<T>>(value_of(x))); }

// G(x) = x log x - x - log Gamma(x) as a function of log x; half the logarithm of x / (2 pi) for large x
template <class T>
T stirling_gap(const T& log_x) {
    return compose(log_x, gamma_functions::stirling_gap<order_of<T>>(value_of(log_x)));
}

// log Gamma(x + y) - log Gamma(x) - y log x as a function of log x, for y >= 0: zero for y = 0 and y = 1, and for x
// without end
template <class T>
T rising_excess(const T& log_x, double y) {
    return compose(log_x, gamma_functions::rising_excess<order_of<T>>(value_of(log_x), y));
}

// log y!, from a table for small whole numbers
double log_factorial(double y);

}  // namespace multilevel
