#include "quadrature.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <stdexcept>

#include "hermite.hpp"
#include "marginal_prior.hpp"
#include "row_derivatives.hpp"
#include "threads.hpp"
#include "workspaces.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int most_columns = 8;
constexpr int batch_rows = 256;   // groups are taken together until they have so many rows
constexpr int task_rows = 4096;   // and batches until they have so many
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double mode_tolerance = 1e-20;  // as in laplace.cpp
constexpr int most_mode_steps = 100;

struct Range {
    int from, to;
};

// Q columns, or any number up to `most_columns` if Q is Eigen::Dynamic.
template <int Q>
class Quadrature : public Marginal {
    static constexpr int Most = Q == Eigen::Dynamic ? most_columns : Q;
    using Vec = Eigen::Matrix<double, Q, 1, 0, Most, 1>;
    using Mat = Eigen::Matrix<double, Q, Q, 0, Most, Most>;

    // What is known of a group while its mode is sought, and at the mode.
    struct Group {
        Vec u, before, direction, score;  // score: Z'l'
        Mat M, M_projected;               // Z'WZ, and with the rows' W made semidefinite
        Mat C;                            // H^-1 = C C'
        double height, lower, decrement, log_det;
        double length;
        bool found, trying;
    };

    struct Workspace {
        RowDerivatives d;
        std::vector<Group> groups;
        std::vector<double> nodes_sum, reference;  // per group: sum of exp, and what was taken off first
        std::vector<Vec> b;
        std::vector<double> weight;
        MatrixXd against;
        explicit Workspace(std::int64_t rows) : d(rows) {}
    };

  public:
    Quadrature(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior, int nodes)
        : rows_(std::move(rows)),
          factor_(rows_.factors.front()),
          q_(factor_.width()),
          terms_(std::move(terms)),
          n_coefficients_(n_coefficients),
          prior_(std::move(prior)),
          nodes_(nodes) {
        for (const Term& term : terms_) {
            first_parameter_.push_back(n_theta_);
            n_theta_ += term.n_parameters();
        }
        for (std::size_t k = 0; k < rows_.predictors.size(); ++k) {
            inner_place_.push_back(rows_.predictors[k].inner ? static_cast<int>(inner_.size()) : -1);
            if (rows_.predictors[k].inner) inner_.push_back(static_cast<int>(k));
        }
        for (int k : factor_.predictor) place_.push_back(inner_place_[k]);
        make_grid();
        make_batches();
        const auto n = static_cast<std::size_t>(rows_.n), J = static_cast<std::size_t>(factor_.levels);
        predictors_.assign(rows_.predictors.size(), std::vector<double>(n));
        fixed_.assign(inner_.size(), std::vector<double>(n));
        if (nodes_ > 1) {
            mean_slope_.assign(rows_.predictors.size(), std::vector<double>(n));
            node_slope_.resize(J * q_ * q_);
            node_pull_.resize(J * q_);
            node_scale_.resize(J * q_ * q_);
        }
        u_.assign(J * q_, 0.0);
    }

    int n_parameters() const override { return n_theta_ + n_coefficients_; }
    int n_theta() const override { return n_theta_; }
    const std::vector<Term>& terms() const override { return terms_; }
    void forget_modes() override { std::fill(u_.begin(), u_.end(), 0.0); }

    void set_response(const double* y) override {
        rows_.set_response(y);
        forget_modes();
    }

    double value(const VectorXd& psi) override {
        read_point(psi);
        std::vector<double> part(tasks_.size(), 0.0);
        if (psi.allFinite())
            over_tasks([&](int task, Workspace& work) {
                for (int b = tasks_[task].from; b < tasks_[task].to; ++b) {
                    const double value = batch_value(batches_[b], work);
                    part[task] += value;
                    if (!std::isfinite(value)) return;
                }
            });
        double value = psi.allFinite() ? prior_value(prior_, psi, n_theta_, term_factors_) : infinity;
        for (double p : part) value += p;
        if (std::isfinite(value)) return value;
        forget_modes();
        return infinity;
    }

