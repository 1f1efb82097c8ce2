#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

MatrixXd positive_part(const MatrixXd& symmetric, double floor) {
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(symmetric);
    const VectorXd values = eigen.eigenvalues().cwiseMax(floor);
    return eigen.eigenvectors() * values.asDiagonal() * eigen.eigenvectors().transpose();
}

// X with X T = slope
MatrixXd solve_right(const MatrixXd& slope, const MatrixXd& T, StructureKind kind) {
    if (kind == StructureKind::unstructured || kind == StructureKind::diagonal)
        return T.transpose().triangularView<Eigen::Upper>().solve(slope.transpose()).transpose();
    return T.transpose().fullPivLu().solve(slope.transpose()).transpose();
}

}  // namespace

Model::Model(CrossProducts sums, std::vector<Term> terms, double n_obs, double memory_limit)
    : sums_(std::move(sums)),
      plan_(make_plan(sums_, memory_limit)),
      terms_(std::move(terms)),
      n_obs_(n_obs),
      memory_limit_(memory_limit),
      factorisation_(sums_, plan_) {
    for (const Term& term : terms_) {
        first_parameter_.push_back(n_parameters_);
        n_parameters_ += term.n_parameters();
    }
    if (Arrow::serves(sums_)) arrow_.emplace(sums_);
}

std::unique_ptr<Model> Model::copy() const { return std::make_unique<Model>(sums_, terms_, n_obs_, memory_limit_); }

VectorXd Model::beta() const { return arrow_ ? arrow_->beta() : factorisation_.estimates().beta; }

double Model::pwrss() const { return arrow_ ? arrow_->pieces().pwrss : factorisation_.pieces().pwrss; }

MatrixXd Model::fixed_cholesky() const {
    return arrow_ ? arrow_->fixed_cholesky() : factorisation_.fixed_cholesky();
}

void Model::set_response(const RowData& rows) {
    replace_response(sums_, rows);
    factorisation_.forget();
    if (arrow_) arrow_->replace_response(sums_);
}

// The plan points into the sums: they are written over, not replaced.
void Model::set_sums(const CrossProducts& sums, double n_obs) {
    copy_values(sums, sums_);
    n_obs_ = n_obs;
    factorisation_.forget();
    if (arrow_) arrow_.emplace(sums_);
}

std::vector<MatrixXd> Model::factor_T(const VectorXd& theta) const {
    std::vector<MatrixXd> out;
    for (const Factor& f : sums_.factors) out.push_back(MatrixXd::Zero(f.width, f.width));
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        const Term& term = terms_[i];
        out[term.factor].block(term.first, term.first, term.width, term.width) =
            term_factor(term, theta.data() + first_parameter_[i]).value;
    }
    return out;
}

std::optional<Pieces> Model::pieces(const std::vector<MatrixXd>& factor_T) {
    const bool definite = arrow_ ? arrow_->factorise(factor_T[0]) : factorisation_.factorise(factor_T);
    if (!definite) return std::nullopt;
    return arrow_ ? arrow_->pieces() : factorisation_.pieces();
}

double Model::criterion(const std::vector<MatrixXd>& factor_T, bool reml) {
    const std::optional<Pieces> p = pieces(factor_T);
    if (!p) return std::numeric_limits<double>::infinity();
    const double df = residual_df(reml);
    const double value = p->log_det_random + (reml ? p->log_det_fixed : 0.0) +
                         df * (1.0 + std::log(2.0 * std::numbers::pi * p->pwrss / df));
    return std::isfinite(value) ? value : std::numeric_limits<double>::infinity();
}

double Model::criterion(const VectorXd& theta, bool reml) { return criterion(factor_T(theta), reml); }

std::vector<MatrixXd> Model::factor_gradient(bool reml) {
    return factor_gradient(TailWeights{reml ? 1.0 : 0.0, residual_df(reml)});
}

