#include "fixed_fit.hpp"

#include <algorithm>
#include <cmath>

#include "row_derivatives.hpp"
#include "threads.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int chunk_rows = 256;
constexpr std::int64_t task_rows = 8192;
constexpr double least_curvature = 1e-8;  // of the largest: a flatter direction is stepped along as if it had it
constexpr int most_halvings = 40;

// One task's rows: predictors, derivatives and their sums.
class Part {
  public:
    Part(const FixedRows& rows, const VectorXd& gamma, bool value_only)
        : rows_(rows), gamma_(gamma), value_only_(value_only), sum_{0.0, {}, {}} {
        const auto k = static_cast<Eigen::Index>(rows.n_coefficients);
        sum_.gradient = VectorXd::Zero(k);
        sum_.information = MatrixXd::Zero(k, k);
        for (const FixedPredictor& p : rows.predictors) {
            columns_.emplace_back(chunk_rows, p.columns.size());
            eta_.emplace_back(chunk_rows);
        }
        for (int d = 0; d < n_derivatives(most_predictors, 2); ++d) derivatives_.emplace_back(chunk_rows);
    }

    void add(std::int64_t begin, int count) {
        const int K = static_cast<int>(rows_.predictors.size());
        const double* at[most_predictors];
        for (int k = 0; k < K; ++k) {
            predict(k, begin, count);
            at[k] = eta_[k].data() - begin;  // the density counts rows from the first of all
        }
        static constexpr int all[most_predictors] = {0, 1, 2};
        double* out[n_derivatives(most_predictors, 2)];
        for (std::size_t d = 0; d < derivatives_.size(); ++d) out[d] = derivatives_[d].data();
        log_density(rows_.density, rows_.responses, at, begin, begin + count, all, K, value_only_ ? 0 : 2, out);
        for (int r = 0; r < count; ++r) sum_.loglik += derivatives_[0][r];
        if (value_only_) return;
        for (int k = 0; k < K; ++k) add_predictor(k, count);
    }

    const FixedDerivatives& sum() const { return sum_; }

  private:
    void predict(int k, std::int64_t begin, int count) {
        const FixedPredictor& p = rows_.predictors[k];
        double* eta = eta_[k].data();
        if (p.offset == nullptr) std::fill(eta, eta + count, 0.0);
        else std::copy(p.offset + begin, p.offset + begin + count, eta);
        for (std::size_t c = 0; c < p.columns.size(); ++c) {
            const double *in = p.columns[c].data + begin, shift = p.columns[c].shift, scale = p.columns[c].scale;
            const double coefficient = gamma_(p.coefficients[c]);
            double* x = columns_[k].col(c).data();
            for (int r = 0; r < count; ++r) x[r] = (in[r] - shift) * scale;
            for (int r = 0; r < count; ++r) eta[r] += coefficient * x[r];
        }
    }

    void add_predictor(int k, int count) {
        const FixedPredictor& p = rows_.predictors[k];
        const int K = static_cast<int>(rows_.predictors.size());
        const Eigen::Map<const VectorXd> slope(derivatives_[derivative_at(k)].data(), count);
        for (std::size_t c = 0; c < p.columns.size(); ++c)
            sum_.gradient(p.coefficients[c]) += columns_[k].col(c).head(count).dot(slope);
        for (int l = 0; l <= k; ++l) {
            const FixedPredictor& other = rows_.predictors[l];
            const Eigen::Map<const VectorXd> bend(derivatives_[pair_place(K, k, l)].data(), count);
            const MatrixXd cross = columns_[k].topRows(count).transpose() *
                                   (bend.asDiagonal() * columns_[l].topRows(count));
            for (Eigen::Index c = 0; c < cross.rows(); ++c)
                for (Eigen::Index e = 0; e < cross.cols(); ++e) {
                    sum_.information(p.coefficients[c], other.coefficients[e]) -= cross(c, e);
                    if (l != k) sum_.information(other.coefficients[e], p.coefficients[c]) -= cross(c, e);
                }
        }
    }

    const FixedRows& rows_;
    const VectorXd& gamma_;
    bool value_only_;
    FixedDerivatives sum_;
    std::vector<MatrixXd> columns_;             // per predictor: a chunk of its columns
    std::vector<std::vector<double>> eta_;
    std::vector<std::vector<double>> derivatives_;
};

// A working coefficient moves by no more in one step: what is further away is reached in several.
constexpr double most_move = 10.0;

// Newton's step, with curvatures of the wrong sign turned round so that it leads uphill.
VectorXd uphill(const FixedDerivatives& at) {
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(0.5 * (at.information + at.information.transpose()));
    const VectorXd size = eigen.eigenvalues().cwiseAbs();
    const VectorXd kept = size.cwiseMax(least_curvature * std::max(size.maxCoeff(), 1e-300));
    const VectorXd step = eigen.eigenvectors() * (eigen.eigenvectors().transpose() * at.gradient).cwiseQuotient(kept);
    return step * std::min(1.0, most_move / std::max(step.cwiseAbs().maxCoeff(), 1e-300));
}

}  // namespace

FixedDerivatives fixed_derivatives(const FixedRows& rows, const VectorXd& gamma, bool value_only) {
    const int tasks = static_cast<int>((rows.n + task_rows - 1) / task_rows);
    std::vector<FixedDerivatives> part(tasks);
    parallel_for(tasks, [&](int task) {
        Part sums(rows, gamma, value_only);
        const std::int64_t end = std::min(rows.n, (task + 1) * task_rows);
        for (std::int64_t at = task * task_rows; at < end; at += chunk_rows)
            sums.add(at, static_cast<int>(std::min<std::int64_t>(chunk_rows, end - at)));
        part[task] = sums.sum();
    });
    for (int task = 1; task < tasks; ++task) {
        part[0].loglik += part[task].loglik;
        part[0].gradient += part[task].gradient;
        part[0].information += part[task].information;
    }
    if (rows.precision.size() > 0) {
        const VectorXd away = gamma - rows.centre;
        part[0].loglik -= 0.5 * rows.precision.dot(away.cwiseAbs2());
        part[0].gradient -= rows.precision.cwiseProduct(away);
        part[0].information.diagonal() += rows.precision;
    }
    return part[0];
}

FixedFit climb(const FixedRows& rows, const VectorXd& start, double tolerance, int most_steps) {
    FixedFit fit{start, fixed_derivatives(rows, start, false), false, 0};
    if (!std::isfinite(fit.at.loglik) || start.size() == 0) return fit;
    for (; fit.steps < most_steps; ++fit.steps) {
        if (!fit.at.gradient.allFinite() || !fit.at.information.allFinite()) return fit;
        const VectorXd step = uphill(fit.at);
        if (0.5 * step.dot(fit.at.gradient) < tolerance) {
            fit.converged = true;
            return fit;
        }
        bool better = false;
        double length = 1.0;
        for (int halving = 0; halving < most_halvings && !better; ++halving, length *= 0.5) {
            const VectorXd to = fit.gamma + length * step;
            // a full step is mostly taken: its derivatives come with its value
            const FixedDerivatives there = fixed_derivatives(rows, to, halving > 0);
            if (!(there.loglik > fit.at.loglik)) continue;  // nor where it is not a number
            better = true;
            fit.gamma = to;
            fit.at = halving == 0 ? there : fixed_derivatives(rows, to, false);
        }
        if (!better) return fit;
    }
    return fit;
}

}  // namespace multilevel
