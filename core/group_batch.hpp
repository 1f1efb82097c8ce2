// A batch of groups of a model with one grouping factor: modes, integrals and scores of all of its groups, while their
// rows are in the cache.
//
// With h(u) the log-density of a group's rows less u'u / 2, u^ its mode and H = (C C')^-1 minus its second derivatives
// there, the group's likelihood by adaptive Gauss-Hermite quadrature is
//
//   |C| sum over m of exp(a_m + h(u_m)),   u_m = u^ + C x_m,
//
// x_m the nodes of the normal distribution's rule and a_m its log weights, with x_m'x_m / 2 on top. Its score follows
// mode and scale. With p_m the summands' shares, h'_m the slopes at the nodes, and K = C' sum p_m h'_m x_m',
//
//   d log L = sum p_m dh(u_m) + tr(Q dH) + r'dh'(u^),
//   Q = C B C',   r = C C'(sum p_m h'_m + v),   v_c = tr(Q dH / du_c),
//
// where B is symmetric with -(1 + K) / 2 on its diagonal and -K / 2 above it. C is upper triangular, which is how
// it is known to move: dC = -C Phi(C'dH C)', Phi the lower triangle with half the diagonal. One node gives Laplace's
// approximation, B = -I / 2.
#pragma once

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <vector>

#include "batch_rows.hpp"

namespace multilevel {

// Nodes and log weights in as many dimensions as a group has random effects.
struct NodeGrid {
    std::vector<double> places;  // q a node
    std::vector<double> log_weights;

    bool is_laplace() const { return log_weights.size() == 1; }
};

constexpr int most_quadrature_columns = 8;

// Q random effects in a group, or any number up to `most_quadrature_columns` if Q is Eigen::Dynamic.
template <int Q>
struct GroupAlgebra {
    static constexpr int Most = Q == Eigen::Dynamic ? most_quadrature_columns : Q;
    using Vec = Eigen::Matrix<double, Q, 1, 0, Most, 1>;
    using Mat = Eigen::Matrix<double, Q, Q, 0, Most, Most>;
};

// Parameters as the groups see them.
template <int Q>
struct GroupPoint {
    typename GroupAlgebra<Q>::Mat T;
    const double* gamma;
};

// What is known of every group at the last point.
template <int Q>
struct GroupStates {
    std::vector<typename GroupAlgebra<Q>::Vec> u;      // modes
    std::vector<typename GroupAlgebra<Q>::Mat> C;      // roots of their covariances
    std::vector<typename GroupAlgebra<Q>::Mat> slope;  // of the log-likelihood in T
    std::vector<double> log_likelihood;
    Eigen::MatrixXd gamma_score;                       // coefficients x groups
};

template <int Q>
class GroupBatch {
    using Vec = typename GroupAlgebra<Q>::Vec;
    using Mat = typename GroupAlgebra<Q>::Mat;

    // A group on the way to its mode, and there.
    struct Mode {
        Vec before, step, score;  // score: Z'l'
        Mat M;                    // Z'WZ
        double height, lower, decrement;
        bool found;
    };

    // Sums over the nodes of a group.
    struct NodeSums {
        double share;
        Vec score, x;  // of Z'l' and x, times shares
        Mat score_x, xx;
    };

  public:
    GroupBatch(const GroupedRows& rows, const NodeGrid& grid, std::int64_t most_rows)
        : rows_(rows, most_rows), q_(rows_.columns()), grid_(grid) {}

    // Log-likelihoods and scores of the groups; modes are sought from where they are. False if one has none.
    bool integrate(const GroupPoint<Q>& point, GroupRange groups, GroupStates<Q>& states) {
        begin(point, groups);
        if (!find_modes(states) || !look_at_modes(states)) return false;
        if (!grid_.is_laplace()) sum_nodes(states);
        bool finite = true;
        for (int g = 0; g < groups.count(); ++g) {
            finish_group(g, states);
            finite = finite && std::isfinite(states.log_likelihood[groups.from + g]);
        }
        return finite;
    }

    // visit(Z'WZ, Z'l') of each group without random effects, W made semidefinite.
    template <class Visit>
    void without_effects(const GroupPoint<Q>& point, GroupRange groups, Visit visit) {
        begin(point, groups);
        for (int g = 0; g < groups.count(); ++g) set_effects(g, Vec::Zero(q_));
        rows_.look_for_modes();
        for (int g = 0; g < groups.count(); ++g) {
            sum_rows(g, Vec::Zero(q_));
            visit(projected(g), modes_[g].score);
        }
    }

    // All predictors of the groups' rows at their modes: predictors x rows.
    void predictors(const GroupPoint<Q>& point, GroupRange groups, const GroupStates<Q>& states, Eigen::MatrixXd& out) {
        begin(point, groups);
        for (int g = 0; g < groups.count(); ++g) set_effects(g, states.u[groups.from + g]);
        rows_.write_predictors(out);
    }

