// The rows of a batch of groups: their predictors, the derivatives of their log-densities, and the sums over a group's
// rows that integrals and scores are made of. Each look at the rows is one call for the log-densities of the whole
// batch, however small its groups are.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <vector>

#include "grouped_rows.hpp"
#include "row_derivatives.hpp"
#include "row_sums.hpp"

namespace multilevel {

struct GroupRange {
    int from, to;
    int count() const { return to - from; }
};

class BatchRows {
  public:
    BatchRows(const GroupedRows& rows, std::int64_t most_rows)
        : rows_(rows), factor_(rows.factors.front()), q_(factor_.width()), K_(static_cast<int>(rows.predictors.size())) {
        for (int k = 0; k < K_; ++k)
            if (rows.predictors[k].inner) {
                inner_of_[k] = inner_count_;
                inner_[inner_count_++] = k;
            }
        const auto size = static_cast<std::size_t>(most_rows);
        auto reserve = [size](std::vector<double>& store, int count, double** at) {
            store.resize(size * count);
            for (int d = 0; d < count; ++d) at[d] = store.data() + d * size;
        };
        reserve(store_[0], n_derivatives(K_, 3), d_);
        reserve(store_[1], 1 + K_, node_);
        reserve(store_[2], K_, fixed_);
        reserve(store_[3], K_, eta_);
        reserve(store_[4], K_, omega_);
        reserve(store_[5], 1, &scratch_);
        for (int k = 0; k < K_; ++k) at_[k] = rows.predictors[k].inner ? eta_[k] : fixed_[k];
    }
    BatchRows(const BatchRows&) = delete;  // arrays point into one another
    BatchRows& operator=(const BatchRows&) = delete;

    int columns() const { return q_; }

    // Takes the rows of the groups, with the fixed parts of their predictors.
    void begin(GroupRange groups, const double* gamma) {
        groups_ = groups;
        first_ = rows_.level_start[groups.from];
        n_ = rows_.level_start[groups.to] - first_;
        effects_.resize(static_cast<std::size_t>(groups.count()) * q_);
        for (int k = 0; k < K_; ++k) {
            const PredictorRows& p = rows_.predictors[k];
            if (p.offset.empty()) std::fill_n(fixed_[k], n_, 0.0);
            else std::copy_n(p.offset.data() + first_, n_, fixed_[k]);
            for (std::size_t c = 0; c < p.columns.size(); ++c)
                row_sums::add(gamma[p.coefficients[c]], x(k, c), n_, fixed_[k]);
        }
    }

    // The effects b of a group, q of them, that the next look is at.
    double* effects(int g) { return &effects_[static_cast<std::size_t>(g) * q_]; }

    // ---- looks ----

    void look_for_modes() {
        read_ = {inner_count_, {0, 1, 2}};
        look(inner_, inner_count_, 2, d_);
    }
    void look_at_modes(int order) {
        read_ = {K_, {inner_[0], inner_[1], inner_[2]}};
        look(all_, K_, order, d_);
    }
    void look_at_node() { look(all_, K_, 1, node_); }

    // All predictors of all rows at the effects: predictors x rows.
    void write_predictors(Eigen::MatrixXd& out) {
        predict();
        for (int k = 0; k < K_; ++k)
            for (std::int64_t r = 0; r < n_; ++r) out(k, rows_.order[first_ + r]) = at_[k][r];
    }

    // ---- sums over a group's rows, of the last look for or at modes ----

    double log_density(int g) const { return row_sums::sum(d_[0] + start(g), size(g)); }

    // An entry of Z'l'
    double score(int g, int c) const {
        return row_sums::dot(z(c) + start(g), d_[derivative_at(read_.place[inner(c)])] + start(g), size(g));
    }

    // An entry of Z'WZ
    double weight(int g, int c, int e) const {
        const int place = pair_place(read_.variables, read_.place[inner(c)], read_.place[inner(e)]);
        return -row_sums::dot(z(c) + start(g), z(e) + start(g), d_[place] + start(g), size(g));
    }

