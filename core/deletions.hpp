// The same model without some of its rows, for many sets of rows: case deletion.
//
// What depends on the rows are their cross-products, from which those of the deleted rows are subtracted:
// a deletion costs its own rows and a search, never a pass over the others.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "model.hpp"
#include "search.hpp"

namespace multilevel {

// Deletion i takes weight[j] from row[j] for j from start[i] to start[i + 1] - 1, and n_obs[i] observations
// stay. A row that stands for several observations may lose some of its weight, or all.
struct Deleted {
    const std::int64_t* row;
    const double* weight;
    const std::int64_t* start;
    const double* n_obs;
    int count;
};

// One column a deletion; in the working units of the model of all rows.
struct DeletionFits {
    Eigen::MatrixXd theta;         // (n_parameters, count)
    Eigen::MatrixXd beta;          // (p, count)
    Eigen::MatrixXd fixed_factor;  // (p p, count) lower factor of X'V^-1X, by columns
    Eigen::VectorXd pwrss;         // (count) NaN where the fit was impossible
    Eigen::VectorXi converged;     // (count)
};

// Takes deletion i out of the sums. `rows_of_level` counts all rows of each factor's levels (and does so again
// in the end); a level that loses every row is left with exact zeros.
void remove_rows(CrossProducts& sums, const RowData& rows, const Deleted& deleted, int i,
                 std::vector<std::vector<std::int64_t>>& rows_of_level);

// Fits without each set of rows: every search begins at `start`, or, where `settings` allows no evaluation,
// covariance parameters are held there. Results are the same on any number of threads.
DeletionFits fit_without(const Model& model, const RowData& rows, const Deleted& deleted, const Eigen::VectorXd& start,
                         bool reml, const SearchSettings& settings);

}  // namespace multilevel
