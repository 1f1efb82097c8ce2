#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Smallest diagonal of T during the search: T^-1 must exist, the criterion moves by its square only.
constexpr double least_diagonal = 1e-9;
// A direction of Sigma with a relative variance below this is tried at exactly zero.
constexpr double negligible_variance = 1e-4;
// Raising the criterion by less than this is within the rounding of the criterion itself.
double rounding(double criterion) { return 1e-9 + 1e-13 * std::abs(criterion); }

// Lower-triangular T with T T' = sigma (positive semidefinite), from sigma's eigenvectors; zero columns stay
// zero to rounding. Positive diagonal.
MatrixXd lower_factor(const MatrixXd& root) {
    const MatrixXd r = root.transpose().householderQr().matrixQR().triangularView<Eigen::Upper>();
    MatrixXd lower = r.topLeftCorner(root.rows(), root.rows()).transpose();
    for (int c = 0; c < lower.cols(); ++c) {
        if (lower(c, c) < 0.0) lower.col(c) *= -1.0;
        for (int i = 0; i < lower.rows(); ++i)
            if (std::abs(lower(i, c)) < 1e-13 * (1.0 + lower.cwiseAbs().maxCoeff())) lower(i, c) = 0.0;
    }
    return lower;
}

void write_lower(const MatrixXd& lower, double* theta) {
    for (int c = 0; c < lower.cols(); ++c)
        for (int r = c; r < lower.rows(); ++r) *theta++ = lower(r, c);
}

// ---- one Newton step ----

struct Step {
    VectorXd direction;
    double promise;  // decrease of the criterion under the quadratic model
};

// The nearest positive semidefinite matrix; one and two columns, which are most models, in closed form.
MatrixXd positive_part(const MatrixXd& m) {
    if (m.rows() == 1) return m.cwiseMax(0.0);
    if (m.rows() == 2) {
        const double mean = 0.5 * (m(0, 0) + m(1, 1)), half = 0.5 * (m(0, 0) - m(1, 1));
        const double radius = std::hypot(half, m(1, 0));
        if (mean >= radius) return m;
        if (mean <= -radius) return MatrixXd::Zero(2, 2);
        // (mean + radius) times the projection on the leading eigenvector, (m - (mean - radius) I) / (2 radius)
        return (mean + radius) / (2.0 * radius) * (m - (mean - radius) * MatrixXd::Identity(2, 2));
    }
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(m);
    return eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0.0).asDiagonal() * eigen.eigenvectors().transpose();
}

// Second-derivative term of Sigma(theta), with Gamma replaced by its positive semidefinite part.
void add_sigma_curvature(MatrixXd& hessian, const Model& model, const Derivatives& d, const VectorXd& theta) {
    for (std::size_t i = 0; i < model.terms().size(); ++i) {
        const int first = model.first_parameter(i);
        const TermFactor factor = term_factor(model.terms()[i], theta.data() + first);
        const MatrixXd gamma = positive_part(d.sigma_slope[i]);
        for (std::size_t a = 0; a < factor.derivative.size(); ++a) {
            const MatrixXd weighted = gamma * factor.derivative[a];
            for (std::size_t b = 0; b < factor.derivative.size(); ++b)
                hessian(first + a, first + b) += 2.0 * weighted.cwiseProduct(factor.derivative[b]).sum();
        }
    }
}

// -H^-1 g, for an H that may be singular or, by rounding, slightly indefinite: then its eigenvalues are kept
// away from zero.
VectorXd newton_direction(const MatrixXd& hessian, const VectorXd& gradient) {
    const Eigen::LDLT<MatrixXd> factor(hessian);
    if (factor.info() == Eigen::Success && factor.vectorD().minCoeff() > 1e-6 * factor.vectorD().maxCoeff())
        return -factor.solve(gradient);
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(hessian);
    VectorXd values = eigen.eigenvalues().cwiseAbs();
    values = values.cwiseMax(std::max(1e-7 * values.maxCoeff(), 1e-12));
    return -(eigen.eigenvectors() * (eigen.eigenvectors().transpose() * gradient).cwiseQuotient(values));
}

Step newton_step(const Model& model, const Derivatives& d, const VectorXd& theta) {
    MatrixXd hessian = d.average_information;
    add_sigma_curvature(hessian, model, d, theta);
    hessian = 0.5 * (hessian + hessian.transpose()).eval();
    VectorXd direction = newton_direction(hessian, d.gradient);
    const double promise = -0.5 * direction.dot(d.gradient);
    const double longest = 2.0 * std::max(1.0, theta.cwiseAbs().maxCoeff()) / direction.cwiseAbs().maxCoeff();
    direction *= std::min(1.0, longest);
    return {direction, promise};
}

// The diagonal of T is kept from zero, where Gamma could not be read from the gradient.
VectorXd away_from_zero(const Model& model, VectorXd theta) {
    auto keep = [](double& x) {
        if (std::abs(x) < least_diagonal) x = std::copysign(least_diagonal, x);
    };
    for (std::size_t i = 0; i < model.terms().size(); ++i) {
        const Term& term = model.terms()[i];
        int at = model.first_parameter(i);
        if (term.kind == StructureKind::unstructured) {
            for (int c = 0; c < term.width; at += term.width - c, ++c) keep(theta(at));
        } else {
            const int n_sd = term.homogeneous ? 1 : term.width;
            for (int c = 0; c < n_sd; ++c) keep(theta(at + c));
        }
    }
    return theta;
}

