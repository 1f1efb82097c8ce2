// The gradient of Laplace's criterion, exact, and a curvature that stands for its Hessian.
#include <algorithm>
#include <memory>

#include "laplace.hpp"
#include "marginal_prior.hpp"
#include "threads.hpp"
#include "workspaces.hpp"

namespace multilevel {
namespace {

// Gradients at several points are shared among threads point by point where a model has so many rows.
constexpr std::int64_t fewest_apart = 2048, most_apart = 32768;

}  // namespace

using Eigen::MatrixXd;
using Eigen::VectorXd;

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

}  // namespace multilevel
