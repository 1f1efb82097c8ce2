// Models with one grouping factor and few random-effect columns: criterion and derivatives in two sweeps.
//
// The augmented matrix is then an arrow: one small block a group, and X and y. The same quantities as
// Factorisation gives, without storing anything a group.
#pragma once

#include <Eigen/Dense>
#include <vector>

#include "arrow_kernel.hpp"
#include "crossproducts.hpp"
#include "factorisation.hpp"

namespace multilevel {

class Arrow {
  public:
    static bool serves(const CrossProducts& sums);

    explicit Arrow(const CrossProducts& sums);

    // Takes over a new response's cross-products.
    void replace_response(const CrossProducts& sums);

    bool factorise(const Eigen::MatrixXd& T);
    Pieces pieces() const;
    Eigen::VectorXd beta() const;
    Eigen::MatrixXd fixed_cholesky() const;  // lower factor of X'V^-1X

    // d criterion / dT at the last T, and with it what average_information() needs.
    Eigen::MatrixXd gradient(TailWeights weights);
    // v_i'Z'PZ v_j for v_i = D_i s, D_i symmetric directions (q x q) and s the scores Z'Py; after gradient().
    Eigen::MatrixXd projected_crossproduct(const std::vector<Eigen::MatrixXd>& directions) const;
    // sum of s s' over the groups; after gradient().
    const Eigen::MatrixXd& score_crossproduct() const { return scores_; }

  private:
    template <class Task>
    void for_each_part(Task task) const;
    void read_tail(const CrossProducts& sums);

    int q_, k_, levels_;
    std::int64_t batches_;
    int parts_;
    arrow::Sweeps sweeps_;
    std::vector<double> own_, tail_;
    Eigen::MatrixXd fixed_;     // [X y]'W[X y]
    Eigen::MatrixXd root_;      // lower Cholesky factor of the tail
    std::vector<double> T_;     // by rows
    double log_det_ = 0.0;
    std::vector<double> sums_;  // what the last sweep summed, a part after another
    Eigen::MatrixXd P_;         // R^-T W R^-1 of the tail
    Eigen::MatrixXd scores_;
    std::vector<double> fourth_, against_;
};

}  // namespace multilevel
