#include "laplace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "marginal_prior.hpp"
#include "row_derivatives.hpp"
#include "threads.hpp"
#include "workspaces.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr int chunk_rows = 256;
constexpr int most_stripes = 16;
constexpr int most_inner = 2;  // predictors that random effects enter
constexpr double infinity = std::numeric_limits<double>::infinity();

// Modes are found when one more Newton step would raise h by less than this; where it would raise it by less than
// `last_step`, its square is what is left after it.
constexpr double mode_tolerance = 1e-20, last_step = 1e-10, chord_tolerance = 1e-18;
constexpr int most_mode_steps = 100;
constexpr double far_off = 1e-2;    // a decrement from which weights change much
constexpr double longest_motion = 1.0;  // of a spherical mode, that is believed to first order

// Gradients at several points are shared among threads point by point where a model has so many rows.
constexpr std::int64_t fewest_apart = 2048, most_apart = 32768;

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

// ---- the rows ----

void Laplace::read_point(const VectorXd& psi) {
    psi_ = with_joint(psi);
    for (Eigen::Index j = 0; j < n_joint(); ++j) u_(plan_.n_random + j) = psi_(n_theta_ + joint_[j]);
    T_.clear();
    term_factors_.clear();
    for (const FactorRows& f : rows_.factors) T_.push_back(MatrixXd::Zero(f.width(), f.width()));
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        const Term& term = terms_[i];
        term_factors_.push_back(term_factor(term, psi.data() + first_parameter_[i]));
        T_[term.factor].block(term.first, term.first, term.width, term.width) = term_factors_[i].value;
    }
    if (!joint_.empty()) return;  // every pass has coefficients of its own
    parallel_for(static_cast<int>(stripes_.size()) - 1, [&](int s) { form_fixed(stripes_[s], stripes_[s + 1]); });
}

// Predictors of some rows without their random effects.
void Laplace::form_fixed(std::int64_t begin, std::int64_t end) {
    for (std::size_t k = 0; k < rows_.predictors.size(); ++k) {
        const PredictorRows& p = rows_.predictors[k];
        double* out = p.inner ? fixed_[inner_place_[k]].data() : predictors_[k].data();
        fixed_part(p, psi_.data() + n_theta_, begin, end, out);
    }
}

// b = T u in every level.
void Laplace::form_effects(const VectorXd& u) {
    for (std::size_t k = 0; k < rows_.factors.size(); ++k) {
        const int q = rows_.factors[k].width();
        const double* from = u.data() + plan_.factor_first[k];
        for (int a = 0; a < rows_.factors[k].levels; ++a)
            for (int r = 0; r < q; ++r) {
                double sum = 0.0;
                for (int c = 0; c < q; ++c) sum += T_[k](r, c) * from[static_cast<std::size_t>(a) * q + c];
                b_[k][static_cast<std::size_t>(a) * q + r] = sum;
            }
    }
}

// Adds a chunk's weights W and scores to its levels and pairs of levels, where two predictors have random effects.
void Laplace::add_rows(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums) {
    constexpr int K = most_inner;
    double W[K * K];
    for (int r = 0; r < count; ++r) {
        const std::int64_t i = begin + r;
        for (int a = 0; a < K; ++a)
            for (int b = 0; b < K; ++b) W[a * K + b] = -d[pair_place(K, a, b)][r];
        if (project) project_weights(W, K);
        for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
            const FactorRows& factor = rows_.factors[f];
            const int q = factor.width();
            const auto level = static_cast<std::size_t>(factor.codes[i]);
            double* diag = sums.diag[f] + level * q * q;
            double* scores = sums.scores[f] + level * q;
            for (int c = 0; c < q; ++c) {
                const int of_c = inner_place_[factor.predictor[c]];
                const double z = factor.columns[c][i];
                scores[c] += z * d[derivative_at(of_c)][r];
                for (int e = 0; e < q; ++e) {
                    const int of_e = inner_place_[factor.predictor[e]];
                    diag[c * q + e] += z * W[of_c * K + of_e] * factor.columns[e][i];
                }
            }
        }
        for (std::size_t p = 0; p < sums_.pairs.size(); ++p) {
            const FactorRows &first = rows_.factors[sums_.pairs[p].first], &second = rows_.factors[sums_.pairs[p].second];
            const int q = first.width(), w = second.width();
            double* block = sums.pairs[p] + slots_[p][i] * q * w;
            for (int c = 0; c < q; ++c)
                for (int e = 0; e < w; ++e) {
                    const int of_c = inner_place_[first.predictor[c]];
                    const int of_e = inner_place_[second.predictor[e]];
                    block[c * w + e] += first.columns[c][i] * W[of_c * K + of_e] * second.columns[e][i];
                }
        }
    }
}

