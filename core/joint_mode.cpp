// Coefficients that are found with the modes of the random effects, by the same Newton steps: rows of A for columns of X
// without a penalty. W couples the predictors of a row, so a coefficient counts in every predictor that it has a column in.
#include "joint_mode.hpp"

#include <cmath>
#include <limits>

#include "dense.hpp"
#include "threads.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

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

// Of each moving predictor: its columns with joint coefficients, and the places of these.
void Laplace::find_joint_columns() {
    for (int k : moving_) {
        JointColumns mine;
        const PredictorRows& predictor = rows_.predictors[k];
        for (std::size_t c = 0; c < predictor.columns.size(); ++c)
            if (joint_place_[predictor.coefficients[c]] >= 0) {
                mine.columns.push_back(predictor.columns[c].data());
                mine.places.push_back(joint_place_[predictor.coefficients[c]]);
            }
        joint_columns_.push_back(std::move(mine));
    }
}

// Whether X'WX and Z'WX cost more than the rest of a step, a pass and a factorisation: rough counts of operations.
bool Laplace::joint_blocks_are_dear() const {
    const double n = static_cast<double>(rows_.n), p = static_cast<double>(n_joint());
    double columns = 0.0, products = 0.0, factorisation = std::pow(static_cast<double>(plan_.tail_size), 3) / 24.0;
    for (const FactorRows& f : rows_.factors) {
        columns += f.width();
        products += f.width() * f.width();
    }
    for (const HeadNode& node : plan_.head) factorisation += 0.5 * node.width * std::pow(static_cast<double>(node.columns), 2);
    return n * p * (0.125 * p + 2.0 + 2.0 * columns) > n * (15.0 + 4.0 * products + 2.0 * p) + factorisation;
}

// Adds a chunk's X'l' and, where weights are looked at anew, X'WX and Z'WX.
void Laplace::add_joint_rows(std::int64_t begin, int count, const RowDerivatives& inner, bool project, Stripe& sums) {
    const int M = static_cast<int>(moving_.size());
    thread_local RowDerivatives wider(chunk_rows);
    const bool more = moving_.size() > inner_.size();
    if (more) wider.evaluate(rows_, predictors_, moving_, begin, begin + count, begin, 2);
    const RowDerivatives& d = more ? wider : inner;
    for (int a = 0; a < M; ++a) {
        const Eigen::Map<const VectorXd> slope(d[derivative_at(a)], count);
        for (std::size_t j = 0; j < joint_columns_[a].places.size(); ++j)
            sums.joint_scores(joint_columns_[a].places[j]) +=
                slope.dot(Eigen::Map<const VectorXd>(joint_columns_[a].columns[j] + begin, count));
    }
    if (fresh_) add_joint_blocks(begin, count, joint_weights(d, count, project), sums);
}

// W of a chunk's rows, row after row in columns: moving x moving predictors.
const MatrixXd& Laplace::joint_weights(const RowDerivatives& d, int count, bool project) const {
    const int M = static_cast<int>(moving_.size());
    thread_local MatrixXd W;
    W.resize(chunk_rows, M * M);
    for (int a = 0; a < M; ++a)
        for (int b = 0; b < M; ++b) W.col(a * M + b).head(count) = -Eigen::Map<const VectorXd>(d[pair_place(M, a, b)], count);
    if (!project) return W;
    for (int r = 0; r < count; ++r) {
        double row[most_predictors * most_predictors];
        for (int ab = 0; ab < M * M; ++ab) row[ab] = W(r, ab);
        project_any(row, M);
        for (int ab = 0; ab < M * M; ++ab) W(r, ab) = row[ab];
    }
    return W;
}