    // Z'WZ with the rows' W made semidefinite, after a look for modes.
    template <class Matrix>
    void add_projected(int g, Matrix& M) const {
        double W[4];
        for (std::int64_t r = start(g); r < start(g + 1); ++r) {
            for (int a = 0; a < inner_count_; ++a)
                for (int b = 0; b < inner_count_; ++b) W[a * inner_count_ + b] = -d_[pair_place(inner_count_, a, b)][r];
            project_weights(W, inner_count_);
            for (int c = 0; c < q_; ++c)
                for (int e = 0; e < q_; ++e) M(c, e) += z(c)[r] * W[inner(c) * inner_count_ + inner(e)] * z(e)[r];
        }
    }

    // ---- the same at a node ----

    double node_log_density(int g) const { return row_sums::sum(node_[0] + start(g), size(g)); }
    double node_score(int g, int c) const {
        return row_sums::dot(z(c) + start(g), node_[derivative_at(factor_.predictor[c])] + start(g), size(g));
    }

    // ---- omega: how the log-likelihood moves with each row's predictors ----

    void clear_omega() {
        for (int k = 0; k < K_; ++k) std::fill_n(omega_[k], n_, 0.0);
    }
    void add_node_slopes(int g, double share) {
        for (int k = 0; k < K_; ++k) row_sums::add(share, node_[derivative_at(k)] + start(g), size(g), omega_[k] + start(g));
    }
    void scale_omega(int g, double by) {
        for (int k = 0; k < K_; ++k) row_sums::scale(by, size(g), omega_[k] + start(g));
    }
    void set_mode_slopes(int g) {
        for (int k = 0; k < K_; ++k) std::copy_n(d_[derivative_at(k)] + start(g), size(g), omega_[k] + start(g));
    }

    // omega_k -= sum over a, b of (z_a' spread z_b) l_abk; adds Z' of the same for the inner predictors to `pull`.
    template <class Matrix, class Vector>
    void add_scale_movement(int g, const Matrix& spread, Vector& pull) {
        const std::int64_t from = start(g), n = size(g);
        for (int a = 0; a < inner_count_; ++a)
            for (int b = 0; b <= a; ++b) {
                std::fill_n(scratch_, n, 0.0);
                for (int c = 0; c < q_; ++c)
                    for (int e = 0; e < q_; ++e) {
                        if (inner(c) != a || inner(e) != b) continue;
                        const double by = (a == b ? -1.0 : -2.0) * spread(c, e);
                        row_sums::add_product(by, z(c) + from, z(e) + from, n, scratch_);
                    }
                auto third = [&](int k) { return d_[triple_place(K_, inner_[a], inner_[b], k)] + from; };
                for (int k = 0; k < K_; ++k) row_sums::add_product(1.0, scratch_, third(k), n, omega_[k] + from);
                for (int c = 0; c < q_; ++c)
                    pull(c) += row_sums::dot(z(c) + from, scratch_, third(factor_.predictor[c]), n);
            }
    }

    // omega_k += sum over columns c of moved_c z_c l_ck
    template <class Vector>
    void add_mode_movement(int g, const Vector& moved) {
        for (int c = 0; c < q_; ++c)
            for (int k = 0; k < K_; ++k)
                row_sums::add_product(moved(c), z(c) + start(g), d_[pair_place(K_, factor_.predictor[c], k)] + start(g),
                                      size(g), omega_[k] + start(g));
    }

    // out = X'omega
    void gamma_score(int g, double* out, int coefficients) const {
        std::fill_n(out, coefficients, 0.0);
        for (int k = 0; k < K_; ++k)
            for (std::size_t c = 0; c < rows_.predictors[k].columns.size(); ++c)
                out[rows_.predictors[k].coefficients[c]] += row_sums::dot(x(k, c) + start(g), omega_[k] + start(g), size(g));
    }

    // ---- weights between coefficients, after a look at modes ----

