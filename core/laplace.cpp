#include "laplace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "marginal_prior.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int most_stripes = 16;
constexpr double infinity = std::numeric_limits<double>::infinity();

// Modes are found when one more Newton step would raise h by less than this; where it would raise it by less than
// `last_step`, its square is what is left after it.
constexpr double mode_tolerance = 1e-20, last_step = 1e-10, chord_tolerance = 1e-18;
constexpr int most_mode_steps = 100;
constexpr double far_off = 1e-2;        // a decrement from which weights change much
constexpr double longest_motion = 1.0;  // of a spherical mode, that is believed to first order

}  // namespace

Laplace::Laplace(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior, double memory_limit,
                 std::vector<int> joint)
    : rows_(std::move(rows)),
      terms_(std::move(terms)),
      n_coefficients_(n_coefficients),
      prior_(std::move(prior)),
      memory_limit_(memory_limit),
      joint_(std::move(joint)),
      sums_(empty_sums()),
      plan_(make_plan(sums_, memory_limit)),
      factorisation_(sums_, plan_) {
    for (const Term& term : terms_) {
        first_parameter_.push_back(n_theta_);
        n_theta_ += term.n_parameters();
    }
    for (std::size_t k = 0; k < rows_.predictors.size(); ++k) {
        inner_place_.push_back(rows_.predictors[k].inner ? static_cast<int>(inner_.size()) : -1);
        if (rows_.predictors[k].inner) inner_.push_back(static_cast<int>(k));
    }
    if (inner_.size() > most_inner) throw std::invalid_argument("random effects enter at most two predictors");
    joint_place_.assign(n_coefficients_, -1);
    for (std::size_t j = 0; j < joint_.size(); ++j) joint_place_[joint_[j]] = static_cast<int>(j);
    for (std::size_t k = 0; k < rows_.predictors.size(); ++k) {
        const auto& places = rows_.predictors[k].coefficients;
        const bool moves = rows_.predictors[k].inner ||
                           std::any_of(places.begin(), places.end(), [&](int c) { return joint_place_[c] >= 0; });
        moving_place_.push_back(moves ? static_cast<int>(moving_.size()) : -1);
        if (moves) moving_.push_back(static_cast<int>(k));
    }
    find_joint_columns();
    chords_ = joint_blocks_are_dear();
    double shared = 1.0;
    for (std::size_t k = 1; k < rows_.factors.size(); ++k) shared += sums_.diag[k].size() + sums_.tail[k].size();
    for (const PairBlocks& pairs : sums_.pairs)
        if (pairs.first > 0) shared += pairs.block.size();
    const double n = static_cast<double>(rows_.n);
    const double count = std::min(n / 4096.0, rows_.factors.size() > 1 ? 4.0 * n / shared : n);
    stripes_ = rows_.stripes(static_cast<int>(std::clamp(count, 1.0, double(most_stripes))));
    find_slots();
    predictors_.assign(rows_.predictors.size(), std::vector<double>(rows_.n));
    fixed_.assign(inner_.size(), std::vector<double>(rows_.n));
    for (const FactorRows& f : rows_.factors) {
        b_.emplace_back(static_cast<std::size_t>(f.levels) * f.width());
        scores_.emplace_back(b_.back().size());
    }
    u_ = VectorXd::Zero(n_found());
    joint_scores_ = VectorXd::Zero(n_joint());
}

// Cross-products of the right shape. Their tail has the joint coefficients, and a column of nothing with a one below it.
CrossProducts Laplace::empty_sums() const {
    RowData shape{rows_.n, {}, {}, Column{rows_.y.data(), 0.0, 0.0}, nullptr};
    for (const FactorRows& f : rows_.factors) {
        FactorData data{f.codes.data(), f.levels, {}};
        for (const auto& column : f.columns) data.columns.push_back({column.data(), 0.0, 1.0});
        shape.factors.push_back(std::move(data));
    }
    CrossProducts sums = cross_products(shape);
    sums.n_fixed = static_cast<int>(n_joint());
    const auto t = static_cast<std::size_t>(sums.n_tail());
    for (std::size_t f = 0; f < sums.factors.size(); ++f)
        sums.tail[f].assign(static_cast<std::size_t>(sums.factors[f].levels) * sums.factors[f].width * t, 0.0);
    sums.fixed.assign(t * t, 0.0);
    sums.fixed.back() = 1.0;
    return sums;
}

void Laplace::find_slots() {
    for (const PairBlocks& pairs : sums_.pairs) {
        const auto &first = rows_.factors[pairs.first].codes, &second = rows_.factors[pairs.second].codes;
        std::vector<std::int64_t> slot(rows_.n);
        for (std::int64_t i = 0; i < rows_.n; ++i) {
            const auto begin = pairs.level.begin() + pairs.start[first[i]], end = pairs.level.begin() + pairs.start[first[i] + 1];
            slot[i] = std::lower_bound(begin, end, second[i]) - pairs.level.begin();
        }
        slots_.push_back(std::move(slot));
    }
}

