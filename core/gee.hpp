// Generalized estimating equations: sums over clusters of rows that a working correlation turns.
//
// Rows stand in order of clusters. A row is d = slope x and e, both already over the root of the variance of its
// response, so that the working covariance of e within a cluster is R, up to the scale.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

namespace multilevel {

// Cluster k has the rows start[k] .. start[k + 1] - 1.
struct Clusters {
    const std::int64_t* start;
    std::int64_t count;

    std::int64_t size(std::int64_t k) const { return start[k + 1] - start[k]; }
    std::int64_t rows() const { return start[count] - start[0]; }
};

// The inverse of a working correlation, cluster by cluster.
class InverseCorrelation {
  public:
    virtual ~InverseCorrelation() = default;
    // out = R^-1 in for the rows of cluster k; both have `columns` columns, `stride` numbers apart.
    virtual void multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const = 0;
};

struct EstimatingRows {
    std::vector<const double*> columns;  // of X
    const double* slope;
    const double* residual;
};

struct EstimatingSums {
    Eigen::MatrixXd information;   // sum of D'R^-1 D
    Eigen::VectorXd score;         // sum of D'R^-1 e
    Eigen::MatrixXd scores;        // p x K, on request: what each cluster adds to the score
    Eigen::MatrixXd informations;  // p^2 x K, on request
};

enum class ByCluster { nothing, scores, scores_and_informations };

EstimatingSums estimating_sums(const EstimatingRows& rows, const Clusters& clusters, const InverseCorrelation& inverse,
                               ByCluster by_cluster);

// R^-1 V for columns V (n x c): the rows of each cluster by themselves.
Eigen::MatrixXd inverse_times(const double* V, int columns, const Clusters& clusters,
                              const InverseCorrelation& inverse);

// Mean, slope and residual of each row from its linear predictor, for the links and variances that the core knows.
enum class MeanLink { logit, log, identity };
enum class MeanVariance { one, binomial, mean, square };

// slope = sqrt(w / V) dmu / deta, pearson = (y - mu) / sqrt(V); weights and offset may be nullptr.
// Returns whether every mean has a positive, finite variance.
bool working_rows(const std::vector<const double*>& columns, const double* beta, const double* offset, const double* y,
                  const double* weights, std::int64_t n, MeanLink link, MeanVariance variance, double* slope,
                  double* pearson);

}  // namespace multilevel
