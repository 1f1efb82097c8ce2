// Linear algebra on the small row-major blocks of one group.
#pragma once

#include <cmath>

namespace multilevel::small {

// out (a x c) += left (a x b) right (b x c)
inline void add_product(double* out, const double* left, const double* right, int a, int b, int c) {
    for (int i = 0; i < a; ++i)
        for (int k = 0; k < b; ++k) {
            const double x = left[i * b + k];
            for (int j = 0; j < c; ++j) out[i * c + j] += x * right[k * c + j];
        }
}

// out (a x c) += left' right, with left (b x a)
inline void add_transposed_product(double* out, const double* left, const double* right, int a, int b, int c) {
    for (int k = 0; k < b; ++k)
        for (int i = 0; i < a; ++i) {
            const double x = left[k * a + i];
            for (int j = 0; j < c; ++j) out[i * c + j] += x * right[k * c + j];
        }
}

// The same for a panel of C columns, known to the compiler: out (a x C) += left (a x b) right (b x C)
template <int C>
void add_panel_product(double* out, const double* left, const double* right, int a, int b) {
    for (int i = 0; i < a; ++i)
        for (int k = 0; k < b; ++k)
            for (int j = 0; j < C; ++j) out[i * C + j] += left[i * b + k] * right[k * C + j];
}

// out (a x C) += left' right, with left (b x a)
template <int C>
void add_transposed_panel_product(double* out, const double* left, const double* right, int a, int b) {
    for (int k = 0; k < b; ++k)
        for (int i = 0; i < a; ++i)
            for (int j = 0; j < C; ++j) out[i * C + j] += left[k * a + i] * right[k * C + j];
}

// out (a x C) -= left right, with left (a x b)
template <int C>
void subtract_panel_product(double* out, const double* left, const double* right, int a, int b) {
    for (int i = 0; i < a; ++i)
        for (int k = 0; k < b; ++k)
            for (int j = 0; j < C; ++j) out[i * C + j] -= left[i * b + k] * right[k * C + j];
}

// x <- L^-1 x for a panel of C columns
template <int C>
void forward_solve_panel(const double* lower, double* x, int q) {
    for (int i = 0; i < q; ++i) {
        for (int k = 0; k < i; ++k)
            for (int j = 0; j < C; ++j) x[i * C + j] -= lower[i * q + k] * x[k * C + j];
        for (int j = 0; j < C; ++j) x[i * C + j] /= lower[i * q + i];
    }
}

// Lower Cholesky factor in place (upper triangle left alone); false if not positive definite.
inline bool cholesky(double* m, int q) {
    for (int j = 0; j < q; ++j) {
        double d = m[j * q + j];
        for (int k = 0; k < j; ++k) d -= m[j * q + k] * m[j * q + k];
        if (!(d > 0.0)) return false;
        d = std::sqrt(d);
        m[j * q + j] = d;
        for (int i = j + 1; i < q; ++i) {
            double x = m[i * q + j];
            for (int k = 0; k < j; ++k) x -= m[i * q + k] * m[j * q + k];
            m[i * q + j] = x / d;
        }
    }
    return true;
}

// x <- L^-1 x for one column
inline void forward_solve(const double* lower, double* x, int q) {
    for (int i = 0; i < q; ++i) {
        for (int k = 0; k < i; ++k) x[i] -= lower[i * q + k] * x[k];
        x[i] /= lower[i * q + i];
    }
}

// x <- L^-T x for one column
inline void backward_solve(const double* lower, double* x, int q) {
    for (int i = q - 1; i >= 0; --i) {
        for (int k = i + 1; k < q; ++k) x[i] -= lower[k * q + i] * x[k];
        x[i] /= lower[i * q + i];
    }
}

}  // namespace multilevel::small
