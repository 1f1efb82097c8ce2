#include "leverages.hpp"

#include <algorithm>

#include "threads.hpp"

namespace multilevel {
namespace {

// left' M right for a block M (a x b) with the strides given.
double bilinear(const std::vector<double>& left, const double* block, std::size_t row_stride, std::size_t column_stride,
                const double* right, std::size_t b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < left.size(); ++i) {
        double dot = 0.0;
        for (std::size_t j = 0; j < b; ++j) dot += block[i * row_stride + j * column_stride] * right[j];
        sum += left[i] * dot;
    }
    return sum;
}

// One row's c, and c'A^-1c block by block.
class RowForm {
  public:
    RowForm(const RowData& rows, const Factorisation& factorisation, const std::vector<std::vector<int>>& orders)
        : rows_(rows), f_(factorisation), orders_(orders), fixed_(factorisation.fixed_block()), x_(rows.fixed.size()) {
        for (const FactorData& factor : rows.factors) loading_.emplace_back(factor.columns.size());
    }

    double operator()(std::int64_t row) {
        read(row);
        const std::size_t p = x_.size();
        double h = bilinear(x_, fixed_.data(), p, 1, x_.data(), p);
        for (std::size_t k = 0; k < loading_.size(); ++k) {
            const std::size_t q = loading_[k].size(), level = rows_.factors[k].codes[row];
            h += bilinear(loading_[k], &f_.diagonal_blocks()[k][level * q * q], q, 1, loading_[k].data(), q);
            h += 2.0 * bilinear(loading_[k], f_.fixed_blocks()[k].data() + level * q * p, p, 1, x_.data(), p);
            for (std::size_t l = k + 1; l < loading_.size(); ++l) {
                const InverseBlock block =
                    f_.inverse_block(orders_[k][level], orders_[l][rows_.factors[l].codes[row]]);
                h += 2.0 * bilinear(loading_[k], block.data, block.row_stride, block.column_stride, loading_[l].data(),
                                    loading_[l].size());
            }
        }
        return h;
    }

  private:
    void read(std::int64_t row) {
        for (std::size_t c = 0; c < x_.size(); ++c) x_[c] = rows_.fixed[c](row);
        for (std::size_t k = 0; k < loading_.size(); ++k) {
            const Eigen::MatrixXd& T = f_.factor_T()[k];
            const auto& columns = rows_.factors[k].columns;
            std::fill(loading_[k].begin(), loading_[k].end(), 0.0);
            for (std::size_t i = 0; i < columns.size(); ++i)
                for (std::size_t j = 0; j < columns.size(); ++j) loading_[k][j] += T(i, j) * columns[i](row);
        }
    }

    const RowData& rows_;
    const Factorisation& f_;
    const std::vector<std::vector<int>>& orders_;
    Eigen::MatrixXd fixed_;
    std::vector<double> x_;
    std::vector<std::vector<double>> loading_;  // per factor: T'z
};

}  // namespace

void leverages(const RowData& rows, const Factorisation& factorisation, double* out) {
    constexpr std::int64_t task_rows = 4096;
    const auto orders = factorisation.node_orders();
    parallel_for(static_cast<int>((rows.n + task_rows - 1) / task_rows), [&](int task) {
        RowForm form(rows, factorisation, orders);
        const std::int64_t begin = task * task_rows, end = std::min(rows.n, begin + task_rows);
        for (std::int64_t i = begin; i < end; ++i) out[i] = form(i);
    });
}

}  // namespace multilevel
