#include "gee_inverse.hpp"

#include <algorithm>

namespace multilevel {

void IndependentInverse::multiply(std::int64_t k, int columns, const double* in, double* out,
                                  std::int64_t stride) const {
    for (int c = 0; c < columns; ++c) std::copy_n(in + c * stride, clusters_.size(k), out + c * stride);
}

void ExchangeableInverse::multiply(std::int64_t k, int columns, const double* in, double* out,
                                   std::int64_t stride) const {
    const std::int64_t m = clusters_.size(k);
    const double over = 1.0 / (1.0 - alpha_), share = alpha_ / (1.0 + static_cast<double>(m - 1) * alpha_);
    for (int c = 0; c < columns; ++c, in += stride, out += stride) {
        double sum = 0.0;
        for (std::int64_t r = 0; r < m; ++r) sum += in[r];
        const double common = share * sum;
        for (std::int64_t r = 0; r < m; ++r) out[r] = over * (in[r] - common);
    }
}

void MarkovInverse::multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const {
    const std::int64_t m = clusters_.size(k);
    const double* rho = rho_ + clusters_.start[k];
    for (int c = 0; c < columns; ++c, in += stride, out += stride) {
        out[0] = in[0];
        for (std::int64_t r = 1; r < m; ++r) {  // each row adds the innovation that it brings
            const double innovation = (in[r] - rho[r] * in[r - 1]) / (1.0 - rho[r] * rho[r]);
            out[r] = innovation;
            out[r - 1] -= rho[r] * innovation;
        }
    }
}

void NestedInverse::multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const {
    const std::int64_t begin = clusters_.start[k];
    const double over = 1.0 / (1.0 - inner_), between = inner_ - outer_;
    for (int c = 0; c < columns; ++c, in += stride, out += stride) {
        double shared = 0.0, precision = 0.0;  // 1'B^-1 v and 1'B^-1 1, B the correlation without `outer`
        for (std::int64_t g = first_group_[k]; g < first_group_[k + 1]; ++g) {
            const std::int64_t from = group_start_[g] - begin, to = group_start_[g + 1] - begin;
            const double size = static_cast<double>(to - from), total = 1.0 - inner_ + size * between;
            double sum = 0.0;
            for (std::int64_t r = from; r < to; ++r) sum += in[r];
            const double common = between * sum / total;
            for (std::int64_t r = from; r < to; ++r) out[r] = over * (in[r] - common);
            shared += sum / total;
            precision += size / total;
        }
        const double moved = outer_ * shared / (1.0 + outer_ * precision);
        for (std::int64_t g = first_group_[k]; g < first_group_[k + 1]; ++g) {
            const std::int64_t from = group_start_[g] - begin, to = group_start_[g + 1] - begin;
            const double share = moved / (1.0 - inner_ + static_cast<double>(to - from) * between);
            for (std::int64_t r = from; r < to; ++r) out[r] -= share;
        }
    }
}

void PatternInverse::multiply(std::int64_t k, int columns, const double* in, double* out, std::int64_t stride) const {
    const std::int64_t m = clusters_.size(k);
    const double* inverse = table_ + offset_[pattern_[k]];
    for (int c = 0; c < columns; ++c, in += stride, out += stride) {
        std::fill_n(out, m, 0.0);
        for (std::int64_t s = 0; s < m; ++s) {
            const double value = in[s];
            for (std::int64_t r = 0; r < m; ++r) out[r] += inverse[s * m + r] * value;
        }
    }
}

}  // namespace multilevel
