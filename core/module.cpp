// The Python face of the core: arrays in, arrays out, sizes checked once here, the GIL released inside.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>

#include "deletions.hpp"
#include "cases.hpp"
#include "dense.hpp"
#include "gee_module.hpp"
#include "leverages.hpp"
#include "model.hpp"
#include "profile.hpp"
#include "refits.hpp"
#include "search.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Columns = nb::ndarray<const double, nb::ndim<2>, nb::f_contig, nb::device::cpu>;
using Rows = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Codes = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Counts = nb::ndarray<const std::int32_t, nb::ndim<2>, nb::f_contig, nb::device::cpu>;

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

std::vector<Column> columns_of(const Columns& matrix, const Vector& shift, const Vector& scale) {
    require(matrix.shape(1) == shift.shape(0) && matrix.shape(1) == scale.shape(0), "one shift and scale a column");
    std::vector<Column> out;
    for (std::size_t c = 0; c < matrix.shape(1); ++c)
        out.push_back({matrix.data() + c * matrix.shape(0), shift(c), scale(c)});
    return out;
}

void require_codes_in_range(const Codes& codes, int levels) {
    for (std::size_t i = 0; i < codes.shape(0); ++i)
        require(codes(i) >= 0 && codes(i) < levels, "a group code is out of range");
}

// Lets Ctrl-C through a few times a second, however fast the iterations are.
class Interrupts {
  public:
    void operator()() {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(200)) return;
        last_ = now;
        nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }

  private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// A Gaussian mixed model on one set of rows. Keeps references to the arrays it was made from.
class GaussianModel {
  public:
    GaussianModel(Columns X, Vector x_shift, Vector x_scale, Vector y, double y_shift, double y_scale,
                  nb::object weights, double n_obs, std::vector<Codes> codes, std::vector<int> levels,
                  std::vector<Columns> Z, std::vector<Vector> z_shift, std::vector<Vector> z_scale,
                  std::vector<std::tuple<int, int, int, int, bool>> terms, double memory_limit)
        : X_(X), y_(y), codes_(codes), Z_(Z), memory_limit_(memory_limit), n_obs_(n_obs) {
        require(y.shape(0) == X.shape(0), "y and X have the same rows");
        require(codes.size() == levels.size() && codes.size() == Z.size() && !codes.empty(), "one Z a factor");
        require(codes.size() == z_shift.size() && codes.size() == z_scale.size(), "one shift and scale a factor");
        rows_.n = static_cast<std::int64_t>(y.shape(0));
        rows_.fixed = columns_of(X, x_shift, x_scale);
        rows_.response = {y.data(), y_shift, y_scale};
        rows_.weights = nullptr;
        if (!weights.is_none()) {
            require(nb::try_cast<Vector>(weights, weights_, false), "weights are an array of doubles");
            require(weights_.shape(0) == y.shape(0), "one weight a row");
            rows_.weights = weights_.data();
        }
        for (std::size_t k = 0; k < codes.size(); ++k) {
            require(codes[k].shape(0) == y.shape(0) && Z[k].shape(0) == y.shape(0), "codes and Z have y's rows");
            require(k == 0 || levels[k] <= levels[k - 1], "factors come in order of decreasing levels");
            require_codes_in_range(codes[k], levels[k]);
            rows_.factors.push_back({codes[k].data(), levels[k], columns_of(Z[k], z_shift[k], z_scale[k])});
        }
        std::vector<Term> parsed;
        for (const auto& [factor, first, width, kind, homogeneous] : terms) {
            require(factor >= 0 && factor < static_cast<int>(codes.size()), "a term's factor is out of range");
            require(width > 0 && first >= 0 && first + width <= static_cast<int>(Z[factor].shape(1)),
                    "a term's columns are out of range");
            require(kind >= 0 && kind <= 3, "a term's structure does not exist");
            require(kind < 2 || width > 1, "one column has no correlation");
            parsed.push_back({factor, first, width, static_cast<StructureKind>(kind), homogeneous});
        }
        nb::gil_scoped_release release;
        model_ = std::make_unique<Model>(cross_products(rows_), std::move(parsed), n_obs, memory_limit);
    }

    void set_response(Vector y, double shift, double scale) {
        require(y.shape(0) == y_.shape(0), "the new response has the rows of the old");
        y_ = y;
        rows_.response = {y.data(), shift, scale};
        nb::gil_scoped_release release;
        model_->set_response(rows_);
    }

