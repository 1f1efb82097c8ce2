#include "structure.hpp"

#include <cmath>

namespace multilevel {
namespace {

using Eigen::MatrixXd;

double sigmoid(double eta) { return eta / std::sqrt(1.0 + eta * eta); }
double sigmoid_slope(double eta) { return std::pow(1.0 + eta * eta, -1.5); }

MatrixXd unit_entry(int size, int row, int column) {
    MatrixXd e = MatrixXd::Zero(size, size);
    e(row, column) = 1.0;
    return e;
}

TermFactor unstructured_factor(int q, const double* theta) {
    TermFactor t{MatrixXd::Zero(q, q), {}};
    for (int c = 0; c < q; ++c)
        for (int r = c; r < q; ++r) {
            t.value(r, c) = *theta++;
            t.derivative.push_back(unit_entry(q, r, c));
        }
    return t;
}

TermFactor diagonal_factor(int q, bool homogeneous, const double* theta) {
    if (homogeneous) return {theta[0] * MatrixXd::Identity(q, q), {MatrixXd::Identity(q, q)}};
    TermFactor t{MatrixXd::Zero(q, q), {}};
    for (int c = 0; c < q; ++c) {
        t.value(c, c) = theta[c];
        t.derivative.push_back(unit_entry(q, c, c));
    }
    return t;
}

MatrixXd correlation_matrix(const Term& term, double rho) {
    MatrixXd r = MatrixXd::Identity(term.width, term.width);
    for (int i = 0; i < term.width; ++i)
        for (int j = 0; j < i; ++j)
            r(i, j) = r(j, i) = term.kind == StructureKind::autoregressive ? std::pow(rho, i - j) : rho;
    return r;
}

MatrixXd correlation_matrix_slope(const Term& term, double rho) {
    MatrixXd r = MatrixXd::Zero(term.width, term.width);
    for (int i = 0; i < term.width; ++i)
        for (int j = 0; j < i; ++j)
            r(i, j) = r(j, i) =
                term.kind == StructureKind::autoregressive ? (i - j) * std::pow(rho, i - j - 1) : 1.0;
    return r;
}

// dL for a change dR of R = L L' (Giles 2008): dL = L Phi(L^-1 dR L^-T), Phi = lower triangle, diagonal halved.
MatrixXd cholesky_slope(const MatrixXd& lower, const MatrixXd& change) {
    const auto triangle = lower.triangularView<Eigen::Lower>();
    MatrixXd inner = triangle.solve(change);
    inner = triangle.solve(inner.transpose()).transpose().eval();
    inner.diagonal() *= 0.5;
    return lower * MatrixXd(inner.triangularView<Eigen::Lower>());
}

TermFactor correlated_factor(const Term& term, const double* theta) {
    const int q = term.width, n_sd = term.homogeneous ? 1 : q;
    const double eta = theta[n_sd], rho = correlation(term, eta);
    const MatrixXd lower = correlation_matrix(term, rho).llt().matrixL();
    Eigen::VectorXd sd(q);
    for (int c = 0; c < q; ++c) sd(c) = theta[term.homogeneous ? 0 : c];
    TermFactor t{sd.asDiagonal() * lower, {}};
    if (term.homogeneous) {
        t.derivative.push_back(lower);
    } else {
        for (int c = 0; c < q; ++c) t.derivative.push_back(unit_entry(q, c, c) * lower);
    }
    const MatrixXd change = correlation_matrix_slope(term, rho) * correlation_slope(term, eta);
    t.derivative.push_back(sd.asDiagonal() * cholesky_slope(lower, change));
    return t;
}

}  // namespace

int Term::n_parameters() const {
    switch (kind) {
        case StructureKind::unstructured: return width * (width + 1) / 2;
        case StructureKind::diagonal: return homogeneous ? 1 : width;
        default: return (homogeneous ? 1 : width) + 1;
    }
}

double correlation(const Term& term, double eta) {
    if (term.kind == StructureKind::autoregressive) return sigmoid(eta);
    const double low = -1.0 / (term.width - 1);
    return low + (1.0 - low) * 0.5 * (1.0 + sigmoid(eta));
}

double correlation_slope(const Term& term, double eta) {
    if (term.kind == StructureKind::autoregressive) return sigmoid_slope(eta);
    return (1.0 + 1.0 / (term.width - 1)) * 0.5 * sigmoid_slope(eta);
}

TermFactor term_factor(const Term& term, const double* theta) {
    switch (term.kind) {
        case StructureKind::unstructured: return unstructured_factor(term.width, theta);
        case StructureKind::diagonal: return diagonal_factor(term.width, term.homogeneous, theta);
        default: return correlated_factor(term, theta);
    }
}

}  // namespace multilevel