    VectorXd gradient() override {
        std::vector<VectorXd> part(tasks_.size());
        over_tasks([&](int task, Workspace& work) {
            part[task] = VectorXd::Zero(n_coefficients_);
            Mat slope = Mat::Zero(q_, q_);
            for (int b = tasks_[task].from; b < tasks_[task].to; ++b) batch_gradient(batches_[b], work, part[task], slope);
            VectorXd whole(n_parameters());
            whole.head(n_theta_) = theta_slope(slope);
            whole.tail(n_coefficients_) = part[task];
            part[task] = std::move(whole);
        });
        VectorXd out = VectorXd::Zero(n_parameters());
        for (const VectorXd& p : part) out += p;
        add_prior_slope(prior_, psi_, n_theta_, term_factors_, first_parameter_, out);
        return out;
    }

    MatrixXd curvature() override {
        std::vector<MatrixXd> part(tasks_.size());
        over_tasks([&](int task, Workspace& work) {
            part[task] = MatrixXd::Zero(n_parameters(), n_parameters());
            for (int b = tasks_[task].from; b < tasks_[task].to; ++b) batch_curvature(batches_[b], work, part[task]);
        });
        MatrixXd out = MatrixXd::Zero(n_parameters(), n_parameters());
        for (const MatrixXd& p : part) out += p;
        if (prior_.precision.size() > 0) out.diagonal().tail(n_coefficients_) += 2.0 * prior_.precision;
        return out;
    }

    SphericalModes modes() override {
        const auto J = static_cast<std::size_t>(factor_.levels), size = static_cast<std::size_t>(q_) * q_;
        SphericalModes out{{u_}, {std::vector<double>(J * size)}};
        over_tasks([&](int task, Workspace& work) {
            for (int b = tasks_[task].from; b < tasks_[task].to; ++b) {
                look_at_modes(batches_[b], work, 2);
                for (int g = batches_[b].from; g < batches_[b].to; ++g) {
                    const Mat& C = work.groups[g - batches_[b].from].C;
                    const Mat variance = C * C.transpose();
                    for (int r = 0; r < q_; ++r)
                        for (int c = 0; c < q_; ++c) out.variance[0][g * size + r * q_ + c] = variance(r, c);
                }
            }
        });
        return out;
    }

    MatrixXd linear_predictors() override {
        MatrixXd out(predictors_.size(), rows_.n);
        over_tasks([&](int task, Workspace& work) {
            for (int b = tasks_[task].from; b < tasks_[task].to; ++b) look_at_modes(batches_[b], work, 0);
        });
        for (std::size_t k = 0; k < predictors_.size(); ++k)
            for (std::int64_t i = 0; i < rows_.n; ++i) out(k, rows_.order[i]) = predictors_[k][i];
        return out;
    }

    std::vector<MatrixXd> moment_covariances(const VectorXd& gamma) override {
        VectorXd psi = VectorXd::Zero(n_parameters());
        psi.tail(n_coefficients_) = gamma;
        read_point(psi);
        forget_modes();
        std::vector<ScoreMoments> part(tasks_.size());
        over_tasks([&](int task, Workspace& work) {
            part[task] = ScoreMoments(terms_);
            for (int b = tasks_[task].from; b < tasks_[task].to; ++b) {
                look_at_modes(batches_[b], work, 2);
                for (int g = batches_[b].from; g < batches_[b].to; ++g) {
                    const Group& group = work.groups[g - batches_[b].from];
                    part[task].add_level(0, MatrixXd(group.M_projected), VectorXd(group.score));
                }
            }
        });
        ScoreMoments whole(terms_);
        for (const ScoreMoments& p : part) whole.add(p);
        return whole.covariances();
    }

  private:
    // ---- what stays ----

    // The grid of nodes in q dimensions: places (q a node) and log weights.
    void make_grid() {
        const HermiteRule rule = hermite_rule(nodes_);
        const double points = std::pow(nodes_, q_);
        if (points > 1e7) throw std::invalid_argument("so many nodes in so many dimensions are too many");
        const int count = static_cast<int>(points);
        for (int m = 0; m < count; ++m) {
            double log_weight = 0.0;
            for (int c = 0, rest = m; c < q_; ++c, rest /= nodes_) {
                grid_.push_back(rule.node[rest % nodes_]);
                log_weight += rule.log_weight[rest % nodes_];
            }
            grid_weight_.push_back(log_weight);
        }
    }

