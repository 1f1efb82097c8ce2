// Laplace's approximation for any structure of random effects, on the blocks of the Gaussian model.
//
// With u spherical and l_i the log-densities, h(u) = sum l_i - u'u / 2 is highest at the modes; with the observed
//
//   H = I + L'Z'W Z L,   W = -(second derivatives of l_i in the predictors that random effects enter),
//
// the criterion is F = -2 h + log |H|. Its gradient is exact: rows enter through their third derivatives and the entries
// of H^-1 between the random effects that meet in a row, and the modes' own movement costs one solve with H.
#pragma once

#include <Eigen/Dense>
#include <vector>

#include "factorisation.hpp"
#include "grouped_rows.hpp"
#include "marginal.hpp"
#include "row_derivatives.hpp"

namespace multilevel {

class Laplace : public Marginal {
  public:
    Laplace(GroupedRows rows, std::vector<Term> terms, int n_coefficients, Prior prior, double memory_limit);
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
    void forget_modes() override { begin_modes_at(Eigen::VectorXd::Zero(plan_.n_random)); }

    void set_response(const double* y) override;
    Eigen::MatrixXd linear_predictors() override;
    std::vector<Eigen::MatrixXd> moment_covariances(const Eigen::VectorXd& gamma) override;

  private:
    struct Stripe;

    CrossProducts empty_sums() const;
    void find_slots();
    void read_point(const Eigen::VectorXd& psi);
    void form_effects(const Eigen::VectorXd& u);
    double pass(bool project);
    double pass_rows(std::int64_t begin, std::int64_t end, bool project, Stripe& sums);
    template <int K>
    void add_rows(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums);
    void add_rows_of_intercepts(std::int64_t begin, int count, const RowDerivatives& d, bool project, Stripe& sums);
    void leverages_of_intercepts(std::int64_t begin, int count, double* S) const;
    void gather(const std::vector<Stripe>& parts);
    void begin_modes_at(const Eigen::VectorXd& u);
    Eigen::VectorXd mode_motion(const Eigen::VectorXd& step) const;
    bool find_modes();
    template <class Weight>
    std::vector<std::vector<double>> level_sums(Weight weight) const;
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
    bool intercepts_only_ = false;  // every factor has one column, and one predictor has random effects
    std::vector<int> inner_;        // predictors that random effects enter
    std::vector<int> inner_place_;  // per predictor: its place among them, or -1
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
    Eigen::VectorXd u_;
    std::vector<std::vector<double>> b_;       // per factor: T u, levels x width
    std::vector<std::vector<double>> scores_;  // per factor: Z'l' there
    std::vector<std::vector<InverseBlock>> pair_inverse_;
    std::vector<std::vector<double>> second_;  // second derivatives of rows there, inner x all predictors
    double height_ = 0.0;  // h at the modes
    double value_ = 0.0;
    Eigen::VectorXd gradient_;
    bool defined_ = false;   // whether modes and value belong to psi_
    bool inverted_ = false;  // whether the entries of H^-1 do
    bool followed_ = false;  // whether the gradient does, so that the modes' motion is known
};

}  // namespace multilevel