// The same where one predictor has random effects: most models, in plain loops over pairs of columns.
void Laplace::add_rows_of_one(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums) {
    const double *slope = d[1], *bend = d[2];
    double weight[chunk_rows], weighted[chunk_rows];
    for (int r = 0; r < count; ++r) weight[r] = project ? std::max(-bend[r], 0.0) : -bend[r];
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const FactorRows& factor = rows_.factors[f];
        const int q = factor.width();
        const std::int32_t* codes = &factor.codes[begin];
        for (int c = 0; c < q; ++c) {
            const double* z = &factor.columns[c][begin];
            add_to_levels(codes, z, slope, count, q, sums.scores[f] + c);
            for (int r = 0; r < count; ++r) weighted[r] = z[r] * weight[r];
            for (int e = 0; e < q; ++e)
                add_to_levels(codes, weighted, &factor.columns[e][begin], count, q * q, sums.diag[f] + c * q + e);
        }
    }
    for (std::size_t p = 0; p < sums_.pairs.size(); ++p) {
        const FactorRows &first = rows_.factors[sums_.pairs[p].first], &second = rows_.factors[sums_.pairs[p].second];
        const int q = first.width(), w = second.width();
        const std::int64_t* slots = &slots_[p][begin];
        for (int c = 0; c < q; ++c) {
            for (int r = 0; r < count; ++r) weighted[r] = first.columns[c][begin + r] * weight[r];
            for (int e = 0; e < w; ++e) {
                const double* z = &second.columns[e][begin];
                double* block = sums.pairs[p] + c * w + e;
                for (int r = 0; r < count; ++r) block[slots[r] * q * w] += weighted[r] * z[r];
            }
        }
    }
}

double Laplace::pass_rows(std::int64_t begin, std::int64_t end, bool project, Stripe& sums) {
    RowDerivatives d(chunk_rows);
    const int k = static_cast<int>(inner_.size());
    double value = 0.0;
    for (std::int64_t from = begin; from < end; from += chunk_rows) {
        const int count = static_cast<int>(std::min<std::int64_t>(chunk_rows, end - from));
        if (!joint_.empty()) form_fixed(from, from + count);
        for (int a = 0; a < k; ++a) std::copy_n(&fixed_[a][from], count, &predictors_[inner_[a]][from]);
        for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
            const FactorRows& factor = rows_.factors[f];
            const int q = factor.width();
            for (int c = 0; c < q; ++c) {
                double* eta = &predictors_[factor.predictor[c]][from];
                const double* z = &factor.columns[c][from];
                const std::int32_t* codes = &factor.codes[from];
                for (int r = 0; r < count; ++r) eta[r] += z[r] * b_[f][static_cast<std::size_t>(codes[r]) * q + c];
            }
        }
        d.evaluate(rows_, predictors_, inner_, from, from + count, from, 2);
        for (int r = 0; r < count; ++r) value += d[0][r];
        if (k == 1) add_rows_of_one(from, count, d, project, sums);
        else add_rows(from, count, d, project, sums);
        if (!joint_.empty()) add_joint_rows(from, count, d, project, sums);
    }
    return value;
}

