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

// A product of factors f_i(t) > 0 that are linear in t, with its derivatives: all of them sums of positive terms
struct Product {
    double p0 = 1.0, p1 = 0.0, p2 = 0.0, p3 = 0.0;

    void multiply(double factor, double slope) {
        p3 = p3 * factor + 3.0 * slope * p2;
        p2 = p2 * factor + 2.0 * slope * p1;
        p1 = p1 * factor + slope * p0;
        p0 *= factor;
    }

    // Its logarithm, whose value the caller may know better
    Taylor logarithm(double value) const {
        const double r = 1.0 / p0, g1 = p1 * r, g2 = p2 * r, g3 = p3 * r;
        return {value, g1, g2 - g1 * g1, g3 - 3.0 * g1 * g2 + 2.0 * g1 * g1 * g1};
    }
    Taylor logarithm() const { return logarithm(std::log(p0)); }
};

// log Gamma, digamma, trigamma and tetragamma of x > 0
template <int Order>
Taylor log_gamma(double x) {
    Product moved;
    for (; x < stirling_from; x += 1.0) moved.multiply(x, 1.0);
    const double log_x = std::log(x), r = 1.0 / x;
    const Taylor s = stirling_series<Order>(x), below = moved.p0 == 1.0 ? Taylor{} : moved.logarithm();
    return {(x - 0.5) * log_x - x + half_log_two_pi + s.f0 - below.f0, log_x - 0.5 * r + s.f1 - below.f1,
            r + 0.5 * r * r + s.f2 - below.f2, -r * r - r * r * r + s.f3 - below.f3};
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

constexpr double most_factors = 12.0;

// log of the product of 1 + i / x, i = 1 .. y - 1, in powers of x where it is small and of 1 / x where it is large
template <int Order>
Taylor short_rising_excess(double log_x, double y) {
    Product product;
    double excess = 0.0;  // the product of 1 + i / x, less one
    const auto l = variable<Order>(log_x);
    if (log_x <= 0.0) {
        const auto x = exp(l);
        for (double i = 1.0; i < y; i += 1.0) product.multiply(value_of(x) + i, 1.0);
        return taylor(compose(x, product.logarithm()) - (y - 1.0) * l);
    }
    const auto inverse = exp(-l);
    for (double i = 1.0; i < y; i += 1.0) {
        const double more = i * value_of(inverse);
        excess += more + excess * more;
        product.multiply(1.0 + more, i);
    }
    return taylor(compose(inverse, product.logarithm(std::log1p(excess))));
}

// By Stirling's series, of x and x + y moved up by the recurrence where x is small
template <int Order>
Taylor long_rising_excess(double log_x, double y) {
    const auto l = variable<Order>(log_x);
    const auto x = exp(l);
    double moved = 0.0;
    Product below, above;
    for (; value_of(x) + moved < stirling_from; moved += 1.0) {
        if (moved > 0.0) below.multiply(value_of(x) + moved, 1.0);  // x itself is exp(l)
        above.multiply(value_of(x) + y + moved, 1.0);
    }
    const auto z = x + moved;
    const auto series = (z + (y - 0.5)) * log1p(y / z) - y +
                        compose(z + y, stirling_series<Order>(value_of(z) + y)) -
                        compose(z, stirling_series<Order>(value_of(z)));
    if (moved == 0.0) return taylor(series);
    return taylor(series + y * (log(z) - l) + l + compose(x, below.logarithm()) - compose(x, above.logarithm()));
}

template <int Order>
Taylor rising_excess(double log_x, double y) {
    if (y == 0.0) return {};
    if (log_x > 100.0) {  // y (y - 1) / (2 x)
        const double excess = 0.5 * y * (y - 1.0) * std::exp(-log_x);
        return {excess, -excess, excess, -excess};
    }
    if (y <= most_factors && y == std::floor(y)) return short_rising_excess<Order>(log_x, y);
    return long_rising_excess<Order>(log_x, y);
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
