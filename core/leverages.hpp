// How much of each row's fitted value is its own doing: the diagonal of the matrix that maps y to the fit.
#pragma once

#include "factorisation.hpp"

namespace multilevel {

// c'A^-1c of every row, c = (L'z, x), for rows of unit weight (times its weight, a row's leverage). `out` has
// rows.n places. Needs what invert_selected({1, 0}) gives: blocks of the inverse for levels that share rows.
void leverages(const RowData& rows, const Factorisation& factorisation, double* out);

}  // namespace multilevel
