// A Gaussian mixed model as a function of its covariance parameters: criterion, gradient, curvature.
#pragma once

#include <Eigen/Dense>
#include <memory>
#include <optional>
#include <vector>

#include "arrow.hpp"
#include "factorisation.hpp"

namespace multilevel {

struct Derivatives {
    Eigen::VectorXd gradient;
    Eigen::MatrixXd average_information;       // a Hessian that is positive semidefinite everywhere
    std::vector<Eigen::MatrixXd> sigma_slope;  // per term: d criterion / d Sigma (Gamma), Sigma = T T'
};

class Model {
  public:
    Model(CrossProducts sums, std::vector<Term> terms, double n_obs, double memory_limit);
    Model(const Model&) = delete;  // the plan and the factorisation point into the sums
    Model& operator=(const Model&) = delete;

    // A model of its own on the same sums.
    std::unique_ptr<Model> copy() const;

    int n_parameters() const { return n_parameters_; }
    int n_fixed() const { return sums_.n_fixed; }
    const std::vector<Term>& terms() const { return terms_; }
    int first_parameter(std::size_t term) const { return first_parameter_[term]; }
    const CrossProducts& sums() const { return sums_; }
    // The factorisation behind estimates and inverse blocks; the search may go by a quicker way.
    Factorisation& factorisation() { return factorisation_; }
    const Plan& plan() const { return plan_; }

    // Replaces the response by that of `rows`, which are otherwise those the model was made from.
    void set_response(const RowData& rows);
    // Replaces the sums by those of fewer of the same rows, of which n_obs observations are left.
    void set_sums(const CrossProducts& sums, double n_obs);

    double residual_df(bool reml) const { return n_obs_ - (reml ? n_fixed() : 0); }

    std::vector<Eigen::MatrixXd> factor_T(const Eigen::VectorXd& theta) const;

    // -2 log-likelihood (ML) or the REML criterion, in the units of the scaled data; infinite if not finite.
    double criterion(const Eigen::VectorXd& theta, bool reml);
    double criterion(const std::vector<Eigen::MatrixXd>& factor_T, bool reml);

    // Estimates at the last point whose criterion was asked for.
    Eigen::VectorXd beta() const;
    double pwrss() const;
    Eigen::MatrixXd fixed_cholesky() const;  // lower factor of X'V^-1X

    // Derivatives at the last point whose criterion was asked for.
    Derivatives derivatives(const Eigen::VectorXd& theta, bool reml);
    // d criterion / dT per factor, at the last point.
    std::vector<Eigen::MatrixXd> factor_gradient(bool reml);

    // For other functions of the pieces: these at one T per factor, nothing where A is not positive definite; and
    // the slope per factor of the sum of log R_ii^2 with these weights, at the last point.
    std::optional<Pieces> pieces(const std::vector<Eigen::MatrixXd>& factor_T);
    std::vector<Eigen::MatrixXd> factor_gradient(TailWeights weights);

    // Relative covariance (T T') of each term by the method of moments: a start for the search.
    std::vector<Eigen::MatrixXd> moment_covariances() const;

  private:
    bool scalar_terms_only() const;
    std::vector<Eigen::MatrixXd> scalar_moments(double rss, const Eigen::VectorXd& beta) const;
    Eigen::MatrixXd average_information(const std::vector<TermFactor>& factors, bool reml);
    // v_i'Z'PZ v_j and v_i's for the directions v_i = dSigma_i s that the parameters give.
    std::pair<Eigen::MatrixXd, Eigen::VectorXd> direction_products(const std::vector<TermFactor>& factors);
    std::pair<Eigen::MatrixXd, Eigen::VectorXd> arrow_direction_products(const std::vector<TermFactor>& factors);

    CrossProducts sums_;
    Plan plan_;
    std::vector<Term> terms_;
    std::vector<int> first_parameter_;
    int n_parameters_ = 0;
    double n_obs_;
    double memory_limit_;
    Factorisation factorisation_;
    std::optional<Arrow> arrow_;  // where it serves, the search goes by it
};

}  // namespace multilevel
