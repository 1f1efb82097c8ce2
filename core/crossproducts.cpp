#include "crossproducts.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <numeric>

#include "threads.hpp"

namespace multilevel {
namespace {

constexpr int chunk_rows = 256;  // rows whose columns are brought into cache together
constexpr int most_stripes = 16;

// out (a x b, row-major) += weight * left right'
void add_outer(double* out, const double* left, int a, const double* right, int b, double weight) {
    for (int i = 0; i < a; ++i) {
        const double scaled = weight * left[i];
        for (int j = 0; j < b; ++j) out[i * b + j] += scaled * right[j];
    }
}

// The rows of one chunk, shifted and scaled, column by column.
class Chunk {
  public:
    explicit Chunk(std::size_t columns) : values_(columns * chunk_rows) {}

    void load(const std::vector<Column>& columns, std::size_t at, std::int64_t begin, int rows) {
        for (std::size_t c = 0; c < columns.size(); ++c) {
            const double *in = columns[c].data + begin, shift = columns[c].shift, scale = columns[c].scale;
            double* out = &values_[(at + c) * chunk_rows];
            for (int r = 0; r < rows; ++r) out[r] = (in[r] - shift) * scale;
        }
    }

    const double* column(std::size_t c) const { return &values_[c * chunk_rows]; }
    double* column(std::size_t c) { return &values_[c * chunk_rows]; }

  private:
    std::vector<double> values_;
};

// Sums of one stripe of rows: per factor levels x (q x (q + t)) products of Z with [Z X y], and [X y]'W[X y].
struct StripeSums {
    std::vector<std::vector<double>> groups;
    Eigen::MatrixXd fixed;
};

// Adds the rows of a chunk to their groups. Q is the number of random-effect columns, or 0 if it is `q` only.
template <int Q>
void add_to_groups(double* groups, const std::int32_t* codes, const Chunk& chunk, int q, int t, const double* weights,
                   int rows) {
    const int width = Q > 0 ? Q : q, m = width + t;
    std::vector<double> buffer(m);
    double* u = buffer.data();
    for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < m; ++c) u[c] = chunk.column(c)[r];
        double* group = groups + static_cast<std::int64_t>(codes[r]) * width * m;
        const double w = weights ? weights[r] : 1.0;
        for (int a = 0; a < width; ++a) {
            const double z = w * u[a];
            for (int c = 0; c < m; ++c) group[a * m + c] += z * u[c];
        }
    }
}

using AddToGroups = decltype(&add_to_groups<0>);

AddToGroups group_kernel(int q) {
    switch (q) {
        case 1: return add_to_groups<1>;
        case 2: return add_to_groups<2>;
        case 3: return add_to_groups<3>;
        default: return add_to_groups<0>;
    }
}

int n_columns(const FactorData& factor) { return static_cast<int>(factor.columns.size()); }

StripeSums stripe_sums(const RowData& rows, int t, std::int64_t begin, std::int64_t end) {
    StripeSums sums{{}, Eigen::MatrixXd::Zero(t, t)};
    for (const FactorData& f : rows.factors)
        sums.groups.emplace_back(static_cast<std::size_t>(f.levels) * n_columns(f) * (n_columns(f) + t), 0.0);
    Chunk tail(t);
    std::vector<Chunk> factor_chunks;
    for (const FactorData& f : rows.factors) factor_chunks.emplace_back(n_columns(f) + t);
    Eigen::MatrixXd weighted;
    for (std::int64_t at = begin; at < end; at += chunk_rows) {
        const int count = static_cast<int>(std::min<std::int64_t>(chunk_rows, end - at));
        const double* weights = rows.weights ? rows.weights + at : nullptr;
        tail.load(rows.fixed, 0, at, count);
        tail.load({rows.response}, t - 1, at, count);
        const Eigen::Map<const Eigen::MatrixXd, 0, Eigen::OuterStride<>> u(tail.column(0), count, t,
                                                                          Eigen::OuterStride<>(chunk_rows));
        if (weights) {
            weighted = Eigen::Map<const Eigen::VectorXd>(weights, count).asDiagonal() * u;
            sums.fixed.noalias() += u.transpose() * weighted;
        } else {
            sums.fixed.noalias() += u.transpose() * u;
        }
        for (std::size_t k = 0; k < rows.factors.size(); ++k) {
            const FactorData& f = rows.factors[k];
            const int q = n_columns(f);
            Chunk& chunk = factor_chunks[k];
            chunk.load(f.columns, 0, at, count);
            std::copy_n(tail.column(0), static_cast<std::size_t>(t) * chunk_rows, chunk.column(q));
            group_kernel(q)(sums.groups[k].data(), f.codes + at, chunk, q, t, weights, count);
        }
    }
    return sums;
}

