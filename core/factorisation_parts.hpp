// What the files of a factorisation share: small blocks of memory, and work cut into tasks by the number of nodes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "factorisation.hpp"
#include "threads.hpp"

namespace multilevel {

// The rows x columns block of an original cross-product, whichever way round it is stored.
inline void read_block(double* out, const double* block, bool transposed, int rows, int columns) {
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < columns; ++j)
            out[i * columns + j] = transposed ? block[j * rows + i] : block[i * columns + j];
}

// Memory for the small blocks of one node, kept by each thread.
inline double* scratch(std::size_t size) {
    thread_local std::vector<double> memory;
    if (memory.size() < size) memory.resize(size);
    return memory.data();
}

inline double* zeroed_scratch(std::size_t size) {
    double* memory = scratch(size);
    std::fill(memory, memory + size, 0.0);
    return memory;
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

// visit(blocks, first column, count, factor): the original blocks of a scalar row, which stand one after another in
// memory for each later factor, as its columns and the unknowns of those factors do.
template <class Visit>
void Factorisation::for_scalar_blocks(const HeadNode& leaf, Visit visit) const {
    int column = 0;
    for (std::size_t k = 1; k < sums_.factors.size(); ++k) {
        visit(plan_.blocks[leaf.blocks_begin + column].block, column, sums_.factors[k].levels, k);
        column += sums_.factors[k].levels;
    }
}

// visit(node, first row) for each wide leaf, on several threads.
template <class Visit>
void Factorisation::for_wide_leaves(Visit visit) const {
    const int width = sums_.factors[0].width;
    parallel_nodes(0, plan_.wide_leaves.size(), [&](std::size_t i) {
        visit(plan_.head[plan_.wide_leaves[i]], static_cast<int>(i) * width);
    });
}

}  // namespace multilevel
