// Inverses of working correlations: closed forms where there are any, tables by pattern of visits elsewhere.
#pragma once

#include <cstdint>

#include "gee.hpp"

namespace multilevel {

class IndependentInverse : public InverseCorrelation {
  public:
    explicit IndependentInverse(Clusters clusters) : clusters_(clusters) {}
    void multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const override;

  private:
    Clusters clusters_;
};

// R = (1 - alpha) I + alpha J, hence R^-1 v = (v - alpha sum(v) / (1 + (m - 1) alpha)) / (1 - alpha).
class ExchangeableInverse : public InverseCorrelation {
  public:
    ExchangeableInverse(Clusters clusters, double alpha) : clusters_(clusters), alpha_(alpha) {}
    void multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const override;

  private:
    Clusters clusters_;
    double alpha_;
};

// A Markov chain: the inverse is tridiagonal. rho[r] is the correlation of row r with the row before it, zero where a
// cluster begins.
class MarkovInverse : public InverseCorrelation {
  public:
    MarkovInverse(Clusters clusters, const double* rho) : clusters_(clusters), rho_(rho) {}
    void multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const override;

  private:
    Clusters clusters_;
    const double* rho_;
};

// Two levels: rows of one inner group correlate by `inner`, other rows of a cluster by `outer`. Woodbury's identity
// twice: within inner groups as exchangeable, between them one number a group.
class NestedInverse : public InverseCorrelation {
  public:
    // Inner groups are runs of rows; group g has rows group_start[g] .. group_start[g + 1] - 1, and cluster k the
    // groups first_group[k] .. first_group[k + 1] - 1.
    NestedInverse(Clusters clusters, const std::int64_t* group_start, const std::int64_t* first_group, double inner,
                  double outer)
        : clusters_(clusters), group_start_(group_start), first_group_(first_group), inner_(inner), outer_(outer) {}
    void multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const override;

  private:
    Clusters clusters_;
    const std::int64_t *group_start_, *first_group_;
    double inner_, outer_;
};

// One inverse for each pattern of visits, as tables of numbers.
class PatternInverse : public InverseCorrelation {
  public:
    // The inverse of pattern q begins at table[offset[q]].
    PatternInverse(Clusters clusters, const std::int64_t* pattern, const std::int64_t* offset, const double* table)
        : clusters_(clusters), pattern_(pattern), offset_(offset), table_(table) {}
    void multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const override;

  private:
    Clusters clusters_;
    const std::int64_t *pattern_, *offset_;
    const double* table_;
};

}  // namespace multilevel
