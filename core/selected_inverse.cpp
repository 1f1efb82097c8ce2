// The entries of R^-T W R^-1 that are needed, and the slope of the criterion in T which they give.
//
// With D = L L' a node's pivot and K = D^-1 A_row:  S_row = -K S_later,  S_own = D^-1 + K S_later K'.
#include <cmath>

#include "dense.hpp"
#include "factorisation_parts.hpp"
#include "small.hpp"

namespace multilevel {
namespace {

// sum += left (a x b) middle (b x b) right (b x a): one term of d criterion / dT
void add_gradient_term(std::vector<double>& sum, const double* left, const double* middle, const double* right,
                       int a, int b) {
    if (a == 1 && b == 1) {
        sum[0] += left[0] * middle[0] * right[0];
        return;
    }
    double* inner = zeroed_scratch(static_cast<std::size_t>(b) * a);
    small::add_product(inner, middle, right, b, b, a);
    small::add_product(sum.data(), left, inner, a, b, a);
}

}  // namespace

void Factorisation::invert_selected(TailWeights weights) {
    const int n = plan_.tail_size;
    std::vector<double> roots(n, 1.0);
    std::fill_n(roots.begin() + plan_.tail_random, sums_.n_fixed, std::sqrt(weights.fixed));
    roots[n - 1] = std::sqrt(weights.response);
    tail_inverse_.resize(static_cast<std::size_t>(n) * n);
    dense::weighted_inverse(tail_.data(), roots, n, tail_inverse_.data());

    solved_.resize(plan_.row_blocks);
    inverse_pivot_.resize(plan_.pivots);
    inverse_rows_.resize(plan_.row_blocks);
    const std::size_t leaves = plan_.leaves;
    std::vector<double> local;
    for (std::size_t i = plan_.head.size(); i-- > leaves;) {
        solve_leaf(plan_.head[i]);
        invert_node(plan_.head[i], local);
    }
    if (plan_.leaves_meet_tail) {
        parallel_nodes(0, leaves, [&](std::size_t i) { solve_leaf(plan_.head[i]); });
        parallel_nodes(0, plan_.tail.size(), [&](std::size_t i) { invert_leaf_columns(i); });
        if (!plan_.wide_leaves.empty()) invert_wide_rows();
        parallel_nodes(0, leaves, [&](std::size_t i) {
            if (!plan_.head[i].wide) invert_leaf_ending(plan_.head[i]);
            invert_pivot(plan_.head[i]);
        });
    } else {
        parallel_nodes(0, leaves, [&](std::size_t i) {
            thread_local std::vector<double> mine;
            solve_leaf(plan_.head[i]);
            invert_node(plan_.head[i], mine);
        });
    }
    read_diagonal_blocks();
}

// S_row of the wide leaves.
void Factorisation::invert_wide_rows() {
    stack_wide_leaves(solved_);
    std::vector<double> inverse(stacked_.size());
    dense::negative_product(stacked_.data(), plan_.wide_rows, tail_inverse_.data(), plan_.tail_size, inverse.data());
    for_wide_leaves([&](const HeadNode& node, int row) {
        double* to = &inverse_rows_[node.row_block];
        const int* from = tail_columns(node);
        if (node.width == 1) {
            for (int c = 0; c < node.columns; ++c) to[c] = inverse[static_cast<std::size_t>(from[c]) * plan_.wide_rows + row];
            return;
        }
        for (int c = 0; c < node.columns; ++c)
            std::copy_n(&inverse[static_cast<std::size_t>(from[c]) * plan_.wide_rows + row], node.width,
                        to + static_cast<std::size_t>(c) * node.width);
    });
}

void Factorisation::solve_leaf(const HeadNode& node) {
    const int q = node.width;
    const std::size_t size = static_cast<std::size_t>(node.columns) * q;
    double* k = &solved_[node.row_block];
    if (q == 1) {
        const double inverse = 1.0 / pivot_[node.pivot];
        for (int c = 0; c < node.columns; ++c) k[c] = inverse * rows_[node.row_block + c];
        return;
    }
    std::copy_n(&rows_[node.row_block], size, k);
    for (std::size_t c = 0; c < size; c += q) small::backward_solve(&pivot_[node.pivot], k + c, q);
}

// S_row of all leaves coupled with a tail node, in that node's columns: the tail's column stays in cache.
void Factorisation::invert_leaf_columns(std::size_t tail_node) {
    const TailNode& tail = plan_.tail[tail_node];
    for (auto e = plan_.of_tail.begin[tail_node]; e < plan_.of_tail.begin[tail_node + 1]; ++e) {
        const Incidence& incidence = plan_.of_tail.entries[e];
        const HeadNode& node = plan_.head[incidence.leaf];
        const int q = node.width, first = plan_.couplings[incidence.coupling].column;
        const int* to = tail_columns(node);
        const double* k = &solved_[node.row_block];
        for (int c = 0; c < tail.width; ++c) {
            const double* column = &tail_inverse_[static_cast<std::size_t>(tail.column + c) * plan_.tail_size];
            double* out = &inverse_rows_[node.row_block + static_cast<std::size_t>(first + c) * q];
            if (q == 1) {
                double dot = 0.0;
                for (int d = 0; d < node.columns; ++d) dot += k[d] * column[to[d]];
                out[0] = -dot;
                continue;
            }
            std::fill(out, out + q, 0.0);
            for (int d = 0; d < node.columns; ++d)
                for (int r = 0; r < q; ++r) out[r] -= k[static_cast<std::size_t>(d) * q + r] * column[to[d]];
        }
    }
}

// S_row of a leaf in the columns of X and y.
void Factorisation::invert_leaf_ending(const HeadNode& node) {
    const int q = node.width, t = sums_.n_tail();
    const int* to = tail_columns(node);
    const double* k = &solved_[node.row_block];
    for (int c = node.columns - t; c < node.columns; ++c) {
        const double* column = &tail_inverse_[static_cast<std::size_t>(to[c]) * plan_.tail_size];
        double* out = &inverse_rows_[node.row_block + static_cast<std::size_t>(c) * q];
        std::fill(out, out + q, 0.0);
        for (int d = 0; d < node.columns; ++d)
            for (int r = 0; r < q; ++r) out[r] -= k[static_cast<std::size_t>(d) * q + r] * column[to[d]];
    }
}

// S_own = D^-1 - S_row K'
void Factorisation::invert_pivot(const HeadNode& node) {
    const int q = node.width;
    const double *pivot = &pivot_[node.pivot], *k = &solved_[node.row_block], *rows = &inverse_rows_[node.row_block];
    double* own = &inverse_pivot_[node.pivot];
    if (q == 1) {
        using Row = Eigen::Map<const Eigen::VectorXd>;
        own[0] = 1.0 / (pivot[0] * pivot[0]) - Row(rows, node.columns).dot(Row(k, node.columns));
        return;
    }
    double* unit = scratch(q);
    for (int c = 0; c < q; ++c) {
        std::fill(unit, unit + q, 0.0);
        unit[c] = 1.0;
        small::forward_solve(pivot, unit, q);
        small::backward_solve(pivot, unit, q);
        for (int r = 0; r < q; ++r) own[r * q + c] = unit[r];
    }
    for (int c = 0; c < node.columns; ++c)
        for (int i = 0; i < q; ++i)
            for (int j = 0; j < q; ++j)
                own[i * q + j] -= rows[static_cast<std::size_t>(c) * q + i] * k[static_cast<std::size_t>(c) * q + j];
}

void Factorisation::invert_node(const HeadNode& node, std::vector<double>& local) {
    const int q = node.width, m = node.columns;
    local.resize(std::max(local.size(), static_cast<std::size_t>(m) * m));
    gather_inverse(node, local);
    const double* k = &solved_[node.row_block];
    for (int c = 0; c < m; ++c) {
        const double* later = &local[static_cast<std::size_t>(c) * m];
        double* out = &inverse_rows_[node.row_block + static_cast<std::size_t>(c) * q];
        std::fill(out, out + q, 0.0);
        for (int d = 0; d < m; ++d)
            for (int r = 0; r < q; ++r) out[r] -= later[d] * k[static_cast<std::size_t>(d) * q + r];
    }
    invert_pivot(node);
}

// The inverse over a node's couplings, X and y: local is columns x columns.
void Factorisation::gather_inverse(const HeadNode& node, std::vector<double>& local) const {
    for (auto c = node.couplings_begin; c < node.couplings_end; ++c)
        if (plan_.couplings[c].position >= 0) gather_head_inverse(node, c, local);
    gather_tail_inverse(node, local);
}

// Between a coupling inside the head and everything after it, from that node's own blocks.
void Factorisation::gather_head_inverse(const HeadNode& node, std::size_t c, std::vector<double>& local) const {
    const Coupling& coupling = plan_.couplings[c];
    const HeadNode& later = plan_.head[coupling.position];
    const int m = node.columns, w = coupling.width, t = sums_.n_tail();
    auto copy = [&](const double* rows, int column, int count) {  // rows: column-major w x count
        for (int j = 0; j < count; ++j)
            for (int i = 0; i < w; ++i)
                local[static_cast<std::size_t>(coupling.column + i) * m + column + j] =
                    local[static_cast<std::size_t>(column + j) * m + coupling.column + i] = rows[j * w + i];
    };
    copy(&inverse_pivot_[later.pivot], coupling.column, w);
    const double* rows = &inverse_rows_[later.row_block];
    for (std::size_t d = c + 1; d < node.couplings_end; ++d) {
        const Coupling& other = plan_.couplings[d];
        copy(rows + static_cast<std::size_t>(coupling_with(later, other.order).column) * w, other.column, other.width);
    }
    copy(rows + static_cast<std::size_t>(later.columns - t) * w, m - t, t);
}

void Factorisation::gather_tail_inverse(const HeadNode& node, std::vector<double>& local) const {
    const int m = node.columns;
    const int* to = tail_columns(node);
    int first = 0;
    while (to[first] < 0) ++first;
    for (int j = first; j < m; ++j) {
        const double* column = &tail_inverse_[static_cast<std::size_t>(to[j]) * plan_.tail_size];
        for (int i = first; i < m; ++i) local[static_cast<std::size_t>(j) * m + i] = column[to[i]];
    }
}

void Factorisation::read_diagonal_blocks() {
    const int p = sums_.n_fixed, random = plan_.tail_random;
    diagonal_.clear();
    against_fixed_.clear();
    for (const Factor& f : sums_.factors) {
        diagonal_.emplace_back(static_cast<std::size_t>(f.levels) * f.width * f.width);
        against_fixed_.emplace_back(static_cast<std::size_t>(f.levels) * f.width * p);
    }
    for (const HeadNode& node : plan_.head) {
        const int q = node.width;
        std::copy_n(&inverse_pivot_[node.pivot], q * q, &diagonal_[node.factor][static_cast<std::size_t>(node.level) * q * q]);
        const double* rows = &inverse_rows_[node.row_block + static_cast<std::size_t>(node.columns - p - 1) * q];
        double* out = against_fixed_[node.factor].data() + static_cast<std::size_t>(node.level) * q * p;
        for (int r = 0; r < q; ++r)
            for (int c = 0; c < p; ++c) out[r * p + c] = rows[c * q + r];
    }
    for (const TailNode& node : plan_.tail) {
        const int q = node.width;
        double* own = &diagonal_[node.factor][static_cast<std::size_t>(node.level) * q * q];
        double* out = against_fixed_[node.factor].data() + static_cast<std::size_t>(node.level) * q * p;
        for (int r = 0; r < q; ++r) {
            for (int c = 0; c < q; ++c) own[r * q + c] = tail_inverse(node.column + r, node.column + c);
            for (int c = 0; c < p; ++c) out[r * p + c] = tail_inverse(node.column + r, random + c);
        }
    }
}

Eigen::MatrixXd Factorisation::fixed_block() const {
    const int p = sums_.n_fixed;
    Eigen::MatrixXd out(p, p);
    for (int i = 0; i < p; ++i)
        for (int j = 0; j < p; ++j) out(i, j) = tail_inverse(plan_.tail_random + i, plan_.tail_random + j);
    return out;
}

std::vector<std::vector<int>> Factorisation::node_orders() const {
    std::vector<std::vector<int>> orders;
    for (const Factor& f : sums_.factors) orders.emplace_back(f.levels);
    int order = 0;
    for (const HeadNode& node : plan_.head) orders[node.factor][node.level] = order++;
    for (const TailNode& node : plan_.tail) orders[node.factor][node.level] = order++;
    return orders;
}

InverseBlock Factorisation::inverse_block(int order, int other) const {
    const auto head = static_cast<int>(plan_.head.size()), earlier = std::min(order, other);
    if (earlier >= head) {
        const std::size_t row = plan_.tail[order - head].column, column = plan_.tail[other - head].column;
        return {&tail_inverse_[column * plan_.tail_size + row], 1, static_cast<std::size_t>(plan_.tail_size)};
    }
    const HeadNode& node = plan_.head[earlier];
    const std::size_t q = node.width, column = coupling_with(node, std::max(order, other)).column;
    const double* block = &inverse_rows_[node.row_block + column * q];
    return order < other ? InverseBlock{block, 1, q} : InverseBlock{block, q, 1};
}

Eigen::MatrixXd Factorisation::tail_block() const {
    const Eigen::Map<const Eigen::MatrixXd> inverse(tail_inverse_.data(), plan_.tail_size, plan_.tail_size);
    return inverse.topLeftCorner(plan_.tail_random, plan_.tail_random);
}

// ---- the gradient: d/dT_k = 2 sum_a sum_b C_ab T_b S_ba over the levels a of factor k ----

void Factorisation::add_node_gradient(const HeadNode& node, FactorSums& sums) const {
    const int q = node.width, t = sums_.n_tail();
    const double* T = Trow_[node.factor].data();
    const double* inverse_rows = &inverse_rows_[node.row_block];
    const auto level = static_cast<std::size_t>(node.level);
    add_gradient_term(sums[node.factor], &sums_.diag[node.factor][level * q * q], T, &inverse_pivot_[node.pivot], q, q);
    // the column-major q x t inverse block is the row-major t x q block that is wanted
    small::add_product(sums[node.factor].data(), &sums_.tail[node.factor][level * q * t],
                       inverse_rows + static_cast<std::size_t>(node.columns - t) * q, q, t, q);
    if (is_scalar_row(node)) {
        for_scalar_blocks(node, [&](const double* block, int column, int count, std::size_t factor) {
            using Row = Eigen::Map<const Eigen::VectorXd>;
            const double product = Row(block, count).dot(Row(inverse_rows + column, count));
            sums[node.factor][0] += product * Trow_[factor][0];
            sums[factor][0] += product * T[0];
        });
        return;
    }
    for (auto b = node.blocks_begin; b < node.blocks_end; ++b) {
        const OriginalBlock& original = plan_.blocks[b];
        const Coupling& c = plan_.couplings[node.couplings_begin + original.coupling];
        const int w = c.width;
        const double* other_by_own = inverse_rows + static_cast<std::size_t>(c.column) * q;
        if (q == 1 && w == 1) {
            const double product = original.block[0] * other_by_own[0];
            sums[node.factor][0] += product * Trow_[c.factor][0];
            sums[c.factor][0] += product * T[0];
            continue;
        }
        thread_local std::vector<double> block, transposed, inverse;
        block.resize(q * w);
        transposed.resize(q * w);
        inverse.resize(q * w);
        read_block(block.data(), original.block, original.transposed, q, w);
        read_block(transposed.data(), original.block, !original.transposed, w, q);
        read_block(inverse.data(), other_by_own, true, q, w);
        add_gradient_term(sums[node.factor], block.data(), Trow_[c.factor].data(), other_by_own, q, w);
        add_gradient_term(sums[c.factor], transposed.data(), T, inverse.data(), w, q);
    }
}

void Factorisation::add_tail_gradient(FactorSums& sums) const {
    const int t = sums_.n_tail(), random = plan_.tail_random;
    auto inverse_block = [&](int row, int rows, int column, int columns) {
        std::vector<double> out(static_cast<std::size_t>(rows) * columns);
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < columns; ++j) out[i * columns + j] = tail_inverse(row + i, column + j);
        return out;
    };
    for (const TailNode& node : plan_.tail) {
        const int q = node.width;
        const auto level = static_cast<std::size_t>(node.level);
        add_gradient_term(sums[node.factor], &sums_.diag[node.factor][level * q * q], Trow_[node.factor].data(),
                          inverse_block(node.column, q, node.column, q).data(), q, q);
        small::add_product(sums[node.factor].data(), &sums_.tail[node.factor][level * q * t],
                           inverse_block(random, t, node.column, q).data(), q, t, q);
    }
    std::vector<double> transposed;
    for (const TailBlock& b : plan_.tail_blocks) {
        const TailNode &first = plan_.tail[b.first], &second = plan_.tail[b.second];
        const int q = first.width, w = second.width;
        transposed.resize(q * w);
        read_block(transposed.data(), b.block, true, w, q);
        add_gradient_term(sums[first.factor], b.block, Trow_[second.factor].data(),
                          inverse_block(second.column, w, first.column, q).data(), q, w);
        add_gradient_term(sums[second.factor], transposed.data(), Trow_[first.factor].data(),
                          inverse_block(first.column, q, second.column, w).data(), w, q);
    }
}