    // gamma += 2 X'WX, all predictors together.
    void add_weighted_products(Eigen::MatrixXd& gamma) {
        for (int k = 0; k < K_; ++k)
            for (std::size_t c = 0; c < rows_.predictors[k].columns.size(); ++c)
                for (int l = 0; l <= k; ++l) {
                    const std::vector<int> &of_k = rows_.predictors[k].coefficients, &of_l = rows_.predictors[l].coefficients;
                    std::fill_n(scratch_, n_, 0.0);
                    row_sums::add_product(-2.0, x(k, c), d_[pair_place(K_, k, l)], n_, scratch_);
                    const std::size_t most = k == l ? c + 1 : of_l.size();
                    for (std::size_t e = 0; e < most; ++e) {
                        const double sum = row_sums::dot(x(l, e), scratch_, n_);
                        gamma(of_k[c], of_l[e]) += sum;
                        if (k != l || c != e) gamma(of_l[e], of_k[c]) += sum;
                    }
                }
    }

    // against = Z'WX of a group
    void weigh_against(int g, Eigen::MatrixXd& against) const {
        against.setZero();
        for (int k = 0; k < K_; ++k)
            for (std::size_t c = 0; c < rows_.predictors[k].columns.size(); ++c)
                for (int column = 0; column < q_; ++column) {
                    const double* w = d_[pair_place(K_, factor_.predictor[column], k)] + start(g);
                    against(column, rows_.predictors[k].coefficients[c]) -=
                        row_sums::dot(x(k, c) + start(g), z(column) + start(g), w, size(g));
                }
    }

  private:
    // Which variables the derivatives of the last look are in: where the inner predictors stand among them.
    struct Reading {
        int variables;
        int place[most_predictors];
    };

    std::int64_t start(int g) const { return rows_.level_start[groups_.from + g] - first_; }
    std::int64_t size(int g) const { return start(g + 1) - start(g); }
    const double* x(int k, std::size_t c) const { return rows_.predictors[k].columns[c].data() + first_; }
    const double* z(int column) const { return factor_.columns[column].data() + first_; }
    int inner(int column) const { return inner_of_[factor_.predictor[column]]; }

    void predict() {
        const bool tiny = n_ < 8 * groups_.count();
        for (int a = 0; a < inner_count_; ++a) std::copy_n(fixed_[inner_[a]], n_, eta_[inner_[a]]);
        for (int c = 0; c < q_; ++c) {
            double* eta = eta_[factor_.predictor[c]];
            const double *column = z(c), *b = effects_.data() + c;
            if (tiny) {
                const std::int32_t* codes = factor_.codes.data() + first_;
                for (std::int64_t r = 0; r < n_; ++r) eta[r] += column[r] * b[(codes[r] - groups_.from) * q_];
            } else {
                for (int g = 0; g < groups_.count(); ++g)
                    row_sums::add(b[g * q_], column + start(g), size(g), eta + start(g));
            }
        }
    }

    void look(const int* active, int n_active, int order, double* const* out) {
        predict();
        Responses here = rows_.responses();
        auto shift = [this](const double*& data) { data = data ? data + first_ : nullptr; };
        shift(here.y);
        shift(here.trials);
        shift(here.power);
        shift(here.constants);
        multilevel::log_density(rows_.density, here, at_, 0, n_, active, n_active, order, out);
    }

    static constexpr int all_[most_predictors] = {0, 1, 2};

    const GroupedRows& rows_;
    const FactorRows& factor_;
    int q_, K_;
    int inner_[most_predictors] = {0, 0, 0}, inner_count_ = 0;  // predictors that random effects enter
    int inner_of_[most_predictors] = {0, 0, 0};                 // of each predictor, its place among them

    GroupRange groups_{0, 0};
    std::int64_t first_ = 0, n_ = 0;
    Reading read_{0, {0, 0, 0}};
    std::vector<double> effects_;

    std::vector<double> store_[6];
    double* d_[n_derivatives(most_predictors, 3)];
    double* node_[1 + most_predictors];
    double *fixed_[most_predictors], *eta_[most_predictors], *omega_[most_predictors];
    double* scratch_;
    const double* at_[most_predictors];
};

}  // namespace multilevel
