// What the factor R says: determinants, estimates, and solutions of systems with it.
#include <cmath>

#include "factorisation_parts.hpp"
#include "small.hpp"

namespace multilevel {

Pieces Factorisation::pieces() const {
    Pieces p{0.0, 0.0, 0.0};
    for (const HeadNode& node : plan_.head)
        for (int r = 0; r < node.width; ++r)
            p.log_det_random += 2.0 * std::log(pivot_[node.pivot + r * node.width + r]);
    auto diagonal = [&](int i) { return tail_[static_cast<std::size_t>(i) * plan_.tail_size + i]; };
    for (int i = 0; i < plan_.tail_random; ++i) p.log_det_random += 2.0 * std::log(diagonal(i));
    for (int i = 0; i < sums_.n_fixed; ++i) p.log_det_fixed += 2.0 * std::log(diagonal(plan_.tail_random + i));
    p.pwrss = std::pow(diagonal(plan_.tail_size - 1), 2);
    return p;
}

Eigen::MatrixXd Factorisation::fixed_cholesky() const {
    const Eigen::Map<const Eigen::MatrixXd> tail(tail_.data(), plan_.tail_size, plan_.tail_size);
    return tail.block(plan_.tail_random, plan_.tail_random, sums_.n_fixed, sums_.n_fixed)
        .triangularView<Eigen::Lower>();
}

Estimates Factorisation::estimates() const {
    const int n = plan_.tail_size - 1;
    const Eigen::Map<const Eigen::MatrixXd> tail(tail_.data(), plan_.tail_size, plan_.tail_size);
    Eigen::VectorXd x = tail.row(n).head(n).transpose();
    tail.topLeftCorner(n, n).triangularView<Eigen::Lower>().transpose().solveInPlace(x);
    Estimates out{x.tail(sums_.n_fixed), Eigen::VectorXd(plan_.n_random)};
    for (const TailNode& node : plan_.tail) out.u.segment(node.first_unknown, node.width) = x.segment(node.column, node.width);
    for (auto node = plan_.head.rbegin(); node != plan_.head.rend(); ++node) {
        const int q = node->width, t = sums_.n_tail();
        const double* rows = &rows_[node->row_block];
        double* u = &out.u(node->first_unknown);
        std::copy_n(rows + static_cast<std::size_t>(node->columns - 1) * q, q, u);
        auto subtract = [&](int column, double value) {
            for (int r = 0; r < q; ++r) u[r] -= rows[static_cast<std::size_t>(column) * q + r] * value;
        };
        for (auto c = node->couplings_begin; c < node->couplings_end; ++c) {
            const Coupling& coupling = plan_.couplings[c];
            for (int i = 0; i < coupling.width; ++i)
                subtract(coupling.column + i, out.u(coupling.first_unknown + i));
        }
        for (int i = 0; i + 1 < t; ++i) subtract(node->columns - t + i, out.beta(i));
        small::backward_solve(&pivot_[node->pivot], u, q);
    }
    return out;
}

// out += Z'WZ v for a panel of C columns, both by rows.
template <int C>
void Factorisation::add_random_crossproduct(const double* v, double* out) const {
    for (std::size_t k = 0; k < sums_.factors.size(); ++k) {
        const int q = sums_.factors[k].width;
        for (int a = 0; a < sums_.factors[k].levels; ++a) {
            const auto at = (plan_.factor_first[k] + static_cast<std::size_t>(a) * q) * C;
            small::add_panel_product<C>(out + at, &sums_.diag[k][static_cast<std::size_t>(a) * q * q], v + at, q, q);
        }
    }
    for (const PairBlocks& pairs : sums_.pairs) {
        const int q = sums_.factors[pairs.first].width, w = sums_.factors[pairs.second].width;
        if (C == 1 && q == 1 && w == 1) {
            const double* other = v + plan_.factor_first[pairs.second];
            double* out_other = out + plan_.factor_first[pairs.second];
            for (int a = 0; a < sums_.factors[pairs.first].levels; ++a) {
                const auto i = plan_.factor_first[pairs.first] + a;
                double sum = 0.0;
                for (auto e = pairs.start[a]; e < pairs.start[a + 1]; ++e) {
                    sum += pairs.block[e] * other[pairs.level[e]];
                    out_other[pairs.level[e]] += pairs.block[e] * v[i];
                }
                out[i] += sum;
            }
            continue;
        }
        for (int a = 0; a < sums_.factors[pairs.first].levels; ++a)
            for (auto e = pairs.start[a]; e < pairs.start[a + 1]; ++e) {
                const auto i = (plan_.factor_first[pairs.first] + static_cast<std::size_t>(a) * q) * C;
                const auto j = (plan_.factor_first[pairs.second] + static_cast<std::size_t>(pairs.level[e]) * w) * C;
                small::add_panel_product<C>(out + i, &pairs.block[e * q * w], v + j, q, w);
                small::add_transposed_panel_product<C>(out + j, &pairs.block[e * q * w], v + i, w, q);
            }
    }
}

Eigen::VectorXd Factorisation::random_scores(const Estimates& at) const {
    const int p = sums_.n_fixed, t = sums_.n_tail();
    Eigen::VectorXd b = Eigen::VectorXd::Zero(at.u.size()), scores = b;
    for (std::size_t k = 0; k < sums_.factors.size(); ++k) {
        const int q = sums_.factors[k].width;
        for (int a = 0; a < sums_.factors[k].levels; ++a) {
            const auto level = plan_.factor_first[k] + static_cast<std::size_t>(a) * q;
            small::add_panel_product<1>(&b(level), Trow_[k].data(), &at.u(level), q, q);
        }
    }
    add_random_crossproduct<1>(b.data(), scores.data());
    scores = -scores;
    for (std::size_t k = 0; k < sums_.factors.size(); ++k)
        for (std::size_t r = 0; r < static_cast<std::size_t>(sums_.factors[k].levels) * sums_.factors[k].width; ++r) {
            const double* row = &sums_.tail[k][r * t];
            double fixed = 0.0;
            for (int c = 0; c < p; ++c) fixed += row[c] * at.beta(c);
            scores(plan_.factor_first[k] + r) += row[p] - fixed;
        }
    return scores;
}

namespace {

template <int C>
using Panel = Eigen::Matrix<double, Eigen::Dynamic, C, C == 1 ? Eigen::ColMajor : Eigen::RowMajor>;

constexpr int wide_panel = 8;

// visit(first column) for panels of columns, in the width that suits their number.
template <class Narrow, class Wide>
void for_panels(int columns, Narrow narrow, Wide wide) {
    if (columns < wide_panel)
        parallel_for(columns, narrow);
    else
        parallel_for((columns + wide_panel - 1) / wide_panel, [&](int k) { wide(k * wide_panel); });
}

// Columns from `first` on, with zeros where there are no more.
template <int C>
Panel<C> take_panel(const Eigen::MatrixXd& m, int first) {
    Panel<C> panel = Panel<C>::Zero(m.rows(), C);
    const int count = std::min<int>(C, m.cols() - first);
    panel.leftCols(count) = m.middleCols(first, count);
    return panel;
}

template <int C>
void put_panel(const Panel<C>& panel, int first, Eigen::MatrixXd& m) {
    const int count = std::min<int>(C, m.cols() - first);
    m.middleCols(first, count) = panel.leftCols(count);
}

}  // namespace

void Factorisation::forward_solve(Eigen::MatrixXd& b) const {
    auto solve = [&]<int C>(int first) {
        Panel<C> panel = take_panel<C>(b, first);
        forward_solve_panel<C>(panel.data());
        put_panel<C>(panel, first, b);
    };
    for_panels(static_cast<int>(b.cols()), [&](int j) { solve.template operator()<1>(j); },
               [&](int j) { solve.template operator()<wide_panel>(j); });
}

// b (n_random + p by C, by rows) <- R^-1 b
template <int C>
void Factorisation::forward_solve_panel(double* b) const {
    const int t = sums_.n_tail(), p = sums_.n_fixed, n = plan_.tail_size - 1;
    double* fixed = b + plan_.n_random * C;
    for (const HeadNode& node : plan_.head) {
        const int q = node.width;
        const double* rows = &rows_[node.row_block];
        double* x = b + node.first_unknown * C;
        small::forward_solve_panel<C>(&pivot_[node.pivot], x, q);
        if (is_scalar_row(node)) {
            double* tail = b + plan_.factor_first[1] * C;
            for (int c = 0; c < plan_.tail_random; ++c)
                for (int j = 0; j < C; ++j) tail[c * C + j] -= rows[c] * x[j];
            small::subtract_panel_product<C>(fixed, rows + plan_.tail_random, x, p, 1);
            continue;
        }
        auto subtract = [&](int column, int count, double* target) {
            small::subtract_panel_product<C>(target, rows + static_cast<std::size_t>(column) * q, x, count, q);
        };
        for (auto c = node.couplings_begin; c < node.couplings_end; ++c) {
            const Coupling& coupling = plan_.couplings[c];
            subtract(coupling.column, coupling.width, b + coupling.first_unknown * C);
        }
        subtract(node.columns - t, p, fixed);
    }
    Panel<C> x(n, C);
    const auto move = [&](auto copy) {
        for (const TailNode& node : plan_.tail)
            copy(x.data() + static_cast<std::size_t>(node.column) * C, b + node.first_unknown * C, node.width * C);
        copy(x.data() + static_cast<std::size_t>(plan_.tail_random) * C, fixed, p * C);
    };
    move([](double* in_tail, const double* given, int count) { std::copy_n(given, count, in_tail); });
    const Eigen::Map<const Eigen::MatrixXd> tail(tail_.data(), plan_.tail_size, plan_.tail_size);
    tail.topLeftCorner(n, n).template triangularView<Eigen::Lower>().solveInPlace(x);
    move([](const double* in_tail, double* given, int count) { std::copy_n(in_tail, count, given); });
}

void Factorisation::backward_solve(Eigen::VectorXd& b) const {
    const int p = sums_.n_fixed, t = sums_.n_tail(), n = plan_.tail_random + p;
    Eigen::VectorXd x(n);
    for (const TailNode& node : plan_.tail) x.segment(node.column, node.width) = b.segment(node.first_unknown, node.width);
    x.tail(p) = b.tail(p);
    const Eigen::Map<const Eigen::MatrixXd> tail(tail_.data(), plan_.tail_size, plan_.tail_size);
    tail.topLeftCorner(n, n).triangularView<Eigen::Lower>().transpose().solveInPlace(x);
    for (const TailNode& node : plan_.tail) b.segment(node.first_unknown, node.width) = x.segment(node.column, node.width);
    b.tail(p) = x.tail(p);
    for (auto node = plan_.head.rbegin(); node != plan_.head.rend(); ++node) {
        const int q = node->width;
        const double* rows = &rows_[node->row_block];
        double* u = &b(node->first_unknown);
        for (int c = 0; c < p; ++c)
            for (int r = 0; r < q; ++r)
                u[r] -= rows[static_cast<std::size_t>(node->columns - t + c) * q + r] * x(plan_.tail_random + c);
        if (is_scalar_row(*node)) {
            const int random = plan_.tail_random;
            u[0] = (u[0] - Eigen::Map<const Eigen::VectorXd>(rows, random).dot(b.segment(plan_.factor_first[1], random))) /
                   pivot_[node->pivot];
            continue;
        }
        for (auto c = node->couplings_begin; c < node->couplings_end; ++c) {
            const Coupling& coupling = plan_.couplings[c];
            for (int i = 0; i < coupling.width; ++i)
                for (int r = 0; r < q; ++r)
                    u[r] -= rows[static_cast<std::size_t>(coupling.column + i) * q + r] * b(coupling.first_unknown + i);
        }
        small::backward_solve(&pivot_[node->pivot], u, q);
    }
}

// What v'Z'PZ v is made of, for a panel of columns of v: Z'WZ v, and R^-1 [L'Z'WZ v ; X'WZ v].
template <int C>
void Factorisation::project_panel(const Eigen::MatrixXd& v, int first, Eigen::MatrixXd& random,
                                  Eigen::MatrixXd& solved) const {
    const int p = sums_.n_fixed, t = sums_.n_tail();
    const Panel<C> x = take_panel<C>(v, first);
    Panel<C> product = Panel<C>::Zero(x.rows(), C), b = Panel<C>::Zero(x.rows() + p, C);
    add_random_crossproduct<C>(x.data(), product.data());
    for (std::size_t k = 0; k < sums_.factors.size(); ++k) {
        const int q = sums_.factors[k].width;
        for (int a = 0; a < sums_.factors[k].levels; ++a) {
            const auto level = static_cast<std::size_t>(a) * q, at = (plan_.factor_first[k] + level) * C;
            small::add_transposed_panel_product<C>(b.data() + at, Trow_[k].data(), product.data() + at, q, q);
            for (int r = 0; r < q; ++r)
                small::add_panel_product<C>(b.data() + x.size(), &sums_.tail[k][(level + r) * t], x.data() + at + r * C, p, 1);
        }
    }
    forward_solve_panel<C>(b.data());
    put_panel<C>(product, first, random);
    put_panel<C>(b, first, solved);
}

Eigen::MatrixXd Factorisation::projected_crossproduct(const Eigen::MatrixXd& v) const {
    Eigen::MatrixXd random(v.rows(), v.cols()), solved(v.rows() + sums_.n_fixed, v.cols());
    for_panels(static_cast<int>(v.cols()), [&](int j) { project_panel<1>(v, j, random, solved); },
               [&](int j) { project_panel<wide_panel>(v, j, random, solved); });
    Eigen::MatrixXd product = v.transpose() * random;
    product.noalias() -= solved.transpose() * solved;
    return product;
}

}  // namespace multilevel