std::vector<MatrixXd> Model::factor_gradient(TailWeights weights) {
    if (arrow_) return {arrow_->gradient(weights)};
    factorisation_.invert_selected(weights);
    return factorisation_.gradient();
}

Derivatives Model::derivatives(const VectorXd& theta, bool reml) {
    const std::vector<MatrixXd> by_factor = factor_gradient(reml);
    std::vector<TermFactor> factors;
    Derivatives out{VectorXd(n_parameters_), {}, {}};
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        const Term& term = terms_[i];
        factors.push_back(term_factor(term, theta.data() + first_parameter_[i]));
        const MatrixXd slope = by_factor[term.factor].block(term.first, term.first, term.width, term.width);
        for (std::size_t j = 0; j < factors[i].derivative.size(); ++j)
            out.gradient(first_parameter_[i] + j) = slope.cwiseProduct(factors[i].derivative[j]).sum();
        const MatrixXd gamma = 0.5 * solve_right(slope, factors[i].value, term.kind);  // slope = 2 Gamma T
        out.sigma_slope.push_back(0.5 * (gamma + gamma.transpose()));
    }
    out.average_information = average_information(factors, reml);
    return out;
}

// AI_ij = m y'P V_i P V_j P y / r^2 - m b_i b_j / r^4,  V_i = Z dSigma_i Z',  b_i = y'P V_i P y.
MatrixXd Model::average_information(const std::vector<TermFactor>& factors, bool reml) {
    const auto [product, b] = arrow_ ? arrow_direction_products(factors) : direction_products(factors);
    const double r2 = pwrss(), m = residual_df(reml);
    return m / r2 * product - m / (r2 * r2) * b * b.transpose();
}

std::pair<MatrixXd, VectorXd> Model::direction_products(const std::vector<TermFactor>& factors) {
    const VectorXd scores = factorisation_.random_scores(factorisation_.estimates());
    MatrixXd v = MatrixXd::Zero(plan_.n_random, n_parameters_);
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        const Term& term = terms_[i];
        const Factor& f = sums_.factors[term.factor];
        for (std::size_t j = 0; j < factors[i].derivative.size(); ++j) {
            const MatrixXd half = factors[i].derivative[j] * factors[i].value.transpose();
            const MatrixXd change = half + half.transpose();
            for (int a = 0; a < f.levels; ++a) {
                const auto at = plan_.factor_first[term.factor] + static_cast<std::size_t>(a) * f.width + term.first;
                v.block(at, first_parameter_[i] + j, term.width, 1).noalias() = change * scores.segment(at, term.width);
            }
        }
    }
    return {factorisation_.projected_crossproduct(v), v.transpose() * scores};
}

std::pair<MatrixXd, VectorXd> Model::arrow_direction_products(const std::vector<TermFactor>& factors) {
    const int q = sums_.factors[0].width;
    std::vector<MatrixXd> directions;
    VectorXd b(n_parameters_);
    for (std::size_t i = 0; i < terms_.size(); ++i)
        for (const MatrixXd& derivative : factors[i].derivative) {
            const MatrixXd half = derivative * factors[i].value.transpose();
            MatrixXd change = MatrixXd::Zero(q, q);
            change.block(terms_[i].first, terms_[i].first, terms_[i].width, terms_[i].width) = half + half.transpose();
            b(directions.size()) = change.cwiseProduct(arrow_->score_crossproduct()).sum();
            directions.push_back(change);
        }
    return {arrow_->projected_crossproduct(directions), b};
}

