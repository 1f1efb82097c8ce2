#include "quadrature.hpp"

#include <cmath>
#include <numbers>
#include <stdexcept>

#include "group_batch.hpp"
#include "hermite.hpp"
#include "marginal_prior.hpp"
#include "threads.hpp"
#include "workspaces.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::int64_t batch_rows = 256;  // groups are taken together until they have so many rows
constexpr std::int64_t task_looks = 8192;  // and batches until rows times nodes are so many
constexpr double most_nodes = 1e7;         // of the grid
constexpr double infinity = std::numeric_limits<double>::infinity();

// The grid of the normal distribution's nodes in q dimensions.
NodeGrid node_grid(int nodes, int q) {
    if (std::pow(nodes, q) > most_nodes) throw std::invalid_argument("so many nodes in so many dimensions are too many");
    const HermiteRule rule = hermite_rule(nodes);
    const double half_log_pi = 0.5 * std::log(std::numbers::pi);
    NodeGrid grid{{}, std::vector<double>(static_cast<std::size_t>(std::pow(nodes, q) + 0.5), 0.0)};
    for (std::size_t m = 0; m < grid.log_weights.size(); ++m)
        for (std::size_t c = 0, rest = m; c < static_cast<std::size_t>(q); ++c, rest /= nodes) {
            grid.places.push_back(std::numbers::sqrt2 * rule.node[rest % nodes]);
            grid.log_weights[m] += rule.log_weight[rest % nodes] - half_log_pi;
        }
    return grid;
}

template <int Q>
class Quadrature : public GroupwiseMarginal {
    using Mat = typename GroupAlgebra<Q>::Mat;

  public:
    Quadrature(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior, int nodes)
        : rows_(std::move(rows)),
          levels_(rows_.factors.front().levels),
          q_(rows_.factors.front().width()),
          terms_(std::move(terms)),
          n_coefficients_(n_coefficients),
          prior_(std::move(prior)),
          grid_(node_grid(nodes, q_)) {
        for (const Term& term : terms_) {
            first_parameter_.push_back(n_theta_);
            n_theta_ += term.n_parameters();
        }
        make_batches();
        states_.u.resize(levels_);
        states_.C.resize(levels_);
        states_.slope.resize(levels_);
        states_.log_likelihood.resize(levels_);
        states_.gamma_score.resize(n_coefficients_, levels_);
        forget_modes();
    }

    int n_parameters() const override { return n_theta_ + n_coefficients_; }
    int n_theta() const override { return n_theta_; }
    const std::vector<Term>& terms() const override { return terms_; }
    void forget_modes() override {
        for (auto& u : states_.u) u.setZero(q_);
    }

    void set_response(const double* y) override {
        rows_.set_response(y);
        forget_modes();
    }

    // Scores come with the values, while a batch is at hand: a search nearly always asks for both.
    double value(const VectorXd& psi) override {
        read_point(psi);
        std::vector<double> part(tasks_.size(), -infinity);
        if (psi.allFinite())
            over_batches([&](GroupBatch<Q>& batch, GroupRange task) {
                double sum = 0.0;
                bool defined = true;
                for (int b = task.from; b < task.to && defined; ++b) {
                    defined = batch.integrate(point(), batches_[b], states_);
                    for (int g = batches_[b].from; g < batches_[b].to; ++g) sum += states_.log_likelihood[g];
                }
                return defined ? sum : -infinity;
            }, part);
        double value = prior_value(prior_, psi_, n_theta_, term_factors_);
        for (double p : part) value -= 2.0 * p;
        if (std::isfinite(value)) return value;
        forget_modes();
        return infinity;
    }

    VectorXd gradient() override {
        std::vector<VectorXd> part(tasks_.size());
        over_tasks([&](GroupRange groups) {
            VectorXd sum(n_parameters());
            Mat slope = Mat::Zero(q_, q_);
            for (int g = groups.from; g < groups.to; ++g) slope += states_.slope[g];
            sum.head(n_theta_) = theta_slope(slope);
            sum.tail(n_coefficients_) = states_.gamma_score.middleCols(groups.from, groups.count()).rowwise().sum();
            return sum;
        }, part);
        VectorXd out = VectorXd::Zero(n_parameters());
        for (const VectorXd& p : part) out -= 2.0 * p;
        add_prior_slope(prior_, psi_, n_theta_, term_factors_, first_parameter_, out);
        return out;
    }

