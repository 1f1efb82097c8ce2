#include "grouped_rows.hpp"

#include <algorithm>
#include <numeric>

namespace multilevel {
namespace {

std::vector<double> gathered(const double* data, const std::vector<std::int64_t>& order) {
    if (data == nullptr) return {};
    std::vector<double> out(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) out[i] = data[order[i]];
    return out;
}

std::vector<std::vector<double>> gathered(const std::vector<Column>& columns, const std::vector<std::int64_t>& order) {
    std::vector<std::vector<double>> out;
    for (const Column& column : columns) {
        out.emplace_back(order.size());
        for (std::size_t i = 0; i < order.size(); ++i) out.back()[i] = column(order[i]);
    }
    return out;
}

}  // namespace

Responses GroupedRows::responses() const {
    auto or_null = [](const std::vector<double>& v) { return v.empty() ? nullptr : v.data(); };
    return {y.data(), or_null(trials), or_null(power), constants.data()};
}

void GroupedRows::set_response(const double* given) {
    for (std::int64_t i = 0; i < n; ++i) y[i] = given[order[i]];
    Responses all = responses();
    all.constants = nullptr;
    log_constants(density, all, 0, n, constants.data());
}

std::vector<std::int64_t> GroupedRows::stripes(int count) const {
    std::vector<std::int64_t> bounds{0};
    for (int s = 1; s < count; ++s) {
        const auto at = std::lower_bound(level_start.begin(), level_start.end(), n * s / count);
        bounds.push_back(*at);
    }
    bounds.push_back(n);
    return bounds;
}

GroupedRows group_rows(const MarginalRows& rows) {
    GroupedRows out;
    out.n = rows.n;
    out.density = rows.density;
    const FactorData& first = rows.factors.front().data;
    out.level_start.assign(first.levels + 1, 0);
    for (std::int64_t i = 0; i < rows.n; ++i) ++out.level_start[first.codes[i] + 1];
    std::partial_sum(out.level_start.begin(), out.level_start.end(), out.level_start.begin());
    out.order.resize(rows.n);
    std::vector<std::int64_t> next(out.level_start.begin(), out.level_start.end() - 1);
    for (std::int64_t i = 0; i < rows.n; ++i) out.order[next[first.codes[i]]++] = i;
    out.y.resize(rows.n);
    out.trials = gathered(rows.responses.trials, out.order);
    out.power = gathered(rows.responses.power, out.order);
    out.constants.resize(rows.n);
    for (const Predictor& predictor : rows.predictors)
        out.predictors.push_back(
            {gathered(predictor.offset, out.order), gathered(predictor.columns, out.order), predictor.coefficients});
    for (const RandomFactor& factor : rows.factors) {
        FactorRows mine{factor.data.levels, {}, gathered(factor.data.columns, out.order), factor.predictor};
        mine.codes.resize(rows.n);
        for (std::int64_t i = 0; i < rows.n; ++i) mine.codes[i] = factor.data.codes[out.order[i]];
        for (int k : factor.predictor) out.predictors[k].inner = true;
        out.factors.push_back(std::move(mine));
    }
    out.set_response(rows.responses.y);
    return out;
}

}  // namespace multilevel