// Sums the rows at the effects b_: weights and scores into sums_ and scores_. Returns the log-density.
double Laplace::pass(bool project) {
    const int count = static_cast<int>(stripes_.size()) - 1;
    std::vector<Stripe> parts(count);
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        std::fill(sums_.diag[f].begin(), sums_.diag[f].end(), 0.0);
        std::fill(scores_[f].begin(), scores_[f].end(), 0.0);
        if (!joint_.empty() && fresh_) std::fill(sums_.tail[f].begin(), sums_.tail[f].end(), 0.0);
    }
    for (PairBlocks& pairs : sums_.pairs) std::fill(pairs.block.begin(), pairs.block.end(), 0.0);
    parallel_for(count, [&](int s) {
        Stripe& part = parts[s];
        std::size_t size = 0;
        const bool alone = s == 0;  // the first range writes in place
        for (std::size_t f = 1; f < rows_.factors.size(); ++f)
            size += sums_.diag[f].size() + scores_[f].size() + (joint_.empty() || !fresh_ ? 0 : sums_.tail[f].size());
        for (const PairBlocks& pairs : sums_.pairs) size += pairs.first > 0 ? pairs.block.size() : 0;
        if (!alone) part.own.assign(size, 0.0);
        double* next = part.own.data();
        auto place = [&](std::vector<double>& whole, bool shared) {
            if (alone || !shared) return whole.data();
            double* here = next;
            next += whole.size();
            return here;
        };
        for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
            part.diag.push_back(place(sums_.diag[f], f > 0));
            part.scores.push_back(place(scores_[f], f > 0));
            if (!joint_.empty() && fresh_) part.tail.push_back(place(sums_.tail[f], f > 0));
        }
        for (PairBlocks& pairs : sums_.pairs) part.pairs.push_back(place(pairs.block, pairs.first > 0));
        part.joint_scores = VectorXd::Zero(n_joint());
        part.joint_information = MatrixXd::Zero(n_joint(), n_joint());
        part.value = pass_rows(stripes_[s], stripes_[s + 1], project, part);
    });
    gather(parts);
    blocks_known_ = blocks_known_ || fresh_;
    factorisation_.forget();
    inverted_ = false;
    double value = 0.0;
    for (const Stripe& part : parts) value += part.value;
    return value;
}

void Laplace::gather(const std::vector<Stripe>& parts) {
    auto add = [](std::vector<double>& whole, const double* part) {
        for (std::size_t i = 0; i < whole.size(); ++i) whole[i] += part[i];
    };
    for (std::size_t s = 1; s < parts.size(); ++s) {
        for (std::size_t f = 1; f < rows_.factors.size(); ++f) {
            add(sums_.diag[f], parts[s].diag[f]);
            add(scores_[f], parts[s].scores[f]);
            if (!joint_.empty() && fresh_) add(sums_.tail[f], parts[s].tail[f]);
        }
        for (std::size_t p = 0; p < sums_.pairs.size(); ++p)
            if (sums_.pairs[p].first > 0) add(sums_.pairs[p].block, parts[s].pairs[p]);
    }
    if (!joint_.empty()) gather_joint(parts);
}

// ---- the modes ----

// Z'weight in every level, per factor; weight(k) are the rows' weights in predictor k.
template <class Weight>
std::vector<std::vector<double>> Laplace::level_sums(Weight weight) const {
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

// ---- the gradient ----

void Laplace::read_inverse() {
    if (inverted_) return;
    factorisation_.invert_selected({0.0, 0.0});
    if (pair_inverse_.empty() && !sums_.pairs.empty()) {
        const auto orders = factorisation_.node_orders();
        for (const PairBlocks& pairs : sums_.pairs) {
            std::vector<InverseBlock> blocks(pairs.level.size());
            for (int a = 0; a < sums_.factors[pairs.first].levels; ++a)
                for (auto e = pairs.start[a]; e < pairs.start[a + 1]; ++e)
                    blocks[e] = factorisation_.inverse_block(orders[pairs.first][a], orders[pairs.second][pairs.level[e]]);
            pair_inverse_.push_back(std::move(blocks));
        }
    }
    inverted_ = true;
}

// S = z_a'L H^-1 L'z_b between the predictors a and b of a row (K x K, by rows).
void Laplace::row_leverages(std::int64_t i, double* S) const {
    const int K = static_cast<int>(inner_.size());
    std::fill(S, S + K * K, 0.0);
    thread_local std::vector<double> loading;  // per factor: K x width, T' times the columns of a predictor
    thread_local std::vector<std::size_t> start;
    start.clear();
    std::size_t size = 0;
    for (const FactorRows& f : rows_.factors) {
        start.push_back(size);
        size += static_cast<std::size_t>(K) * f.width();
    }
    loading.assign(size, 0.0);
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const FactorRows& factor = rows_.factors[f];
        const int q = factor.width();
        for (int r = 0; r < q; ++r) {
            double* out = &loading[start[f] + static_cast<std::size_t>(inner_place_[factor.predictor[r]]) * q];
            for (int c = 0; c < q; ++c) out[c] += T_[f](r, c) * factor.columns[r][i];
        }
        const double* V = &factorisation_.diagonal_blocks()[f][static_cast<std::size_t>(factor.codes[i]) * q * q];
        for (int a = 0; a < K; ++a)
            for (int b = 0; b < K; ++b)
                for (int r = 0; r < q; ++r)
                    for (int c = 0; c < q; ++c)
                        S[a * K + b] += loading[start[f] + a * q + r] * V[r * q + c] * loading[start[f] + b * q + c];
    }
    for (std::size_t p = 0; p < sums_.pairs.size(); ++p) {
        const int f = sums_.pairs[p].first, l = sums_.pairs[p].second;
        const int q = rows_.factors[f].width(), w = rows_.factors[l].width();
        const InverseBlock& V = pair_inverse_[p][slots_[p][i]];
        for (int a = 0; a < K; ++a)
            for (int b = 0; b < K; ++b) {
                double sum = 0.0;
                for (int r = 0; r < q; ++r)
                    for (int c = 0; c < w; ++c)
                        sum += loading[start[f] + a * q + r] * V.data[r * V.row_stride + c * V.column_stride] *
                               loading[start[l] + b * w + c];
                S[a * K + b] += sum;
                S[b * K + a] += sum;
            }
    }
}