    // Groups in batches of some rows, batches in tasks; empty groups never occur.
    void make_batches() {
        const auto& start = rows_.level_start;
        std::int64_t rows_of_task = 0;
        for (int g = 0; g < factor_.levels;) {
            int to = g + 1;
            while (to < factor_.levels && start[to + 1] - start[g] <= batch_rows) ++to;
            batches_.push_back({g, to});
            most_rows_ = std::max(most_rows_, start[to] - start[g]);
            if (tasks_.empty() || rows_of_task >= task_rows) {
                tasks_.push_back({static_cast<int>(batches_.size()) - 1, 0});
                rows_of_task = 0;
            }
            tasks_.back().to = static_cast<int>(batches_.size());
            rows_of_task += start[to] - start[g];
            g = to;
        }
    }

    template <class Visit>
    void over_tasks(Visit visit) {
        parallel_for(static_cast<int>(tasks_.size()), [&](int task) {
            workspaces_.with_one([&] { return std::make_unique<Workspace>(most_rows_); },
                                 [&](Workspace& work) { visit(task, work); });
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
        parallel_for(static_cast<int>(tasks_.size()), [&](int task) {
            const std::int64_t begin = first_row(batches_[tasks_[task].from].from);
            const std::int64_t end = first_row(batches_[tasks_[task].to - 1].to);
            for (std::size_t k = 0; k < rows_.predictors.size(); ++k) {
                double* out = (inner_place_[k] >= 0 ? fixed_[inner_place_[k]] : predictors_[k]).data();
                fixed_part(rows_.predictors[k], psi.data() + n_theta_, begin, end, out);
            }
        });
    }

    std::int64_t first_row(int group) const { return rows_.level_start[group]; }
    std::int64_t rows_in(int group) const { return first_row(group + 1) - first_row(group); }

    // Predictors of the rows of a group at effects b = T u.
    void predict(int group, const Vec& b) {
        const std::int64_t begin = first_row(group), end = first_row(group + 1);
        for (std::size_t a = 0; a < inner_.size(); ++a)
            std::copy(fixed_[a].begin() + begin, fixed_[a].begin() + end, predictors_[inner_[a]].begin() + begin);
        for (int c = 0; c < q_; ++c) {
            double* eta = predictors_[factor_.predictor[c]].data();
            const double* z = factor_.columns[c].data();
            for (std::int64_t i = begin; i < end; ++i) eta[i] += z[i] * b(c);
        }
    }

    void evaluate(Range groups, std::int64_t first, bool inner_only, int order, Workspace& work) {
        work.d.evaluate(rows_, predictors_, inner_only ? inner_ : std::vector<int>{}, first_row(groups.from),
                        first_row(groups.to), first, order);
    }

    // ---- modes ----

    // Sums over the rows of a group at its u; derivatives of inner predictors to order 2 stand in `d` from `offset`.
    void sum_group(int g, std::int64_t offset, const RowDerivatives& d, Group& group) const {
        const int K = static_cast<int>(inner_.size());
        const std::int64_t n = rows_in(g), begin = first_row(g);
        double height = 0.0;
        const double* value = d[0] + offset;
        for (std::int64_t r = 0; r < n; ++r) height += value[r];
        group.height = height - 0.5 * group.u.squaredNorm();
        group.score.setZero(q_);
        group.M.setZero(q_, q_);
        if (K == 1) {
            sum_one_predictor(n, begin, d[1] + offset, d[2] + offset, group);
            return;
        }
        group.M_projected.setZero(q_, q_);
        double W[4], projected[4];
        for (std::int64_t r = 0; r < n; ++r) {
            for (int a = 0; a < 2; ++a)
                for (int b = 0; b < 2; ++b) projected[a * 2 + b] = W[a * 2 + b] = -d[pair_place(2, a, b)][offset + r];
            project_weights(projected, 2);
            for (int c = 0; c < q_; ++c) {
                const double z = factor_.columns[c][begin + r];
                group.score(c) += z * d[derivative_at(place_[c])][offset + r];
                for (int e = 0; e < q_; ++e) {
                    const double zz = z * factor_.columns[e][begin + r];
                    group.M(c, e) += zz * W[place_[c] * 2 + place_[e]];
                    group.M_projected(c, e) += zz * projected[place_[c] * 2 + place_[e]];
                }
            }
        }
    }

    void sum_one_predictor(std::int64_t n, std::int64_t begin, const double* slope, const double* bend, Group& group) const {
        double least = infinity;
        for (int c = 0; c < q_; ++c) {
            const double* z = factor_.columns[c].data() + begin;
            double score = 0.0;
            for (std::int64_t r = 0; r < n; ++r) score += z[r] * slope[r];
            group.score(c) = score;
            for (int e = 0; e <= c; ++e) {
                const double* other = factor_.columns[e].data() + begin;
                double sum = 0.0;
                for (std::int64_t r = 0; r < n; ++r) sum -= z[r] * bend[r] * other[r];
                group.M(c, e) = group.M(e, c) = sum;
            }
        }
        for (std::int64_t r = 0; r < n; ++r) least = std::min(least, -bend[r]);
        group.M_projected = group.M;
        if (least >= 0.0) return;
        group.M_projected.setZero(q_, q_);
        for (std::int64_t r = 0; r < n; ++r)
            for (int c = 0; c < q_; ++c)
                for (int e = 0; e < q_; ++e)
                    group.M_projected(c, e) += factor_.columns[c][begin + r] * std::max(-bend[r], 0.0) * factor_.columns[e][begin + r];
    }

    // H = I + T'MT = L L'; C = L^-T; false if it is not positive definite.
    bool factorise(Group& group, const Mat& M) const {
        Mat H = T_.transpose() * M * T_;
        H.diagonal().array() += 1.0;
        if constexpr (Q == 1) {
            if (!(H(0, 0) > 0.0)) return false;
            group.C(0, 0) = 1.0 / std::sqrt(H(0, 0));
            group.log_det = std::log(H(0, 0));
            return true;
        } else {
            const Eigen::LLT<Mat> llt(H);
            if (llt.info() != Eigen::Success) return false;
            group.log_det = 2.0 * llt.matrixLLT().diagonal().array().log().sum();
            group.C.setIdentity(q_, q_);
            llt.matrixU().solveInPlace(group.C);
            return std::isfinite(group.log_det);
        }
    }

    // One look at a group whose sums are those at its u: where to look next, or that the mode is found; false if lost.
    bool next_look(Group& group) const {
        if (group.trying && !(group.height >= group.lower - 1e-11 * (1.0 + std::abs(group.lower)))) {
            group.length *= 0.4;
            if (group.length < 1e-10) return false;
            group.u = group.before + group.length * group.direction;
            return true;
        }
        if (!std::isfinite(group.height)) return false;
        const bool observed = factorise(group, group.M);
        if (!observed && !factorise(group, group.M_projected)) return false;
        const Vec half = group.C.transpose() * (T_.transpose() * group.score - group.u);
        const double decrement = half.squaredNorm();
        if (!(decrement < infinity)) return false;
        if (decrement < mode_tolerance || (decrement < 1e-11 && decrement > 0.25 * group.decrement)) {
            group.found = true;
            return observed;
        }
        group.decrement = decrement;
        group.before = group.u;
        group.direction = group.C * half;
        group.lower = group.height;
        group.length = 1.0;
        group.trying = true;
        group.u += group.direction;
        return true;
    }

    void begin_groups(Range batch, Workspace& work) {
        work.groups.resize(batch.to - batch.from);
        for (int g = batch.from; g < batch.to; ++g) {
            Group& group = work.groups[g - batch.from];
            group.u = Eigen::Map<const Vec>(&u_[static_cast<std::size_t>(g) * q_], q_);
            group.C.resize(q_, q_);
            group.decrement = infinity;
            group.found = group.trying = false;
        }
    }

    bool find_modes(Range batch, Workspace& work) {
        begin_groups(batch, work);
        const std::int64_t first = first_row(batch.from);
        for (int step = 0; step < most_mode_steps; ++step) {
            bool all_found = true;
            for (int g = batch.from; g < batch.to;) {  // runs of groups that are still on their way
                if (work.groups[g - batch.from].found) {
                    ++g;
                    continue;
                }
                all_found = false;
                int to = g;
                for (; to < batch.to && !work.groups[to - batch.from].found; ++to)
                    predict(to, Vec(T_ * work.groups[to - batch.from].u));
                evaluate({g, to}, first, true, 2, work);
                for (; g < to; ++g) {
                    Group& group = work.groups[g - batch.from];
                    sum_group(g, first_row(g) - first, work.d, group);
                    if (step == 0 && !std::isfinite(group.height) && !group.u.isZero()) {
                        group.u.setZero(q_);  // a warm start that leads nowhere
                        continue;
                    }
                    if (!next_look(group)) return false;
                }
            }
            if (all_found) break;
        }
        for (int g = batch.from; g < batch.to; ++g) {
            if (!work.groups[g - batch.from].found) return false;
            Eigen::Map<Vec>(&u_[static_cast<std::size_t>(g) * q_], q_) = work.groups[g - batch.from].u;
        }
        return true;
    }

    // All of a batch at the modes that are kept: predictors, derivatives to an order (2 or more: all predictors), sums.
    void look_at_modes(Range batch, Workspace& work, int order) {
        begin_groups(batch, work);
        const std::int64_t first = first_row(batch.from);
        for (int g = batch.from; g < batch.to; ++g) predict(g, Vec(T_ * work.groups[g - batch.from].u));
        if (order == 0) return;
        evaluate(batch, first, true, 2, work);
        for (int g = batch.from; g < batch.to; ++g) {
            Group& group = work.groups[g - batch.from];
            sum_group(g, first_row(g) - first, work.d, group);
            if (!factorise(group, group.M)) factorise(group, group.M_projected);
        }
        if (order > 2 || rows_.predictors.size() > inner_.size()) evaluate(batch, first, false, order, work);
    }

    // ---- the criterion ----

    double batch_value(Range batch, Workspace& work) {
        if (!find_modes(batch, work)) return infinity;
        double value = 0.0;
        for (int g = batch.from; g < batch.to; ++g) {
            const Group& group = work.groups[g - batch.from];
            value += group.log_det - (nodes_ == 1 ? 2.0 * group.height : 0.0);
        }
        return nodes_ == 1 ? value : value + integrate(batch, work);
    }

    // -2 log of the sums over nodes, and the averages over nodes that the gradient needs.
    double integrate(Range batch, Workspace& work) {
        const int count = batch.to - batch.from, K = static_cast<int>(rows_.predictors.size());
        const std::int64_t first = first_row(batch.from), end = first_row(batch.to);
        for (int k = 0; k < K; ++k) std::fill(mean_slope_[k].begin() + first, mean_slope_[k].begin() + end, 0.0);
        work.nodes_sum.assign(count, 0.0);
        work.weight.resize(count);
        std::vector<Vec>& at = work.b;
        at.resize(count);
        auto slope = [&](int g) { return Eigen::Map<Mat>(&node_slope_[static_cast<std::size_t>(g) * q_ * q_], q_, q_); };
        auto pull = [&](int g) { return Eigen::Map<Vec>(&node_pull_[static_cast<std::size_t>(g) * q_], q_); };
        auto scale = [&](int g) { return Eigen::Map<Mat>(&node_scale_[static_cast<std::size_t>(g) * q_ * q_], q_, q_); };
        for (int g = batch.from; g < batch.to; ++g) {
            slope(g).setZero();
            pull(g).setZero();
            scale(g).setZero();
        }
        for (std::size_t m = 0; m < grid_weight_.size(); ++m) {
            const Eigen::Map<const Vec> x(&grid_[m * q_], q_);
            for (int g = batch.from; g < batch.to; ++g) {
                const Group& group = work.groups[g - batch.from];
                at[g - batch.from] = group.u + std::numbers::sqrt2 * (group.C * x);
                predict(g, Vec(T_ * at[g - batch.from]));
            }
            evaluate(batch, first, false, 1, work);
            for (int g = batch.from; g < batch.to; ++g) {
                const Group& group = work.groups[g - batch.from];
                const Vec& u = at[g - batch.from];
                const std::int64_t offset = first_row(g) - first, n = rows_in(g), begin = first_row(g);
                double height = -0.5 * u.squaredNorm();
                for (std::int64_t r = 0; r < n; ++r) height += work.d[0][offset + r];
                // relative to the mode, where the summand of the normal approximation stays the same
                const double weight = std::exp(grid_weight_[m] + height - group.height);
                if (!(weight > 0.0)) continue;
                work.nodes_sum[g - batch.from] += weight;
                Vec score = Vec::Zero(q_);
                for (int c = 0; c < q_; ++c) {
                    const double* z = factor_.columns[c].data() + begin;
                    const double* d = work.d[derivative_at(factor_.predictor[c])] + offset;
                    double sum = 0.0;
                    for (std::int64_t r = 0; r < n; ++r) sum += z[r] * d[r];
                    score(c) = sum;
                }
                const Vec force = T_.transpose() * score - u;
                slope(g) += weight * score * u.transpose();
                pull(g) += weight * force;
                scale(g) += weight * std::numbers::sqrt2 * x * (group.C.transpose() * force).transpose();
                for (int k = 0; k < K; ++k) {
                    double* mean = mean_slope_[k].data() + begin;
                    const double* d = work.d[derivative_at(k)] + offset;
                    for (std::int64_t r = 0; r < n; ++r) mean[r] += weight * d[r];
                }
            }
        }
        double value = count * q_ * std::log(std::numbers::pi);
        for (int g = batch.from; g < batch.to; ++g) {
            const double sum = work.nodes_sum[g - batch.from], share = 1.0 / sum;
            value -= 2.0 * (work.groups[g - batch.from].height + std::log(sum));
            slope(g) *= share;
            pull(g) *= share;
            scale(g) *= share;
            for (int k = 0; k < K; ++k)
                for (std::int64_t i = first_row(g); i < first_row(g + 1); ++i) mean_slope_[k][i] *= share;
        }
        return value;
    }

    // ---- the gradient ----

    // What multiplies dH in the slope of a group's criterion: H^-1, and with nodes the movement of their scale.
    Mat scale_weight(int g, const Group& group) const {
        Mat R = group.C * group.C.transpose();
        if (nodes_ == 1) return R;
        Mat half = Eigen::Map<const Mat>(&node_scale_[static_cast<std::size_t>(g) * q_ * q_], q_, q_);
        for (int c = 0; c < q_; ++c) {
            half(c, c) *= 0.5;
            for (int r = 0; r < c; ++r) half(r, c) = 0.0;
        }
        const Mat moved = group.C * half * group.C.transpose();
        return R + moved + moved.transpose();
    }

    void batch_gradient(Range batch, Workspace& work, VectorXd& gamma, Mat& slope) {
        look_at_modes(batch, work, 3);
        const std::int64_t first = first_row(batch.from);
        for (int g = batch.from; g < batch.to; ++g) {
            const Group& group = work.groups[g - batch.from];
            const std::int64_t begin = first_row(g), n = rows_in(g), offset = begin - first;
            const int K = static_cast<int>(rows_.predictors.size());
            const Mat R = scale_weight(g, group), spread = T_ * R * T_.transpose();
            // weights of dlog|H| on the rows' predictors
            std::vector<double>& t = work.weight;
            t.resize(static_cast<std::size_t>(K) * n);
            for (std::int64_t r = 0; r < n; ++r) row_pull(spread, begin + r, offset + r, work.d, n, &t[r]);
            Vec pulled = Vec::Zero(q_);
            for (int c = 0; c < q_; ++c) pulled(c) = dot_rows(c, begin, n, &t[static_cast<std::size_t>(factor_.predictor[c]) * n]);
            Vec tau = T_.transpose() * pulled;
            if (nodes_ > 1) tau -= 2.0 * Eigen::Map<const Vec>(&node_pull_[static_cast<std::size_t>(g) * q_], q_);
            const Vec a = group.C * (group.C.transpose() * tau), moved = T_ * a;
            add_movement(moved, begin, offset, n, work.d, t.data());
            Vec by_mode = Vec::Zero(q_);  // Z'(t + movement), at the mode
            for (int c = 0; c < q_; ++c) by_mode(c) = dot_rows(c, begin, n, &t[static_cast<std::size_t>(factor_.predictor[c]) * n]);
            slope += 2.0 * group.M * T_ * R + by_mode * group.u.transpose() + group.score * a.transpose();
            if (nodes_ == 1) slope -= 2.0 * group.score * group.u.transpose();
            else slope -= 2.0 * Eigen::Map<const Mat>(&node_slope_[static_cast<std::size_t>(g) * q_ * q_], q_, q_);
            for (int k = 0; k < K; ++k) {
                double* omega = &t[static_cast<std::size_t>(k) * n];
                const double* mean = nodes_ == 1 ? work.d[derivative_at(k)] + offset : mean_slope_[k].data() + begin;
                for (std::int64_t r = 0; r < n; ++r) omega[r] -= 2.0 * mean[r];
                const PredictorRows& p = rows_.predictors[k];
                for (std::size_t c = 0; c < p.columns.size(); ++c) {
                    const double* x = p.columns[c].data() + begin;
                    double sum = 0.0;
                    for (std::int64_t r = 0; r < n; ++r) sum += omega[r] * x[r];
                    gamma(p.coefficients[c]) += sum;
                }
            }
        }
    }

    double dot_rows(int column, std::int64_t begin, std::int64_t n, const double* weight) const {
        const double* z = factor_.columns[column].data() + begin;
        double sum = 0.0;
        for (std::int64_t r = 0; r < n; ++r) sum += z[r] * weight[r];
        return sum;
    }

    // t_k = -sum over a, b of (z_a' spread z_b) l_abk for one row; out[k n]
    void row_pull(const Mat& spread, std::int64_t i, std::int64_t at, const RowDerivatives& d, std::int64_t n, double* out) const {
        const int K = static_cast<int>(rows_.predictors.size()), inner = static_cast<int>(inner_.size());
        double S[4] = {0.0, 0.0, 0.0, 0.0};
        for (int c = 0; c < q_; ++c)
            for (int e = 0; e < q_; ++e)
                S[place_[c] * inner + place_[e]] += factor_.columns[c][i] * spread(c, e) * factor_.columns[e][i];
        for (int k = 0; k < K; ++k) {
            double t = 0.0;
            for (int a = 0; a < inner; ++a)
                for (int b = 0; b < inner; ++b) t -= S[a * inner + b] * d[triple_place(K, inner_[a], inner_[b], k)][at];
            out[k * n] = t;
        }
    }

    // Adds sum over a of e_a l_ak, e = z'T a the shift of the predictors as the modes move.
    void add_movement(const Vec& moved, std::int64_t begin, std::int64_t offset, std::int64_t n, const RowDerivatives& d,
                      double* t) const {
        const int K = static_cast<int>(rows_.predictors.size());
        for (int c = 0; c < q_; ++c) {
            const double* z = factor_.columns[c].data() + begin;
            for (int k = 0; k < K; ++k) {
                const double* second = d[pair_place(K, factor_.predictor[c], k)] + offset;
                double* out = t + static_cast<std::size_t>(k) * n;
                for (std::int64_t r = 0; r < n; ++r) out[r] += moved(c) * z[r] * second[r];
            }
        }
    }

    VectorXd theta_slope(const Mat& slope) const {
        VectorXd out(n_theta_);
        for (std::size_t i = 0; i < terms_.size(); ++i) {
            const Term& term = terms_[i];
            const MatrixXd block = slope.block(term.first, term.first, term.width, term.width);
            for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j)
                out(first_parameter_[i] + j) = block.cwiseProduct(term_factors_[i].derivative[j]).sum();
        }
        return out;
    }

    // ---- curvature: as in laplace.cpp, group by group ----

    void batch_curvature(Range batch, Workspace& work, MatrixXd& out) {
        look_at_modes(batch, work, 2);
        const int K = static_cast<int>(rows_.predictors.size());
        const std::int64_t first = first_row(batch.from);
        auto own = out.bottomRightCorner(n_coefficients_, n_coefficients_);
        std::vector<double> weighted;
        for (int g = batch.from; g < batch.to; ++g) {
            const Group& group = work.groups[g - batch.from];
            const std::int64_t begin = first_row(g), n = rows_in(g), offset = begin - first;
            work.against.setZero(q_, n_coefficients_);
            weighted.resize(n);
            for (int k = 0; k < K; ++k)
                for (std::size_t c = 0; c < rows_.predictors[k].columns.size(); ++c) {
                    const double* x = rows_.predictors[k].columns[c].data() + begin;
                    const int to = rows_.predictors[k].coefficients[c];
                    for (int l = 0; l < K; ++l) {
                        const double* d = work.d[pair_place(K, k, l)] + offset;
                        for (std::int64_t r = 0; r < n; ++r) weighted[r] = -x[r] * d[r];
                        for (std::size_t e = 0; e < rows_.predictors[l].columns.size(); ++e) {
                            const double* other = rows_.predictors[l].columns[e].data() + begin;
                            double sum = 0.0;
                            for (std::int64_t r = 0; r < n; ++r) sum += weighted[r] * other[r];
                            own(to, rows_.predictors[l].coefficients[e]) += 2.0 * sum;
                        }
                        for (int column = 0; column < q_; ++column)
                            if (factor_.predictor[column] == l) work.against(column, to) += dot_rows(column, begin, n, weighted.data());
                    }
                }
            const MatrixXd half = group.C.transpose() * (T_.transpose() * work.against);
            own.noalias() -= 2.0 * half.transpose() * half;
            add_theta_curvature(group, out);
        }
    }

    void add_theta_curvature(const Group& group, MatrixXd& out) const {
        const Mat MTC = group.M_projected * T_ * group.C, projected = group.M_projected - MTC * MTC.transpose();
        MatrixXd v = MatrixXd::Zero(q_, n_theta_);
        for (std::size_t i = 0; i < terms_.size(); ++i)
            for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j) {
                const MatrixXd half = term_factors_[i].derivative[j] * term_factors_[i].value.transpose();
                v.col(first_parameter_[i] + j).segment(terms_[i].first, terms_[i].width) =
                    (half + half.transpose()) * group.score.segment(terms_[i].first, terms_[i].width);
            }
        out.topLeftCorner(n_theta_, n_theta_) += v.transpose() * projected * v;
    }