void Laplace::set_response(const double* y) {
    rows_.set_response(y);
    forget_modes();
}

// ---- the modes ----

// Z'weight in every level, per factor; weight(k) are the rows' weights in predictor k.
std::vector<std::vector<double>> Laplace::level_sums(const std::function<const double*(int)>& weight) const {
    std::vector<std::vector<double>> out;
    for (const FactorRows& factor : rows_.factors) {
        const int q = factor.width();
        out.emplace_back(static_cast<std::size_t>(factor.levels) * q, 0.0);
        for (int c = 0; c < q; ++c) {
            const double *w = weight(factor.predictor[c]), *z = factor.columns[c].data();
            double* sum = out.back().data() + c;
            for (std::int64_t i = 0; i < rows_.n; ++i) sum[static_cast<std::size_t>(factor.codes[i]) * q] += z[i] * w[i];
        }
    }
    return out;
}

// T'v in every level, all factors one after another; then room for the joint coefficients.
VectorXd Laplace::spherical(const std::vector<std::vector<double>>& by_factor) const {
    VectorXd out = VectorXd::Zero(n_found());
    for (std::size_t k = 0; k < rows_.factors.size(); ++k) {
        const int q = rows_.factors[k].width();
        for (int a = 0; a < rows_.factors[k].levels; ++a)
            for (int c = 0; c < q; ++c) {
                double sum = 0.0;
                for (int r = 0; r < q; ++r) sum += T_[k](r, c) * by_factor[k][static_cast<std::size_t>(a) * q + r];
                out(plan_.factor_first[k] + static_cast<std::size_t>(a) * q + c) = sum;
            }
    }
    return out;
}

// b <- H^-1 b
void Laplace::solve(VectorXd& b) const {
    MatrixXd column = b;
    factorisation_.forward_solve(column);
    b = column.col(0);
    factorisation_.backward_solve(b);
}

// Newton's method from u_, random effects and joint coefficients at once; false if no mode was found, or if H is not
// positive definite there. Where X'WX and Z'WX are dear, steps take them from the last modes as long as that
// brings them near quickly; at the modes they are formed anew.
bool Laplace::find_modes() {
    bool project = false;
    fresh_ = !chords_ || !blocks_known_;
    const auto q = static_cast<Eigen::Index>(plan_.n_random);
    auto climb = [&] {
        form_effects(u_);
        height_ = pass(project) - 0.5 * u_.head(q).squaredNorm() - joint_penalty();
    };
    auto move = [&](const VectorXd& to) {
        u_ = to;
        psi_ = with_joint(psi_);
        climb();
    };
    climb();
    if (!std::isfinite(height_)) {
        u_.head(q).setZero();
        climb();
        if (!std::isfinite(height_)) return false;
    }
    double before = infinity;
    for (int step = 0; step < most_mode_steps; ++step) {
        if (!factorisation_.factorise(T_)) {
            if (project) return false;
            project = fresh_;
            fresh_ = true;
            climb();
            continue;
        }
        MatrixXd half = spherical(scores_);
        half.col(0).head(q) -= u_.head(q);
        half.col(0).tail(n_joint()) = joint_scores_;
        factorisation_.forward_solve(half);
        const double decrement = half.squaredNorm();
        if (!(decrement < infinity)) return false;
        if (decrement < (chords_ ? chord_tolerance : mode_tolerance) || (fresh_ && decrement < 1e-11 && decrement > 0.25 * before)) {
            if (!project && fresh_) return true;
            project = false;  // the observed weights decide at the end
            fresh_ = true;
            climb();
            return factorisation_.factorise(T_);
        }
        // A step with old products shrinks the decrement by a factor, Newton's squares it.
        if (!fresh_ && step > 0) shrinks_ = decrement / before;
        const bool last = !project && (fresh_ ? decrement < last_step : decrement * shrinks_ < chord_tolerance);
        before = decrement;
        VectorXd direction = half.col(0);
        factorisation_.backward_solve(direction);
        const bool slow = !fresh_ && step > 0 && shrinks_ > 0.1;
        fresh_ = last || project || !chords_ || decrement > far_off || slow;
        if (last) {
            move(u_ + direction);
            if (chords_) continue;  // for the last factor was a guess
            return factorisation_.factorise(T_);
        }
        const VectorXd from = u_;
        const double lower = height_;
        double length = 1.0;
        for (int tries = 0;; ++tries, length *= 0.4) {
            move(from + length * direction);
            if (height_ >= lower - 1e-11 * (1.0 + std::abs(lower))) break;
            if (tries == 30) return false;
        }
    }
    return false;
}

void Laplace::begin_modes_at(const VectorXd& u) {
    u_ = u;
    joint_known_ = true;
    defined_ = followed_ = false;
}