// S of a chunk of rows where one predictor has random effects, from T V T' of every level and pair of levels.
void Laplace::leverages_of_one(std::int64_t begin, int count, double* S) const {
    std::fill(S, S + count, 0.0);
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const FactorRows& factor = rows_.factors[f];
        const int q = factor.width();
        const std::int32_t* codes = &factor.codes[begin];
        for (int c = 0; c < q; ++c)
            for (int e = 0; e <= c; ++e) {
                const double *first = &factor.columns[c][begin], *second = &factor.columns[e][begin];
                const double *V = level_variance_[f].data() + c * q + e, times = e < c ? 2.0 : 1.0;
                for (int r = 0; r < count; ++r)
                    S[r] += times * first[r] * second[r] * V[static_cast<std::size_t>(codes[r]) * q * q];
            }
    }
    for (std::size_t p = 0; p < sums_.pairs.size(); ++p) {
        const FactorRows &one = rows_.factors[sums_.pairs[p].first], &other = rows_.factors[sums_.pairs[p].second];
        const int q = one.width(), w = other.width();
        const std::int64_t* slots = &slots_[p][begin];
        for (int c = 0; c < q; ++c)
            for (int e = 0; e < w; ++e) {
                const double *first = &one.columns[c][begin], *second = &other.columns[e][begin];
                const double* V = pair_variance_[p].data() + c * w + e;
                for (int r = 0; r < count; ++r) S[r] += 2.0 * first[r] * second[r] * V[slots[r] * q * w];
            }
    }
}

// T V T' of every level and pair of levels.
void Laplace::form_variances() {
    level_variance_.resize(rows_.factors.size());
    pair_variance_.resize(sums_.pairs.size());
    auto carried = [](const MatrixXd& T, const double* V, Eigen::Index row_stride, Eigen::Index column_stride, const MatrixXd& U,
                      double* out) {
        const Eigen::Index q = T.rows(), w = U.rows();
        if (q == 1 && w == 1) {
            *out = T(0, 0) * *V * U(0, 0);
            return;
        }
        for (Eigen::Index i = 0; i < q; ++i)
            for (Eigen::Index j = 0; j < w; ++j) {
                double sum = 0.0;
                for (Eigen::Index r = 0; r < q; ++r) {
                    double across = 0.0;
                    for (Eigen::Index c = 0; c < w; ++c) across += V[r * row_stride + c * column_stride] * U(j, c);
                    sum += T(i, r) * across;
                }
                out[i * w + j] = sum;
            }
    };
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const int q = rows_.factors[f].width(), square = q * q;
        level_variance_[f].resize(static_cast<std::size_t>(rows_.factors[f].levels) * square);
        for (int level = 0; level < rows_.factors[f].levels; ++level) {
            const auto at = static_cast<std::size_t>(level) * square;
            carried(T_[f], &factorisation_.diagonal_blocks()[f][at], q, 1, T_[f], &level_variance_[f][at]);
        }
    }
    for (std::size_t p = 0; p < sums_.pairs.size(); ++p) {
        const MatrixXd &T = T_[sums_.pairs[p].first], &U = T_[sums_.pairs[p].second];
        const auto size = static_cast<std::size_t>(T.rows() * U.rows());
        pair_variance_[p].resize(pair_inverse_[p].size() * size);
        for (std::size_t e = 0; e < pair_inverse_[p].size(); ++e) {
            const InverseBlock& V = pair_inverse_[p][e];
            carried(T, V.data, static_cast<Eigen::Index>(V.row_stride), static_cast<Eigen::Index>(V.column_stride), U,
                    &pair_variance_[p][e * size]);
        }
    }
}

