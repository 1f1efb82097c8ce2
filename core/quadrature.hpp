// Models with one grouping factor: Laplace's approximation and adaptive Gauss-Hermite quadrature, group by group.
//
// With h(u) the log-density of a group's rows less u'u / 2, u^ its mode, H = C^-T C^-1 minus its Hessian there,
// nodes x_m and weights w_m, a group's likelihood is
//
//   |C| sum over m of exp(log w_m + x_m'x_m / 2 + h(u_m)),   u_m = u^ + C x_m,
//
// over the grid of the normal distribution's nodes in q dimensions; with one node this is Laplace's approximation. The
// gradient follows mode and scale as they move with the parameters (group_batch.hpp).
#pragma once

#include <memory>
#include <vector>

#include "grouped_rows.hpp"
#include "marginal.hpp"

namespace multilevel {

// Whether there is one factor, of few enough columns.
bool quadrature_serves(const GroupedRows& rows);

// A criterion that is a sum over independent groups.
class GroupwiseMarginal : public Marginal {
  public:
    // Scores of the groups' log-likelihoods at the last point, without the prior: groups x parameters.
    virtual Eigen::MatrixXd group_scores() = 0;
};

std::unique_ptr<GroupwiseMarginal> make_quadrature(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior,
                                                   int nodes);

}  // namespace multilevel