    int n_parameters() const { return model_->n_parameters(); }

    VectorXd start() const { return moment_start(*model_); }

    double criterion(const VectorXd& theta, bool reml) {
        check(theta);
        nb::gil_scoped_release release;
        return model_->criterion(theta, reml);
    }

    std::tuple<double, VectorXd, MatrixXd> derivatives(const VectorXd& theta, bool reml) {
        check(theta);
        nb::gil_scoped_release release;
        const double value = model_->criterion(theta, reml);
        Derivatives d = model_->derivatives(theta, reml);
        return {value, d.gradient, d.average_information};
    }

    auto search(const VectorXd& start, bool reml, double tolerance, int max_evaluations) {
        check(start);
        nb::gil_scoped_release release;
        const SearchResult r = multilevel::search(*model_, start, reml, {tolerance, max_evaluations}, Interrupts());
        return std::make_tuple(r.theta, r.criterion, r.pwrss, r.evaluations, r.iterations, r.stationarity, r.null_eigenvalue,
                               r.converged, r.rank);
    }

    // Fits to the columns of Y: theta, beta, criterion, pwrss, evaluations, converged, rank; a column each.
    auto refit_many(Columns Y, const VectorXd& start, bool reml, double tolerance, int max_evaluations) const {
        check(start);
        require(Y.shape(0) == y_.shape(0), "each response has the rows of the model");
        nb::gil_scoped_release release;
        Refits r = multilevel::refit_many(*model_, rows_, Y.data(), static_cast<int>(Y.shape(1)), start, reml,
                                          {tolerance, max_evaluations});
        return std::make_tuple(std::move(r.theta), std::move(r.beta), std::move(r.criterion), std::move(r.pwrss),
                               std::move(r.evaluations), std::move(r.converged), std::move(r.rank));
    }

    // Fits without weights[j] of rows[j], j from start[i] to start[i + 1] - 1, for every i: theta, beta, the lower
    // factor of X'V^-1X, pwrss, converged; a column each. With no evaluation allowed, theta is held.
    auto fit_without(Rows rows, Vector weights, Rows start, Vector n_obs, const VectorXd& theta, bool reml, double tolerance,
                     int max_evaluations) const {
        check(theta);
        require(start.shape(0) == n_obs.shape(0) + 1 && start(0) >= 0, "one start a deletion, and the end");
        for (std::size_t i = 0; i < n_obs.shape(0); ++i) require(start(i) <= start(i + 1), "starts ascend");
        require(start(n_obs.shape(0)) <= static_cast<std::int64_t>(rows.shape(0)), "starts lie within the rows");
        require(weights.shape(0) == rows.shape(0), "one weight a deleted row");
        for (std::size_t i = 0; i < rows.shape(0); ++i)
            require(rows(i) >= 0 && rows(i) < rows_.n, "a row is out of range");
        nb::gil_scoped_release release;
        DeletionFits fits = multilevel::fit_without(
            *model_, rows_, {rows.data(), weights.data(), start.data(), n_obs.data(), static_cast<int>(n_obs.shape(0))},
            theta, reml, {tolerance, max_evaluations});
        return std::make_tuple(std::move(fits.theta), std::move(fits.beta), std::move(fits.fixed_factor),
                               std::move(fits.pwrss), std::move(fits.converged));
    }

    // c'A^-1c of each row, c what it takes from the spherical random effects and from beta.
    VectorXd leverages(const VectorXd& theta) {
        check(theta);
        nb::gil_scoped_release release;
        factorise(theta);
        model_->factorisation().invert_selected({1.0, 0.0});
        VectorXd out(rows_.n);
        multilevel::leverages(rows_, model_->factorisation(), out.data());
        return out;
    }

