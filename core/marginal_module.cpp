// The Python face of generalized mixed models: arrays in, arrays out, sizes checked once here, the GIL released inside.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <Eigen/Dense>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "joint_mode.hpp"
#include "laplace.hpp"
#include "marginal_search.hpp"
#include "quadrature.hpp"
#include "threads.hpp"
#include "workspaces.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Columns = nb::ndarray<const double, nb::ndim<2>, nb::f_contig, nb::device::cpu>;
using Codes = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

const double* optional_rows(const nb::object& values, std::int64_t n, Vector& held) {
    if (values.is_none()) return nullptr;
    require(nb::try_cast<Vector>(values, held, false), "rows are arrays of doubles, or None");
    require(static_cast<std::int64_t>(held.shape(0)) == n, "as many rows as y has");
    return held.data();
}

std::vector<Column> scaled_columns(const Columns& matrix, const Vector& shift, const Vector& scale, std::int64_t n) {
    require(static_cast<std::int64_t>(matrix.shape(0)) == n, "columns have y's rows");
    require(matrix.shape(1) == shift.shape(0) && matrix.shape(1) == scale.shape(0), "one shift and scale a column");
    std::vector<Column> out;
    for (std::size_t c = 0; c < matrix.shape(1); ++c) out.push_back({matrix.data() + c * matrix.shape(0), shift(c), scale(c)});
    return out;
}

// Lets Ctrl-C through a few times a second.
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

using PredictorArrays = std::tuple<nb::object, Columns, Vector, Vector, Codes>;                    // offset, X, shift, scale, places
using FactorArrays = std::tuple<Codes, int, Columns, Vector, Vector, std::vector<int>>;            // codes, levels, Z, shift, scale, predictor
using TermNumbers = std::tuple<int, int, int, int, bool>;

class MarginalModel {
  public:
    MarginalModel(std::tuple<int, int, bool, int> density, Vector y, nb::object trials, nb::object power,
                  std::vector<PredictorArrays> predictors, std::vector<FactorArrays> factors,
                  std::vector<TermNumbers> terms, int n_coefficients, VectorXd precision, VectorXd centre,
                  double avoid_zero, int nodes, std::vector<int> joint, double memory_limit)
        : n_coefficients_(n_coefficients), nodes_(nodes), joint_(std::move(joint)), memory_limit_(memory_limit) {
        require(nodes >= 1, "quadrature has at least one node");
        require(nodes == 1 || joint_.empty(), "coefficients found with the modes go with one node");
        for (int j : joint_) require(j >= 0 && j < n_coefficients, "a joint coefficient is out of range");
        const auto [family, link, extra_zeros, categories] = density;
        require(family >= 0 && family <= static_cast<int>(Family::truncated_nbinom1), "there is no such family");
        require(link >= 0 && link <= static_cast<int>(Link::sqrt), "there is no such link");
        MarginalRows rows{static_cast<std::int64_t>(y.shape(0)),
                          {static_cast<Family>(family), static_cast<Link>(link), extra_zeros, categories},
                          {}, {}, {}};
        Vector held_trials, held_power;
        rows.responses = {y.data(), optional_rows(trials, rows.n, held_trials), optional_rows(power, rows.n, held_power)};
        require(static_cast<int>(predictors.size()) == rows.density.n_predictors(), "one design for each predictor");
        require(predictors.size() <= most_predictors, "a density has at most three predictors");
        std::vector<Vector> held_offsets(predictors.size());
        for (std::size_t k = 0; k < predictors.size(); ++k) {
            const auto& [offset, X, shift, scale, places] = predictors[k];
            require(places.shape(0) == X.shape(1), "one coefficient a column");
            for (std::size_t c = 0; c < places.shape(0); ++c)
                require(places(c) >= 0 && places(c) < n_coefficients, "a coefficient is out of range");
            rows.predictors.push_back({optional_rows(offset, rows.n, held_offsets[k]),
                                       scaled_columns(X, shift, scale, rows.n),
                                       {places.data(), places.data() + places.shape(0)}});
        }
        require(!factors.empty(), "a mixed model has a grouping factor");
        for (std::size_t f = 0; f < factors.size(); ++f) {
            const auto& [codes, levels, Z, shift, scale, predictor] = factors[f];
            require(static_cast<std::int64_t>(codes.shape(0)) == rows.n, "codes have y's rows");
            for (std::size_t i = 0; i < codes.shape(0); ++i)
                require(codes(i) >= 0 && codes(i) < levels, "a group code is out of range");
            require(predictor.size() == Z.shape(1), "one predictor a column");
            for (int k : predictor) require(k >= 0 && k < static_cast<int>(predictors.size()), "a predictor is out of range");
            require(f == 0 || levels <= std::get<1>(factors[f - 1]), "factors come in order of decreasing levels");
            rows.factors.push_back({{codes.data(), levels, scaled_columns(Z, shift, scale, rows.n)}, predictor});
        }
        for (const auto& [factor, first, width, kind, homogeneous] : terms) {
            require(factor >= 0 && factor < static_cast<int>(factors.size()), "a term's factor is out of range");
            require(width > 0 && first >= 0 && first + width <= static_cast<int>(rows.factors[factor].predictor.size()),
                    "a term's columns are out of range");
            require(kind >= 0 && kind <= 3, "a term's structure does not exist");
            require(kind < 2 || width > 1, "one column has no correlation");
            terms_.push_back({factor, first, width, static_cast<StructureKind>(kind), homogeneous});
        }
        require(precision.size() == 0 || precision.size() == n_coefficients, "one prior a coefficient");
        require(centre.size() == precision.size(), "one centre a prior");
        prior_ = {precision, centre, avoid_zero};
        nb::gil_scoped_release release;
        rows_ = group_rows(rows);
        require(nodes == 1 || quadrature_serves(rows_), "quadrature is for one grouping factor of few columns");
        model_ = make_model();
    }

