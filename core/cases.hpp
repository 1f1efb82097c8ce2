// The same model fitted to samples of whole clusters: the case bootstrap and the jackknife.
//
// Rows of different clusters share no level of any grouping factor, so that a sample's cross-products are those of
// its clusters put together: rows are read once, however many samples there are.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "crossproducts.hpp"
#include "refits.hpp"

namespace multilevel {

class Clusters {
  public:
    // `cluster` (n) holds the cluster of each row, 0 .. count - 1; every level of every factor lies in one of them.
    Clusters(const RowData& rows, const CrossProducts& sums, const std::int32_t* cluster, int count);

    int count() const { return count_; }
    // Cross-products of a sample that holds cluster c `times[c]` times, each time as a cluster of its own.
    CrossProducts sample(const std::int32_t* times) const;

  private:
    void add_factor(const std::int32_t* times, std::size_t k, CrossProducts& out) const;
    void add_pairs(const std::int32_t* times, const PairBlocks& pairs, CrossProducts& out) const;

    const CrossProducts& sums_;
    int count_;
    std::vector<std::vector<std::vector<int>>> levels_;  // per factor and cluster: its levels, ascending
    std::vector<std::vector<int>> place_;                // per factor: place of each level among its cluster's
    std::vector<Eigen::MatrixXd> fixed_;                 // per cluster: [X y]'W[X y]
};

// Fits to samples given by the columns of `times` (clusters x count), of n_obs[i] observations each. A column of
// `fixed_factor` is the lower factor (p x p, column-major) of X'V^-1X of a sample. Each is searched from every column of
// `starts`, and the best end kept. A sample that cannot be fitted has converged = 0 and NaN.
struct CaseRefits {
    Refits fits;
    Eigen::MatrixXd fixed_factor;  // (p * p, count)
};

CaseRefits refit_cases(const Model& model, const Clusters& clusters, const std::int32_t* times, int count,
                       const double* n_obs, const Eigen::MatrixXd& starts, bool reml, const SearchSettings& settings,
                       double memory_limit);

}  // namespace multilevel