// How the modes (and joint coefficients, whose own steps count for nothing) move along a step in psi, to first order:
// H du = L'Z'l'' d(X gamma + Z L u) + dL'Z'l', u held.
VectorXd Laplace::mode_motion(const VectorXd& step) const {
    const std::size_t n_predictors = rows_.predictors.size();
    std::vector<MatrixXd> dT;
    for (const MatrixXd& T : T_) dT.push_back(MatrixXd::Zero(T.rows(), T.cols()));
    for (std::size_t i = 0; i < terms_.size(); ++i)
        for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j)
            dT[terms_[i].factor].block(terms_[i].first, terms_[i].first, terms_[i].width, terms_[i].width) +=
                step(first_parameter_[i] + j) * term_factors_[i].derivative[j];
    std::vector<std::vector<double>> change(n_predictors, std::vector<double>(rows_.n, 0.0));
    for (std::size_t k = 0; k < n_predictors; ++k)
        for (std::size_t c = 0; c < rows_.predictors[k].columns.size(); ++c) {
            const double coefficient = step(n_theta_ + rows_.predictors[k].coefficients[c]), *x = rows_.predictors[k].columns[c].data();
            if (coefficient == 0.0 || joint_place_[rows_.predictors[k].coefficients[c]] >= 0) continue;
            for (std::int64_t i = 0; i < rows_.n; ++i) change[k][i] += coefficient * x[i];
        }
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        if (dT[f].isZero(0.0)) continue;
        const FactorRows& factor = rows_.factors[f];
        const int q = factor.width();
        const MatrixXd moved = dT[f] * Eigen::Map<const MatrixXd>(u_.data() + plan_.factor_first[f], q, factor.levels);
        for (int c = 0; c < q; ++c) {
            const double* z = factor.columns[c].data();
            double* eta = change[factor.predictor[c]].data();
            for (std::int64_t i = 0; i < rows_.n; ++i) eta[i] += z[i] * moved(c, factor.codes[i]);
        }
    }
    std::vector<std::vector<double>> pull(moving_.size(), std::vector<double>(rows_.n, 0.0));
    for (std::size_t a = 0; a < moving_.size(); ++a)
        for (std::size_t k = 0; k < n_predictors; ++k) {
            const std::vector<double>& l = second_[a * n_predictors + k];
            for (std::int64_t i = 0; i < rows_.n; ++i) pull[a][i] += l[i] * change[k][i];
        }
    VectorXd out = spherical(level_sums([&](int k) { return pull[moving_place_[k]].data(); }));
    out.tail(n_joint()) = joint_sums(pull);
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const int q = rows_.factors[f].width(), levels = rows_.factors[f].levels;
        Eigen::Map<MatrixXd>(out.data() + plan_.factor_first[f], q, levels) +=
            dT[f].transpose() * Eigen::Map<const MatrixXd>(scores_[f].data(), q, levels);
    }
    solve(out);
    return out;
}

double Laplace::value(const VectorXd& psi) {
    if (defined_ && with_joint(psi) == psi_) return value_;
    if (followed_ && psi.allFinite()) {
        const VectorXd motion = mode_motion(psi - psi_);
        if (motion.cwiseAbs().maxCoeff() < longest_motion) u_ += motion;
    }
    followed_ = false;
    read_point(psi);
    joint_known_ = true;
    defined_ = psi.allFinite() && find_modes();
    if (defined_)
        value_ = -2.0 * (height_ + joint_penalty()) + factorisation_.pieces().log_det_random + prior_value(prior_, psi_, n_theta_, term_factors_);
    defined_ = defined_ && std::isfinite(value_);
    if (!defined_) {
        forget_modes();
        return infinity;
    }
    return value_;
}

// ---- what the modes say ----

SphericalModes Laplace::modes() {
    read_inverse();
    SphericalModes out;
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const double* u = u_.data() + plan_.factor_first[f];
        out.u.emplace_back(u, u + static_cast<std::size_t>(rows_.factors[f].levels) * rows_.factors[f].width());
        out.variance.push_back(factorisation_.diagonal_blocks()[f]);
    }
    return out;
}

MatrixXd Laplace::linear_predictors() {
    MatrixXd out(predictors_.size(), rows_.n);
    for (std::size_t k = 0; k < predictors_.size(); ++k)
        for (std::int64_t i = 0; i < rows_.n; ++i) out(k, rows_.order[i]) = predictors_[k][i];
    return out;
}

std::vector<MatrixXd> Laplace::moment_covariances(const VectorXd& gamma) {
    VectorXd psi = VectorXd::Zero(n_parameters());
    psi.tail(n_coefficients_) = gamma;
    forget_modes();
    read_point(psi);
    form_effects(u_);
    fresh_ = false;
    pass(true);
    ScoreMoments moments(terms_);
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const int q = rows_.factors[f].width();
        for (int a = 0; a < rows_.factors[f].levels; ++a) {
            const auto level = static_cast<std::size_t>(a) * q;
            moments.add_level(static_cast<int>(f), Eigen::Map<const MatrixXd>(&sums_.diag[f][level * q], q, q),
                              Eigen::Map<const VectorXd>(&scores_[f][level], q));
        }
    }
    return moments.covariances();
}

}  // namespace multilevel
