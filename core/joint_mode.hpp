// The criterion of a model whose joint coefficients are found with the modes, as a function of all other parameters: the
// covariance parameters, then the coefficients that are not joint. This is what is searched over.
#pragma once

#include <Eigen/Dense>
#include <vector>

#include "laplace.hpp"

namespace multilevel {

class OuterMarginal : public Marginal {
  public:
    // `begin` (n_parameters of the model) has the joint coefficients that the first search for modes begins at.
    OuterMarginal(Laplace& model, const std::vector<int>& joint, Eigen::VectorXd begin);

    int n_parameters() const override { return static_cast<int>(outer_.size()); }
    int n_theta() const override { return model_.n_theta(); }
    const std::vector<Term>& terms() const override { return model_.terms(); }
    double value(const Eigen::VectorXd& outer) override;
    Eigen::VectorXd gradient() override { return model_.gradient()(outer_); }
    Eigen::MatrixXd curvature() override { return model_.curvature()(outer_, outer_); }
    SphericalModes modes() override { return model_.modes(); }
    void forget_modes() override { model_.forget_modes(); }
    void set_response(const double* y) override { model_.set_response(y); }
    Eigen::MatrixXd linear_predictors() override { return model_.linear_predictors(); }
    std::vector<Eigen::MatrixXd> moment_covariances(const Eigen::VectorXd& gamma) override {
        return model_.moment_covariances(gamma);
    }

    Eigen::VectorXd outer(const Eigen::VectorXd& psi) const;
    // All parameters, joint coefficients found: the model stands there.
    Eigen::VectorXd complete(const Eigen::VectorXd& outer);

  private:
    Laplace& model_;
    Eigen::VectorXd psi_;
    std::vector<int> outer_;  // places in psi
};

}  // namespace multilevel
