// The Python face of fits without random effects.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <tuple>
#include <vector>

#include "fixed_fit.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace multilevel {
namespace {

using Eigen::VectorXd;
using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Columns = nb::ndarray<const double, nb::ndim<2>, nb::f_contig, nb::device::cpu>;
using Codes = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using PredictorArrays = std::tuple<nb::object, Columns, Vector, Vector, Codes>;  // offset, X, shift, scale, places

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

const double* optional_rows(const nb::object& values, std::int64_t n, Vector& held) {
    if (values.is_none()) return nullptr;
    require(nb::try_cast<Vector>(values, held, false), "rows are arrays of doubles, or None");
    require(static_cast<std::int64_t>(held.shape(0)) == n, "as many rows as y has");
    return held.data();
}

FixedPredictor read_predictor(const PredictorArrays& arrays, std::int64_t n, int n_coefficients, Vector& held) {
    const auto& [offset, X, shift, scale, places] = arrays;
    require(static_cast<std::int64_t>(X.shape(0)) == n, "columns have y's rows");
    require(X.shape(1) == shift.shape(0) && X.shape(1) == scale.shape(0) && X.shape(1) == places.shape(0),
            "one shift, scale and coefficient a column");
    FixedPredictor out{optional_rows(offset, n, held), {}, {places.data(), places.data() + places.shape(0)}};
    for (int place : out.coefficients) require(place >= 0 && place < n_coefficients, "a coefficient is out of range");
    for (std::size_t c = 0; c < X.shape(1); ++c) out.columns.push_back({X.data() + c * X.shape(0), shift(c), scale(c)});
    return out;
}

// gamma, log-likelihood, gradient, information, converged, steps
auto fixed_fit(std::tuple<int, int, bool, int> density, Vector y, nb::object trials, nb::object power,
               std::vector<PredictorArrays> predictors, const VectorXd& start, VectorXd precision, VectorXd centre,
               double tolerance, int most_steps) {
    const auto [family, link, extra_zeros, categories] = density;
    require(family >= 0 && family <= static_cast<int>(Family::truncated_nbinom1), "there is no such family");
    require(link >= 0 && link <= static_cast<int>(Link::sqrt), "there is no such link");
    FixedRows rows{static_cast<std::int64_t>(y.shape(0)),
                   {static_cast<Family>(family), static_cast<Link>(link), extra_zeros, categories},
                   {}, {}, static_cast<int>(start.size()), precision, centre};
    require(precision.size() == 0 || precision.size() == start.size(), "one prior a coefficient");
    require(centre.size() == precision.size(), "one centre a prior");
    require(rows.n > 0, "there are rows");
    Vector held_trials, held_power;
    rows.responses = {y.data(), optional_rows(trials, rows.n, held_trials), optional_rows(power, rows.n, held_power)};
    require(static_cast<int>(predictors.size()) == rows.density.n_predictors(), "one design for each predictor");
    require(predictors.size() <= most_predictors, "a density has at most three predictors");
    std::vector<Vector> held(predictors.size());
    for (std::size_t k = 0; k < predictors.size(); ++k)
        rows.predictors.push_back(read_predictor(predictors[k], rows.n, rows.n_coefficients, held[k]));
    nb::gil_scoped_release release;
    std::vector<double> constants(rows.n);
    log_constants(rows.density, rows.responses, 0, rows.n, constants.data());
    rows.responses.constants = constants.data();
    FixedFit fit = climb(rows, start, tolerance, most_steps);
    return std::make_tuple(std::move(fit.gamma), fit.at.loglik, std::move(fit.at.gradient),
                           std::move(fit.at.information), fit.converged, fit.steps);
}

}  // namespace

void bind_fixed_fit(nb::module_& m) {
    m.def("fixed_fit", &fixed_fit, "density"_a, "y"_a, "trials"_a.none(), "power"_a.none(), "predictors"_a, "start"_a,
          "precision"_a, "centre"_a, "tolerance"_a, "most_steps"_a);
}

}  // namespace multilevel