// Relative variances of scalar terms, all at once: with e the residuals of y on X alone, the expectation of
// sum over the levels of (z_a'e)^2 is linear in the variances (up to the small effect of estimating beta).
std::vector<MatrixXd> Model::scalar_moments(double rss, const VectorXd& beta) const {
    const int n_terms = static_cast<int>(terms_.size()), p = n_fixed(), t = sums_.n_tail();
    MatrixXd system = MatrixXd::Zero(n_terms + 1, n_terms + 1);
    VectorXd observed = VectorXd::Zero(n_terms + 1);
    for (int k = 0; k < n_terms; ++k) {
        const int f = terms_[k].factor;
        for (int a = 0; a < sums_.factors[f].levels; ++a) {
            const double* tail = &sums_.tail[f][static_cast<std::size_t>(a) * t];
            double score = tail[p];
            for (int c = 0; c < p; ++c) score -= tail[c] * beta(c);
            observed(k) += score * score;
            system(k, k) += std::pow(sums_.diag[f][a], 2);
            system(k, n_terms) += sums_.diag[f][a];
        }
        system(n_terms, k) = system(k, n_terms);
    }
    for (const PairBlocks& pairs : sums_.pairs) {
        double squares = 0.0;
        for (double block : pairs.block) squares += block * block;
        for (int k = 0; k < n_terms; ++k)
            for (int l = 0; l < n_terms; ++l)
                if (terms_[k].factor == pairs.first && terms_[l].factor == pairs.second)
                    system(k, l) = system(l, k) = squares;
    }
    observed(n_terms) = rss;
    system(n_terms, n_terms) = std::max(n_obs_ - p, 1.0);
    const VectorXd variance = system.fullPivLu().solve(observed);
    const double residual = std::max(variance(n_terms), 0.05 * rss / std::max(n_obs_, 1.0));
    std::vector<MatrixXd> out;
    for (int k = 0; k < n_terms; ++k) {
        const double groups = sums_.factors[terms_[k].factor].levels, size = system(k, n_terms);
        const double floor = std::min(0.2 * groups / size, 0.25);
        out.push_back(MatrixXd::Constant(1, 1, std::clamp(variance(k) / residual, floor, 1e4)));
    }
    return out;
}

bool Model::scalar_terms_only() const {
    return std::all_of(sums_.factors.begin(), sums_.factors.end(), [](const Factor& f) { return f.width == 1; });
}

std::vector<MatrixXd> Model::moment_covariances() const {
    const int p = n_fixed(), t = sums_.n_tail();
    const Eigen::Map<const RowMajor> fixed(sums_.fixed.data(), t, t);
    const VectorXd beta = fixed.topLeftCorner(p, p).ldlt().solve(fixed.col(p).head(p));
    const double rss = std::max(fixed(p, p) - beta.dot(fixed.col(p).head(p)), 1e-300);
    if (scalar_terms_only()) return scalar_moments(rss, beta);
    const double sigma2 = rss / std::max(n_obs_ - p, 1.0);
    std::vector<MatrixXd> out;
    for (const Term& term : terms_) {
        const Factor& f = sums_.factors[term.factor];
        MatrixXd excess = MatrixXd::Zero(term.width, term.width), mean = excess;
        double size = 0.0, squared_size = 0.0;
        for (int a = 0; a < f.levels; ++a) {
            const auto level = static_cast<std::size_t>(a) * f.width;
            const Eigen::Map<const RowMajor> own(&sums_.diag[term.factor][level * f.width], f.width, f.width);
            const Eigen::Map<const RowMajor> tail(&sums_.tail[term.factor][level * t], f.width, t);
            const MatrixXd c = own.block(term.first, term.first, term.width, term.width);
            const VectorXd score = (tail.col(p) - tail.leftCols(p) * beta).segment(term.first, term.width);
            excess += score * score.transpose() / sigma2 - c;
            mean += c;
            const double n = c.trace() / term.width;
            size += n;
            squared_size += n * n;
        }
        mean /= size;
        mean.diagonal().array() += 1e-8 * mean.trace();
        const MatrixXd inverse = mean.inverse();
        const double floor = 0.2 * f.levels / size;  // a standard deviation that a group of mean size can just show
        MatrixXd sigma = positive_part(inverse * excess * inverse / squared_size, std::min(floor, 0.25));
        out.push_back(sigma);
    }
    return out;
}

}  // namespace multilevel
