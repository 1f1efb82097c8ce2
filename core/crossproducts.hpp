// Weighted cross-products of [Z X y], grouped by the levels of the grouping factors.
//
// This is all that a Gaussian fit ever needs of the rows. Columns are shifted and scaled on the way in,
// so that no digits are lost in the sums; partial sums over the same shift merge by addition.
#pragma once

#include <cstdint>
#include <vector>

namespace multilevel {

// A column of data seen as (value - shift) * scale.
struct Column {
    const double* data;
    double shift;
    double scale;
    double operator()(std::int64_t row) const { return (data[row] - shift) * scale; }
};

// A grouping factor: `levels` groups, each with `width` random-effect columns.
struct Factor {
    int levels;
    int width;
};

struct FactorData {
    const std::int32_t* codes;    // (n) level of each row
    int levels;
    std::vector<Column> columns;  // the factor's random-effect columns
};

struct RowData {
    std::int64_t n;
    std::vector<FactorData> factors;
    std::vector<Column> fixed;  // columns of X
    Column response;
    const double* weights;  // (n) or nullptr
};

// Blocks Z_a'WZ_b between the levels a of factor `first` and b of factor `second` that share rows.
struct PairBlocks {
    int first;
    int second;
    std::vector<std::int64_t> start;  // (levels of first + 1) where each level's blocks begin
    std::vector<int> level;           // level of `second`, ascending within a level of `first`
    std::vector<double> block;        // width(first) x width(second), row-major, one after another
};

struct CrossProducts {
    std::vector<Factor> factors;
    int n_fixed = 0;                         // p
    std::vector<std::vector<double>> diag;   // per factor: levels x (width x width), Z_a'WZ_a
    std::vector<std::vector<double>> tail;   // per factor: levels x (width x (p + 1)), Z_a'W[X y]
    std::vector<PairBlocks> pairs;           // every pair of factors
    std::vector<double> fixed;               // (p + 1) x (p + 1), [X y]'W[X y]

    int n_tail() const { return n_fixed + 1; }
};

CrossProducts cross_products(const RowData& rows);

// Replaces what depends on the response, for a new response on the same rows.
void replace_response(CrossProducts& sums, const RowData& rows);

// Writes the values of `from` over those of `to`, which has the same shape, without allocating: what points
// into `to` stays true.
void copy_values(const CrossProducts& from, CrossProducts& to);

// What coefficients `beta` (p) and effects b (per factor: levels x width, row-major) predict for every row:
// the fixed part and the whole, in the units of the scaled response. Both outputs have n places.
void linear_predictors(const RowData& rows, const double* beta, const std::vector<std::vector<double>>& b,
                       double* fixed, double* whole);

}  // namespace multilevel