    // Fits to samples of whole clusters, the columns of `times`: as refit_many, and the factors of X'V^-1X.
    auto refit_cases(Codes cluster, Counts times, Vector n_obs, const MatrixXd& starts, bool reml, double tolerance,
                     int max_evaluations) const {
        require(starts.rows() == model_->n_parameters() && starts.cols() > 0, "a search needs a start");
        require(cluster.shape(0) == y_.shape(0), "one cluster a row");
        require(n_obs.shape(0) == times.shape(1), "one number of observations a sample");
        require_codes_in_range(cluster, static_cast<int>(times.shape(0)));
        for (std::size_t i = 0; i < times.shape(1); ++i)
            for (std::size_t c = 0; c < times.shape(0); ++c) require(times(c, i) >= 0, "times are not negative");
        nb::gil_scoped_release release;
        const Clusters clusters(rows_, model_->sums(), cluster.data(), static_cast<int>(times.shape(0)));
        CaseRefits r = multilevel::refit_cases(*model_, clusters, times.data(), static_cast<int>(times.shape(1)),
                                               n_obs.data(), starts, reml, {tolerance, max_evaluations}, memory_limit_);
        return std::make_tuple(std::move(r.fits.theta), std::move(r.fits.beta), std::move(r.fits.criterion),
                               std::move(r.fits.pwrss), std::move(r.fits.evaluations), std::move(r.fits.converged),
                               std::move(r.fits.rank), std::move(r.fixed_factor));
    }

    VectorXd profile_start(int held, int term, const MatrixXd& directions, const VectorXd& theta,
                           double log_sigma) const {
        check(theta);
        return free_parameters(*model_, constraint(held, term, directions), theta, log_sigma);
    }

    // A point of the profile of a covariance parameter: free parameters, T per term, beta, log sigma, deviance, slope,
    // converged, evaluations, inverse Hessian.
    auto profile_point(int held, int term, const MatrixXd& directions, double coordinate, const MatrixXd& starts,
                       const MatrixXd& inverse_hessian) {
        const Constraint held_at = constraint(held, term, directions);
        require(starts.cols() > 0, "a search needs a start");
        require(starts.rows() == n_free_parameters(*model_, held_at), "an entry of a start a parameter that is free");
        require(inverse_hessian.size() == 0 ||
                    (inverse_hessian.rows() == starts.rows() && inverse_hessian.cols() == starts.rows()),
                "the inverse Hessian is square");
        nb::gil_scoped_release release;
        const ProfilePoint p =
            constrained_minimum(*model_, held_at, coordinate, starts, inverse_hessian, Interrupts());
        return std::make_tuple(p.free, p.factor_T, p.beta, p.log_sigma, p.deviance, p.slope, p.converged, p.evaluations,
                               p.inverse_hessian);
    }

    // The ML fit with other columns in the place of [X y]: theta, beta, criterion, pwrss, converged, evaluations.
    auto fit_with_tail(const MatrixXd& map, const VectorXd& start, double tolerance, int max_evaluations) const {
        check(start);
        require(map.rows() == model_->n_fixed() + 1 && map.cols() > 0, "a row each for X and y");
        nb::gil_scoped_release release;
        Model other(with_tail(model_->sums(), map), model_->terms(), n_obs_, memory_limit_);
        const SearchResult r = multilevel::search(other, start, false, {tolerance, max_evaluations}, Interrupts());
        return std::make_tuple(r.theta, other.beta(), r.criterion, r.pwrss, r.converged, r.evaluations);
    }

    std::vector<MatrixXd> factors(const VectorXd& theta) const {
        check(theta);
        std::vector<MatrixXd> out;
        for (std::size_t i = 0; i < model_->terms().size(); ++i)
            out.push_back(term_factor(model_->terms()[i], theta.data() + model_->first_parameter(i)).value);
        return out;
    }

    // beta, u per factor (levels x width), pwrss, log-determinants, lower factor of X'V^-1X
    auto solution(const VectorXd& theta) {
        check(theta);
        factorise(theta);
        const Estimates e = model_->factorisation().estimates();
        const Pieces p = model_->factorisation().pieces();
        return std::make_tuple(e.beta, by_level(e.u), p.pwrss, p.log_det_random, p.log_det_fixed,
                               model_->factorisation().fixed_cholesky());
    }

    // Fixed part and whole prediction of every row, from beta and per factor b (levels x width).
    std::tuple<VectorXd, VectorXd> linear_predictors(const VectorXd& beta, const std::vector<MatrixXd>& b) const {
        require(beta.size() == model_->n_fixed(), "one coefficient a column of X");
        require(b.size() == rows_.factors.size(), "one matrix of effects a factor");
        std::vector<std::vector<double>> effects;
        for (std::size_t k = 0; k < b.size(); ++k) {
            require(b[k].rows() == model_->sums().factors[k].levels && b[k].cols() == model_->sums().factors[k].width,
                    "effects are levels x width");
            const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> by_level = b[k];
            effects.emplace_back(by_level.data(), by_level.data() + by_level.size());
        }
        VectorXd fixed(rows_.n), whole(rows_.n);
        nb::gil_scoped_release release;
        multilevel::linear_predictors(rows_, beta.data(), effects, fixed.data(), whole.data());
        return {fixed, whole};
    }

