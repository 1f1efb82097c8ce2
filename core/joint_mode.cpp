// Coefficients that are found with the modes of the random effects, by the same Newton steps: rows of A for columns of X
// without a penalty. W couples the predictors of a row, so a coefficient counts in every predictor that it has a column in.
#include "joint_mode.hpp"

#include <cmath>
#include <limits>

#include "threads.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int chunk_rows = 256;

// The nearest positive semidefinite weights of a row's predictors.
void project_any(double* W, int count) {
    if (count <= 2) return project_weights(W, count);
    Eigen::Map<MatrixXd> weights(W, count, count);
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(weights);
    weights = eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0.0).asDiagonal() * eigen.eigenvectors().transpose();
}

}  // namespace

// psi with the joint coefficients that were found last, if any were.
VectorXd Laplace::with_joint(const VectorXd& psi) const {
    VectorXd out = psi;
    if (joint_known_)
        for (Eigen::Index j = 0; j < n_joint(); ++j) out(n_theta_ + joint_[j]) = u_(plan_.n_random + j);
    return out;
}

// What a prior on the joint coefficients takes from h.
double Laplace::joint_penalty() const {
    double sum = 0.0;
    if (prior_.precision.size() > 0)
        for (int j : joint_) sum += 0.5 * prior_.precision(j) * std::pow(psi_(n_theta_ + j) - prior_.centre(j), 2);
    return sum;
}

// Adds a chunk's X'l', X'WX and Z'WX.
void Laplace::add_joint_rows(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums) {
    const int M = static_cast<int>(moving_.size());
    const Eigen::Index p = n_joint();
    thread_local RowDerivatives wider(chunk_rows);
    const RowDerivatives* at = &d;
    if (moving_.size() > inner_.size()) {
        wider.evaluate(rows_, predictors_, moving_, begin, begin + count, begin, 2);
        at = &wider;
    }
    thread_local std::vector<MatrixXd> designs(most_predictors);  // of each moving predictor: coefficients x rows
    thread_local MatrixXd weighted;
    MatrixXd W(count, M * M);
    for (int a = 0; a < M; ++a)
        for (int b = 0; b < M; ++b) W.col(a * M + b) = -Eigen::Map<const VectorXd>((*at)[pair_place(M, a, b)], count);
    if (project)
        for (int r = 0; r < count; ++r) {
            double row[most_predictors * most_predictors];
            for (int ab = 0; ab < M * M; ++ab) row[ab] = W(r, ab);
            project_any(row, M);
            for (int ab = 0; ab < M * M; ++ab) W(r, ab) = row[ab];
        }
    std::vector<int> involved;
    for (int m = 0; m < M; ++m) {
        const PredictorRows& predictor = rows_.predictors[moving_[m]];
        MatrixXd& design = designs[m];
        bool any = false;
        for (std::size_t c = 0; c < predictor.columns.size(); ++c) {
            const int j = joint_place_[predictor.coefficients[c]];
            if (j < 0) continue;
            if (!any) design.setZero(p, count);
            any = true;
            const double* x = &predictor.columns[c][begin];
            for (int r = 0; r < count; ++r) design(j, r) = x[r];
        }
        if (any) involved.push_back(m);
    }
    for (int a : involved) {
        sums.joint_scores.noalias() += designs[a] * Eigen::Map<const VectorXd>((*at)[derivative_at(a)], count);
        for (int b : involved) {
            weighted = designs[a] * W.col(a * M + b).asDiagonal();
            sums.joint_information.triangularView<Eigen::Lower>() += weighted * designs[b].transpose();
        }
        for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
            const FactorRows& factor = rows_.factors[f];
            const int q = factor.width();
            for (int c = 0; c < q; ++c) {
                const int m = moving_place_[factor.predictor[c]];
                const double* z = &factor.columns[c][begin];
                for (int r = 0; r < count; ++r) {
                    const double w = z[r] * W(r, m * M + a);
                    const double* x = &designs[a](0, r);
                    double* out = sums.tail[f] + (static_cast<std::size_t>(factor.codes[begin + r]) * q + c) * (p + 1);
                    for (Eigen::Index j = 0; j < p; ++j) out[j] += w * x[j];
                }
            }
        }
    }
}

