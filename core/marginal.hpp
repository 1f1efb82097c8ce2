// Minus twice the log-likelihood of a generalized linear mixed model, its random effects integrated out, as a
// function of psi = (theta, gamma): covariance parameters of all terms, then the coefficients.
#pragma once

#include <Eigen/Dense>
#include <cstdint>
#include <vector>

#include "crossproducts.hpp"
#include "density.hpp"
#include "structure.hpp"

namespace multilevel {

// One linear predictor of every row: offset + X gamma[coefficients], and the random-effect columns that belong to it.
struct Predictor {
    const double* offset;            // (n) or nullptr
    std::vector<Column> columns;     // of X
    std::vector<int> coefficients;   // for each column, its place in gamma; predictors may share coefficients
};

// A grouping factor whose random-effect columns may belong to different predictors.
struct RandomFactor {
    FactorData data;
    std::vector<int> predictor;  // of each column
};

// A weak prior, for maximum a posteriori: adds precision_j (gamma_j - centre_j)^2 and -2 avoid_zero sum log |T_jj| to
// the criterion (T_jj the diagonal of each term's factor).
struct Prior {
    Eigen::VectorXd precision;  // (coefficients), empty for none
    Eigen::VectorXd centre;
    double avoid_zero = 0.0;
};

struct MarginalRows {
    std::int64_t n;
    Density density;
    Responses responses;
    std::vector<Predictor> predictors;  // density.n_predictors() of them
    std::vector<RandomFactor> factors;  // in order of decreasing levels
};

// Modes of the random effects at the last point, spherical (b = T u), and their covariance given the data.
struct SphericalModes {
    std::vector<std::vector<double>> u;         // per factor: levels x width, by rows
    std::vector<std::vector<double>> variance;  // per factor: levels x (width x width)
};

class Marginal {
  public:
    virtual ~Marginal() = default;

    virtual int n_parameters() const = 0;  // of theta and gamma
    virtual int n_theta() const = 0;
    virtual const std::vector<Term>& terms() const = 0;

    // The criterion; infinite where it is not defined. Modes are kept from one call to the next.
    virtual double value(const Eigen::VectorXd& psi) = 0;
    // Its exact gradient at the last point, and a positive semidefinite matrix that stands for its Hessian there.
    virtual Eigen::VectorXd gradient() = 0;
    virtual Eigen::MatrixXd curvature() = 0;
    // Gradients at points near the last one, whose own gradient has been asked for.
    virtual std::vector<Eigen::VectorXd> gradients_near(const std::vector<Eigen::VectorXd>& points) {
        std::vector<Eigen::VectorXd> out;
        for (const Eigen::VectorXd& psi : points) {
            value(psi);
            out.push_back(gradient());
        }
        return out;
    }
    virtual SphericalModes modes() = 0;
    // Begins the search for modes at zero again.
    virtual void forget_modes() = 0;

    // Another response (n) on the same rows.
    virtual void set_response(const double* y) = 0;
    // All predictors of all rows at the last point, in the order of the rows given: predictors x n.
    virtual Eigen::MatrixXd linear_predictors() = 0;
    // A covariance for each term by moments at these coefficients: a start for the search.
    virtual std::vector<Eigen::MatrixXd> moment_covariances(const Eigen::VectorXd& gamma) = 0;
};

}  // namespace multilevel