Factorisation::FactorSums Factorisation::zero_sums() const {
    FactorSums sums;
    for (const Factor& f : sums_.factors) sums.emplace_back(static_cast<std::size_t>(f.width) * f.width, 0.0);
    return sums;
}

std::vector<Eigen::MatrixXd> Factorisation::gradient() const {
    const std::size_t head = plan_.head.size();
    const std::size_t tasks = (head + nodes_a_task - 1) / nodes_a_task;
    std::vector<FactorSums> part(tasks + 1);
    parallel_for(static_cast<int>(tasks), [&](int task) {
        part[task] = zero_sums();
        for (std::size_t i = task * nodes_a_task; i < std::min(head, (task + 1) * nodes_a_task); ++i)
            add_node_gradient(plan_.head[i], part[task]);
    });
    part[tasks] = zero_sums();
    add_tail_gradient(part[tasks]);
    FactorSums sums = zero_sums();
    for (const FactorSums& p : part)
        for (std::size_t k = 0; k < sums.size(); ++k)
            for (std::size_t i = 0; i < sums[k].size(); ++i) sums[k][i] += p[k][i];
    std::vector<Eigen::MatrixXd> out;
    for (std::size_t k = 0; k < sums.size(); ++k) {
        using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        const int q = sums_.factors[k].width;
        out.push_back(2.0 * Eigen::Map<const RowMajor>(sums[k].data(), q, q));
    }
    return out;
}

}  // namespace multilevel