void Laplace::gather_joint(const std::vector<Stripe>& parts) {
    const Eigen::Index p = n_joint();
    joint_scores_ = parts[0].joint_scores;
    MatrixXd information = parts[0].joint_information;
    for (std::size_t s = 1; s < parts.size(); ++s) {
        joint_scores_ += parts[s].joint_scores;
        information += parts[s].joint_information;
    }
    if (prior_.precision.size() > 0)
        for (Eigen::Index j = 0; j < p; ++j) {
            const double precision = prior_.precision(joint_[j]);
            joint_scores_(j) -= precision * (psi_(n_theta_ + joint_[j]) - prior_.centre(joint_[j]));
            information(j, j) += precision;
        }
    for (Eigen::Index i = 0; i < p; ++i)
        for (Eigen::Index j = 0; j <= i; ++j) sums_.fixed[i * (p + 1) + j] = information(i, j);
}

// X'weight of the joint coefficients, for a weight of every row in each moving predictor.
VectorXd Laplace::joint_sums(const std::vector<std::vector<double>>& weight) const {
    VectorXd out = VectorXd::Zero(n_joint());
    for (std::size_t m = 0; m < moving_.size(); ++m) {
        const PredictorRows& predictor = rows_.predictors[moving_[m]];
        const Eigen::Map<const VectorXd> w(weight[m].data(), rows_.n);
        parallel_for(joint_.empty() ? 0 : static_cast<int>(predictor.columns.size()), [&](int c) {
            const int j = joint_place_[predictor.coefficients[c]];
            if (j >= 0) out(j) += w.dot(Eigen::Map<const VectorXd>(predictor.columns[c].data(), rows_.n));
        });
    }
    return out;
}

// Adds X times coefficients to every row, in each moving predictor.
void Laplace::add_joint_predictors(const VectorXd& coefficients, std::vector<std::vector<double>>& to) const {
    if (joint_.empty()) return;
    parallel_for(static_cast<int>(stripes_.size()) - 1, [&](int s) {
        const std::int64_t begin = stripes_[s], end = stripes_[s + 1];
        for (std::size_t m = 0; m < moving_.size(); ++m) {
            const PredictorRows& predictor = rows_.predictors[moving_[m]];
            for (std::size_t c = 0; c < predictor.columns.size(); ++c) {
                const int j = joint_place_[predictor.coefficients[c]];
                if (j < 0) continue;
                const double *x = predictor.columns[c].data(), size = coefficients(j);
                for (std::int64_t i = begin; i < end; ++i) to[m][i] += size * x[i];
            }
        }
    });
}

MatrixXd Laplace::joint_covariance() const {
    const Eigen::Index p = n_joint();
    const MatrixXd root = factorisation_.fixed_cholesky().triangularView<Eigen::Lower>().solve(MatrixXd::Identity(p, p));
    return root.transpose() * root;
}

// ---- the criterion as a function of what is searched over ----

OuterMarginal::OuterMarginal(Laplace& model, const std::vector<int>& joint, VectorXd begin)
    : model_(model), psi_(std::move(begin)) {
    std::vector<bool> found(model.n_parameters(), false);
    for (int j : joint) found[model.n_theta() + j] = true;
    for (int k = 0; k < model.n_parameters(); ++k)
        if (!found[k]) outer_.push_back(k);
}

VectorXd OuterMarginal::outer(const VectorXd& psi) const { return psi(outer_); }

double OuterMarginal::value(const VectorXd& outer) {
    psi_(outer_) = outer;
    return model_.value(psi_);
}

VectorXd OuterMarginal::complete(const VectorXd& outer) {
    return value(outer) < std::numeric_limits<double>::infinity() ? model_.point() : psi_;
}

}  // namespace multilevel