class Search {
  public:
    Search(Model& model, bool reml, const SearchSettings& settings, const Heartbeat& heartbeat)
        : model_(model), reml_(reml), settings_(settings), heartbeat_(heartbeat) {}

    SearchResult run(const VectorXd& start) {
        theta_ = away_from_zero(model_, start);
        value_ = evaluate(theta_);
        for (int attempt = 0; attempt < 8; ++attempt) {
            descend();
            snap_to_boundary();
            const double slope = certify();
            null_eigenvalue_ = slope;
            if (slope >= -null_tolerance() || spent() || !escape()) break;
        }
        return result();
    }

  private:
    double evaluate(const VectorXd& theta) {
        ++evaluations_;
        return model_.criterion(theta, reml_);
    }

    bool spent() const { return evaluations_ >= settings_.max_evaluations; }

    // A slope this small over the range of a detectable variance moves the criterion by less than the tolerance.
    double null_tolerance() const { return 1e-4 * std::max(1.0, std::sqrt(std::abs(value_))); }

    void descend() {
        for (; !spent(); ++iterations_) {
            heartbeat_();
            Step step = newton_step(model_, model_.derivatives(theta_, reml_), theta_);
            promise_ = step.promise;
            if (!std::isfinite(promise_)) return;
            const double before = value_;
            if (!advance(step)) return;
            if (promise_ < settings_.tolerance && before - value_ < settings_.tolerance) return;
        }
    }

    // Backtracks along the step; false if no point on it is better.
    bool advance(const Step& step) {
        double length = 1.0;
        for (int tries = 0; tries < 16 && !spent(); ++tries, length *= 0.35) {
            const VectorXd theta = away_from_zero(model_, theta_ + length * step.direction);
            const double value = evaluate(theta);
            if (value <= value_ - 1e-4 * length * std::min(step.promise, 1.0) ||
                (step.promise < 1e-6 && value <= value_ + rounding(value_))) {
                theta_ = theta;
                value_ = value;
                return true;
            }
        }
        value_ = evaluate(theta_);  // the factorisation must be the one at theta_
        return false;
    }

    // Directions of Sigma that are as good as zero become exactly zero, where the criterion does not object.
    void snap_to_boundary() {
        rank_.clear();
        tried_ = false;
        for (std::size_t i = 0; i < model_.terms().size(); ++i) rank_.push_back(snap_term(i));
        if (tried_) value_ = evaluate(theta_);
    }

    bool try_theta(const VectorXd& theta) {
        tried_ = true;
        if (evaluate(theta) > value_ + rounding(value_)) return false;
        theta_ = theta;
        return true;
    }

    int snap_term(std::size_t i) {
        const Term& term = model_.terms()[i];
        const int first = model_.first_parameter(i);
        if (term.kind != StructureKind::unstructured) return snap_deviations(term, first);
        const MatrixXd lower = term_factor(term, theta_.data() + first).value;
        const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(lower * lower.transpose());
        const double threshold = negligible_variance * std::max(1.0, eigen.eigenvalues().maxCoeff());
        const int small = static_cast<int>((eigen.eigenvalues().array() < threshold).count());
        for (int zero = small; zero > 0; --zero) {  // eigenvalues ascend: the first `zero` are dropped
            VectorXd root = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
            root.head(zero).setZero();
            VectorXd theta = theta_;
            write_lower(lower_factor(eigen.eigenvectors() * root.asDiagonal()), theta.data() + first);
            if (try_theta(theta)) return term.width - zero;
        }
        VectorXd theta = theta_;
        write_lower(lower_factor(lower), theta.data() + first);
        theta_ = theta;
        return term.width;
    }

    int snap_deviations(const Term& term, int first) {
        const int n_sd = term.homogeneous ? 1 : term.width;
        int zeros = 0;
        for (int c = 0; c < n_sd; ++c) {
            theta_(first + c) = std::abs(theta_(first + c));
            if (theta_(first + c) * theta_(first + c) > negligible_variance) continue;
            VectorXd theta = theta_;
            theta(first + c) = 0.0;
            zeros += try_theta(theta) ? 1 : 0;
        }
        return term.homogeneous && zeros ? 0 : term.width - zeros;
    }

