#include "plan.hpp"

#include <Eigen/OrderingMethods>
#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace multilevel {
namespace {

// Dense factorisation and inversion run at several times the speed of node-by-node elimination.
constexpr double dense_speed = 6.0;
// A remainder this small is dense whatever its pattern: nothing can be gained.
constexpr int always_dense = 16;

// Leaves that fill such a share of the tail's columns are treated as one matrix, padded with zeros, from this many rows
// on: few beside a tail that is wide enough for BLAS, more beside a narrow one, whose plain loops must be long to pay.
constexpr int wide_tail = 48, narrow_tail = 8;
constexpr int rows_beside_wide = 8, rows_beside_narrow = 64;
constexpr double share_of_wide = 0.33, share_of_narrow = 0.75;

// A node's neighbours among the nodes of other factors.
struct Neighbour {
    int node;
    const double* block;
    bool transposed;  // the block is stored with the neighbour's rows first
};

struct Graph {
    std::vector<int> factor, level, width;
    std::vector<std::size_t> start;
    std::vector<Neighbour> neighbours;

    int size() const { return static_cast<int>(factor.size()); }
};

std::vector<int> first_nodes(const CrossProducts& sums) {
    std::vector<int> first{0};
    for (const Factor& f : sums.factors) first.push_back(first.back() + f.levels);
    return first;
}

Graph build_graph(const CrossProducts& sums) {
    const std::vector<int> first = first_nodes(sums);
    Graph g;
    for (std::size_t k = 0; k < sums.factors.size(); ++k)
        for (int a = 0; a < sums.factors[k].levels; ++a) {
            g.factor.push_back(static_cast<int>(k));
            g.level.push_back(a);
            g.width.push_back(sums.factors[k].width);
        }
    g.start.assign(g.size() + 1, 0);
    for (const PairBlocks& pairs : sums.pairs)
        for (int a = 0; a < sums.factors[pairs.first].levels; ++a)
            for (auto e = pairs.start[a]; e < pairs.start[a + 1]; ++e) {
                ++g.start[first[pairs.first] + a + 1];
                ++g.start[first[pairs.second] + pairs.level[e] + 1];
            }
    std::partial_sum(g.start.begin(), g.start.end(), g.start.begin());
    g.neighbours.resize(g.start.back());
    std::vector<std::size_t> next(g.start.begin(), g.start.end() - 1);
    for (const PairBlocks& pairs : sums.pairs) {
        const int size = sums.factors[pairs.first].width * sums.factors[pairs.second].width;
        for (int a = 0; a < sums.factors[pairs.first].levels; ++a)
            for (auto e = pairs.start[a]; e < pairs.start[a + 1]; ++e) {
                const int u = first[pairs.first] + a, v = first[pairs.second] + pairs.level[e];
                const double* block = &pairs.block[e * size];
                g.neighbours[next[u]++] = {v, block, false};
                g.neighbours[next[v]++] = {u, block, true};
            }
    }
    return g;
}

// Pattern of the remainder (nodes from `leaves` on) once the leaves are eliminated; empty if it is so full
// that it had better be dense.
std::vector<std::vector<int>> remainder_pattern(const Graph& g, int leaves) {
    const int n = g.size() - leaves;
    const double all_pairs = 0.5 * n * n;
    double visits = 0.0;
    for (int u = 0; u < leaves; ++u) visits += 0.5 * std::pow(double(g.start[u + 1] - g.start[u]), 2);
    if (n <= always_dense || visits > 0.5 * all_pairs) return {};
    std::vector<std::vector<int>> pattern(n);
    for (int u = 0; u < leaves; ++u)
        for (auto e = g.start[u]; e < g.start[u + 1]; ++e)
            for (auto f = g.start[u]; f < g.start[u + 1]; ++f)
                if (e != f) pattern[g.neighbours[e].node - leaves].push_back(g.neighbours[f].node - leaves);
    std::size_t entries = 0;
    for (int v = 0; v < n; ++v) {
        auto& row = pattern[v];
        for (auto e = g.start[v + leaves]; e < g.start[v + leaves + 1]; ++e)
            if (g.neighbours[e].node >= leaves) row.push_back(g.neighbours[e].node - leaves);
        std::sort(row.begin(), row.end());
        row.erase(std::unique(row.begin(), row.end()), row.end());
        entries += row.size();
    }
    return static_cast<double>(entries) > 0.4 * all_pairs ? std::vector<std::vector<int>>{} : pattern;
}

std::vector<int> fill_reducing_order(const std::vector<std::vector<int>>& pattern) {
    const int n = static_cast<int>(pattern.size());
    std::vector<Eigen::Triplet<double>> entries;
    for (int v = 0; v < n; ++v) {
        entries.emplace_back(v, v, 1.0);
        for (int u : pattern[v]) entries.emplace_back(v, u, 1.0);
    }
    Eigen::SparseMatrix<double> matrix(n, n);
    matrix.setFromTriplets(entries.begin(), entries.end());
    Eigen::PermutationMatrix<Eigen::Dynamic, Eigen::Dynamic, int> permutation;
    Eigen::AMDOrdering<int>()(matrix, permutation);
    return {permutation.indices().data(), permutation.indices().data() + n};
}

// For each node of the remainder in elimination order: the later nodes it is coupled with, as positions.
std::vector<std::vector<int>> symbolic_elimination(const std::vector<std::vector<int>>& pattern,
                                                   const std::vector<int>& order) {
    const int n = static_cast<int>(order.size());
    std::vector<int> position(n);
    for (int i = 0; i < n; ++i) position[order[i]] = i;
    std::vector<std::vector<int>> later(n), children(n);
    std::vector<int> mark(n, -1);
    for (int i = 0; i < n; ++i) {
        auto& row = later[i];
        mark[i] = i;
        auto add = [&](int j) {
            if (j > i && mark[j] != i) {
                mark[j] = i;
                row.push_back(j);
            }
        };
        for (int v : pattern[order[i]]) add(position[v]);
        for (int child : children[i])
            for (int j : later[child]) add(j);
        std::sort(row.begin(), row.end());
        if (!row.empty()) children[row.front()].push_back(i);
    }
    return later;
}

// How many nodes of the remainder are eliminated one by one before the rest is treated as dense.
int cheapest_switch(const std::vector<std::vector<int>>& later, const std::vector<int>& width, int n_tail) {
    const int n = static_cast<int>(later.size());
    double dense_columns = n_tail;
    for (int w : width) dense_columns += w;
    auto dense_cost = [](double columns) { return columns * columns * columns / dense_speed; };
    double sparse_cost = 0.0, best = dense_cost(dense_columns);
    int best_switch = 0;
    for (int i = 0; i < n; ++i) {
        double columns = n_tail;
        for (int j : later[i]) columns += width[j];
        sparse_cost += 2.0 * width[i] * columns * columns;
        dense_columns -= width[i];
        if (sparse_cost + dense_cost(dense_columns) < best) {
            best = sparse_cost + dense_cost(dense_columns);
            best_switch = i + 1;
        }
    }
    return best_switch;
}

struct Order {
    std::vector<int> nodes;                // all nodes, in elimination order
    int head = 0;                          // how many of them are eliminated one by one
    std::vector<std::vector<int>> later;   // for head nodes after the leaves: coupled nodes as positions
};

Order elimination_order(const Graph& g, int leaves, int n_tail) {
    Order order{std::vector<int>(g.size()), leaves, {}};
    std::iota(order.nodes.begin(), order.nodes.end(), 0);
    const auto pattern = remainder_pattern(g, leaves);
    if (pattern.empty()) return order;
    const std::vector<int> remainder = fill_reducing_order(pattern);
    auto later = symbolic_elimination(pattern, remainder);
    std::vector<int> width;
    for (std::size_t i = 0; i < remainder.size(); ++i) {
        order.nodes[leaves + i] = remainder[i] + leaves;
        width.push_back(g.width[remainder[i] + leaves]);
    }
    const int extra = cheapest_switch(later, width, n_tail);
    order.head = leaves + extra;
    later.resize(extra);
    for (auto& row : later)
        for (int& j : row) j += leaves;
    order.later = std::move(later);
    return order;
}

std::vector<std::size_t> unknowns_before_factor(const CrossProducts& sums) {
    std::vector<std::size_t> first{0};
    for (const Factor& f : sums.factors)
        first.push_back(first.back() + static_cast<std::size_t>(f.levels) * f.width);
    return first;
}

class PlanBuilder {
  public:
    PlanBuilder(const CrossProducts& sums, const Graph& graph, Order order)
        : sums_(sums), graph_(graph), order_(std::move(order)), position_(graph.size()) {
        for (int i = 0; i < graph.size(); ++i) position_[order_.nodes[i]] = i;
        plan_.factor_first = unknowns_before_factor(sums);
        plan_.n_random = plan_.factor_first.back();
    }

