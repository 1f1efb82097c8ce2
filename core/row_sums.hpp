// Sums and products over the rows of one group. Sums run in four strands, so that they do not wait for one another.
#pragma once

#include <cstdint>

namespace multilevel::row_sums {

template <class Summand>
inline double strands(std::int64_t n, Summand at) {
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;
    std::int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += at(i);
        s1 += at(i + 1);
        s2 += at(i + 2);
        s3 += at(i + 3);
    }
    for (; i < n; ++i) s0 += at(i);
    return (s0 + s1) + (s2 + s3);
}

inline double sum(const double* x, std::int64_t n) {
    return strands(n, [x](std::int64_t i) { return x[i]; });
}
inline double dot(const double* x, const double* y, std::int64_t n) {
    return strands(n, [x, y](std::int64_t i) { return x[i] * y[i]; });
}
inline double dot(const double* x, const double* y, const double* w, std::int64_t n) {
    return strands(n, [x, y, w](std::int64_t i) { return x[i] * y[i] * w[i]; });
}

// out += a x
inline void add(double a, const double* x, std::int64_t n, double* __restrict out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] += a * x[i];
}
// out += a x y
inline void add_product(double a, const double* x, const double* y, std::int64_t n, double* __restrict out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] += a * x[i] * y[i];
}
inline void scale(double a, std::int64_t n, double* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] *= a;
}

}  // namespace multilevel::row_sums
