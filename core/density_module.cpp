// The Python face of log-densities: arrays in, derivatives out, sizes checked once here.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include <Eigen/Dense>
#include <stdexcept>
#include <vector>

#include "density.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace multilevel {
namespace {

using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using ByRows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

// Rows of an optional array, or nullptr
const double* optional_rows(const nb::object& values, std::size_t n, Vector& held) {
    if (values.is_none()) return nullptr;
    require(nb::try_cast<Vector>(values, held, false), "trials and power are arrays of doubles, or None");
    require(held.shape(0) == n, "trials and power have y's rows");
    return held.data();
}

ByRows derivatives(int family, int link, bool extra_zeros, int categories, Vector y, nb::object trials,
                   nb::object power, Matrix predictors, std::vector<int> active, int order) {
    require(family >= 0 && family <= static_cast<int>(Family::truncated_nbinom1), "there is no such family");
    require(link >= 0 && link <= static_cast<int>(Link::sqrt), "there is no such link");
    const Density density{static_cast<Family>(family), static_cast<Link>(link), extra_zeros, categories};
    const int K = density.n_predictors();
    require(K <= most_predictors, "a density has at most three predictors");
    require(order >= 0 && order <= 3, "derivatives have orders 0 to 3");
    require(static_cast<int>(predictors.shape(0)) == K, "one row of predictors for each the density has");
    require(predictors.shape(1) == y.shape(0), "predictors have y's rows");
    for (std::size_t a = 0; a < active.size(); ++a)
        require(active[a] >= 0 && active[a] < K && (a == 0 || active[a] > active[a - 1]),
                "active predictors are increasing and exist");
    const std::size_t n = y.shape(0);
    Vector held_trials, held_power;
    const Responses responses{y.data(), optional_rows(trials, n, held_trials), optional_rows(power, n, held_power)};
    const int count = static_cast<int>(active.size());
    ByRows out(n_derivatives(count, order), static_cast<Eigen::Index>(n));
    std::vector<const double*> rows;
    for (int k = 0; k < K; ++k) rows.push_back(predictors.data() + k * n);
    std::vector<double*> to;
    for (Eigen::Index d = 0; d < out.rows(); ++d) to.push_back(out.data() + d * out.cols());
    nb::gil_scoped_release release;
    log_density(density, responses, rows.data(), 0, static_cast<std::int64_t>(n), active.data(), count, order,
                to.data());
    return out;
}

}  // namespace

void bind_density(nb::module_& m) {
    m.def("log_density", &derivatives, "family"_a, "link"_a, "extra_zeros"_a, "categories"_a, "y"_a.noconvert(),
          "trials"_a.none(), "power"_a.none(), "predictors"_a.noconvert(), "active"_a, "order"_a);
}

}  // namespace multilevel
