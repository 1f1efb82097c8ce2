#include "factorisation.hpp"

#include <atomic>
#include <cmath>

#include "dense.hpp"
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

// The rows x columns block of an original cross-product, whichever way round it is stored.
void read_block(double* out, const double* block, bool transposed, int rows, int columns) {
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j)
            out[i * columns + j] = transposed ? block[j * rows + i] : block[i * columns + j];
}

// Memory for the small blocks of one node, kept by each thread.
double* scratch(std::size_t size) {
    thread_local std::vector<double> memory;
    if (memory.size() < size) memory.resize(size);
    return memory.data();
}

double* zeroed_scratch(std::size_t size) {
    double* memory = scratch(size);
    std::fill(memory, memory + size, 0.0);
    return memory;
}

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

// Work is shared in tasks of about this many nodes; their number depends on the problem only.
constexpr std::size_t nodes_a_task = 64;

// visit(i) for i in [begin, end), shared among threads.
template <class Visit>
void parallel_nodes(std::size_t begin, std::size_t end, Visit visit) {
    const std::size_t tasks = (end - begin + nodes_a_task - 1) / nodes_a_task;
    parallel_for(static_cast<int>(tasks), [&](int task) {
        const std::size_t from = begin + task * nodes_a_task;
        for (std::size_t i = from; i < std::min(end, from + nodes_a_task); ++i) visit(i);
    });
}

}  // namespace

Factorisation::Factorisation(const CrossProducts& sums, const Plan& plan)
    : sums_(sums),
      plan_(plan),
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
    if (plan_.full_leaves.empty()) return;
    stack_full_leaves(rows_);
    dense::subtract_crossproduct(tail_.data(), plan_.tail_size, stacked_.data(), plan_.full_rows);
}

// The columns of X and y lose B'B of every leaf that is not full.
void Factorisation::subtract_endings() {
    const int t = sums_.n_tail();
    const int tasks = static_cast<int>(std::clamp<std::size_t>(plan_.leaves / 1024, 1, 16));
    std::vector<double> part(static_cast<std::size_t>(tasks) * t * t, 0.0);
    parallel_for(tasks, [&](int task) {
        double* sum = &part[static_cast<std::size_t>(task) * t * t];
        const auto leaves = static_cast<std::int64_t>(plan_.leaves);
        for (auto leaf = leaves * task / tasks; leaf < leaves * (task + 1) / tasks; ++leaf) {
            const HeadNode& node = plan_.head[leaf];
            if (is_full(node)) continue;
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

// visit(node, first row) for each full leaf, on several threads.
template <class Visit>
void Factorisation::for_full_leaves(Visit visit) const {
    const int width = sums_.factors[0].width;
    parallel_nodes(0, plan_.full_leaves.size(), [&](std::size_t i) {
        visit(plan_.head[plan_.full_leaves[i]], static_cast<int>(i) * width);
    });
}

// Row blocks of the full leaves, one below another.
void Factorisation::stack_full_leaves(const std::vector<double>& row_blocks) {
    stacked_.resize(static_cast<std::size_t>(plan_.full_rows) * plan_.tail_size);
    for_full_leaves([&](const HeadNode& node, int row) {
        for (int c = 0; c < node.columns; ++c)
            std::copy_n(&row_blocks[node.row_block + static_cast<std::size_t>(c) * node.width], node.width,
                        &stacked_[static_cast<std::size_t>(c) * plan_.full_rows + row]);
    });
}

// S_row of the full leaves.
void Factorisation::invert_full_rows() {
    stack_full_leaves(solved_);
    std::vector<double> inverse(stacked_.size());
    dense::negative_product(stacked_.data(), plan_.full_rows, tail_inverse_.data(), plan_.tail_size, inverse.data());
    for_full_leaves([&](const HeadNode& node, int row) {
        for (int c = 0; c < node.columns; ++c)
            std::copy_n(&inverse[static_cast<std::size_t>(c) * plan_.full_rows + row], node.width,
                        &inverse_rows_[node.row_block + static_cast<std::size_t>(c) * node.width]);
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

// ---- what R says ----

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

void Factorisation::backward_solve_random(Eigen::VectorXd& b) const {
    const int n = plan_.tail_random;
    Eigen::VectorXd x(n);
    for (const TailNode& node : plan_.tail) x.segment(node.column, node.width) = b.segment(node.first_unknown, node.width);
    const Eigen::Map<const Eigen::MatrixXd> tail(tail_.data(), plan_.tail_size, plan_.tail_size);
    tail.topLeftCorner(n, n).triangularView<Eigen::Lower>().transpose().solveInPlace(x);
    for (const TailNode& node : plan_.tail) b.segment(node.first_unknown, node.width) = x.segment(node.column, node.width);
    for (auto node = plan_.head.rbegin(); node != plan_.head.rend(); ++node) {
        const int q = node->width;
        const double* rows = &rows_[node->row_block];
        double* u = &b(node->first_unknown);
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

// ---- the selected inverse ----
//
// With D = L L' a node's pivot and K = D^-1 A_row:  S_row = -K S_later,  S_own = D^-1 + K S_later K'.

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
        if (!plan_.full_leaves.empty()) invert_full_rows();
        parallel_nodes(0, leaves, [&](std::size_t i) {
            if (!is_full(plan_.head[i])) invert_leaf_ending(plan_.head[i]);
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

void Factorisation::solve_leaf(const HeadNode& node) {
    const int q = node.width;
    const std::size_t size = static_cast<std::size_t>(node.columns) * q;
    double* k = &solved_[node.row_block];
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
    double *own = &inverse_pivot_[node.pivot], *unit = scratch(q);
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