    // Adds what stands for the groups' share of the curvature of -2 log L at their modes: in the coefficients that of
    // -2 h as the modes follow, in theta v'(M - MTCC'T'M)v, v_j = (dT_j T' + T dT_j')Z'l', the average information of
    // the Gaussian model with these weights. `slopes` holds dT T' + T dT' of each parameter.
    void add_curvature(const GroupPoint<Q>& point, GroupRange groups, const GroupStates<Q>& states,
                       const std::vector<Mat>& slopes, Eigen::MatrixXd& theta, Eigen::MatrixXd& gamma) {
        begin(point, groups);
        for (int g = 0; g < groups.count(); ++g) set_effects(g, states.u[groups.from + g]);
        rows_.look_at_modes(2);
        rows_.add_weighted_products(gamma);
        Eigen::MatrixXd against(q_, gamma.rows()), half(q_, gamma.rows()), v(q_, theta.rows());
        for (int g = 0; g < groups.count(); ++g) {
            const Mat& C = states.C[groups.from + g];
            sum_rows(g, states.u[groups.from + g]);
            rows_.weigh_against(g, against);
            const Mat TC = T_ * C;
            half.noalias() = TC.transpose() * against;
            gamma.noalias() -= 2.0 * half.transpose().lazyProduct(half);
            const Mat& M = modes_[g].M;
            const Mat MTC = M * TC;
            for (std::size_t j = 0; j < slopes.size(); ++j) v.col(j) = slopes[j] * modes_[g].score;
            const Mat reduced = M - MTC * MTC.transpose();
            theta += v.transpose().lazyProduct(reduced * v);
        }
    }

  private:
    void begin(const GroupPoint<Q>& point, GroupRange groups) {
        T_ = point.T;
        groups_ = groups;
        modes_.resize(groups.count());
        rows_.begin(groups, point.gamma);
    }

    void set_effects(int g, const Vec& u) { Eigen::Map<Vec>(rows_.effects(g), q_) = T_ * u; }

    // h at u, Z'l' and Z'WZ, of the last look.
    void sum_rows(int g, const Vec& u) {
        Mode& mode = modes_[g];
        mode.height = rows_.log_density(g) - 0.5 * u.squaredNorm();
        mode.score.resize(q_);
        mode.M.resize(q_, q_);
        for (int c = 0; c < q_; ++c) {
            mode.score(c) = rows_.score(g, c);
            for (int e = 0; e <= c; ++e) mode.M(c, e) = mode.M(e, c) = rows_.weight(g, c, e);
        }
    }

    Mat projected(int g) const {
        Mat M = Mat::Zero(q_, q_);
        rows_.add_projected(g, M);
        return M;
    }

    // The root C of (I + T'MT)^-1, upper triangular; false if that is not positive definite.
    bool invert(const Mat& M, Mat& C) const {
        if constexpr (Q == 1) {
            const double H = 1.0 + T_(0, 0) * M(0, 0) * T_(0, 0);
            C(0, 0) = 1.0 / std::sqrt(H);
            return H > 0.0 && H < infinity;
        } else {
            const Mat H = Mat::Identity(q_, q_) + T_.transpose() * M * T_;
            const Eigen::LLT<Mat> llt(H);
            if (llt.info() != Eigen::Success || !H.allFinite()) return false;
            C = Mat::Identity(q_, q_);
            llt.matrixU().solveInPlace(C);
            return true;
        }
    }

    // ---- modes ----

    // Newton's method for all groups side by side, until one more step, which is taken, leaves nothing to gain.
    bool find_modes(GroupStates<Q>& states) {
        for (Mode& mode : modes_) {
            mode.lower = -infinity;
            mode.decrement = infinity;
            mode.found = false;
        }
        for (int look_number = 0; look_number < most_looks; ++look_number) {
            for (int g = 0; g < groups_.count(); ++g) set_effects(g, states.u[groups_.from + g]);
            rows_.look_for_modes();
            bool all_found = true;
            for (int g = 0; g < groups_.count(); ++g) {
                if (modes_[g].found) continue;
                if (!step(g, look_number, states.u[groups_.from + g])) return false;
                all_found = all_found && modes_[g].found;
            }
            if (all_found) return true;
        }
        return false;
    }

    // Moves one group on after a look at its rows; false if it is lost.
    bool step(int g, int look_number, Vec& u) {
        Mode& mode = modes_[g];
        sum_rows(g, u);
        if (!std::isfinite(mode.height)) {
            if (look_number > 0 || u.isZero()) return shorten(mode, u);
            u.setZero(q_);  // a warm start that leads nowhere
            return true;
        }
        Mat C(q_, q_);
        if (!invert(mode.M, C) && !invert(projected(g), C)) return false;
        const Vec half = C.transpose() * (T_.transpose() * mode.score - u);
        const double decrement = half.squaredNorm();
        if (!(decrement < infinity)) return false;
        // Near the mode the slope says more than the height, of which large counts leave few digits.
        const bool nearer = mode.decrement < near_mode && decrement < 0.25 * mode.decrement;
        if (!nearer && mode.height < mode.lower - 1e-11 * (1.0 + std::abs(mode.lower))) return shorten(mode, u);
        mode.lower = mode.height;
        mode.before = u;
        mode.decrement = decrement;
        mode.step = C * half;
        u += mode.step;
        mode.found = decrement < last_step;
        return true;
    }