    // Slope of the criterion along the best direction that Sigma lacks, and remembers that direction.
    double certify() {
        best_term_ = -1;
        double least = std::numeric_limits<double>::infinity();
        if (std::all_of(rank_.begin(), rank_.end(), [&, i = std::size_t{0}](int r) mutable {
                return r == model_.terms()[i++].width;
            }))
            return 0.0;
        constexpr double probe = 1e-5;
        std::vector<MatrixXd> factor_T = model_.factor_T(theta_);
        std::vector<MatrixXd> null_space(model_.terms().size());
        for (std::size_t i = 0; i < model_.terms().size(); ++i) {
            const Term& term = model_.terms()[i];
            auto block = factor_T[term.factor].block(term.first, term.first, term.width, term.width);
            const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(MatrixXd(block * block.transpose()));
            const int missing = term.width - rank_[i];
            null_space[i] = eigen.eigenvectors().leftCols(missing);
            if (missing == 0) continue;
            VectorXd root = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
            root.head(missing).setConstant(probe);
            block = (eigen.eigenvectors() * root.asDiagonal() * eigen.eigenvectors().transpose()).eval();
        }
        ++evaluations_;
        model_.criterion(factor_T, reml_);
        const std::vector<MatrixXd> gradient = model_.factor_gradient(reml_);
        for (std::size_t i = 0; i < model_.terms().size(); ++i) {
            if (null_space[i].cols() == 0) continue;
            const Term& term = model_.terms()[i];
            // along the null space T is the probe times the identity there, so Gamma = G / (2 probe)
            const MatrixXd slope = gradient[term.factor].block(term.first, term.first, term.width, term.width);
            MatrixXd gamma = null_space[i].transpose() * slope * null_space[i] / (2.0 * probe);
            if (term.kind == StructureKind::diagonal || term.kind == StructureKind::compound_symmetry ||
                term.kind == StructureKind::autoregressive)
                gamma = restrict_to_structure(term, gamma);
            const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(0.5 * (gamma + gamma.transpose()));
            if (eigen.eigenvalues()(0) < least) {
                least = eigen.eigenvalues()(0);
                best_term_ = static_cast<int>(i);
                best_direction_ = null_space[i] * eigen.eigenvectors().col(0);
            }
        }
        value_ = evaluate(theta_);
        return least;
    }

    // Only variances can grow in these structures (one common variance in a homogeneous one).
    static MatrixXd restrict_to_structure(const Term& term, const MatrixXd& gamma) {
        if (!term.homogeneous) return gamma.diagonal().asDiagonal();
        return MatrixXd::Identity(gamma.rows(), gamma.cols()) * gamma.trace();
    }

    // Adds a little variance in the direction that the certificate found missing.
    bool escape() {
        if (best_term_ < 0) return false;
        const Term& term = model_.terms()[best_term_];
        const int first = model_.first_parameter(best_term_);
        for (double deviation = 0.3; deviation > 1e-4; deviation *= 0.3) {
            VectorXd theta = theta_;
            if (term.kind == StructureKind::unstructured) {
                const MatrixXd lower = term_factor(term, theta.data() + first).value;
                MatrixXd root(term.width, term.width + 1);
                root << lower, deviation * best_direction_;
                write_lower(lower_factor(root), theta.data() + first);
            } else if (term.homogeneous) {
                theta(first) = deviation;
            } else {
                for (int c = 0; c < term.width; ++c)
                    if (theta(first + c) == 0.0) theta(first + c) = deviation * std::abs(best_direction_(c));
            }
            theta = away_from_zero(model_, theta);
            const double value = evaluate(theta);
            if (value < value_) {
                theta_ = theta;
                value_ = value;
                return true;
            }
        }
        value_ = evaluate(theta_);
        return false;
    }

    SearchResult result() {
        const bool stationary = promise_ < 100.0 * settings_.tolerance;
        return {theta_,   value_, model_.pwrss(), evaluations_, iterations_,
                promise_, null_eigenvalue_, stationary && null_eigenvalue_ >= -null_tolerance(), rank_};
    }

    Model& model_;
    bool reml_;
    SearchSettings settings_;
    const Heartbeat& heartbeat_;
    VectorXd theta_;
    double value_ = 0.0;
    double promise_ = std::numeric_limits<double>::infinity();
    double null_eigenvalue_ = 0.0;
    int evaluations_ = 0, iterations_ = 0;
    std::vector<int> rank_;
    bool tried_ = false;  // whether a point other than theta_ was evaluated last
    int best_term_ = -1;
    VectorXd best_direction_;
};

}  // namespace

VectorXd moment_start(const Model& model) {
    VectorXd theta = VectorXd::Zero(model.n_parameters());
    const std::vector<MatrixXd> sigma = model.moment_covariances();
    for (std::size_t i = 0; i < model.terms().size(); ++i) {
        const Term& term = model.terms()[i];
        double* out = theta.data() + model.first_parameter(i);
        if (term.kind == StructureKind::unstructured) {
            write_lower(sigma[i].llt().matrixL(), out);
            continue;
        }
        const VectorXd deviation = sigma[i].diagonal().cwiseSqrt();
        const int n_sd = term.homogeneous ? 1 : term.width;
        for (int c = 0; c < n_sd; ++c) out[c] = term.homogeneous ? deviation.mean() : deviation(c);
        if (term.kind == StructureKind::autoregressive || term.kind == StructureKind::compound_symmetry)
            out[n_sd] = 0.1;
    }
    return theta;
}

SearchResult search(Model& model, const VectorXd& start, bool reml, const SearchSettings& settings,
                    const Heartbeat& heartbeat) {
    return Search(model, reml, settings, heartbeat).run(start);
}

}  // namespace multilevel