VectorXd Laplace::gradient() {
    if (followed_) return gradient_;
    read_inverse();
    if (inner_.size() == 1) form_variances();
    const int n_predictors = static_cast<int>(rows_.predictors.size()), K = static_cast<int>(inner_.size());
    const int M = static_cast<int>(moving_.size());
    const int count = static_cast<int>(stripes_.size()) - 1;
    // Weights of each row's predictors: -2 l_k + t_k at first, t_k = -sum S_ab l_abk; and l_ak.
    std::vector<std::vector<double>> omega(n_predictors, std::vector<double>(rows_.n));
    std::vector<std::vector<double>> shift(M, std::vector<double>(rows_.n));
    second_.resize(static_cast<std::size_t>(M) * n_predictors, std::vector<double>(rows_.n));
    parallel_for(count, [&](int s) {
        RowDerivatives d(chunk_rows);
        double S[most_inner * most_inner], chunk[chunk_rows];
        for (std::int64_t from = stripes_[s]; from < stripes_[s + 1]; from += chunk_rows) {
            const int rows = static_cast<int>(std::min<std::int64_t>(chunk_rows, stripes_[s + 1] - from));
            d.evaluate(rows_, predictors_, {}, from, from + rows, from, 3);
            if (K == 1) leverages_of_one(from, rows, chunk);
            if (n_predictors == 1) {
                for (int r = 0; r < rows; ++r) {
                    const double t = -chunk[r] * d[3][r];
                    second_[0][from + r] = d[2][r];
                    shift[0][from + r] = t;
                    omega[0][from + r] = -2.0 * d[1][r] + t;
                }
                continue;
            }
            for (int r = 0; r < rows; ++r) {
                const std::int64_t i = from + r;
                if (K == 1) S[0] = chunk[r];
                else row_leverages(i, S);
                for (int k = 0; k < n_predictors; ++k) {
                    double t = 0.0;
                    for (int m = 0; m < M; ++m)
                        second_[static_cast<std::size_t>(m) * n_predictors + k][i] = d[pair_place(n_predictors, moving_[m], k)][r];
                    for (int a = 0; a < K; ++a)
                        for (int b = 0; b < K; ++b)
                            t -= S[a * K + b] * d[triple_place(n_predictors, inner_[a], inner_[b], k)][r];
                    if (moving_place_[k] >= 0) shift[moving_place_[k]][i] = t;
                    omega[k][i] = -2.0 * d[derivative_at(k)][r] + t;
                }
            }
        }
    });
    // a = H^-1 L'Z't: how the log-determinant pulls at the modes (and, by X't, at the joint coefficients).
    VectorXd a = spherical(level_sums([&](int k) { return shift[moving_place_[k]].data(); }));
    a.tail(n_joint()) = joint_sums(shift);
    solve(a);
    for (int m = 0; m < M; ++m) std::fill(shift[m].begin(), shift[m].end(), 0.0);
    add_joint_predictors(a.tail(n_joint()), shift);
    std::vector<std::vector<double>> b_a;
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const FactorRows& factor = rows_.factors[f];
        const int q = factor.width();
        std::vector<double> moved(static_cast<std::size_t>(factor.levels) * q, 0.0);
        for (int level = 0; level < factor.levels; ++level)
            for (int r = 0; r < q; ++r)
                for (int c = 0; c < q; ++c)
                    moved[static_cast<std::size_t>(level) * q + r] +=
                        T_[f](r, c) * a(plan_.factor_first[f] + static_cast<std::size_t>(level) * q + c);
        for (int c = 0; c < q; ++c) {
            double* e = shift[moving_place_[factor.predictor[c]]].data();
            for (std::int64_t i = 0; i < rows_.n; ++i)
                e[i] += factor.columns[c][i] * moved[static_cast<std::size_t>(factor.codes[i]) * q + c];
        }
    }
    for (int k = 0; k < n_predictors; ++k)
        for (int m = 0; m < M; ++m) {
            const auto& l = second_[static_cast<std::size_t>(m) * n_predictors + k];
            for (std::int64_t i = 0; i < rows_.n; ++i) omega[k][i] += shift[m][i] * l[i];
        }
    VectorXd out = VectorXd::Zero(n_parameters());
    for (int k = 0; k < n_predictors; ++k) {
        const PredictorRows& p = rows_.predictors[k];
        for (std::size_t c = 0; c < p.columns.size(); ++c) {
            if (joint_place_[p.coefficients[c]] >= 0) continue;
            out(n_theta_ + p.coefficients[c]) +=
                Eigen::Map<const VectorXd>(omega[k].data(), rows_.n).dot(Eigen::Map<const VectorXd>(p.columns[c].data(), rows_.n));
        }
    }
    const auto pulls = level_sums([&](int k) { return omega[k].data(); });
    std::vector<MatrixXd> slope = factorisation_.gradient();
    for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
        const int q = rows_.factors[f].width();
        for (int level = 0; level < rows_.factors[f].levels; ++level) {
            const auto first = static_cast<std::size_t>(level) * q;
            const Eigen::Map<const VectorXd> m(&pulls[f][first], q), score(&scores_[f][first], q);
            slope[f].noalias() += m * u_.segment(plan_.factor_first[f] + first, q).transpose();
            slope[f].noalias() += score * a.segment(plan_.factor_first[f] + first, q).transpose();
        }
    }
    out.head(n_theta_) = theta_slope(slope);
    add_prior_slope(prior_, psi_, n_theta_, term_factors_, first_parameter_, out);
    for (int j : joint_) out(n_theta_ + j) = 0.0;  // whatever is given for them, they are found
    gradient_ = out;
    followed_ = true;
    return gradient_;
}

