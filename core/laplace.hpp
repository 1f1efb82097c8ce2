// Laplace's approximation for any structure of random effects, on the blocks of the Gaussian model.
//
// With u spherical and l_i the log-densities, h(u) = sum l_i - u'u / 2 is highest at the modes; with the observed
//
//   H = I + L'Z'W Z L,   W = -(second derivatives of l_i in the predictors that random effects enter),
//
// the criterion is F = -2 h + log |H|. Its gradient is exact: rows enter through their third derivatives and the entries
// of H^-1 between the random effects that meet in a row, and the modes' own movement costs one solve with H.
//
// Some coefficients may be `joint`: they are found with the modes, where h is highest over both, and F is then a function
// of all others alone (joint_mode.cpp). In the blocks they are columns of X, without a penalty and outside log |H|.
#pragma once

#include <Eigen/Dense>
#include <functional>
#include <vector>

#include "factorisation.hpp"
#include "grouped_rows.hpp"
#include "marginal.hpp"
#include "row_derivatives.hpp"

namespace multilevel {

class Laplace : public Marginal {
  public:
    Laplace(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior, double memory_limit,
            std::vector<int> joint = {});
    Laplace(const Laplace&) = delete;  // the factorisation points into the sums
    Laplace& operator=(const Laplace&) = delete;

    int n_parameters() const override { return n_theta_ + n_coefficients_; }
    int n_theta() const override { return n_theta_; }
    const std::vector<Term>& terms() const override { return terms_; }
    double value(const Eigen::VectorXd& psi) override;
    Eigen::VectorXd gradient() override;
    Eigen::MatrixXd curvature() override;
    std::vector<Eigen::VectorXd> gradients_near(const std::vector<Eigen::VectorXd>& points) override;
    SphericalModes modes() override;
    void forget_modes() override {
        begin_modes_at(Eigen::VectorXd::Zero(n_found()));
        joint_known_ = blocks_known_ = false;
        shrinks_ = 1.0;
    }

    void set_response(const double* y) override;
    Eigen::MatrixXd linear_predictors() override;
    std::vector<Eigen::MatrixXd> moment_covariances(const Eigen::VectorXd& gamma) override;

    // The last point, joint coefficients as they were found; and their covariance were all else known.
    const Eigen::VectorXd& point() const { return psi_; }
    Eigen::MatrixXd joint_covariance() const;

  private:
    static constexpr int chunk_rows = 256;  // that are looked at together
    static constexpr int most_inner = 2;    // predictors that random effects enter

    // What a range of rows adds up to. Of the first factor, whose levels no two ranges share, all ranges write to one
    // place.
    struct Stripe {
        double value = 0.0;
        std::vector<double*> diag, scores, tail, pairs;  // per factor, per pair
        std::vector<double> own;                         // of the factors and pairs that ranges share
        Eigen::VectorXd joint_scores;                    // X'l'
        Eigen::MatrixXd joint_information;               // X'WX
    };
    struct JointColumns {
        std::vector<const double*> columns;
        std::vector<int> places;  // of their coefficients among the joint ones
    };