    static bool shorten(Mode& mode, Vec& u) {
        if (mode.lower == -infinity) return false;
        mode.step *= 0.4;
        u = mode.before + mode.step;
        return mode.step.squaredNorm() > 1e-24;
    }

    bool look_at_modes(GroupStates<Q>& states) {
        for (int g = 0; g < groups_.count(); ++g) set_effects(g, states.u[groups_.from + g]);
        rows_.look_at_modes(3);
        for (int g = 0; g < groups_.count(); ++g) {
            sum_rows(g, states.u[groups_.from + g]);
            states.C[groups_.from + g].resize(q_, q_);
            if (!std::isfinite(modes_[g].height) || !invert(modes_[g].M, states.C[groups_.from + g])) return false;
        }
        return true;
    }

    // ---- nodes ----

    void sum_nodes(const GroupStates<Q>& states) {
        nodes_.assign(groups_.count(), {0.0, Vec::Zero(q_), Vec::Zero(q_), Mat::Zero(q_, q_), Mat::Zero(q_, q_)});
        rows_.clear_omega();
        for (std::size_t m = 0; m < grid_.log_weights.size(); ++m) {
            const Vec x = Eigen::Map<const Vec>(&grid_.places[m * q_], q_);
            for (int g = 0; g < groups_.count(); ++g)
                set_effects(g, states.u[groups_.from + g] + states.C[groups_.from + g] * x);
            rows_.look_at_node();
            for (int g = 0; g < groups_.count(); ++g) {
                const Vec u = states.u[groups_.from + g] + states.C[groups_.from + g] * x;
                add_node(g, x, grid_.log_weights[m] - 0.5 * u.squaredNorm());
            }
        }
    }

    void add_node(int g, const Vec& x, double log_weight) {
        // relative to the mode, where the summand of a normal density's integral stays the same
        const double share = std::exp(rows_.node_log_density(g) + log_weight - modes_[g].height);
        if (!(share > 0.0)) return;
        NodeSums& sums = nodes_[g];
        Vec score(q_);
        for (int c = 0; c < q_; ++c) score(c) = rows_.node_score(g, c);
        sums.share += share;
        sums.score += share * score;
        sums.x += share * x;
        sums.score_x += share * score * x.transpose();
        sums.xx += share * x * x.transpose();
        rows_.add_node_slopes(g, share);
    }

    // ---- scores ----

    void finish_group(int g, GroupStates<Q>& states) {
        const Mode& mode = modes_[g];
        const int at = groups_.from + g;
        const Vec& u = states.u[at];
        const Mat& C = states.C[at];
        double node_sum = 1.0;
        Vec score = mode.score, pull = Vec::Zero(q_);  // averages of Z'l' and of h' over the nodes
        Mat B = Mat::Identity(q_, q_), slope = mode.score * u.transpose();
        if (grid_.is_laplace()) {
            rows_.set_mode_slopes(g);
        } else {
            const NodeSums& nodes = nodes_[g];
            node_sum = nodes.share;
            const double share = 1.0 / node_sum;
            rows_.scale_omega(g, share);
            score = share * nodes.score;
            pull = T_.transpose() * score - u - C * (share * nodes.x);
            const Mat P = share * nodes.score_x;
            B += C.transpose() * (T_.transpose() * P - share * (u * nodes.x.transpose() + C * nodes.xx));
            slope = score * u.transpose() + P * C.transpose();
        }
        B.template triangularView<Eigen::StrictlyLower>() = B.transpose();
        const Mat by_scale = -0.5 * C * B * C.transpose();
        Vec v = Vec::Zero(q_);
        rows_.add_scale_movement(g, Mat(T_ * by_scale * T_.transpose()), v);
        const Vec r = C * (C.transpose() * (pull + T_.transpose() * v)), moved = T_ * r;
        rows_.add_mode_movement(g, moved);
        slope += (v - mode.M * moved) * u.transpose() + 2.0 * mode.M * T_ * by_scale + mode.score * r.transpose();
        states.slope[at] = slope;
        states.log_likelihood[at] = C.diagonal().array().log().sum() + mode.height + std::log(node_sum);
        rows_.gamma_score(g, &states.gamma_score(0, at), static_cast<int>(states.gamma_score.rows()));
    }

    static constexpr double infinity = std::numeric_limits<double>::infinity();
    static constexpr double last_step = 1e-10;  // Newton's decrement before the last step, which leaves its square
    static constexpr double near_mode = 1.0;    // a decrement within which Newton's steps are trusted to shrink
    static constexpr int most_looks = 200;

    BatchRows rows_;
    int q_;
    const NodeGrid& grid_;
    GroupRange groups_{0, 0};
    Mat T_;
    std::vector<Mode> modes_;
    std::vector<NodeSums> nodes_;
};

}  // namespace multilevel
