// In which order the random effects are eliminated, and where what they leave behind is stored.
//
// Nodes are the levels of the grouping factors. The levels of one factor never share a row, so the factor
// with most levels goes first and is block-diagonal. What it couples (the "remainder") is eliminated node
// by node in a fill-reducing order as long as that is cheap (nested factors leave no fill at all); the
// rest, with X and y, is the dense tail.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "crossproducts.hpp"

namespace multilevel {

// A later node that an eliminated node is coupled with.
struct Coupling {
    int factor;
    int order;                  // place in the order of all nodes
    int position;               // the same for a node of the head, -1 for one of the dense tail
    int tail_column;            // first column in the tail, or -1
    int width;
    int column;                 // first column within the eliminated node's row block
    std::size_t first_unknown;  // offset among all random effects
};

// Where an original block Z_u'WZ_v enters the row block of the node eliminated first.
struct OriginalBlock {
    const double* block;  // width(u) x width(v), row-major, u and v in the order of the factors
    bool transposed;      // the node eliminated first is v
    int coupling;         // index into the node's couplings
};

struct HeadNode {
    int factor;
    int level;
    int width;
    int columns;                     // of its row block: couplings, then the p + 1 columns of X and y
    std::size_t couplings_begin, couplings_end;
    std::size_t blocks_begin, blocks_end;
    std::size_t row_block;           // offset of its width x columns block (column-major)
    std::size_t pivot;               // offset of its width x width block (row-major)
    std::size_t first_unknown;       // offset among all random effects
    std::size_t first_column;        // offset of its columns among those of all head nodes
    bool wide = false;               // see Plan::wide_leaves
};

struct TailNode {
    int factor;
    int level;
    int width;
    int column;
    std::size_t first_unknown;
};

struct TailBlock {
    const double* block;  // row-major, first x second
    int first;            // index of a tail node
    int second;
};

// A leaf (a node of the first factor) coupled with some later node.
struct Incidence {
    int leaf;
    std::size_t coupling;
};

// Lists of incidences, one for each later node: begin[i] .. begin[i + 1].
struct IncidenceLists {
    std::vector<std::size_t> begin;
    std::vector<Incidence> entries;
};

struct Plan {
    int leaves = 0;              // head nodes of the first factor: they are not coupled with each other
    bool leaves_meet_tail = true;  // all their couplings are in the tail
    std::vector<int> wide_leaves;  // leaves coupled with so much of the tail that they are treated as one matrix
    int wide_rows = 0;             // random effects of the wide leaves
    IncidenceLists of_head;      // leaves coupled with each head node after the leaves
    IncidenceLists of_tail;      // leaves coupled with each tail node, without the wide ones
    std::vector<int> tail_columns;  // per column of each leaf's row block: its column in the tail, -1 if none
    std::vector<HeadNode> head;  // in elimination order
    std::vector<TailNode> tail;
    std::vector<Coupling> couplings;
    std::vector<OriginalBlock> blocks;
    std::vector<TailBlock> tail_blocks;
    int tail_size = 0;             // columns of the dense tail: its nodes, then X, then y
    int tail_random = 0;           // columns of its nodes only
    int largest_row_block = 0;     // most columns any head node has
    std::size_t row_blocks = 0;    // doubles in all row blocks
    std::size_t pivots = 0;        // doubles in all pivot blocks
    std::size_t n_random = 0;      // random effects in all
    std::vector<std::size_t> factor_first;  // first unknown of each factor
};

// The dense tail alone would not fit in memory.
class TailTooLarge : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Throws TailTooLarge, naming columns and size, if the dense tail would exceed `memory_limit` bytes.
Plan make_plan(const CrossProducts& sums, double memory_limit);

}  // namespace multilevel
