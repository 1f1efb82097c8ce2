// The rows of a generalized mixed model, copied in the order of the levels of its first factor: what belongs to a
// level then stands together, and rows are cut into stripes between levels.
#pragma once

#include <cstdint>
#include <vector>

#include "marginal.hpp"

namespace multilevel {

struct PredictorRows {
    std::vector<double> offset;                // (n), empty for none
    std::vector<std::vector<double>> columns;  // of X
    std::vector<int> coefficients;             // of each column
    bool inner = false;                        // whether random effects enter it
};

struct FactorRows {
    int levels;
    std::vector<std::int32_t> codes;
    std::vector<std::vector<double>> columns;
    std::vector<int> predictor;  // of each column

    int width() const { return static_cast<int>(columns.size()); }
};

struct GroupedRows {
    std::int64_t n;
    Density density;
    std::vector<double> y, trials, power, constants;  // trials and power may be empty
    std::vector<PredictorRows> predictors;
    std::vector<FactorRows> factors;
    std::vector<std::int64_t> order;        // place of each row among those given
    std::vector<std::int64_t> level_start;  // (levels of the first factor + 1)

    Responses responses() const;
    void set_response(const double* given);
    // Boundaries of `stripes` ranges of rows, between levels of the first factor: (stripes + 1).
    std::vector<std::int64_t> stripes(int count) const;
};

GroupedRows group_rows(const MarginalRows& rows);

}  // namespace multilevel
