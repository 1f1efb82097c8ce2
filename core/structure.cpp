#include "structure.hpp"

#include <cmath>

namespace multilevel {
namespace {

using Eigen::MatrixXd;

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

// A root of the correlation matrix and its derivative in the angle.
struct CorrelationRoot {
    MatrixXd value;
    MatrixXd slope;
};

CorrelationRoot autoregressive_root(int q, double eta) {
    const double rho = std::cos(eta), innovation = std::sin(eta);
    CorrelationRoot root{MatrixXd::Zero(q, q), MatrixXd::Zero(q, q)};
    for (int i = 0; i < q; ++i)
        for (int j = 0; j <= i; ++j) {
            const int lag = i - j;
            const double power = std::pow(rho, lag);
            const double power_slope = lag == 0 ? 0.0 : -innovation * lag * std::pow(rho, lag - 1);
            root.value(i, j) = j == 0 ? power : innovation * power;
            root.slope(i, j) = j == 0 ? power_slope : rho * power + innovation * power_slope;
        }
    return root;
}

CorrelationRoot compound_symmetry_root(int q, double eta) {
    const double scale = std::sqrt(q / (q - 1.0)), root_q = std::sqrt(double(q));
    const MatrixXd I = MatrixXd::Identity(q, q), J = MatrixXd::Ones(q, q);
    auto combine = [&](double a, double whole) -> MatrixXd { return a * I + (whole - a) / q * J; };
    return {combine(scale * std::sin(eta), root_q * std::cos(eta)),
            combine(scale * std::cos(eta), -root_q * std::sin(eta))};
}

TermFactor correlated_factor(const Term& term, const double* theta) {
    const int q = term.width, n_sd = term.homogeneous ? 1 : q;
    const double eta = theta[n_sd];
    const CorrelationRoot root = term.kind == StructureKind::autoregressive ? autoregressive_root(q, eta)
                                                                            : compound_symmetry_root(q, eta);
    auto sign = [&](int c) { return theta[c] < 0.0 ? -1.0 : 1.0; };
    Eigen::VectorXd sd(q);
    for (int c = 0; c < q; ++c) sd(c) = std::abs(theta[term.homogeneous ? 0 : c]);
    TermFactor t{sd.asDiagonal() * root.value, {}};
    if (term.homogeneous) {
        t.derivative.push_back(sign(0) * root.value);
    } else {
        for (int c = 0; c < q; ++c) t.derivative.push_back(sign(c) * unit_entry(q, c, c) * root.value);
    }
    t.derivative.push_back(sd.asDiagonal() * root.slope);
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

TermFactor term_factor(const Term& term, const double* theta) {
    switch (term.kind) {
        case StructureKind::unstructured: return unstructured_factor(term.width, theta);
        case StructureKind::diagonal: return diagonal_factor(term.width, term.homogeneous, theta);
        default: return correlated_factor(term, theta);
    }
}

}  // namespace multilevel