// Each begins where the modes move to, and has a model of its own where rows are too few to be shared among threads.
std::vector<VectorXd> Laplace::gradients_near(const std::vector<VectorXd>& points) {
    const int count = static_cast<int>(points.size());
    std::vector<VectorXd> begin(count), out(count);
    parallel_for(count, [&](int i) { begin[i] = u_ + mode_motion(points[i] - psi_); });
    auto visit = [&](int i, Laplace& model) {
        model.begin_modes_at(begin[i]);
        model.value(points[i]);
        out[i] = model.gradient();
    };
    if (rows_.n < fewest_apart || rows_.n > most_apart) {
        for (int i = 0; i < count; ++i) visit(i, *this);
        return out;
    }
    Workspaces<Laplace> models;
    parallel_for(count, [&](int i) {
        models.with_one([&] { return std::make_unique<Laplace>(rows_, terms_, n_coefficients_, prior_, memory_limit_, joint_); },
                        [&](Laplace& model) { visit(i, model); });
    });
    return out;
}

VectorXd Laplace::theta_slope(const std::vector<MatrixXd>& by_factor) const {
    VectorXd out(n_theta_);
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        const Term& term = terms_[i];
        const MatrixXd block = by_factor[term.factor].block(term.first, term.first, term.width, term.width);
        for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j)
            out(first_parameter_[i] + j) = block.cwiseProduct(term_factors_[i].derivative[j]).sum();
    }
    return out;
}

// ---- curvature ----

