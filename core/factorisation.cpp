#include "factorisation.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "dense.hpp"
#include "factorisation_parts.hpp"
#include "small.hpp"
#include "threads.hpp"

namespace multilevel {
namespace {

std::vector<double> row_major(const Eigen::MatrixXd& m) {
    std::vector<double> out(m.size());
    for (int i = 0; i < m.rows(); ++i)
        for (int j = 0; j < m.cols(); ++j) out[i * m.cols() + j] = m(i, j);
    return out;
}

}  // namespace

Factorisation::Factorisation(const CrossProducts& sums, const Plan& plan)
    : sums_(sums),
      plan_(plan),
      scalar_(std::all_of(sums.factors.begin(), sums.factors.end(), [](const Factor& f) { return f.width == 1; })),
      pivot_(plan.pivots),
      rows_(plan.row_blocks),
      tail_(static_cast<std::size_t>(plan.tail_size) * plan.tail_size) {}

bool Factorisation::factorise(const std::vector<Eigen::MatrixXd>& factor_T) {
    if (current_ && factor_T == T_) return true;
    current_ = false;
    T_ = factor_T;
    Trow_.clear();
    for (const auto& T : T_) Trow_.push_back(row_major(T));
    const std::size_t leaves = plan_.leaves, head = plan_.head.size();
    std::atomic<bool> definite{true};
    parallel_nodes(0, leaves, [&](std::size_t i) {
        fill_node(plan_.head[i]);
        if (!eliminate(plan_.head[i])) definite = false;
    });
    if (!definite) return false;
    parallel_nodes(leaves, head, [&](std::size_t i) {
        fill_node(plan_.head[i]);
        update_from_leaves(i);
    });
    fill_tail();
    update_tail_from_leaves();
    for (std::size_t i = leaves; i < head; ++i) {
        if (!eliminate(plan_.head[i])) return false;
        update_later(plan_.head[i]);
    }
    current_ = dense::cholesky(tail_.data(), plan_.tail_size);
    return current_;
}

// ---- forming A ----

void Factorisation::fill_node(const HeadNode& node) {
    const int q = node.width, t = sums_.n_tail();
    const double* T = Trow_[node.factor].data();
    const double* own = &sums_.diag[node.factor][static_cast<std::size_t>(node.level) * q * q];
    const double* tail = &sums_.tail[node.factor][static_cast<std::size_t>(node.level) * q * t];
    double* pivot = &pivot_[node.pivot];
    double* rows = &rows_[node.row_block];
    if (q == 1) {
        pivot[0] = T[0] * own[0] * T[0] + 1.0;
        if (is_scalar_row(node)) {
            for_scalar_blocks(node, [&](const double* block, int column, int count, std::size_t factor) {
                const double scale = T[0] * Trow_[factor][0];
                for (int c = 0; c < count; ++c) rows[column + c] = scale * block[c];
            });
            for (int c = 0; c < t; ++c) rows[node.columns - t + c] = T[0] * tail[c];
            return;
        }
        std::fill(rows, rows + node.columns - t, 0.0);
        for (int c = 0; c < t; ++c) rows[node.columns - t + c] = T[0] * tail[c];
    } else {
        double *right = zeroed_scratch(static_cast<std::size_t>(q) * (q + t)), *tail_rows = right + q * q;
        small::add_product(right, own, T, q, q, q);
        std::fill(pivot, pivot + q * q, 0.0);
        small::add_transposed_product(pivot, T, right, q, q, q);
        for (int r = 0; r < q; ++r) pivot[r * q + r] += 1.0;
        std::fill(rows, rows + static_cast<std::size_t>(node.columns) * q, 0.0);
        small::add_transposed_product(tail_rows, T, tail, q, q, t);
        for (int c = 0; c < t; ++c)
            for (int r = 0; r < q; ++r) rows[(node.columns - t + c) * q + r] = tail_rows[r * t + c];
    }
    for (auto b = node.blocks_begin; b < node.blocks_end; ++b) fill_coupling(node, plan_.blocks[b]);
}

void Factorisation::fill_coupling(const HeadNode& node, const OriginalBlock& original) {
    const Coupling& c = plan_.couplings[node.couplings_begin + original.coupling];
    const int q = node.width, w = c.width;
    double* out = &rows_[node.row_block + static_cast<std::size_t>(c.column) * q];
    const double *T = Trow_[node.factor].data(), *Tother = Trow_[c.factor].data();
    if (q == 1 && w == 1) {
        out[0] = T[0] * original.block[0] * Tother[0];
        return;
    }
    double *right = zeroed_scratch(3 * static_cast<std::size_t>(q) * w), *product = right + q * w, *block = product + q * w;
    read_block(block, original.block, original.transposed, q, w);
    small::add_product(right, block, Tother, q, w, w);
    small::add_transposed_product(product, T, right, q, q, w);
    for (int j = 0; j < w; ++j)
        for (int r = 0; r < q; ++r) out[j * q + r] = product[r * w + j];
}

void Factorisation::fill_tail() {
    const int t = sums_.n_tail(), random = plan_.tail_random;
    std::fill(tail_.begin(), tail_.end(), 0.0);
    for (int i = 0; i < t; ++i)
        for (int j = 0; j <= i; ++j) tail_at(random + i, random + j) = sums_.fixed[i * t + j];
    for (const TailNode& node : plan_.tail) {
        const int q = node.width;
        const double* T = Trow_[node.factor].data();
        const double* own = &sums_.diag[node.factor][static_cast<std::size_t>(node.level) * q * q];
        const double* tail = &sums_.tail[node.factor][static_cast<std::size_t>(node.level) * q * t];
        std::vector<double> right(q * q, 0.0), pivot(q * q, 0.0), rows(q * t, 0.0);
        small::add_product(right.data(), own, T, q, q, q);
        small::add_transposed_product(pivot.data(), T, right.data(), q, q, q);
        small::add_transposed_product(rows.data(), T, tail, q, q, t);
        for (int i = 0; i < q; ++i) {
            for (int j = 0; j <= i; ++j)
                tail_at(node.column + i, node.column + j) = pivot[i * q + j] + (i == j ? 1.0 : 0.0);
            for (int c = 0; c < t; ++c) tail_at(random + c, node.column + i) = rows[i * t + c];
        }
    }
    for (const TailBlock& b : plan_.tail_blocks) {
        const TailNode &first = plan_.tail[b.first], &second = plan_.tail[b.second];
        const int q = first.width, w = second.width;
        std::vector<double> right(q * w, 0.0), product(q * w, 0.0);
        small::add_product(right.data(), b.block, Trow_[second.factor].data(), q, w, w);
        small::add_transposed_product(product.data(), Trow_[first.factor].data(), right.data(), q, q, w);
        for (int i = 0; i < q; ++i)
            for (int j = 0; j < w; ++j) {
                const int r = first.column + i, c = second.column + j;
                tail_at(std::max(r, c), std::min(r, c)) = product[i * w + j];
            }
    }
}

// ---- elimination ----

bool Factorisation::eliminate(const HeadNode& node) {
    const int q = node.width;
    double* pivot = &pivot_[node.pivot];
    double* rows = &rows_[node.row_block];
    if (q == 1) {
        if (!(pivot[0] > 0.0)) return false;
        pivot[0] = std::sqrt(pivot[0]);
        const double inverse = 1.0 / pivot[0];
        for (int c = 0; c < node.columns; ++c) rows[c] *= inverse;
        return true;
    }
    if (!small::cholesky(pivot, q)) return false;
    for (int c = 0; c < node.columns; ++c) small::forward_solve(pivot, rows + static_cast<std::size_t>(c) * q, q);
    return true;
}

const Coupling& Factorisation::coupling_with(const HeadNode& node, int order) const {
    const auto begin = plan_.couplings.begin() + node.couplings_begin;
    const auto end = plan_.couplings.begin() + node.couplings_end;
    return *std::lower_bound(begin, end, order,
                             [](const Coupling& c, int p) { return c.order < p; });
}

// A later node of the head that `node` is coupled with: its pivot and row block lose B_c'B.
void Factorisation::update_head_target(const HeadNode& node, const Coupling& coupling) {
    const HeadNode& target = plan_.head[coupling.position];
    const int q = node.width, w = target.width, t = sums_.n_tail();
    const double* rows = &rows_[node.row_block];
    auto subtract = [&](double* out, int row_stride, int column_stride, int first, int count) {
        for (int j = 0; j < count; ++j)
            for (int i = 0; i < w; ++i) {
                double dot = 0.0;
                for (int r = 0; r < q; ++r) dot += rows[(coupling.column + i) * q + r] * rows[(first + j) * q + r];
                out[i * row_stride + j * column_stride] -= dot;
            }
    };
    subtract(&pivot_[target.pivot], w, 1, coupling.column, w);
    double* out = &rows_[target.row_block];
    for (const Coupling* later = &coupling + 1; later != &plan_.couplings[0] + node.couplings_end; ++later) {
        const Coupling& place = coupling_with(target, later->order);
        subtract(out + static_cast<std::size_t>(place.column) * w, 1, w, later->column, later->width);
    }
    subtract(out + static_cast<std::size_t>(target.columns - t) * w, 1, w, node.columns - t, t);
}

void Factorisation::update_from_leaves(std::size_t head) {
    const auto list = head - plan_.leaves;
    for (auto e = plan_.of_head.begin[list]; e < plan_.of_head.begin[list + 1]; ++e) {
        const Incidence& incidence = plan_.of_head.entries[e];
        update_head_target(plan_.head[incidence.leaf], plan_.couplings[incidence.coupling]);
    }
}

// The tail loses B'B of every leaf, a column at a time: a column stays in cache and has one writer.
void Factorisation::update_tail_from_leaves() {
    parallel_nodes(0, plan_.tail.size(), [&](std::size_t i) {
        for (auto e = plan_.of_tail.begin[i]; e < plan_.of_tail.begin[i + 1]; ++e) {
            const Incidence& incidence = plan_.of_tail.entries[e];
            const HeadNode& node = plan_.head[incidence.leaf];
            const int q = node.width, first = plan_.couplings[incidence.coupling].column;
            const double* rows = &rows_[node.row_block];
            const int* to = tail_columns(node);
            for (int j = first; j < first + plan_.tail[i].width; ++j) {
                double* column = &tail_at(0, to[j]);
                if (q == 1) {
                    const double factor = rows[j];
                    for (int a = j; a < node.columns; ++a) column[to[a]] -= factor * rows[a];
                    continue;
                }
                for (int a = j; a < node.columns; ++a) {
                    double dot = 0.0;
                    for (int r = 0; r < q; ++r) dot += rows[a * q + r] * rows[j * q + r];
                    column[to[a]] -= dot;
                }
            }
        }
    });
    subtract_endings();
    if (plan_.wide_leaves.empty()) return;
    stack_wide_leaves(rows_);
    dense::subtract_crossproduct(tail_.data(), plan_.tail_size, stacked_.data(), plan_.wide_rows);
}

// The columns of X and y lose B'B of every leaf that is not wide.
void Factorisation::subtract_endings() {
    const int t = sums_.n_tail();
    const int tasks = static_cast<int>(std::clamp<std::size_t>(plan_.leaves / 1024, 1, 16));
    std::vector<double> part(static_cast<std::size_t>(tasks) * t * t, 0.0);
    parallel_for(tasks, [&](int task) {
        double* sum = &part[static_cast<std::size_t>(task) * t * t];
        const auto leaves = static_cast<std::int64_t>(plan_.leaves);
        for (auto leaf = leaves * task / tasks; leaf < leaves * (task + 1) / tasks; ++leaf) {
            const HeadNode& node = plan_.head[leaf];
            if (node.wide) continue;
            const double* rows = &rows_[node.row_block + static_cast<std::size_t>(node.columns - t) * node.width];
            for (int i = 0; i < t; ++i)
                for (int j = 0; j <= i; ++j)
                    for (int r = 0; r < node.width; ++r) sum[i * t + j] += rows[i * node.width + r] * rows[j * node.width + r];
        }
    });
    for (int task = 0; task < tasks; ++task)
        for (int i = 0; i < t; ++i)
            for (int j = 0; j <= i; ++j)
                tail_at(plan_.tail_random + i, plan_.tail_random + j) -= part[(static_cast<std::size_t>(task) * t + i) * t + j];
}

// Row blocks of the wide leaves, one below another; zero where a leaf meets no node.
void Factorisation::stack_wide_leaves(const std::vector<double>& row_blocks) {
    stacked_.resize(static_cast<std::size_t>(plan_.wide_rows) * plan_.tail_size);
    for_wide_leaves([&](const HeadNode& node, int row) {
        const double* from = &row_blocks[node.row_block];
        const int* to = tail_columns(node);
        if (node.width == 1) {
            for (int c = 0; c < node.columns; ++c) stacked_[static_cast<std::size_t>(to[c]) * plan_.wide_rows + row] = from[c];
            return;
        }
        for (int c = 0; c < node.columns; ++c)
            std::copy_n(from + static_cast<std::size_t>(c) * node.width, node.width,
                        &stacked_[static_cast<std::size_t>(to[c]) * plan_.wide_rows + row]);
    });
}

// A node of the head after the leaves, once eliminated, changes all it is coupled with.
void Factorisation::update_later(const HeadNode& node) {
    const int q = node.width, t = sums_.n_tail();
    int first = node.columns - t;  // first column of the row block that lies in the tail
    for (std::size_t c = node.couplings_begin; c < node.couplings_end; ++c) {
        const Coupling& coupling = plan_.couplings[c];
        if (coupling.position >= 0)
            update_head_target(node, coupling);
        else
            first = std::min(first, coupling.column);
    }
    const double* rows = &rows_[node.row_block];
    const int* to = tail_columns(node);
    for (int j = first; j < node.columns; ++j) {
        double* column = &tail_at(0, to[j]);
        for (int i = j; i < node.columns; ++i) {
            double dot = 0.0;
            for (int r = 0; r < q; ++r) dot += rows[i * q + r] * rows[j * q + r];
            column[to[i]] -= dot;
        }
    }
}

}  // namespace multilevel
