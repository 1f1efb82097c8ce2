#include "crossproducts.hpp"

#include <algorithm>
#include <numeric>

namespace multilevel {
namespace {

void gather(const std::vector<Column>& columns, std::int64_t row, double* out) {
    for (std::size_t c = 0; c < columns.size(); ++c) out[c] = columns[c](row);
}

// out (a x b, row-major) += weight * left right'
void add_outer(double* out, const double* left, int a, const double* right, int b, double weight) {
    for (int i = 0; i < a; ++i) {
        const double scaled = weight * left[i];
        for (int j = 0; j < b; ++j) out[i * b + j] += scaled * right[j];
    }
}

void add_rows_within_factor(CrossProducts& sums, const RowData& rows, int k) {
    const FactorData& factor = rows.factors[k];
    const int q = sums.factors[k].width, t = sums.n_tail();
    std::vector<double> z(q), x(t);
    for (std::int64_t i = 0; i < rows.n; ++i) {
        const double w = rows.weights ? rows.weights[i] : 1.0;
        const std::int64_t level = factor.codes[i];
        gather(factor.columns, i, z.data());
        gather(rows.fixed, i, x.data());
        x[t - 1] = rows.response(i);
        add_outer(&sums.diag[k][level * q * q], z.data(), q, z.data(), q, w);
        add_outer(&sums.tail[k][level * q * t], z.data(), q, x.data(), t, w);
    }
}

void add_rows_to_fixed(CrossProducts& sums, const RowData& rows) {
    const int t = sums.n_tail();
    std::vector<double> x(t);
    for (std::int64_t i = 0; i < rows.n; ++i) {
        gather(rows.fixed, i, x.data());
        x[t - 1] = rows.response(i);
        add_outer(sums.fixed.data(), x.data(), t, x.data(), t, rows.weights ? rows.weights[i] : 1.0);
    }
}

// Rows ordered by level (counting sort): order[start[a] .. start[a + 1]) are the rows of level a.
struct RowsByLevel {
    std::vector<std::int64_t> start;
    std::vector<std::int64_t> order;
};

RowsByLevel rows_by_level(const std::int32_t* codes, std::int64_t n, int levels) {
    RowsByLevel sorted{std::vector<std::int64_t>(levels + 1, 0), std::vector<std::int64_t>(n)};
    for (std::int64_t i = 0; i < n; ++i) ++sorted.start[codes[i] + 1];
    std::partial_sum(sorted.start.begin(), sorted.start.end(), sorted.start.begin());
    std::vector<std::int64_t> next(sorted.start.begin(), sorted.start.end() - 1);
    for (std::int64_t i = 0; i < n; ++i) sorted.order[next[codes[i]]++] = i;
    return sorted;
}

PairBlocks pair_blocks(const RowData& rows, const RowsByLevel& sorted, int first, int second) {
    const FactorData &a = rows.factors[first], &b = rows.factors[second];
    const int qa = static_cast<int>(a.columns.size()), qb = static_cast<int>(b.columns.size());
    const int size = qa * qb;
    PairBlocks pairs{first, second, {0}, {}, {}};
    std::vector<int> slot(b.levels, -1), touched;
    std::vector<double> za(qa), zb(qb), sums;
    for (int level = 0; level < a.levels; ++level) {
        touched.clear();
        for (auto r = sorted.start[level]; r < sorted.start[level + 1]; ++r) {
            const int other = b.codes[sorted.order[r]];
            if (slot[other] < 0) {
                slot[other] = 0;
                touched.push_back(other);
            }
        }
        std::sort(touched.begin(), touched.end());
        for (std::size_t s = 0; s < touched.size(); ++s) slot[touched[s]] = static_cast<int>(s);
        sums.assign(touched.size() * size, 0.0);
        for (auto r = sorted.start[level]; r < sorted.start[level + 1]; ++r) {
            const std::int64_t i = sorted.order[r];
            gather(a.columns, i, za.data());
            gather(b.columns, i, zb.data());
            add_outer(&sums[slot[b.codes[i]] * size], za.data(), qa, zb.data(), qb,
                      rows.weights ? rows.weights[i] : 1.0);
        }
        pairs.level.insert(pairs.level.end(), touched.begin(), touched.end());
        pairs.block.insert(pairs.block.end(), sums.begin(), sums.end());
        pairs.start.push_back(static_cast<std::int64_t>(pairs.level.size()));
        for (int other : touched) slot[other] = -1;
    }
    return pairs;
}

}  // namespace

CrossProducts cross_products(const RowData& rows) {
    CrossProducts sums;
    sums.n_fixed = static_cast<int>(rows.fixed.size());
    const int n_factors = static_cast<int>(rows.factors.size()), t = sums.n_tail();
    sums.fixed.assign(static_cast<std::size_t>(t) * t, 0.0);
    add_rows_to_fixed(sums, rows);
    for (int k = 0; k < n_factors; ++k) {
        const int levels = rows.factors[k].levels, q = static_cast<int>(rows.factors[k].columns.size());
        sums.factors.push_back({levels, q});
        sums.diag.emplace_back(static_cast<std::size_t>(levels) * q * q, 0.0);
        sums.tail.emplace_back(static_cast<std::size_t>(levels) * q * t, 0.0);
        add_rows_within_factor(sums, rows, k);
    }
    for (int k = 0; k + 1 < n_factors; ++k) {
        const RowsByLevel sorted = rows_by_level(rows.factors[k].codes, rows.n, rows.factors[k].levels);
        for (int l = k + 1; l < n_factors; ++l) sums.pairs.push_back(pair_blocks(rows, sorted, k, l));
    }
    return sums;
}

void replace_response(CrossProducts& sums, const RowData& rows) {
    const int p = sums.n_fixed, t = sums.n_tail();
    std::vector<double> x(t);
    std::fill(sums.fixed.end() - t, sums.fixed.end(), 0.0);
    for (std::int64_t i = 0; i < rows.n; ++i) {
        const double y = rows.response(i), wy = rows.weights ? rows.weights[i] * y : y;
        for (int c = 0; c < p; ++c) sums.fixed[p * t + c] += wy * rows.fixed[c](i);
        sums.fixed[p * t + p] += wy * y;
    }
    for (int c = 0; c < p; ++c) sums.fixed[c * t + p] = sums.fixed[p * t + c];
    for (std::size_t k = 0; k < rows.factors.size(); ++k) {
        const FactorData& factor = rows.factors[k];
        const int q = sums.factors[k].width;
        double* tail = sums.tail[k].data();
        for (std::int64_t block = 0; block < static_cast<std::int64_t>(factor.levels) * q; ++block)
            tail[block * t + p] = 0.0;
        for (std::int64_t i = 0; i < rows.n; ++i) {
            const double wy = (rows.weights ? rows.weights[i] : 1.0) * rows.response(i);
            double* level = tail + static_cast<std::int64_t>(factor.codes[i]) * q * t;
            for (int c = 0; c < q; ++c) level[c * t + p] += wy * factor.columns[c](i);
        }
    }
}

}  // namespace multilevel