// Average information of the Gaussian model that stands for this one at the modes, and what its slope in Sigma adds.
MatrixXd Laplace::theta_curvature() const {
    MatrixXd v = MatrixXd::Zero(plan_.n_random, n_theta_);
    for (std::size_t i = 0; i < terms_.size(); ++i) {
        const Term& term = terms_[i];
        const int q = rows_.factors[term.factor].width();
        for (std::size_t j = 0; j < term_factors_[i].derivative.size(); ++j) {
            const MatrixXd half = term_factors_[i].derivative[j] * term_factors_[i].value.transpose();
            const MatrixXd change = half + half.transpose();
            for (int a = 0; a < rows_.factors[term.factor].levels; ++a) {
                const auto level = static_cast<std::size_t>(a) * q + term.first;
                v.block(plan_.factor_first[term.factor] + level, first_parameter_[i] + j, term.width, 1).noalias() =
                    change * Eigen::Map<const VectorXd>(&scores_[term.factor][level], term.width);
            }
        }
    }
    return factorisation_.projected_crossproduct(v);
}

// Curvature of -2 h in gamma when the modes (and joint coefficients, whose own rows are left zero) follow.
MatrixXd Laplace::gamma_curvature() {
    const int n_predictors = static_cast<int>(rows_.predictors.size());
    MatrixXd own = MatrixXd::Zero(n_coefficients_, n_coefficients_);
    if (n_joint() == n_coefficients_) return own;
    MatrixXd against = MatrixXd::Zero(n_found(), n_coefficients_);
    RowDerivatives d(chunk_rows);
    for (std::int64_t from = 0; from < rows_.n; from += chunk_rows) {
        const int rows = static_cast<int>(std::min<std::int64_t>(chunk_rows, rows_.n - from));
        d.evaluate(rows_, predictors_, {}, from, from + rows, from, 2);
        for (int k = 0; k < n_predictors; ++k)
            for (std::size_t c = 0; c < rows_.predictors[k].columns.size(); ++c) {
                const double* x = &rows_.predictors[k].columns[c][from];
                const int to = rows_.predictors[k].coefficients[c];
                if (joint_place_[to] >= 0) continue;
                for (int l = 0; l < n_predictors; ++l)
                    for (std::size_t e = 0; e < rows_.predictors[l].columns.size(); ++e) {
                        const double* other = &rows_.predictors[l].columns[e][from];
                        const double* w = d[pair_place(n_predictors, k, l)];
                        double sum = 0.0;
                        for (int r = 0; r < rows; ++r) sum -= w[r] * x[r] * other[r];
                        own(to, rows_.predictors[l].coefficients[e]) += sum;
                    }
                for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
                    const FactorRows& factor = rows_.factors[f];
                    const int q = factor.width();
                    for (int column = 0; column < q; ++column) {
                        const double* w = d[pair_place(n_predictors, k, factor.predictor[column])];
                        const double* z = &factor.columns[column][from];
                        double* out = &against(plan_.factor_first[f], to);
                        for (int r = 0; r < rows; ++r)
                            out[static_cast<std::size_t>(factor.codes[from + r]) * q + column] -= w[r] * x[r] * z[r];
                    }
                }
            }
    }
    for (int c = 0; c < n_coefficients_; ++c)
        for (std::size_t f = 0; f < rows_.factors.size(); ++f) {
            const int q = rows_.factors[f].width();
            for (int level = 0; level < rows_.factors[f].levels; ++level) {
                auto part = against.block(plan_.factor_first[f] + static_cast<std::size_t>(level) * q, c, q, 1);
                part = (T_[f].transpose() * part).eval();
            }
        }
    for (Eigen::Index j = 0; j < n_joint(); ++j) {
        against.row(plan_.n_random + j) = own.col(joint_[j]).transpose();
        own.col(joint_[j]).setZero();
    }
    factorisation_.forward_solve(against);
    return 2.0 * (own - against.transpose() * against);
}

MatrixXd Laplace::curvature() {
    MatrixXd out = MatrixXd::Zero(n_parameters(), n_parameters());
    out.topLeftCorner(n_theta_, n_theta_) = theta_curvature();
    out.bottomRightCorner(n_coefficients_, n_coefficients_) = gamma_curvature();
    if (prior_.precision.size() > 0) out.diagonal().tail(n_coefficients_) += 2.0 * prior_.precision;
    for (int j : joint_) out(n_theta_ + j, n_theta_ + j) = 1.0;
    return 0.5 * (out + out.transpose());
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
