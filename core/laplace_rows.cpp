// One pass over the rows: predictors at the modes' place, log-densities, and the sums of weights and scores of levels.
#include <algorithm>

#include "laplace.hpp"
#include "threads.hpp"

namespace multilevel {

using Eigen::MatrixXd;
using Eigen::VectorXd;

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
        if (q == 1 && f > 0) {  // rows stand level by level of the first factor only: both sums in one pass
            const double* z = &factor.columns[0][begin];
            double *information = sums.diag[f], *scores = sums.scores[f];
            for (int r = 0; r < count; ++r) {
                information[codes[r]] += z[r] * weight[r] * z[r];
                scores[codes[r]] += z[r] * slope[r];
            }
            continue;
        }
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
                const std::int64_t size = static_cast<std::int64_t>(q) * w;
                if (size == 1)
                    for (int r = 0; r < count; ++r) block[slots[r]] += weighted[r] * z[r];
                else
                    for (int r = 0; r < count; ++r) block[slots[r] * size] += weighted[r] * z[r];
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

}  // namespace multilevel