    // [X y]'W[X y]
    MatrixXd fixed_crossproduct() const {
        const int t = model_->sums().n_tail();
        return Eigen::Map<const MatrixXd>(model_->sums().fixed.data(), t, t);
    }

    // Blocks of the inverse of A without y: per factor the levels' own blocks (levels * width x width) and
    // those against beta (levels * width x p), and the block of beta; with `tail` also the block between all random
    // effects of the dense tail. With `fixed` false, beta is held.
    auto inverse_blocks(const VectorXd& theta, bool fixed, bool tail) {
        check(theta);
        factorise(theta);
        model_->factorisation().invert_selected({fixed ? 1.0 : 0.0, 0.0});
        std::vector<MatrixXd> own, against;
        for (std::size_t k = 0; k < model_->sums().factors.size(); ++k) {
            own.push_back(stacked(model_->factorisation().diagonal_blocks()[k], model_->sums().factors[k].width));
            against.push_back(stacked(model_->factorisation().fixed_blocks()[k], model_->n_fixed()));
        }
        return std::make_tuple(own, against, model_->factorisation().fixed_block(),
                               tail ? model_->factorisation().tail_block() : MatrixXd());
    }

    // Factor and level of each node of the dense tail, in the order of its columns.
    std::vector<std::tuple<int, int>> tail_nodes() const {
        std::vector<std::tuple<int, int>> out;
        for (const TailNode& node : model_->plan().tail) out.emplace_back(node.factor, node.level);
        return out;
    }

    // Columns of R^-1 b, b given over all random effects (factor by factor) and then beta.
    MatrixXd forward_solve(const VectorXd& theta, MatrixXd b) {
        check(theta);
        require(b.rows() == static_cast<Eigen::Index>(model_->plan().n_random) + model_->n_fixed(),
                "one row a random effect and coefficient");
        nb::gil_scoped_release release;
        factorise(theta);
        model_->factorisation().forward_solve(b);
        return b;
    }

    // head nodes, tail columns, doubles held in row blocks: how the model will be eliminated
    std::tuple<int, int, std::size_t> elimination() const {
        const Plan& plan = model_->plan();
        return {static_cast<int>(plan.head.size()), plan.tail_size, plan.row_blocks};
    }

  private:
    Constraint constraint(int held, int term, const MatrixXd& directions) const {
        require(held >= 0 && held <= 2, "no such quantity");
        const Constraint out{static_cast<Held>(held), term, directions};
        if (out.held == Held::residual) return out;
        require(term >= 0 && term < static_cast<int>(model_->terms().size()), "no such term");
        require(directions.rows() == model_->terms()[term].width, "one entry a column of the term");
        require(directions.cols() == (out.held == Held::correlation ? 2 : 1), "one direction a quantity");
        return out;
    }

    void check(const VectorXd& theta) const {
        require(theta.size() == model_->n_parameters(), "theta has one entry a covariance parameter");
    }

    void factorise(const VectorXd& theta) {
        if (!model_->factorisation().factorise(model_->factor_T(theta)))
            throw std::invalid_argument("the augmented matrix is not positive definite at these parameters");
    }

    std::vector<MatrixXd> by_level(const VectorXd& u) const {
        std::vector<MatrixXd> out;
        for (std::size_t k = 0; k < model_->sums().factors.size(); ++k) {
            const Factor& f = model_->sums().factors[k];
            out.push_back(Eigen::Map<const MatrixXd>(u.data() + model_->plan().factor_first[k], f.width, f.levels).transpose());
        }
        return out;
    }

    static MatrixXd stacked(const std::vector<double>& row_major, int columns) {
        const Eigen::Index rows = columns ? static_cast<Eigen::Index>(row_major.size()) / columns : 0;
        return Eigen::Map<const MatrixXd>(row_major.data(), columns, rows).transpose();
    }

    Columns X_;
    Vector y_, weights_;
    std::vector<Codes> codes_;
    std::vector<Columns> Z_;
    RowData rows_;
    double memory_limit_, n_obs_;
    std::unique_ptr<Model> model_;
};