    int n_parameters() const { return model_->n_parameters(); }
    int n_theta() const { return model_->n_theta(); }

    void set_response(Vector y) {
        require(static_cast<std::int64_t>(y.shape(0)) == rows_.n, "the new response has the rows of the old");
        nb::gil_scoped_release release;
        forget_point();
        rows_.set_response(y.data());
        model_->set_response(y.data());
    }

    VectorXd start(const VectorXd& gamma) {
        require(gamma.size() == n_coefficients_, "one start a coefficient");
        nb::gil_scoped_release release;
        forget_point();
        return marginal_start(*model_, gamma);
    }

    double value(const VectorXd& psi) {
        check(psi);
        nb::gil_scoped_release release;
        forget_point();
        return model_->value(psi);
    }

    std::tuple<double, VectorXd, MatrixXd> derivatives(const VectorXd& psi) {
        check(psi);
        nb::gil_scoped_release release;
        forget_point();
        const double value = model_->value(psi);
        if (value == std::numeric_limits<double>::infinity()) {
            constexpr double none = std::numeric_limits<double>::quiet_NaN();
            return {value, VectorXd::Constant(psi.size(), none), MatrixXd::Constant(psi.size(), psi.size(), none)};
        }
        VectorXd gradient = model_->gradient();
        return {value, gradient, model_->curvature()};
    }

    auto search(const VectorXd& start, double tolerance, int max_evaluations) {
        check(start);
        nb::gil_scoped_release release;
        forget_point();
        model_->forget_modes();
        MarginalResult r = search_all(*model_, start, {tolerance, max_evaluations}, Interrupts());
        return std::make_tuple(r.psi, r.criterion, r.evaluations, r.iterations, r.stationarity, r.null_slope, r.converged,
                               r.rank, r.settled);
    }

    MatrixXd hessian(const VectorXd& psi, const std::vector<bool>& free) {
        check(psi);
        require(free.size() == static_cast<std::size_t>(psi.size()), "one flag a parameter");
        nb::gil_scoped_release release;
        forget_point();
        MatrixXd H = marginal_hessian(*model_, psi, free);
        if (H.allFinite()) psi_ = psi;  // where it leaves the model
        return H;
    }

    std::tuple<std::vector<std::vector<double>>, std::vector<std::vector<double>>> modes(const VectorXd& psi) {
        check(psi);
        SphericalModes modes;
        {
            nb::gil_scoped_release release;
            stand_at(psi);
            modes = model_->modes();
        }
        return {std::move(modes.u), std::move(modes.variance)};
    }

    // psi with its joint coefficients found, and their covariance were all else known.
    std::tuple<VectorXd, MatrixXd> joint_mode(const VectorXd& psi) {
        check(psi);
        require(!joint_.empty(), "the model has no joint coefficients");
        nb::gil_scoped_release release;
        stand_at(psi);
        const auto& laplace = static_cast<const Laplace&>(*model_);
        return {laplace.point(), laplace.joint_covariance()};
    }

    MatrixXd group_scores(const VectorXd& psi) {
        check(psi);
        auto* groupwise = dynamic_cast<GroupwiseMarginal*>(model_.get());
        require(groupwise != nullptr, "groups have scores of their own where there is one grouping factor of few columns");
        nb::gil_scoped_release release;
        stand_at(psi);
        return groupwise->group_scores();
    }

    MatrixXd linear_predictors(const VectorXd& psi) {
        check(psi);
        nb::gil_scoped_release release;
        stand_at(psi);
        return model_->linear_predictors();
    }

    std::vector<MatrixXd> term_factors(const VectorXd& psi) const {
        check(psi);
        std::vector<MatrixXd> out;
        int first = 0;
        for (const Term& term : terms_) {
            out.push_back(term_factor(term, psi.data() + first).value);
            first += term.n_parameters();
        }
        return out;
    }

