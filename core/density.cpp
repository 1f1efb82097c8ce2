// Which routine has the log-density of a family?
#include "density.hpp"

#include <stdexcept>

#include "density_rows.hpp"

namespace multilevel {
namespace {

int own_predictors(Family family) {
    switch (family) {
        case Family::binomial:
        case Family::poisson:
        case Family::truncated_poisson: return 1;
        case Family::student:
        case Family::tweedie:
        case Family::ordinal: return 3;
        default: return 2;
    }
}

Routines routines_of(Family family) {
    switch (family) {
        case Family::poisson:
        case Family::nbinom2:
        case Family::nbinom1: return count_routines(family);
        case Family::truncated_poisson:
        case Family::truncated_nbinom2:
        case Family::truncated_nbinom1: return truncated_routines(family);
        case Family::binomial:
        case Family::beta_binomial:
        case Family::beta: return proportion_routines(family);
        case Family::tweedie: return tweedie_routines();
        case Family::ordinal: return ordinal_routines();
        default: return continuous_routines(family);
    }
}

}  // namespace

int Density::n_predictors() const { return own_predictors(family) + (extra_zeros ? 1 : 0); }

void log_density(const Density& density, const Responses& responses, const double* const* predictors,
                 std::int64_t begin, std::int64_t end, const int* active, int n_active, int order, double* const* out) {
    if (density.n_predictors() > most_predictors)
        throw std::invalid_argument("a density has at most three predictors, its excess of zeros among them");
    const Request request{density, responses, predictors, begin, end, active, n_active, order, out};
    const Routines routines = routines_of(density.family);
    if (has_blocks(request)) return evaluate_blocks(request, routines.constants);
    routines.evaluate(request);
}

void log_constants(const Density& density, const Responses& responses, std::int64_t begin, std::int64_t end,
                   double* out) {
    routines_of(density.family).constants({density, responses, nullptr, begin, end, nullptr, 0, 0, &out});
}

}  // namespace multilevel
