#include "gee.hpp"

#include <algorithm>
#include <cmath>

#include "threads.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::int64_t chunk_rows = 1024;  // rows that are turned and summed together
constexpr int most_partial_sums = 256;     // kept until they are added up in order

struct Chunk {
    std::int64_t first, last;  // clusters first .. last - 1
};

// Whole clusters that together have some chunk_rows rows, or one cluster that has more.
std::vector<Chunk> chunks_of(const Clusters& clusters) {
    std::vector<Chunk> chunks;
    for (std::int64_t first = 0; first < clusters.count;) {
        const std::int64_t end = clusters.start[first] + chunk_rows;
        const auto* next = std::upper_bound(clusters.start + first + 1, clusters.start + clusters.count + 1, end);
        const std::int64_t last = std::max(first + 1, static_cast<std::int64_t>(next - clusters.start) - 1);
        chunks.push_back({first, last});
        first = last;
    }
    return chunks;
}

// [D e] of one chunk and R^-1 [D e], column by column.
struct TurnedRows {
    std::vector<double> given, turned;
    std::int64_t begin = 0, rows = 0;

    void load(const EstimatingRows& source, const Clusters& clusters, const InverseCorrelation& inverse, Chunk chunk) {
        const int p = static_cast<int>(source.columns.size());
        begin = clusters.start[chunk.first];
        rows = clusters.start[chunk.last] - begin;
        given.resize(static_cast<std::size_t>(rows) * (p + 1));
        turned.resize(given.size());
        const double* slope = source.slope + begin;
        for (int j = 0; j < p; ++j) {
            const double* x = source.columns[j] + begin;
            double* out = given.data() + j * rows;
            for (std::int64_t r = 0; r < rows; ++r) out[r] = slope[r] * x[r];
        }
        std::copy_n(source.residual + begin, rows, given.data() + p * rows);
        for (std::int64_t k = chunk.first; k < chunk.last; ++k) {
            const std::int64_t at = clusters.start[k] - begin;
            inverse.multiply(k, p + 1, given.data() + at, turned.data() + at, rows);
        }
    }

    // D'R^-1 [D e] over rows from .. from + count - 1.
    MatrixXd products(int p, std::int64_t from, std::int64_t count) const {
        using Strided = Eigen::Map<const MatrixXd, 0, Eigen::OuterStride<>>;
        const Strided left(given.data() + from, count, p, Eigen::OuterStride<>(rows));
        const Strided right(turned.data() + from, count, p + 1, Eigen::OuterStride<>(rows));
        MatrixXd out(p, p + 1);
        for (int j = 0; j <= p; ++j)
            for (int i = 0; i <= std::min(j, p - 1); ++i) out(i, j) = left.col(i).dot(right.col(j));
        for (int j = 0; j < p; ++j)
            for (int i = j + 1; i < p; ++i) out(i, j) = out(j, i);
        return out;
    }

    // D'R^-1 e alone.
    VectorXd score(int p, std::int64_t from, std::int64_t count) const {
        using Column = Eigen::Map<const VectorXd>;
        const Column residual(turned.data() + p * rows + from, count);
        VectorXd out(p);
        for (int j = 0; j < p; ++j) out(j) = Column(given.data() + j * rows + from, count).dot(residual);
        return out;
    }
};

void keep_clusters(const TurnedRows& turned, const Clusters& clusters, Chunk chunk, EstimatingSums& sums) {
    const Eigen::Index p = sums.score.size();
    for (std::int64_t k = chunk.first; k < chunk.last; ++k) {
        const std::int64_t from = clusters.start[k] - turned.begin, size = clusters.size(k);
        if (sums.informations.size() == 0) {
            sums.scores.col(k) = turned.score(static_cast<int>(p), from, size);
            continue;
        }
        const MatrixXd own = turned.products(static_cast<int>(p), from, size);
        sums.scores.col(k) = own.col(p);
        sums.informations.col(k) = Eigen::Map<const VectorXd>(own.data(), p * p);
    }
}

}  // namespace

EstimatingSums estimating_sums(const EstimatingRows& rows, const Clusters& clusters, const InverseCorrelation& inverse,
                               ByCluster by_cluster) {
    const Eigen::Index p = static_cast<Eigen::Index>(rows.columns.size());
    EstimatingSums sums;
    sums.score = VectorXd::Zero(p);
    if (by_cluster != ByCluster::nothing) sums.scores.resize(p, clusters.count);
    if (by_cluster == ByCluster::scores_and_informations) sums.informations.resize(p * p, clusters.count);
    const std::vector<Chunk> chunks = chunks_of(clusters);
    const int count = static_cast<int>(chunks.size()), tasks = std::min(count, most_partial_sums);
    std::vector<MatrixXd> partial(tasks);
    parallel_for(tasks, [&](int task) {
        TurnedRows turned;
        MatrixXd sum = MatrixXd::Zero(p, p + 1);
        const std::int64_t from = std::int64_t{task} * count / tasks, to = std::int64_t{task + 1} * count / tasks;
        for (std::int64_t c = from; c < to; ++c) {
            turned.load(rows, clusters, inverse, chunks[c]);
            sum += turned.products(static_cast<int>(p), 0, turned.rows);
            if (by_cluster != ByCluster::nothing) keep_clusters(turned, clusters, chunks[c], sums);
        }
        partial[task] = std::move(sum);
    });
    MatrixXd total = MatrixXd::Zero(p, p + 1);
    for (const MatrixXd& part : partial) total += part;
    sums.information = total.leftCols(p);
    sums.score = total.col(p);
    return sums;
}