    Plan build(double memory_limit) {
        place_tail(memory_limit);
        for (int i = 0; i < order_.head; ++i) add_head_node(i);
        add_tail_blocks();
        plan_.leaves = sums_.factors[0].levels;
        find_wide_leaves();
        add_incidences();
        return std::move(plan_);
    }

  private:
    std::size_t first_unknown(int node) const {
        return plan_.factor_first[graph_.factor[node]] +
               static_cast<std::size_t>(graph_.level[node]) * graph_.width[node];
    }

    void place_tail(double memory_limit) {
        for (int i = order_.head; i < graph_.size(); ++i) {
            const int node = order_.nodes[i];
            plan_.tail.push_back({graph_.factor[node], graph_.level[node], graph_.width[node],
                                  plan_.tail_random, first_unknown(node)});
            plan_.tail_random += graph_.width[node];
        }
        plan_.tail_size = plan_.tail_random + sums_.n_tail();
        const double bytes = 8.0 * plan_.tail_size * plan_.tail_size;
        if (bytes > memory_limit)
            throw TailTooLarge("the crossed random effects leave a dense matrix of " +
                               std::to_string(plan_.tail_size) + " columns (" +
                               std::to_string(static_cast<long long>(bytes / 1e6)) + " MB)");
    }

    std::vector<int> coupled_positions(int i) const {
        const int leaves = sums_.factors[0].levels;
        if (i >= leaves) return order_.later[i - leaves];
        std::vector<int> positions;
        const int node = order_.nodes[i];
        for (auto e = graph_.start[node]; e < graph_.start[node + 1]; ++e)
            positions.push_back(position_[graph_.neighbours[e].node]);
        std::sort(positions.begin(), positions.end());
        return positions;
    }