    // Fits to the columns of Y: psi (a column each), criterion, evaluations, converged.
    auto refit_many(Columns Y, const VectorXd& start, double tolerance, int max_evaluations) {
        check(start);
        require(static_cast<std::int64_t>(Y.shape(0)) == rows_.n, "each response has the rows of the model");
        const int count = static_cast<int>(Y.shape(1));
        MatrixXd psi(start.size(), count);
        VectorXd criterion(count);
        std::vector<int> evaluations(count), converged(count);
        nb::gil_scoped_release release;
        Workspaces<Marginal> models;
        parallel_for(count, [&](int b) {
            models.with_one([&] { return make_model(); }, [&](Marginal& model) {
                model.set_response(Y.data() + static_cast<std::size_t>(b) * Y.shape(0));
                const MarginalResult r = search_all(model, start, {tolerance, max_evaluations}, [] {});
                psi.col(b) = r.psi;
                criterion(b) = r.criterion;
                evaluations[b] = r.evaluations;
                converged[b] = r.converged;
            });
        });
        return std::make_tuple(std::move(psi), std::move(criterion), std::move(evaluations), std::move(converged));
    }

  private:
    std::unique_ptr<Marginal> make_model() const {
        if (!joint_.empty())
            return std::make_unique<Laplace>(rows_, terms_, n_coefficients_, prior_, memory_limit_, joint_);
        if (quadrature_serves(rows_)) return make_quadrature(rows_, terms_, n_coefficients_, prior_, nodes_);
        return std::make_unique<Laplace>(rows_, terms_, n_coefficients_, prior_, memory_limit_);
    }

    // Over all parameters, or over those that are not found with the modes.
    MarginalResult search_all(Marginal& model, const VectorXd& start, const MarginalSettings& settings,
                              const std::function<void()>& heartbeat) const {
        if (joint_.empty()) return search_marginal(model, start, settings, heartbeat);
        OuterMarginal outer(static_cast<Laplace&>(model), joint_, start);
        MarginalResult r = search_marginal(outer, outer.outer(start), settings, heartbeat);
        r.psi = outer.complete(r.psi);
        return r;
    }

    // What is asked about a point that was looked at last costs no second look.
    void stand_at(const VectorXd& psi) {
        if (psi_.size() == psi.size() && psi_ == psi) return;
        forget_point();
        require(model_->value(psi) < std::numeric_limits<double>::infinity(), "the criterion is not defined there");
        psi_ = psi;
    }
    void forget_point() { psi_.resize(0); }

    void check(const VectorXd& psi) const { require(psi.size() == model_->n_parameters(), "psi has another length"); }

    GroupedRows rows_;
    std::vector<Term> terms_;
    int n_coefficients_, nodes_;
    std::vector<int> joint_;
    Prior prior_;
    double memory_limit_;
    std::unique_ptr<Marginal> model_;
    VectorXd psi_;  // where the model is known to stand; empty if nowhere
};

}  // namespace

void bind_marginal(nb::module_& m) {
    nb::class_<MarginalModel>(m, "MarginalModel")
        .def(nb::init<std::tuple<int, int, bool, int>, Vector, nb::object, nb::object, std::vector<PredictorArrays>,
                      std::vector<FactorArrays>, std::vector<TermNumbers>, int, VectorXd, VectorXd, double, int,
                      std::vector<int>, double>(),
             "density"_a, "y"_a, "trials"_a.none(), "power"_a.none(), "predictors"_a, "factors"_a, "terms"_a,
             "n_coefficients"_a, "precision"_a, "centre"_a, "avoid_zero"_a, "nodes"_a,
             "joint"_a, "memory_limit"_a)
        .def_prop_ro("n_parameters", &MarginalModel::n_parameters)
        .def_prop_ro("n_theta", &MarginalModel::n_theta)
        .def("set_response", &MarginalModel::set_response, "y"_a)
        .def("start", &MarginalModel::start, "gamma"_a)
        .def("value", &MarginalModel::value, "psi"_a)
        .def("derivatives", &MarginalModel::derivatives, "psi"_a)
        .def("search", &MarginalModel::search, "start"_a, "tolerance"_a, "max_evaluations"_a)
        .def("hessian", &MarginalModel::hessian, "psi"_a, "free"_a)
        .def("modes", &MarginalModel::modes, "psi"_a)
        .def("joint_mode", &MarginalModel::joint_mode, "psi"_a)
        .def("group_scores", &MarginalModel::group_scores, "psi"_a)
        .def("linear_predictors", &MarginalModel::linear_predictors, "psi"_a)
        .def("term_factors", &MarginalModel::term_factors, "psi"_a)
        .def("refit_many", &MarginalModel::refit_many, "Y"_a, "start"_a, "tolerance"_a, "max_evaluations"_a);
}

}  // namespace multilevel
