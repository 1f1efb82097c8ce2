// Models with one grouping factor: Laplace's approximation and adaptive Gauss-Hermite quadrature, group by group.
//
// With h(u) the log-density of a group's rows less u'u / 2, u^ its mode, H = C^-T C^-1 minus its Hessian there,
// nodes x_m and weights w_m, a group's likelihood is
//
//   pi^(-q/2) |C| sum over m of exp(log w_m + x_m'x_m + h(u_m)),   u_m = u^ + sqrt(2) C x_m,
//
// over the grid of nodes in q dimensions; with one node this is Laplace's approximation. The gradient follows mode and
// scale as they move with the parameters.
#pragma once

#include <memory>
#include <vector>

#include "grouped_rows.hpp"
#include "marginal.hpp"

namespace multilevel {

// Whether there is one factor, of few enough columns.
bool quadrature_serves(const GroupedRows& rows);

std::unique_ptr<Marginal> make_quadrature(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior,
                                          int nodes);

}  // namespace multilevel