MatrixXd inverse_times(const double* V, int columns, const Clusters& clusters, const InverseCorrelation& inverse) {
    const std::int64_t n = clusters.rows();
    MatrixXd out(n, columns);
    const std::vector<Chunk> chunks = chunks_of(clusters);
    parallel_for(static_cast<int>(chunks.size()), [&](int c) {
        for (std::int64_t k = chunks[c].first; k < chunks[c].last; ++k)
            inverse.multiply(k, columns, V + clusters.start[k], out.data() + clusters.start[k], n);
    });
    return out;
}

namespace {

struct Mean {
    double mu, slope, root;  // root of the variance
};

template <MeanLink link, MeanVariance variance>
Mean mean_of(double eta) {
    Mean m{eta, 1.0, 1.0};
    if constexpr (link == MeanLink::logit) {
        const double half = std::exp(-0.5 * std::abs(eta)), small = half * half, over = 1.0 / (1.0 + small);
        m.mu = eta >= 0.0 ? over : small * over;
        m.slope = small * over * over;
        if constexpr (variance == MeanVariance::binomial) {
            m.root = half * over;
            return m;
        }
    } else if constexpr (link == MeanLink::log) {
        m.mu = m.slope = std::exp(eta);
    }
    if constexpr (variance == MeanVariance::binomial)
        m.root = std::sqrt(m.mu * (1.0 - m.mu));
    else if constexpr (variance == MeanVariance::mean)
        m.root = std::sqrt(m.mu);
    else if constexpr (variance == MeanVariance::square)
        m.root = m.mu;  // of a positive mean
    return m;
}

template <MeanLink link, MeanVariance variance>
bool rows_with(const double* eta, const double* y, const double* weights, std::int64_t count, double* slope,
               double* pearson) {
    bool possible = true;
    for (std::int64_t r = 0; r < count; ++r) {
        const Mean m = mean_of<link, variance>(eta[r]);
        const double over = 1.0 / m.root;
        possible = possible && m.root > 0.0 && std::isfinite(over * m.slope);
        slope[r] = m.slope * over * (weights ? std::sqrt(weights[r]) : 1.0);
        pearson[r] = (y[r] - m.mu) * over;
    }
    return possible;
}

using RowsWith = decltype(&rows_with<MeanLink::logit, MeanVariance::one>);

template <MeanLink link>
RowsWith kernel_for(MeanVariance variance) {
    switch (variance) {
        case MeanVariance::binomial: return rows_with<link, MeanVariance::binomial>;
        case MeanVariance::mean: return rows_with<link, MeanVariance::mean>;
        case MeanVariance::square: return rows_with<link, MeanVariance::square>;
        default: return rows_with<link, MeanVariance::one>;
    }
}

RowsWith kernel_for(MeanLink link, MeanVariance variance) {
    switch (link) {
        case MeanLink::logit: return kernel_for<MeanLink::logit>(variance);
        case MeanLink::log: return kernel_for<MeanLink::log>(variance);
        default: return kernel_for<MeanLink::identity>(variance);
    }
}

}  // namespace

bool working_rows(const std::vector<const double*>& columns, const double* beta, const double* offset, const double* y,
                  const double* weights, std::int64_t n, MeanLink link, MeanVariance variance, double* slope,
                  double* pearson) {
    const RowsWith kernel = kernel_for(link, variance);
    const int chunks = static_cast<int>((n + chunk_rows - 1) / chunk_rows);
    std::vector<char> possible(chunks, 0);
    parallel_for(chunks, [&](int c) {
        const std::int64_t begin = c * chunk_rows, count = std::min(chunk_rows, n - begin);
        double eta[chunk_rows];
        for (std::int64_t r = 0; r < count; ++r) eta[r] = offset ? offset[begin + r] : 0.0;
        for (std::size_t j = 0; j < columns.size(); ++j) {
            const double* x = columns[j] + begin;
            for (std::int64_t r = 0; r < count; ++r) eta[r] += beta[j] * x[r];
        }
        possible[c] = kernel(eta, y + begin, weights ? weights + begin : nullptr, count, slope + begin, pearson + begin);
    });
    return std::all_of(possible.begin(), possible.end(), [](char each) { return each != 0; });
}

}  // namespace multilevel