void use_blas(std::size_t potrf, std::size_t trtri, std::size_t trsm, std::size_t gemm) {
    dense::set_routines({reinterpret_cast<dense::Potrf>(potrf), reinterpret_cast<dense::Trtri>(trtri),
                         reinterpret_cast<dense::Trsm>(trsm), reinterpret_cast<dense::Gemm>(gemm)});
}

}  // namespace
}  // namespace multilevel

namespace multilevel {
void bind_density(nb::module_& m);   // density_module.cpp
void bind_marginal(nb::module_& m);  // marginal_module.cpp
void bind_fixed_fit(nb::module_& m);  // fixed_fit_module.cpp
}  // namespace multilevel

NB_MODULE(_core, m) {
    using multilevel::GaussianModel;
    nb::exception<multilevel::TailTooLarge>(m, "TailTooLarge", PyExc_MemoryError);
    m.def("set_threads", &multilevel::set_threads, "count"_a);
    m.def("threads", &multilevel::threads);
    m.def("use_blas", &multilevel::use_blas, "potrf"_a, "trtri"_a, "trsm"_a, "gemm"_a);
    nb::class_<GaussianModel>(m, "GaussianModel")
        .def(nb::init<multilevel::Columns, multilevel::Vector, multilevel::Vector, multilevel::Vector, double, double,
                      nb::object, double, std::vector<multilevel::Codes>, std::vector<int>,
                      std::vector<multilevel::Columns>, std::vector<multilevel::Vector>,
                      std::vector<multilevel::Vector>, std::vector<std::tuple<int, int, int, int, bool>>, double>(),
             "X"_a.noconvert(), "x_shift"_a, "x_scale"_a, "y"_a.noconvert(), "y_shift"_a, "y_scale"_a,
             "weights"_a.none(), "n_obs"_a, "codes"_a.noconvert(), "levels"_a, "Z"_a.noconvert(), "z_shift"_a, "z_scale"_a, "terms"_a, "memory_limit"_a)
        .def("set_response", &GaussianModel::set_response, "y"_a, "shift"_a, "scale"_a)
        .def_prop_ro("n_parameters", &GaussianModel::n_parameters)
        .def("start", &GaussianModel::start)
        .def("criterion", &GaussianModel::criterion, "theta"_a, "reml"_a)
        .def("derivatives", &GaussianModel::derivatives, "theta"_a, "reml"_a)
        .def("search", &GaussianModel::search, "start"_a, "reml"_a, "tolerance"_a, "max_evaluations"_a)
        .def("refit_many", &GaussianModel::refit_many, "Y"_a, "start"_a, "reml"_a, "tolerance"_a,
             "max_evaluations"_a)
        .def("fit_without", &GaussianModel::fit_without, "rows"_a.noconvert(), "weights"_a.noconvert(),
             "start"_a.noconvert(), "n_obs"_a.noconvert(), "theta"_a, "reml"_a, "tolerance"_a, "max_evaluations"_a)
        .def("leverages", &GaussianModel::leverages, "theta"_a)
        .def("refit_cases", &GaussianModel::refit_cases, "cluster"_a.noconvert(), "times"_a.noconvert(), "n_obs"_a,
             "starts"_a, "reml"_a, "tolerance"_a, "max_evaluations"_a)
        .def("profile_start", &GaussianModel::profile_start, "held"_a, "term"_a, "directions"_a, "theta"_a,
             "log_sigma"_a)
        .def("profile_point", &GaussianModel::profile_point, "held"_a, "term"_a, "directions"_a, "coordinate"_a,
             "starts"_a, "inverse_hessian"_a)
        .def("fit_with_tail", &GaussianModel::fit_with_tail, "map"_a, "start"_a, "tolerance"_a, "max_evaluations"_a)
        .def("factors", &GaussianModel::factors, "theta"_a)
        .def("solution", &GaussianModel::solution, "theta"_a)
        .def("inverse_blocks", &GaussianModel::inverse_blocks, "theta"_a, "fixed"_a, "tail"_a)
        .def("tail_nodes", &GaussianModel::tail_nodes)
        .def("forward_solve", &GaussianModel::forward_solve, "theta"_a, "b"_a)
        .def("linear_predictors", &GaussianModel::linear_predictors, "beta"_a, "b"_a)
        .def("fixed_crossproduct", &GaussianModel::fixed_crossproduct)
        .def("elimination", &GaussianModel::elimination);
    multilevel::bind_density(m);
    multilevel::bind_marginal(m);
    multilevel::bind_fixed_fit(m);
    multilevel::bind_gee(m);
}