void Laplace::add_joint_blocks(std::int64_t begin, int count, const MatrixXd& W, Stripe& sums) const {
    const int M = static_cast<int>(moving_.size()), t = sums_.n_tail();
    thread_local std::vector<MatrixXd> plain(most_predictors);
    thread_local MatrixXd weighted, block;
    for (int a = 0; a < M; ++a) {
        plain[a].resize(chunk_rows, static_cast<Eigen::Index>(joint_columns_[a].places.size()));
        for (Eigen::Index j = 0; j < plain[a].cols(); ++j)
            plain[a].col(j).head(count) = Eigen::Map<const VectorXd>(joint_columns_[a].columns[j] + begin, count);
    }
    for (int b = 0; b < M; ++b) {
        const std::vector<int>& of_b = joint_columns_[b].places;
        if (of_b.empty()) continue;
        weighted.resize(chunk_rows, plain[b].cols());
        for (int a = 0; a < M; ++a) {
            weighted.topRows(count) = W.col(a * M + b).head(count).asDiagonal() * plain[b].topRows(count);
            const std::vector<int>& of_a = joint_columns_[a].places;
            block.setZero(plain[a].cols(), plain[b].cols());
            dense::add_crossproduct(plain[a].data(), static_cast<int>(of_a.size()), weighted.data(), static_cast<int>(of_b.size()),
                                    count, chunk_rows, block.data());
            for (std::size_t j = 0; j < of_b.size(); ++j)
                for (std::size_t i = 0; i < of_a.size(); ++i) sums.joint_information(of_a[i], of_b[j]) += block(i, j);
            for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
                const FactorRows& factor = rows_.factors[f];
                const int q = factor.width();
                for (int c = 0; c < q; ++c) {
                    if (moving_place_[factor.predictor[c]] != a) continue;
                    const double* z = &factor.columns[c][begin];
                    for (std::size_t j = 0; j < of_b.size(); ++j)
                        add_to_levels(&factor.codes[begin], z, weighted.col(j).data(), count, q * t, sums.tail[f] + c * t + of_b[j]);
                }
            }
        }
    }
}

void Laplace::gather_joint(const std::vector<Stripe>& parts) {
    const Eigen::Index p = n_joint();
    joint_scores_ = parts[0].joint_scores;
    for (std::size_t s = 1; s < parts.size(); ++s) joint_scores_ += parts[s].joint_scores;
    if (prior_.precision.size() > 0)
        for (Eigen::Index j = 0; j < p; ++j)
            joint_scores_(j) -= prior_.precision(joint_[j]) * (psi_(n_theta_ + joint_[j]) - prior_.centre(joint_[j]));
    if (!fresh_) return;
    MatrixXd information = parts[0].joint_information;
    for (std::size_t s = 1; s < parts.size(); ++s) information += parts[s].joint_information;
    if (prior_.precision.size() > 0)
        for (Eigen::Index j = 0; j < p; ++j) information(j, j) += prior_.precision(joint_[j]);
    for (Eigen::Index i = 0; i < p; ++i)
        for (Eigen::Index j = 0; j <= i; ++j) sums_.fixed[i * (p + 1) + j] = information(i, j);
}

// X'weight of the joint coefficients, for a weight of every row in each moving predictor.
VectorXd Laplace::joint_sums(const std::vector<std::vector<double>>& weight) const {
    VectorXd out = VectorXd::Zero(n_joint());
    for (std::size_t m = 0; m < joint_columns_.size(); ++m) {
        const Eigen::Map<const VectorXd> w(weight[m].data(), rows_.n);
        parallel_for(static_cast<int>(joint_columns_[m].places.size()), [&](int j) {
            out(joint_columns_[m].places[j]) += w.dot(Eigen::Map<const VectorXd>(joint_columns_[m].columns[j], rows_.n));
        });
    }
    return out;
}

// Adds X times coefficients to every row, in each moving predictor.
void Laplace::add_joint_predictors(const VectorXd& coefficients, std::vector<std::vector<double>>& to) const {
    if (joint_.empty()) return;
    parallel_for(static_cast<int>(stripes_.size()) - 1, [&](int s) {
        const std::int64_t begin = stripes_[s], rows = stripes_[s + 1] - begin;
        for (std::size_t m = 0; m < joint_columns_.size(); ++m)
            for (std::size_t j = 0; j < joint_columns_[m].places.size(); ++j)
                Eigen::Map<VectorXd>(to[m].data() + begin, rows) +=
                    coefficients(joint_columns_[m].places[j]) * Eigen::Map<const VectorXd>(joint_columns_[m].columns[j] + begin, rows);
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