    // Of Laplace's approximation, coefficients and covariances apart: from fits of few groups the outer products of their
    // scores (Berndt, Hall, Hall and Hausman 1974) take twice as many steps to the optimum.
    MatrixXd curvature() override {
        std::vector<Mat> slopes(n_theta_, Mat::Zero(q_, q_));
        for (std::size_t i = 0; i < terms_.size(); ++i)
            for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j) {
                const MatrixXd half = term_factors_[i].derivative[j] * term_factors_[i].value.transpose();
                slopes[first_parameter_[i] + j].block(terms_[i].first, terms_[i].first, terms_[i].width, terms_[i].width) =
                    half + half.transpose();
            }
        std::vector<MatrixXd> part(tasks_.size());
        over_batches([&](GroupBatch<Q>& batch, GroupRange task) {
            MatrixXd theta = MatrixXd::Zero(n_theta_, n_theta_), gamma = MatrixXd::Zero(n_coefficients_, n_coefficients_);
            for (int b = task.from; b < task.to; ++b) batch.add_curvature(point(), batches_[b], states_, slopes, theta, gamma);
            MatrixXd sum = MatrixXd::Zero(n_parameters(), n_parameters());
            sum.topLeftCorner(n_theta_, n_theta_) = theta;
            sum.bottomRightCorner(n_coefficients_, n_coefficients_) = gamma;
            return sum;
        }, part);
        MatrixXd out = MatrixXd::Zero(n_parameters(), n_parameters());
        for (const MatrixXd& p : part) out += p;
        if (prior_.precision.size() > 0) out.diagonal().tail(n_coefficients_) += 2.0 * prior_.precision;
        return out;
    }

    MatrixXd group_scores() override { return scores_of({0, levels_}).transpose(); }

    SphericalModes modes() override {
        SphericalModes out{{{}}, {{}}};
        for (int g = 0; g < levels_; ++g) {
            out.u[0].insert(out.u[0].end(), states_.u[g].data(), states_.u[g].data() + q_);
            const Mat variance = states_.C[g] * states_.C[g].transpose();
            out.variance[0].insert(out.variance[0].end(), variance.data(), variance.data() + q_ * q_);
        }
        return out;
    }

    MatrixXd linear_predictors() override {
        MatrixXd out(rows_.predictors.size(), rows_.n);
        GroupBatch<Q> batch(rows_, grid_, most_rows_);
        for (GroupRange groups : batches_) batch.predictors(point(), groups, states_, out);
        return out;
    }

    std::vector<MatrixXd> moment_covariances(const VectorXd& gamma) override {
        VectorXd psi = VectorXd::Zero(n_parameters());
        psi.tail(n_coefficients_) = gamma;
        read_point(psi);
        forget_modes();
        std::vector<ScoreMoments> part(tasks_.size());
        over_batches([&](GroupBatch<Q>& batch, GroupRange task) {
            ScoreMoments moments(terms_);
            for (int b = task.from; b < task.to; ++b)
                batch.without_effects(point(), batches_[b], [&](const Mat& M, const auto& score) {
                    moments.add_level(0, MatrixXd(M), VectorXd(score));
                });
            return moments;
        }, part);
        ScoreMoments whole(terms_);
        for (const ScoreMoments& p : part) whole.add(p);
        return whole.covariances();
    }

  private:
    GroupPoint<Q> point() const { return {T_, psi_.data() + n_theta_}; }

    void make_batches() {
        const auto& start = rows_.level_start;
        std::int64_t looks = 0;
        for (int g = 0; g < levels_;) {
            int to = g + 1;
            while (to < levels_ && start[to + 1] - start[g] <= batch_rows) ++to;
            if (tasks_.empty() || looks >= task_looks) {
                tasks_.push_back({static_cast<int>(batches_.size()), 0});
                looks = 0;
            }
            batches_.push_back({g, to});
            tasks_.back().to = static_cast<int>(batches_.size());
            most_rows_ = std::max(most_rows_, start[to] - start[g]);
            looks += (start[to] - start[g] + 8) * static_cast<std::int64_t>(grid_.log_weights.size() + 4);
            g = to;
        }
    }

    // part[i] = visit(a workspace, the batches of task i)
    template <class Part, class Visit>
    void over_batches(Visit visit, std::vector<Part>& part) {
        parallel_for(static_cast<int>(tasks_.size()), [&](int task) {
            workspaces_.with_one([&] { return std::make_unique<GroupBatch<Q>>(rows_, grid_, most_rows_); },
                                 [&](GroupBatch<Q>& batch) { part[task] = visit(batch, tasks_[task]); });
        });
    }

    // part[i] = visit(the groups of task i)
    template <class Part, class Visit>
    void over_tasks(Visit visit, std::vector<Part>& part) {
        parallel_for(static_cast<int>(tasks_.size()), [&](int task) {
            part[task] = visit({batches_[tasks_[task].from].from, batches_[tasks_[task].to - 1].to});
        });
    }

    void read_point(const VectorXd& psi) {
        psi_ = psi;
        term_factors_.clear();
        T_ = Mat::Zero(q_, q_);
        for (std::size_t i = 0; i < terms_.size(); ++i) {
            const Term& term = terms_[i];
            term_factors_.push_back(term_factor(term, psi.data() + first_parameter_[i]));
            T_.block(term.first, term.first, term.width, term.width) = term_factors_[i].value;
        }
    }

    VectorXd theta_slope(const Mat& slope) const {
        VectorXd out(n_theta_);
        for (std::size_t i = 0; i < terms_.size(); ++i)
            for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j) {
                const MatrixXd& dT = term_factors_[i].derivative[j];
                out(first_parameter_[i] + j) =
                    slope.block(terms_[i].first, terms_[i].first, terms_[i].width, terms_[i].width).cwiseProduct(dT).sum();
            }
        return out;
    }

    // Scores of the log-likelihood: parameters x groups.
    MatrixXd scores_of(GroupRange groups) const {
        MatrixXd out(n_parameters(), groups.count());
        for (int g = groups.from; g < groups.to; ++g) out.col(g - groups.from).head(n_theta_) = theta_slope(states_.slope[g]);
        out.bottomRows(n_coefficients_) = states_.gamma_score.middleCols(groups.from, groups.count());
        return out;
    }

    GroupedRows rows_;
    int levels_, q_;
    std::vector<Term> terms_;
    std::vector<int> first_parameter_;
    int n_theta_ = 0, n_coefficients_;
    Prior prior_;
    NodeGrid grid_;
    std::vector<GroupRange> batches_;  // of groups
    std::vector<GroupRange> tasks_;    // of batches
    std::int64_t most_rows_ = 0;

    VectorXd psi_;
    Mat T_;
    std::vector<TermFactor> term_factors_;
    GroupStates<Q> states_;
    Workspaces<GroupBatch<Q>> workspaces_;
};

}  // namespace

bool quadrature_serves(const GroupedRows& rows) {
    return rows.factors.size() == 1 && rows.factors.front().width() <= most_quadrature_columns;
}

std::unique_ptr<GroupwiseMarginal> make_quadrature(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior,
                                                   int nodes) {
    auto make = [&]<int Q>() -> std::unique_ptr<GroupwiseMarginal> {
        return std::make_unique<Quadrature<Q>>(std::move(rows), std::move(terms), n_coefficients, std::move(prior), nodes);
    };
    switch (rows.factors.front().width()) {
        case 1: return make.template operator()<1>();
        case 2: return make.template operator()<2>();
        case 3: return make.template operator()<3>();
        default: return make.template operator()<Eigen::Dynamic>();
    }
}

}  // namespace multilevel
