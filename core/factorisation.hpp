// The augmented matrix A(theta) of a Gaussian model, factorised as R R' along a plan, and all that follows
// from R: the profiled criterion, its gradient, the average information, the estimates.
//
//   A = [ L'Z'WZL + I   L'Z'W[X y] ;  .   [X y]'W[X y] ],   L = blockdiag of T over the levels.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <vector>

#include "crossproducts.hpp"
#include "plan.hpp"
#include "structure.hpp"

namespace multilevel {

// Weights of the log-diagonal of R on the X and y rows; 1 on the random effects.
struct TailWeights {
    double fixed;
    double response;
};

struct Pieces {
    double log_det_random;  // log |L'Z'WZL + I|
    double log_det_fixed;   // log |X'V^-1X|
    double pwrss;           // penalised weighted residual sum of squares
};

struct Estimates {
    Eigen::VectorXd beta;  // (p)
    Eigen::VectorXd u;     // spherical random effects, all factors one after another
};

// A block of the inverse where it is stored: entry (r, c) is data[r * row_stride + c * column_stride].
struct InverseBlock {
    const double* data;
    std::size_t row_stride;
    std::size_t column_stride;
};

class Factorisation {
  public:
    Factorisation(const CrossProducts& sums, const Plan& plan);

    // Forms and factorises A for one T per factor; false if it is not positive definite.
    // Does nothing if A is already factorised at this T.
    bool factorise(const std::vector<Eigen::MatrixXd>& factor_T);
    // The cross-products have changed: what was factorised no longer holds.
    void forget() { current_ = false; }

    Pieces pieces() const;
    Estimates estimates() const;
    Eigen::MatrixXd fixed_cholesky() const;  // lower factor of X'V^-1X

    // Z'W(y - X beta - Z L u) at the estimates, all factors one after another.
    Eigen::VectorXd random_scores(const Estimates& at) const;

    // Blocks of R^-T W R^-1 where A has any. Needed before gradient() and the accessors below.
    void invert_selected(TailWeights weights);
    // d criterion / d T for each factor, for the weights given to invert_selected.
    std::vector<Eigen::MatrixXd> gradient() const;
    // Per factor: levels x (width x width) diagonal blocks, row-major.
    const std::vector<std::vector<double>>& diagonal_blocks() const { return diagonal_; }
    // Per factor: levels x (width x p) blocks against beta, row-major.
    const std::vector<std::vector<double>>& fixed_blocks() const { return against_fixed_; }
    Eigen::MatrixXd fixed_block() const;  // (p, p)
    Eigen::MatrixXd tail_block() const;   // of the random effects in the dense tail, in the plan's order
    // Between levels of two factors that share rows, by their places in the order of all nodes.
    InverseBlock inverse_block(int order, int other) const;
    std::vector<std::vector<int>> node_orders() const;  // per factor: each level's place in that order

    // R^-1 L'C v for columns v of working directions: v (n_random x k) is given per random effect,
    // C = Z'W[Z X]. Returns v'C v - |R^-1 .|^2, the k x k matrix of v'Z'PZ v.
    Eigen::MatrixXd projected_crossproduct(const Eigen::MatrixXd& v) const;

    // Forward solve of R x = b without the y row; b is (n_random + p) x k, overwritten.
    void forward_solve(Eigen::MatrixXd& b) const;
    // R'x = b for one column (n_random + p), without the y row; overwritten.
    void backward_solve(Eigen::VectorXd& b) const;

    const Plan& plan() const { return plan_; }
    const CrossProducts& sums() const { return sums_; }
    const std::vector<Eigen::MatrixXd>& factor_T() const { return T_; }

  private:
    using FactorSums = std::vector<std::vector<double>>;  // per factor: width x width, by rows

    void fill_node(const HeadNode& node);
    void fill_coupling(const HeadNode& node, const OriginalBlock& original);
    void fill_tail();
    bool eliminate(const HeadNode& node);
    void update_from_leaves(std::size_t head);
    void update_tail_from_leaves();
    void subtract_endings();
    // Whether a wide leaf meets the whole tail and all factors have one column: its couplings are then a row of numbers.
    bool is_scalar_row(const HeadNode& leaf) const { return scalar_ && leaf.wide && leaf.columns == plan_.tail_size; }
    template <class Visit>
    void for_scalar_blocks(const HeadNode& leaf, Visit visit) const;
    template <class Visit>
    void for_wide_leaves(Visit visit) const;
    void stack_wide_leaves(const std::vector<double>& row_blocks);
    void invert_wide_rows();
    void update_later(const HeadNode& node);
    void update_head_target(const HeadNode& node, const Coupling& coupling);

    void solve_leaf(const HeadNode& node);
    void invert_leaf_columns(std::size_t tail_node);
    void invert_leaf_ending(const HeadNode& node);
    void invert_pivot(const HeadNode& node);
    void invert_node(const HeadNode& node, std::vector<double>& local);
    void gather_inverse(const HeadNode& node, std::vector<double>& local) const;
    void gather_head_inverse(const HeadNode& node, std::size_t c, std::vector<double>& local) const;
    void gather_tail_inverse(const HeadNode& node, std::vector<double>& local) const;
    void read_diagonal_blocks();

    void add_node_gradient(const HeadNode& node, FactorSums& sums) const;
    void add_tail_gradient(FactorSums& sums) const;
    FactorSums zero_sums() const;
    template <int C>
    void forward_solve_panel(double* b) const;
    template <int C>
    void add_random_crossproduct(const double* v, double* out) const;
    template <int C>
    void project_panel(const Eigen::MatrixXd& v, int first, Eigen::MatrixXd& random, Eigen::MatrixXd& solved) const;
    const Coupling& coupling_with(const HeadNode& node, int order) const;
    const int* tail_columns(const HeadNode& node) const { return &plan_.tail_columns[node.first_column]; }
    double& tail_at(int row, int column) {
        return tail_[static_cast<std::size_t>(column) * plan_.tail_size + row];
    }
    double tail_inverse(int i, int j) const {
        return tail_inverse_[static_cast<std::size_t>(j) * plan_.tail_size + i];
    }

    const CrossProducts& sums_;
    const Plan& plan_;
    const bool scalar_;  // whether every factor has one column
    std::vector<Eigen::MatrixXd> T_;
    bool current_ = false;  // whether R is the factor of A at T_
    std::vector<std::vector<double>> Trow_;  // T row-major per factor
    std::vector<double> pivot_;              // per head node: L (lower, row-major)
    std::vector<double> rows_;               // per head node: L^-1 A_row, column-major
    std::vector<double> tail_;               // R of the tail: lower, column-major
    std::vector<double> stacked_;            // row blocks of the wide leaves, one below another, column-major
    std::vector<double> solved_;             // per head node: D^-1 A_row, column-major
    std::vector<double> tail_inverse_;       // R^-T W R^-1 of the tail: both triangles, column-major
    std::vector<double> inverse_pivot_;      // selected inverse, diagonal block of each head node
    std::vector<double> inverse_rows_;       // selected inverse, row block of each head node
    std::vector<std::vector<double>> diagonal_, against_fixed_;
};

}  // namespace multilevel