// How many stripes the rows are cut into: by the size of the problem alone, so that sums are the same on any
// number of threads, and so that the stripes' own sums stay small beside the data.
int stripe_count(const RowData& rows, int t) {
    double doubles = 0.0;
    for (const FactorData& f : rows.factors) doubles += double(f.levels) * n_columns(f) * (n_columns(f) + t);
    const double by_memory = 2.0 * static_cast<double>(rows.n) / std::max(doubles, 1.0);
    const double by_work = static_cast<double>(rows.n) / 16384.0;
    return static_cast<int>(std::clamp(std::min(by_memory, by_work), 1.0, double(most_stripes)));
}

void split_groups(const std::vector<double>& groups, int q, int t, std::vector<double>& diag, std::vector<double>& tail) {
    const std::size_t rows = groups.size() / (q + t);
    diag.resize(rows * q);
    tail.resize(rows * t);
    for (std::size_t r = 0; r < rows; ++r) {
        std::copy_n(&groups[r * (q + t)], q, &diag[r * q]);
        std::copy_n(&groups[r * (q + t) + q], t, &tail[r * t]);
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

// Z_a'WZ_b of the levels `from` to `to` of the first factor with every level of the second.
PairBlocks pair_blocks_of_levels(const RowData& rows, const RowsByLevel& sorted, int first, int second, int from,
                                 int to) {
    const FactorData &a = rows.factors[first], &b = rows.factors[second];
    const int qa = n_columns(a), qb = n_columns(b), size = qa * qb;
    PairBlocks pairs{first, second, {}, {}, {}};
    std::vector<int> slot(b.levels, -1), touched;
    std::vector<double> za(qa), zb(qb);
    for (int level = from; level < to; ++level) {
        touched.clear();
        for (auto r = sorted.start[level]; r < sorted.start[level + 1]; ++r) {
            const int other = b.codes[sorted.order[r]];
            if (slot[other] >= 0) continue;
            slot[other] = 0;
            touched.push_back(other);
        }
        std::sort(touched.begin(), touched.end());
        for (std::size_t s = 0; s < touched.size(); ++s) slot[touched[s]] = static_cast<int>(s);
        const std::size_t begin = pairs.block.size();
        pairs.level.insert(pairs.level.end(), touched.begin(), touched.end());
        pairs.block.resize(begin + touched.size() * size, 0.0);
        for (auto r = sorted.start[level]; r < sorted.start[level + 1]; ++r) {
            const std::int64_t i = sorted.order[r];
            for (int c = 0; c < qa; ++c) za[c] = a.columns[c](i);
            for (int c = 0; c < qb; ++c) zb[c] = b.columns[c](i);
            add_outer(&pairs.block[begin + static_cast<std::size_t>(slot[b.codes[i]]) * size], za.data(), qa, zb.data(),
                      qb, rows.weights ? rows.weights[i] : 1.0);
        }
        pairs.start.push_back(static_cast<std::int64_t>(pairs.level.size()));
        for (int other : touched) slot[other] = -1;
    }
    return pairs;
}

PairBlocks pair_blocks(const RowData& rows, const RowsByLevel& sorted, int first, int second) {
    const int levels = rows.factors[first].levels;
    const int parts = static_cast<int>(std::clamp<std::int64_t>(rows.n / 16384, 1, std::min(levels, 32)));
    std::vector<PairBlocks> part(parts);
    parallel_for(parts, [&](int i) {
        part[i] = pair_blocks_of_levels(rows, sorted, first, second, static_cast<int>(std::int64_t(levels) * i / parts),
                                        static_cast<int>(std::int64_t(levels) * (i + 1) / parts));
    });
    PairBlocks whole{first, second, {0}, {}, {}};
    for (const PairBlocks& p : part) {
        const auto offset = static_cast<std::int64_t>(whole.level.size());
        for (auto end : p.start) whole.start.push_back(end + offset);
        whole.level.insert(whole.level.end(), p.level.begin(), p.level.end());
        whole.block.insert(whole.block.end(), p.block.begin(), p.block.end());
    }
    return whole;
}

}  // namespace

CrossProducts cross_products(const RowData& rows) {
    CrossProducts sums;
    sums.n_fixed = static_cast<int>(rows.fixed.size());
    const int n_factors = static_cast<int>(rows.factors.size()), t = sums.n_tail();
    const int stripes = stripe_count(rows, t);
    std::vector<StripeSums> part(stripes);
    parallel_for(stripes, [&](int s) {
        part[s] = stripe_sums(rows, t, rows.n * s / stripes, rows.n * (s + 1) / stripes);
    });
    for (int s = 1; s < stripes; ++s) {
        part[0].fixed += part[s].fixed;
        for (int k = 0; k < n_factors; ++k)
            for (std::size_t i = 0; i < part[0].groups[k].size(); ++i) part[0].groups[k][i] += part[s].groups[k][i];
        part[s] = {};
    }
    sums.fixed.resize(static_cast<std::size_t>(t) * t);
    Eigen::Map<Eigen::MatrixXd>(sums.fixed.data(), t, t) = part[0].fixed;
    for (int k = 0; k < n_factors; ++k) {
        const int q = n_columns(rows.factors[k]);
        sums.factors.push_back({rows.factors[k].levels, q});
        sums.diag.emplace_back();
        sums.tail.emplace_back();
        split_groups(part[0].groups[k], q, t, sums.diag[k], sums.tail[k]);
    }
    for (int k = 0; k + 1 < n_factors; ++k) {
        const RowsByLevel sorted = rows_by_level(rows.factors[k].codes, rows.n, rows.factors[k].levels);
        for (int l = k + 1; l < n_factors; ++l) sums.pairs.push_back(pair_blocks(rows, sorted, k, l));
    }
    return sums;
}

void replace_response(CrossProducts& sums, const RowData& rows) {
    const int p = sums.n_fixed, t = sums.n_tail();
    double* to_response = &sums.fixed[static_cast<std::size_t>(p) * t];
    std::fill(to_response, to_response + t, 0.0);
    std::vector<double> wy(rows.n);
    for (std::int64_t i = 0; i < rows.n; ++i) {
        const double y = rows.response(i);
        wy[i] = rows.weights ? rows.weights[i] * y : y;
        to_response[p] += wy[i] * y;
    }
    for (int c = 0; c < p; ++c) {
        double dot = 0.0;
        for (std::int64_t i = 0; i < rows.n; ++i) dot += wy[i] * rows.fixed[c](i);
        to_response[c] = sums.fixed[static_cast<std::size_t>(c) * t + p] = dot;
    }
    for (std::size_t k = 0; k < rows.factors.size(); ++k) {
        const FactorData& factor = rows.factors[k];
        const int q = n_columns(factor);
        double* tail = sums.tail[k].data();
        for (std::int64_t row = 0; row < static_cast<std::int64_t>(factor.levels) * q; ++row) tail[row * t + p] = 0.0;
        for (int c = 0; c < q; ++c)
            for (std::int64_t i = 0; i < rows.n; ++i)
                tail[(static_cast<std::int64_t>(factor.codes[i]) * q + c) * t + p] += wy[i] * factor.columns[c](i);
    }
}

void copy_values(const CrossProducts& from, CrossProducts& to) {
    for (std::size_t k = 0; k < from.factors.size(); ++k) {
        std::copy(from.diag[k].begin(), from.diag[k].end(), to.diag[k].begin());
        std::copy(from.tail[k].begin(), from.tail[k].end(), to.tail[k].begin());
    }
    for (std::size_t i = 0; i < from.pairs.size(); ++i)
        std::copy(from.pairs[i].block.begin(), from.pairs[i].block.end(), to.pairs[i].block.begin());
    std::copy(from.fixed.begin(), from.fixed.end(), to.fixed.begin());
}

void linear_predictors(const RowData& rows, const double* beta, const std::vector<std::vector<double>>& b,
                       double* fixed, double* whole) {
    constexpr std::int64_t task_rows = 16384;
    parallel_for(static_cast<int>((rows.n + task_rows - 1) / task_rows), [&](int task) {
        const std::int64_t begin = task * task_rows, end = std::min(rows.n, begin + task_rows);
        std::fill(fixed + begin, fixed + end, 0.0);
        for (std::size_t c = 0; c < rows.fixed.size(); ++c)
            for (std::int64_t i = begin; i < end; ++i) fixed[i] += beta[c] * rows.fixed[c](i);
        std::copy(fixed + begin, fixed + end, whole + begin);
        for (std::size_t k = 0; k < rows.factors.size(); ++k) {
            const FactorData& f = rows.factors[k];
            const int q = n_columns(f);
            for (int c = 0; c < q; ++c)
                for (std::int64_t i = begin; i < end; ++i)
                    whole[i] += b[k][static_cast<std::size_t>(f.codes[i]) * q + c] * f.columns[c](i);
        }
    });
}

}  // namespace multilevel
