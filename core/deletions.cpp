#include "deletions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "threads.hpp"
#include "workspaces.hpp"

namespace multilevel {
namespace {

// What one thread needs: a model whose sums it may change.
struct Workspace {
    explicit Workspace(const Model& of) : model(of.copy()), sums(of.sums()) {}

    std::unique_ptr<Model> model;
    CrossProducts sums;
};

// out (a x b, row-major) -= weight * left right'
void subtract_outer(double* out, const std::vector<double>& left, const std::vector<double>& right, double weight) {
    for (std::size_t i = 0; i < left.size(); ++i)
        for (std::size_t j = 0; j < right.size(); ++j) out[i * right.size() + j] -= weight * left[i] * right[j];
}

double* pair_block(PairBlocks& pairs, int first, int second, std::size_t size) {
    const auto begin = pairs.level.begin() + pairs.start[first], end = pairs.level.begin() + pairs.start[first + 1];
    const auto at = std::lower_bound(begin, end, second) - pairs.level.begin();
    return &pairs.block[static_cast<std::size_t>(at) * size];
}

std::vector<std::vector<std::int64_t>> count_rows(const RowData& rows) {
    std::vector<std::vector<std::int64_t>> counts;
    for (const FactorData& f : rows.factors) {
        counts.emplace_back(f.levels, 0);
        for (std::int64_t i = 0; i < rows.n; ++i) ++counts.back()[f.codes[i]];
    }
    return counts;
}

void zero_empty_level(CrossProducts& sums, std::size_t factor, int level) {
    const std::size_t q = sums.factors[factor].width, t = sums.n_tail();
    std::fill_n(&sums.diag[factor][level * q * q], q * q, 0.0);
    std::fill_n(&sums.tail[factor][level * q * t], q * t, 0.0);
}

}  // namespace

void remove_rows(CrossProducts& sums, const RowData& rows, const Deleted& deleted, int which,
                 std::vector<std::vector<std::int64_t>>& rows_of_level) {
    const std::size_t n_factors = rows.factors.size(), t = sums.n_tail();
    std::vector<double> tail(t);
    std::vector<std::vector<double>> z(n_factors);
    const auto each = [&](auto visit) {
        for (auto j = deleted.start[which]; j < deleted.start[which + 1]; ++j) visit(deleted.row[j], deleted.weight[j]);
    };
    const auto whole = [&](std::int64_t i, double weight) { return weight == (rows.weights ? rows.weights[i] : 1.0); };
    each([&](std::int64_t i, double weight) {
        for (std::size_t c = 0; c + 1 < t; ++c) tail[c] = rows.fixed[c](i);
        tail[t - 1] = rows.response(i);
        subtract_outer(sums.fixed.data(), tail, tail, weight);
        for (std::size_t k = 0; k < n_factors; ++k) {
            const FactorData& f = rows.factors[k];
            const std::size_t q = f.columns.size(), level = f.codes[i];
            z[k].resize(q);
            for (std::size_t c = 0; c < q; ++c) z[k][c] = f.columns[c](i);
            subtract_outer(&sums.diag[k][level * q * q], z[k], z[k], weight);
            subtract_outer(&sums.tail[k][level * q * t], z[k], tail, weight);
            if (whole(i, weight)) --rows_of_level[k][level];
        }
        for (PairBlocks& pairs : sums.pairs) {
            const auto &a = z[pairs.first], &b = z[pairs.second];
            double* block = pair_block(pairs, rows.factors[pairs.first].codes[i], rows.factors[pairs.second].codes[i],
                                       a.size() * b.size());
            subtract_outer(block, a, b, weight);
        }
    });
    each([&](std::int64_t i, double) {
        for (std::size_t k = 0; k < n_factors; ++k)
            if (const int level = rows.factors[k].codes[i]; rows_of_level[k][level] == 0) zero_empty_level(sums, k, level);
    });
    each([&](std::int64_t i, double weight) {  // the counts are of all rows again
        for (std::size_t k = 0; k < n_factors; ++k) rows_of_level[k][rows.factors[k].codes[i]] += whole(i, weight);
    });
}

DeletionFits fit_without(const Model& model, const RowData& rows, const Deleted& deleted, const Eigen::VectorXd& start,
                         bool reml, const SearchSettings& settings) {
    const int p = model.n_fixed(), count = deleted.count;
    const double none = std::numeric_limits<double>::quiet_NaN();
    DeletionFits out{start.replicate(1, count), Eigen::MatrixXd::Constant(p, count, none),
                     Eigen::MatrixXd::Constant(p * p, count, none), Eigen::VectorXd::Constant(count, none),
                     Eigen::VectorXi::Zero(count)};
    const auto all_counts = count_rows(rows);
    Workspaces<Workspace> workspaces;
    const Heartbeat no_heartbeat = [] {};
    constexpr int deletions_a_task = 4;
    parallel_for((count + deletions_a_task - 1) / deletions_a_task, [&](int task) {
        auto rows_of_level = all_counts;
        workspaces.with_one([&] { return std::make_unique<Workspace>(model); }, [&](Workspace& mine) {
            for (int i = task * deletions_a_task; i < std::min(count, (task + 1) * deletions_a_task); ++i) {
                copy_values(model.sums(), mine.sums);
                remove_rows(mine.sums, rows, deleted, i, rows_of_level);
                mine.model->set_sums(mine.sums, deleted.n_obs[i]);
                if (settings.max_evaluations > 0) {
                    const SearchResult found = search(*mine.model, start, reml, settings, no_heartbeat);
                    out.theta.col(i) = found.theta;
                    out.converged(i) = found.converged;
                } else {
                    out.converged(i) = 1;
                }
                if (!std::isfinite(mine.model->criterion(Eigen::VectorXd(out.theta.col(i)), reml))) continue;
                out.beta.col(i) = mine.model->beta();
                out.pwrss(i) = mine.model->pwrss();
                const Eigen::MatrixXd factor = mine.model->fixed_cholesky();
                out.fixed_factor.col(i) = Eigen::Map<const Eigen::VectorXd>(factor.data(), factor.size());
            }
        });
    });
    return out;
}

}  // namespace multilevel