    GroupedRows rows_;
    const FactorRows& factor_;
    int q_;
    std::vector<Term> terms_;
    std::vector<int> first_parameter_;
    int n_theta_ = 0, n_coefficients_;
    Prior prior_;
    int nodes_;
    std::vector<int> inner_, inner_place_;  // predictors that random effects enter; each predictor's place among them
    std::vector<int> place_;                // of each column's predictor among the inner ones
    std::vector<double> grid_, grid_weight_;
    std::vector<Range> batches_, tasks_;  // of groups, of batches
    std::int64_t most_rows_ = 0;

    VectorXd psi_;
    Mat T_;
    std::vector<TermFactor> term_factors_;
    std::vector<std::vector<double>> predictors_, fixed_;
    std::vector<double> u_;                                  // groups x q
    std::vector<std::vector<double>> mean_slope_;            // per predictor: average of l_k over nodes (n)
    std::vector<double> node_slope_, node_pull_, node_scale_;  // averages over nodes, group by group
    Workspaces<Workspace> workspaces_;
};

}  // namespace

bool quadrature_serves(const GroupedRows& rows) {
    return rows.factors.size() == 1 && rows.factors.front().width() <= most_columns;
}

std::unique_ptr<Marginal> make_quadrature(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior,
                                          int nodes) {
    const int q = rows.factors.front().width();
    auto make = [&]<int Q>() -> std::unique_ptr<Marginal> {
        return std::make_unique<Quadrature<Q>>(std::move(rows), std::move(terms), n_coefficients, std::move(prior), nodes);
    };
    switch (q) {
        case 1: return make.template operator()<1>();
        case 2: return make.template operator()<2>();
        case 3: return make.template operator()<3>();
        default: return make.template operator()<Eigen::Dynamic>();
    }
}

}  // namespace multilevel