    void add_head_node(int i) {
        const int node = order_.nodes[i];
        HeadNode head{graph_.factor[node], graph_.level[node], graph_.width[node], 0, plan_.couplings.size(), 0,
                      plan_.blocks.size(), 0, plan_.row_blocks, plan_.pivots, first_unknown(node),
                      plan_.tail_columns.size()};
        const std::vector<int> coupled = coupled_positions(i);
        for (int j : coupled) {
            const int other = order_.nodes[j], width = graph_.width[other];
            const bool in_tail = j >= order_.head;
            plan_.couplings.push_back({graph_.factor[other], j, in_tail ? -1 : j,
                                       in_tail ? plan_.tail[j - order_.head].column : -1, width, head.columns,
                                       first_unknown(other)});
            head.columns += width;
            for (int c = 0; c < width; ++c)
                plan_.tail_columns.push_back(in_tail ? plan_.couplings.back().tail_column + c : -1);
        }
        for (int c = 0; c < sums_.n_tail(); ++c) plan_.tail_columns.push_back(plan_.tail_random + c);
        head.columns += sums_.n_tail();
        head.couplings_end = plan_.couplings.size();
        for (auto e = graph_.start[node]; e < graph_.start[node + 1]; ++e) {
            const Neighbour& other = graph_.neighbours[e];
            const int j = position_[other.node];
            if (j < i) continue;
            const auto at = std::lower_bound(coupled.begin(), coupled.end(), j) - coupled.begin();
            plan_.blocks.push_back({other.block, other.transposed, static_cast<int>(at)});
        }
        head.blocks_end = plan_.blocks.size();
        plan_.largest_row_block = std::max(plan_.largest_row_block, head.columns);
        plan_.row_blocks += static_cast<std::size_t>(head.width) * head.columns;
        plan_.pivots += static_cast<std::size_t>(head.width) * head.width;
        plan_.head.push_back(head);
    }

