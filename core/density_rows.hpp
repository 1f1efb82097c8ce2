// From the log-density of one row, written once as mathematics, to arrays of derivatives.
//
// A family is a struct with `others`, its predictors beside the mean's, a static `constant` of what was observed and a
// static template `log_density(observed, link, eta, others...)` of numbers that may be jets. Predictors that are held
// stay doubles, so that a derivative costs only where it is asked for.
#pragma once

#include "links.hpp"

namespace multilevel {

// One row
struct Observed {
    double y;
    double trials;
    double constant;  // what of the log-density depends on y and trials alone
    int categories;
};

constexpr double impossible = -std::numeric_limits<double>::infinity();

// What log_density was asked for
struct Request {
    Density density;
    Responses responses;
    const double* const* predictors;
    std::int64_t begin, end;
    const int* active;
    int n_active;
    int order;
    double* const* out;

    bool is_active(int predictor) const {
        for (int a = 0; a < n_active; ++a)
            if (active[a] == predictor) return true;
        return false;
    }
};

// A jet in one more variable, the last
template <int V, int O>
Jet<V + 1, O> widened(const Jet<V, O>& x) {
    Jet<V + 1, O> out(x.d[0]);
    if constexpr (O >= 1)
        for (int i = 0; i < V; ++i) out.d[1 + i] = x.d[1 + i];
    if constexpr (O >= 2)
        for (int k = 0; k < V * (V + 1) / 2; ++k) out.d[2 + V + k] = x.d[1 + V + k];
    if constexpr (O >= 3)
        for (int k = 0; k < V * (V + 1) * (V + 2) / 6; ++k)
            out.d[derivative_at(V + 1, 0, 0, 0) + k] = x.d[derivative_at(V, 0, 0, 0) + k];
    return out;
}

// log f of a density with an excess of zeros, the logit of their probability zeta. A hurdle has no other zeros.
template <class F, class Z>
Wider<F, Z> with_zeros(const F& log_f, const Z& zeta, bool zero, bool hurdle) {
    if (!zero) return log_f - softplus(zeta);
    if (hurdle || value_of(log_f) == impossible) return Wider<F, Z>(0.0) - softplus(-zeta);
    if (value_of(zeta) > value_of(log_f)) return softplus(log_f - zeta) - softplus(-zeta);
    return log_f + softplus(zeta - log_f) - softplus(zeta);
}

template <class T>
void write_row(const Request& request, std::int64_t row, const T& log_f) {
    const double power = request.responses.power ? request.responses.power[row] : 1.0;
    const int count = n_derivatives(request.n_active, request.order);
    if constexpr (order_of<T> == 0) {
        request.out[0][row - request.begin] = power * value_of(log_f);
        for (int d = 1; d < count; ++d) request.out[d][row - request.begin] = 0.0;
    } else {
        for (int d = 0; d < count; ++d) request.out[d][row - request.begin] = power * log_f.d[d];
    }
}

template <int V, int O>
struct NumberOf {
    using type = Jet<V, O>;
};
template <int O>
struct NumberOf<0, O> {
    using type = double;
};
template <int V>
struct NumberOf<V, 0> {
    using type = double;
};
template <>
struct NumberOf<0, 0> {
    using type = double;
};

template <class T>
T number(double value, int place) {
    if constexpr (order_of<T> == 0) return value;
    else return place < 0 ? T(value) : T::variable(value, place);
}

// Rows of a family whose own active predictors are V, the mean among them if it is `Eta`'s type that is a jet, the
// others if `Other`'s is.
template <class Family, int V, int O, class Eta, class Other>
void evaluate_rows(const Request& request) {
    using Number = typename NumberOf<V, O>::type;
    const int zeros = request.density.extra_zeros ? 1 + Family::others : -1;
    int place[3] = {-1, -1, -1};
    for (int a = 0; a < request.n_active; ++a)
        if (request.active[a] != zeros) place[request.active[a]] = a;
    const bool zeros_active = zeros >= 0 && request.is_active(zeros);
    const Responses& responses = request.responses;
    for (std::int64_t row = request.begin; row < request.end; ++row) {
        Observed observed{responses.y[row], responses.trials ? responses.trials[row] : 1.0, 0.0,
                          request.density.categories};
        observed.constant = responses.constants ? responses.constants[row] : Family::constant(observed);
        const auto eta = number<Eta>(request.predictors[0][row], place[0]);
        Number log_f;
        if constexpr (Family::others == 0) {
            log_f = Family::log_density(observed, request.density.link, eta);
        } else {
            const auto first = number<Other>(request.predictors[1][row], place[1]);
            if constexpr (Family::others == 1) {
                log_f = Family::log_density(observed, request.density.link, eta, first);
            } else {
                const auto second = number<Other>(request.predictors[2][row], place[2]);
                log_f = Family::log_density(observed, request.density.link, eta, first, second);
            }
        }
        if (zeros < 0) {
            write_row(request, row, log_f);
            continue;
        }
        const double zeta = request.predictors[zeros][row];
        const bool zero = observed.y == 0.0;
        if constexpr (V < most_predictors && (V > 0 || O > 0)) {
            if (zeros_active) {
                using More = Jet<V + 1, O>;
                if constexpr (V == 0) write_row(request, row, with_zeros(log_f, More::variable(zeta, 0), zero, Family::positive));
                else write_row(request, row, with_zeros(widened(log_f), More::variable(zeta, V), zero, Family::positive));
                continue;
            }
        }
        write_row(request, row, with_zeros(log_f, zeta, zero, Family::positive));
    }
}

template <class Family, int O>
void evaluate_order(const Request& request) {
    const bool mean = request.is_active(0);
    int others = 0;
    for (int a = 0; a < request.n_active; ++a) others += request.active[a] > 0 && request.active[a] <= Family::others;
    using J1 = Jet<1, O>;
    using J2 = Jet<2, O>;
    using J3 = Jet<3, O>;
    if (others == 0) {
        if (mean) return evaluate_rows<Family, 1, O, J1, double>(request);
        return evaluate_rows<Family, 0, O, double, double>(request);
    }
    if constexpr (Family::others >= 1) {
        if (others == 1) {
            if (mean) return evaluate_rows<Family, 2, O, J2, J2>(request);
            return evaluate_rows<Family, 1, O, double, J1>(request);
        }
    }
    if constexpr (Family::others >= 2) {
        if (mean) return evaluate_rows<Family, 3, O, J3, J3>(request);
        return evaluate_rows<Family, 2, O, double, J2>(request);
    }
}

// First derivatives alone are rare: they come with the second ones.
template <class Family>
void evaluate(const Request& request) {
    if (request.order == 0 || request.n_active == 0) return evaluate_rows<Family, 0, 0, double, double>(request);
    if (request.order <= 2) return evaluate_order<Family, 2>(request);
    evaluate_order<Family, 3>(request);
}

// Constants of rows begin .. end - 1
template <class Family>
void constants(const Request& request) {
    const Responses& responses = request.responses;
    for (std::int64_t row = request.begin; row < request.end; ++row)
        request.out[0][row - request.begin] = Family::constant(
            {responses.y[row], responses.trials ? responses.trials[row] : 1.0, 0.0, request.density.categories});
}

// What a family offers to density.cpp; one file a kind of response has the definitions.
struct Routines {
    void (*evaluate)(const Request&);
    void (*constants)(const Request&);
};

template <class Family>
Routines routines() { return {evaluate<Family>, constants<Family>}; }

// Logistic and log-linear rows without an excess of zeros have kernels of their own.
bool has_blocks(const Request& request);
void evaluate_blocks(const Request& request, void (*constants)(const Request&));

Routines count_routines(Family family);
Routines truncated_routines(Family family);
Routines proportion_routines(Family family);
Routines continuous_routines(Family family);
Routines tweedie_routines();
Routines ordinal_routines();

}  // namespace multilevel
