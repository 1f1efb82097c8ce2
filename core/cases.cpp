#include "cases.hpp"

#include <cmath>
#include <limits>
#include <utility>

#include "threads.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double no_number = std::numeric_limits<double>::quiet_NaN();

void add_row(MatrixXd& sum, const RowData& rows, std::int64_t row, VectorXd& scratch) {
    const auto p = static_cast<Eigen::Index>(rows.fixed.size());
    for (Eigen::Index c = 0; c < p; ++c) scratch(c) = rows.fixed[c](row);
    scratch(p) = rows.response(row);
    sum.noalias() += (rows.weights ? rows.weights[row] : 1.0) * scratch * scratch.transpose();
}

}  // namespace

Clusters::Clusters(const RowData& rows, const CrossProducts& sums, const std::int32_t* cluster, int count)
    : sums_(sums), count_(count), fixed_(count, MatrixXd::Zero(sums.n_tail(), sums.n_tail())) {
    VectorXd scratch(sums.n_tail());
    for (std::int64_t row = 0; row < rows.n; ++row) add_row(fixed_[cluster[row]], rows, row, scratch);
    for (const FactorData& factor : rows.factors) {
        std::vector<int> of_level(factor.levels, 0), place(factor.levels);
        for (std::int64_t row = 0; row < rows.n; ++row) of_level[factor.codes[row]] = cluster[row];
        std::vector<std::vector<int>> levels(count);
        for (int level = 0; level < factor.levels; ++level) {
            place[level] = static_cast<int>(levels[of_level[level]].size());
            levels[of_level[level]].push_back(level);
        }
        levels_.push_back(std::move(levels));
        place_.push_back(std::move(place));
    }
}

CrossProducts Clusters::sample(const std::int32_t* times) const {
    CrossProducts out;
    out.n_fixed = sums_.n_fixed;
    out.diag.resize(sums_.factors.size());
    out.tail.resize(sums_.factors.size());
    for (std::size_t k = 0; k < sums_.factors.size(); ++k) add_factor(times, k, out);
    for (const PairBlocks& pairs : sums_.pairs) add_pairs(times, pairs, out);
    const int t = sums_.n_tail();
    MatrixXd fixed = MatrixXd::Zero(t, t);
    for (int c = 0; c < count_; ++c) fixed += static_cast<double>(times[c]) * fixed_[c];
    out.fixed.assign(fixed.data(), fixed.data() + fixed.size());
    return out;
}

void Clusters::add_factor(const std::int32_t* times, std::size_t k, CrossProducts& out) const {
    const int q = sums_.factors[k].width, t = sums_.n_tail();
    int levels = 0;
    for (int c = 0; c < count_; ++c)
        for (int copy = 0; copy < times[c]; ++copy)
            for (int level : levels_[k][c]) {
                const double* own = &sums_.diag[k][static_cast<std::size_t>(level) * q * q];
                const double* tail = &sums_.tail[k][static_cast<std::size_t>(level) * q * t];
                out.diag[k].insert(out.diag[k].end(), own, own + q * q);
                out.tail[k].insert(out.tail[k].end(), tail, tail + q * t);
                ++levels;
            }
    out.factors.push_back({levels, q});
}

void Clusters::add_pairs(const std::int32_t* times, const PairBlocks& pairs, CrossProducts& out) const {
    const std::int64_t size = static_cast<std::int64_t>(sums_.factors[pairs.first].width) *
                              sums_.factors[pairs.second].width;
    PairBlocks blocks{pairs.first, pairs.second, {0}, {}, {}};
    int base = 0;  // levels of the second factor in the copies before
    for (int c = 0; c < count_; ++c)
        for (int copy = 0; copy < times[c]; ++copy) {
            for (int level : levels_[pairs.first][c]) {
                const std::int64_t begin = pairs.start[level], end = pairs.start[level + 1];
                for (std::int64_t b = begin; b < end; ++b)
                    blocks.level.push_back(base + place_[pairs.second][pairs.level[b]]);
                blocks.block.insert(blocks.block.end(), pairs.block.begin() + begin * size,
                                    pairs.block.begin() + end * size);
                blocks.start.push_back(static_cast<std::int64_t>(blocks.level.size()));
            }
            base += static_cast<int>(levels_[pairs.second][c].size());
        }
    out.pairs.push_back(std::move(blocks));
}

CaseRefits refit_cases(const Model& model, const Clusters& clusters, const std::int32_t* times, int count,
                       const double* n_obs, const MatrixXd& starts, bool reml, const SearchSettings& settings,
                       double memory_limit) {
    const auto terms = static_cast<Eigen::Index>(model.terms().size());
    const int p = model.n_fixed();
    CaseRefits out{{MatrixXd::Constant(model.n_parameters(), count, no_number), MatrixXd::Constant(p, count, no_number),
                    VectorXd::Constant(count, no_number), VectorXd::Constant(count, no_number),
                    Eigen::VectorXi::Zero(count), Eigen::VectorXi::Zero(count), Eigen::MatrixXi::Zero(terms, count)},
                   MatrixXd::Constant(p * p, count, no_number)};
    const Heartbeat none = [] {};
    parallel_for(count, [&](int i) {
        Model sampled(clusters.sample(times + static_cast<std::size_t>(i) * clusters.count()), model.terms(), n_obs[i],
                      memory_limit);
        if (!std::isfinite(sampled.criterion(starts.col(0), reml))) return;
        SearchResult found = search(sampled, starts.col(0), reml, settings, none);
        for (Eigen::Index k = 1; k < starts.cols(); ++k) {
            SearchResult other = search(sampled, starts.col(k), reml, settings, none);
            if (other.criterion < found.criterion) found = std::move(other);
        }
        if (starts.cols() > 1) sampled.criterion(found.theta, reml);  // the factorisation is that of the last search
        out.fits.theta.col(i) = found.theta;
        out.fits.criterion(i) = found.criterion;
        out.fits.evaluations(i) = found.evaluations;
        out.fits.converged(i) = found.converged;
        for (Eigen::Index k = 0; k < terms; ++k) out.fits.rank(k, i) = found.rank[k];
        out.fits.beta.col(i) = sampled.beta();
        out.fits.pwrss(i) = sampled.pwrss();
        if (!sampled.factorisation().factorise(sampled.factor_T(found.theta))) return;
        const MatrixXd factor = sampled.factorisation().fixed_cholesky();
        out.fixed_factor.col(i) = Eigen::Map<const VectorXd>(factor.data(), factor.size());
    });
    return out;
}

}  // namespace multilevel