    void add_tail_blocks() {
        for (int i = order_.head; i < graph_.size(); ++i) {
            const int node = order_.nodes[i];
            for (auto e = graph_.start[node]; e < graph_.start[node + 1]; ++e) {
                const Neighbour& other = graph_.neighbours[e];
                if (other.transposed || position_[other.node] < order_.head) continue;
                plan_.tail_blocks.push_back({other.block, i - order_.head, position_[other.node] - order_.head});
            }
        }
    }

    void find_wide_leaves() {
        if (plan_.tail_size < narrow_tail || order_.head != plan_.leaves) return;
        const bool narrow = plan_.tail_size < wide_tail;
        const double fewest_columns = (narrow ? share_of_narrow : share_of_wide) * plan_.tail_size;
        std::vector<int> wide;
        for (int leaf = 0; leaf < plan_.leaves; ++leaf)
            if (plan_.head[leaf].columns >= fewest_columns) wide.push_back(leaf);
        const int rows = static_cast<int>(wide.size()) * sums_.factors[0].width;
        if (rows < (narrow ? rows_beside_narrow : rows_beside_wide)) return;
        plan_.wide_leaves = std::move(wide);
        plan_.wide_rows = rows;
        for (int leaf : plan_.wide_leaves) plan_.head[leaf].wide = true;
    }

    // Counting sort of the leaves' couplings by the node they lead to.
    void add_incidences() {
        const int later = graph_.size() - plan_.leaves, head = order_.head - plan_.leaves;
        std::vector<std::size_t> begin(later + 1, 0);
        auto each = [&](auto visit) {
            for (int leaf = 0; leaf < plan_.leaves; ++leaf) {
                if (plan_.head[leaf].wide) continue;
                for (auto c = plan_.head[leaf].couplings_begin; c < plan_.head[leaf].couplings_end; ++c)
                    visit(leaf, c, plan_.couplings[c].order - plan_.leaves);
            }
        };
        each([&](int, std::size_t, int to) { ++begin[to + 1]; });
        std::partial_sum(begin.begin(), begin.end(), begin.begin());
        std::vector<Incidence> entries(begin.back());
        std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
        each([&](int leaf, std::size_t c, int to) { entries[next[to]++] = {leaf, c}; });
        const std::size_t split = begin[head];
        plan_.leaves_meet_tail = split == 0;
        plan_.of_head = {{begin.begin(), begin.begin() + head + 1}, {entries.begin(), entries.begin() + split}};
        plan_.of_tail.begin.assign(begin.begin() + head, begin.end());
        for (std::size_t& b : plan_.of_tail.begin) b -= split;
        plan_.of_tail.entries.assign(entries.begin() + split, entries.end());
    }

    const CrossProducts& sums_;
    const Graph& graph_;
    Order order_;
    std::vector<int> position_;
    Plan plan_;
};

}  // namespace

Plan make_plan(const CrossProducts& sums, double memory_limit) {
    const Graph graph = build_graph(sums);
    Order order = elimination_order(graph, sums.factors[0].levels, sums.n_tail());
    return PlanBuilder(sums, graph, std::move(order)).build(memory_limit);
}

}  // namespace multilevel
