// Numbers that carry their partial derivatives: a function written once as mathematics is also its derivatives.
//
// Jet<Variables, Order> holds a value and all its partial derivatives up to the order (0 to 3) in a few variables, in
// the places of `derivative_at` (density.hpp). Sums, products and compositions are exact; plain doubles are constants.
#pragma once

#include <cmath>
#include <utility>

#include "density.hpp"

namespace multilevel {

// A function of one number and its derivatives there; those beyond the order asked for are left at zero.
struct Taylor {
    double f0 = 0.0, f1 = 0.0, f2 = 0.0, f3 = 0.0;
};

template <int Variables, int Order>
struct Jet {
    static constexpr int size = n_derivatives(Variables, Order);
    double d[size];

    Jet() = default;
    Jet(double constant) : d{} { d[0] = constant; }  // NOLINT: a constant is a number like any other

    static Jet variable(double value, int index) {
        Jet x(value);
        if constexpr (Order >= 1) x.d[derivative_at(index)] = 1.0;
        return x;
    }
};

template <class T>
constexpr int order_of = 0;
template <int V, int O>
constexpr int order_of<Jet<V, O>> = O;

inline double value_of(double x) { return x; }
template <int V, int O>
double value_of(const Jet<V, O>& x) { return x.d[0]; }

// The same derivatives, and a value that was computed with less rounding
inline double with_value(double, double value) { return value; }
template <int V, int O>
Jet<V, O> with_value(Jet<V, O> x, double value) {
    x.d[0] = value;
    return x;
}

// Sums and products

template <int V, int O>
Jet<V, O> operator-(const Jet<V, O>& a) {
    Jet<V, O> out;
    for (int k = 0; k < out.size; ++k) out.d[k] = -a.d[k];
    return out;
}

template <int V, int O>
Jet<V, O> operator+(const Jet<V, O>& a, const Jet<V, O>& b) {
    Jet<V, O> out;
    for (int k = 0; k < out.size; ++k) out.d[k] = a.d[k] + b.d[k];
    return out;
}

template <int V, int O>
Jet<V, O> operator-(const Jet<V, O>& a, const Jet<V, O>& b) {
    Jet<V, O> out;
    for (int k = 0; k < out.size; ++k) out.d[k] = a.d[k] - b.d[k];
    return out;
}

template <int V, int O>
Jet<V, O> operator*(const Jet<V, O>& a, double b) {
    Jet<V, O> out;
    for (int k = 0; k < out.size; ++k) out.d[k] = a.d[k] * b;
    return out;
}

template <int V, int O>
Jet<V, O> operator+(const Jet<V, O>& a, double b) {
    Jet<V, O> out = a;
    out.d[0] += b;
    return out;
}

template <int V, int O>
Jet<V, O> operator*(double a, const Jet<V, O>& b) { return b * a; }
template <int V, int O>
Jet<V, O> operator+(double a, const Jet<V, O>& b) { return b + a; }
template <int V, int O>
Jet<V, O> operator-(const Jet<V, O>& a, double b) { return a + -b; }
template <int V, int O>
Jet<V, O> operator-(double a, const Jet<V, O>& b) { return -b + a; }

// Leibniz's rule
template <int V, int O>
Jet<V, O> operator*(const Jet<V, O>& a, const Jet<V, O>& b) {
    Jet<V, O> out;
    out.d[0] = a.d[0] * b.d[0];
    if constexpr (O >= 1)
        for (int i = 0; i < V; ++i) out.d[1 + i] = a.d[1 + i] * b.d[0] + a.d[0] * b.d[1 + i];
    if constexpr (O >= 2)
        for (int j = 0; j < V; ++j)
            for (int i = 0; i <= j; ++i) {
                const int ij = derivative_at(V, i, j);
                out.d[ij] = a.d[ij] * b.d[0] + a.d[1 + i] * b.d[1 + j] + a.d[1 + j] * b.d[1 + i] + a.d[0] * b.d[ij];
            }
    if constexpr (O >= 3)
        for (int k = 0; k < V; ++k)
            for (int j = 0; j <= k; ++j)
                for (int i = 0; i <= j; ++i) {
                    const int ij = derivative_at(V, i, j), ik = derivative_at(V, i, k), jk = derivative_at(V, j, k);
                    const int ijk = derivative_at(V, i, j, k);
                    out.d[ijk] = a.d[ijk] * b.d[0] + a.d[0] * b.d[ijk] + a.d[ij] * b.d[1 + k] + a.d[1 + k] * b.d[ij] +
                                 a.d[ik] * b.d[1 + j] + a.d[1 + j] * b.d[ik] + a.d[jk] * b.d[1 + i] +
                                 a.d[1 + i] * b.d[jk];
                }
    return out;
}

// f(x) from f's derivatives at the value of x: the chain rule, to third order Faa di Bruno's
inline double compose(double, const Taylor& f) { return f.f0; }

template <int V, int O>
Jet<V, O> compose(const Jet<V, O>& x, const Taylor& f) {
    Jet<V, O> out;
    out.d[0] = f.f0;
    if constexpr (O >= 1)
        for (int i = 0; i < V; ++i) out.d[1 + i] = f.f1 * x.d[1 + i];
    if constexpr (O >= 2)
        for (int j = 0; j < V; ++j)
            for (int i = 0; i <= j; ++i) {
                const int ij = derivative_at(V, i, j);
                out.d[ij] = f.f1 * x.d[ij] + f.f2 * x.d[1 + i] * x.d[1 + j];
            }
    if constexpr (O >= 3)
        for (int k = 0; k < V; ++k)
            for (int j = 0; j <= k; ++j)
                for (int i = 0; i <= j; ++i) {
                    const int ij = derivative_at(V, i, j), ik = derivative_at(V, i, k), jk = derivative_at(V, j, k);
                    const int ijk = derivative_at(V, i, j, k);
                    out.d[ijk] = f.f1 * x.d[ijk] +
                                 f.f2 * (x.d[ij] * x.d[1 + k] + x.d[ik] * x.d[1 + j] + x.d[jk] * x.d[1 + i]) +
                                 f.f3 * x.d[1 + i] * x.d[1 + j] * x.d[1 + k];
                }
    return out;
}

// Derivatives of a function of one number, written in jets of one variable
inline Taylor taylor(double x) { return {x, 0.0, 0.0, 0.0}; }
template <int O>
Taylor taylor(const Jet<1, O>& x) {
    Taylor out{x.d[0]};
    if constexpr (O >= 1) out.f1 = x.d[1];
    if constexpr (O >= 2) out.f2 = x.d[2];
    if constexpr (O >= 3) out.f3 = x.d[3];
    return out;
}

// Elementary functions

template <class T>
T exp(const T& x) {
    const double e = std::exp(value_of(x));
    return compose(x, {e, e, e, e});
}

template <class T>
T expm1(const T& x) {
    const double v = std::expm1(value_of(x)), e = v > -0.5 ? v + 1.0 : std::exp(value_of(x));
    return compose(x, {v, e, e, e});
}

template <class T>
T log(const T& x) {
    const double v = value_of(x), r = 1.0 / v;
    return compose(x, {std::log(v), r, -r * r, 2.0 * r * r * r});
}

template <class T>
T log1p(const T& x) {
    const double v = value_of(x), r = 1.0 / (1.0 + v);
    return compose(x, {std::log1p(v), r, -r * r, 2.0 * r * r * r});
}

template <class T>
T reciprocal(const T& x) {
    const double r = 1.0 / value_of(x), r2 = r * r;
    return compose(x, {r, -r2, 2.0 * r2 * r, -6.0 * r2 * r2});
}

template <class T>
T square(const T& x) { return x * x; }

template <int V, int O>
Jet<V, O> operator/(const Jet<V, O>& a, const Jet<V, O>& b) { return a * reciprocal(b); }
template <int V, int O>
Jet<V, O> operator/(double a, const Jet<V, O>& b) { return a * reciprocal(b); }
template <int V, int O>
Jet<V, O> operator/(const Jet<V, O>& a, double b) { return a * (1.0 / b); }

// count * x, zero if the count is, whatever x
template <class T>
T times(double count, const T& x) {
    return count == 0.0 ? T(0.0) : T(count * x);
}

// The type of a sum of two numbers: a jet if either is
template <class A, class B>
using Wider = decltype(std::declval<A>() + std::declval<B>());

}  // namespace multilevel