    CrossProducts empty_sums() const;
    void find_slots();
    Eigen::Index n_joint() const { return static_cast<Eigen::Index>(joint_.size()); }
    Eigen::Index n_found() const { return static_cast<Eigen::Index>(plan_.n_random) + n_joint(); }
    void read_point(const Eigen::VectorXd& psi);
    void form_fixed(std::int64_t begin, std::int64_t end);
    void form_effects(const Eigen::VectorXd& u);
    double pass(bool project);
    double pass_rows(std::int64_t begin, std::int64_t end, bool project, Stripe& sums);
    void add_rows(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums);
    void add_rows_of_one(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums);
    void form_variances();
    void leverages_of_one(std::int64_t begin, int count, double* S) const;
    void find_joint_columns();
    bool joint_blocks_are_dear() const;
    void add_joint_rows(std::int64_t begin, int count, const RowDerivatives& inner, bool project, Stripe& sums);
    const Eigen::MatrixXd& joint_weights(const RowDerivatives& d, int count, bool project) const;
    void add_joint_blocks(std::int64_t begin, int count, const Eigen::MatrixXd& W, Stripe& sums) const;
    void gather_joint(const std::vector<Stripe>& parts);
    Eigen::VectorXd joint_sums(const std::vector<std::vector<double>>& weight) const;
    void add_joint_predictors(const Eigen::VectorXd& coefficients, std::vector<std::vector<double>>& to) const;
    Eigen::VectorXd with_joint(const Eigen::VectorXd& psi) const;
    double joint_penalty() const;
    void gather(const std::vector<Stripe>& parts);
    void begin_modes_at(const Eigen::VectorXd& u);
    Eigen::VectorXd mode_motion(const Eigen::VectorXd& step) const;
    bool find_modes();
    std::vector<std::vector<double>> level_sums(const std::function<const double*(int)>& weight) const;
    Eigen::VectorXd spherical(const std::vector<std::vector<double>>& by_factor) const;
    void solve(Eigen::VectorXd& b) const;
    void read_inverse();
    void row_leverages(std::int64_t i, double* S) const;
    Eigen::VectorXd theta_slope(const std::vector<Eigen::MatrixXd>& by_factor) const;
    Eigen::MatrixXd theta_curvature() const;
    Eigen::MatrixXd gamma_curvature();

    GroupedRows rows_;
    std::vector<Term> terms_;
    std::vector<int> first_parameter_;
    int n_theta_ = 0, n_coefficients_;
    Prior prior_;
    double memory_limit_;
    std::vector<int> inner_;        // predictors that random effects enter
    std::vector<int> inner_place_;  // per predictor: its place among them, or -1
    std::vector<int> joint_;        // coefficients that are found with the modes
    std::vector<int> joint_place_;  // per coefficient: its place among them, or -1
    std::vector<int> moving_;       // predictors that move with what is found: the inner ones, and those of joint coefficients
    std::vector<int> moving_place_;
    std::vector<JointColumns> joint_columns_;  // per moving predictor
    std::vector<std::int64_t> stripes_;
    CrossProducts sums_;
    Plan plan_;
    Factorisation factorisation_;
    std::vector<std::vector<std::int64_t>> slots_;  // per pair of factors: each row's block

    // the point
    Eigen::VectorXd psi_;
    std::vector<Eigen::MatrixXd> T_;
    std::vector<TermFactor> term_factors_;
    std::vector<std::vector<double>> predictors_;  // per predictor: (n), random effects inside
    std::vector<std::vector<double>> fixed_;       // of the inner ones: (n) without random effects

    // the modes
    Eigen::VectorXd u_;                        // spherical random effects, then joint coefficients
    Eigen::VectorXd joint_scores_;             // X'l' of these
    bool joint_known_ = false;                 // whether u_ has them
    bool chords_ = false;                      // whether modes are sought without forming X'WX and Z'WX at each step
    bool fresh_ = true;                        // whether a pass forms X'WX and Z'WX anew
    double shrinks_ = 1.0;                     // by how much a step with old products shrank the decrement last
    bool blocks_known_ = false;                // whether they are those of this response, somewhere
    std::vector<std::vector<double>> b_;       // per factor: T u, levels x width
    std::vector<std::vector<double>> scores_;  // per factor: Z'l' there
    std::vector<std::vector<InverseBlock>> pair_inverse_;
    std::vector<std::vector<double>> level_variance_, pair_variance_;  // T V T' of these, where one predictor is inner
    std::vector<std::vector<double>> second_;  // second derivatives of rows there, moving x all predictors
    double height_ = 0.0;  // h at the modes
    double value_ = 0.0;
    Eigen::VectorXd gradient_;
    bool defined_ = false;   // whether modes and value belong to psi_
    bool inverted_ = false;  // whether the entries of H^-1 do
    bool followed_ = false;  // whether the gradient does, so that the modes' motion is known
};

}  // namespace multilevel
