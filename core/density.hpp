// Log-densities of a response, row by row, with exact derivatives in the row's predictors.
//
// A row's density depends on a few linear predictors: of the mean first, then whatever else the family has, and last,
// with an excess of zeros, the logit of their probability pi.
//
//   gaussian          log phi                Var = phi
//   gamma             log phi                Var = phi mu^2
//   inverse_gaussian  log phi                Var = phi mu^3
//   nbinom2           log phi                Var = mu + mu^2 / phi
//   nbinom1           log phi                Var = mu (1 + phi)
//   beta              log phi                Var = mu (1 - mu) / (1 + phi)
//   beta_binomial     log phi                a = mu phi, b = (1 - mu) phi
//   student           log phi, log nu        y = mu + sqrt(phi) t, nu degrees of freedom
//   tweedie           log phi, shape         Var = phi mu^p, p = 1 + 1 / (1 + exp(-shape))
//   ordinal           upper, lower           link(P(y <= j)) = threshold_j - eta, thresholds j = y and j = y - 1
//
// The first category has no lower threshold, the last no upper one: what stands there is not read.
#pragma once

#include <cstdint>

namespace multilevel {

enum class Family {
    gaussian, binomial, poisson, nbinom2, nbinom1, gamma, inverse_gaussian, beta, beta_binomial, tweedie, student,
    ordinal, truncated_poisson, truncated_nbinom2, truncated_nbinom1
};

enum class Link { logit, probit, cloglog, cauchit, log, identity, inverse, inverse_square, sqrt };

struct Density {
    Family family;
    Link link;
    bool extra_zeros;    // P(0) = pi + (1 - pi) f(0); where f(0) = 0 (truncated counts, gamma), a hurdle: P(0) = pi
    int categories = 0;  // of an ordinal response

    int n_predictors() const;
};

// What was observed, n rows.
struct Responses {
    const double* y;       // successes where there are trials, the category from 0 where ordinal
    const double* trials;  // or nullptr: one each
    const double* power;   // multiplies the log-density, or nullptr
    const double* constants = nullptr;  // log_constants of these rows; nullptr: computed at each call
};

constexpr int most_predictors = 3;

// Number of partial derivatives up to an order in so many variables, the value among them.
constexpr int n_derivatives(int variables, int order) {
    int count = 1;
    for (int k = 1; k <= order; ++k) {
        int of_order = 1;
        for (int i = 0; i < k; ++i) of_order = of_order * (variables + i) / (i + 1);
        count += of_order;
    }
    return count;
}

// Place of a partial derivative among them: the value, then i, then (i <= j), then (i <= j <= k), each group in the
// order of its largest index, then the next: (0,0) (0,1) (1,1) (0,2) (1,2) (2,2).
constexpr int derivative_at(int i) { return 1 + i; }
constexpr int derivative_at(int variables, int i, int j) { return 1 + variables + j * (j + 1) / 2 + i; }
constexpr int derivative_at(int variables, int i, int j, int k) {
    return 1 + variables + variables * (variables + 1) / 2 + k * (k + 1) * (k + 2) / 6 + j * (j + 1) / 2 + i;
}

// Log-density (all constants in) of rows begin .. end - 1 and its derivatives up to `order` (0 to 3) in the predictors
// active[0] < ... < active[n_active - 1]; the others are held. predictors[k][row] is predictor k;
// out[d][row - begin] receives derivative d. Where a value is impossible the result is -infinity or NaN: ask for finite.
void log_density(const Density& density, const Responses& responses, const double* const* predictors,
                 std::int64_t begin, std::int64_t end, const int* active, int n_active, int order, double* const* out);

// What of the log-density of rows begin .. end - 1 depends on y and trials alone: log y!, binomial coefficients. To be
// computed once for a set of responses and kept in `constants`. They are part of what log_density returns in any case.
void log_constants(const Density& density, const Responses& responses, std::int64_t begin, std::int64_t end,
                   double* out);

}  // namespace multilevel
