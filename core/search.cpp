#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

// Smallest diagonal of T during the search: T^-1 must exist, the criterion moves by its square only.
constexpr double least_diagonal = 1e-9;
// A direction of Sigma with a relative variance below this is tried at exactly zero.
constexpr double negligible_variance = 1e-4;

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

bool has_correlation(const Term& term) {
    return term.kind == StructureKind::autoregressive || term.kind == StructureKind::compound_symmetry;
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

// Deviations beside a correlation that stand at zero and are pressed down stay where they are.
void hold_pressed_deviations(const Model& model, const VectorXd& theta, VectorXd& gradient, MatrixXd& hessian) {
    for (std::size_t i = 0; i < model.terms().size(); ++i) {
        const Term& term = model.terms()[i];
        if (!has_correlation(term)) continue;
        const int first = model.first_parameter(i), n_sd = term.homogeneous ? 1 : term.width;
        for (int at = first; at < first + n_sd; ++at) {
            if (theta(at) > least_diagonal || gradient(at) <= 0.0) continue;
            hessian.row(at).setZero();
            hessian.col(at).setZero();
            hessian(at, at) = 1.0;
            gradient(at) = 0.0;
        }
    }
}

Step newton_step(const Model& model, const Derivatives& d, const VectorXd& theta) {
    MatrixXd hessian = d.average_information;
    VectorXd gradient = d.gradient;
    add_sigma_curvature(hessian, model, d, theta);
    hessian = 0.5 * (hessian + hessian.transpose()).eval();
    hold_pressed_deviations(model, theta, gradient, hessian);
    VectorXd direction = newton_direction(hessian, gradient);
    const double promise = -0.5 * direction.dot(gradient);
    const double longest =
        2.0 * std::max(1.0, theta.cwiseAbs().maxCoeff()) / std::max(direction.cwiseAbs().maxCoeff(), 1e-300);
    direction *= std::min(1.0, longest);
    return {direction, promise};
}

// The angle of a correlation, moved a little if the correlation matrix is singular there.
double off_its_ends(double eta) {
    constexpr double least = 1e-6, quarter_turn = std::numbers::pi / 2.0;
    const double turns = std::round(eta / quarter_turn), distance = eta - turns * quarter_turn;
    return std::abs(distance) < least ? turns * quarter_turn + std::copysign(least, distance) : eta;
}

// The diagonal of T is kept from zero, where Gamma could not be read from the gradient. Deviations beside a
// correlation do not change sign: there a sign would turn the correlation round.
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
            if (!has_correlation(term)) continue;
            for (int c = 0; c < n_sd; ++c) theta(at + c) = std::max(theta(at + c), least_diagonal);
            theta(at + n_sd) = off_its_ends(theta(at + n_sd));
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

    // Raising the criterion by less than this is within its rounding: pwrss is what is left of y'y.
    double rounding() const {
        const double total = model_.sums().fixed.back(), lost = total / std::max(model_.pwrss(), 1e-300);
        return 1e-9 + 1e-13 * std::abs(value_) + 1e-15 * lost * model_.residual_df(reml_);
    }

    bool spent() const { return evaluations_ >= settings_.max_evaluations; }

    // A slope this small over the range of a detectable variance moves the criterion by less than the tolerance.
    double null_tolerance() const { return 1e-4 * std::max(1.0, std::sqrt(std::abs(value_))); }

    void descend() {
        for (; !spent(); ++iterations_) {
            heartbeat_();
            rounding_ = rounding();
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
                (step.promise < 1e-6 && value <= value_ + rounding_)) {
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
        if (evaluate(theta) > value_ + rounding_) return false;
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

    // Standard deviations, and the angle of a correlation, at exactly their boundary where that is as good.
    int snap_deviations(const Term& term, int first) {
        const int n_sd = term.homogeneous ? 1 : term.width;
        for (int c = 0; c < n_sd; ++c) {
            theta_(first + c) = std::abs(theta_(first + c));
            if (theta_(first + c) * theta_(first + c) > negligible_variance) continue;
            VectorXd theta = theta_;
            theta(first + c) = 0.0;
            try_theta(theta);
        }
        if (has_correlation(term)) snap_angle(first + n_sd);
        const MatrixXd T = term_factor(term, theta_.data() + first).value;
        const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(T * T.transpose());
        return static_cast<int>((eigen.eigenvalues().array() > 1e-14 * eigen.eigenvalues().maxCoeff()).count());
    }

    void snap_angle(int at) {
        constexpr double quarter_turn = std::numbers::pi / 2.0;
        const double end = std::round(theta_(at) / quarter_turn) * quarter_turn;
        if (std::pow(theta_(at) - end, 2) > negligible_variance || theta_(at) == end) return;
        VectorXd theta = theta_;
        theta(at) = end;
        try_theta(theta);
    }

    // Slope of the criterion along the best direction that Sigma lacks, and remembers that direction.
    double certify() {
        escape_ = {};
        double least = std::numeric_limits<double>::infinity();
        bool any = false;
        for (std::size_t i = 0; i < model_.terms().size(); ++i) {
            if (rank_[i] == model_.terms()[i].width) continue;
            any = true;
            const double slope = model_.terms()[i].kind == StructureKind::unstructured ? unstructured_slope(i, least)
                                                                                        : parameter_slope(i, least);
            least = std::min(least, slope);
        }
        if (any) value_ = evaluate(theta_);
        return any ? least : 0.0;
    }

    // Gamma on the null space of Sigma: T is given a probe of `probe` there, so that Gamma = G / (2 probe).
    double unstructured_slope(std::size_t i, double least) {
        constexpr double probe = 1e-5;
        const Term& term = model_.terms()[i];
        std::vector<MatrixXd> factor_T = model_.factor_T(theta_);
        auto block = factor_T[term.factor].block(term.first, term.first, term.width, term.width);
        const Eigen::SelfAdjointEigenSolver<MatrixXd> sigma(MatrixXd(block * block.transpose()));
        const int missing = term.width - rank_[i];
        const MatrixXd null_space = sigma.eigenvectors().leftCols(missing);
        VectorXd root = sigma.eigenvalues().cwiseMax(0.0).cwiseSqrt();
        root.head(missing).setConstant(probe);
        block = (sigma.eigenvectors() * root.asDiagonal() * sigma.eigenvectors().transpose()).eval();
        ++evaluations_;
        model_.criterion(factor_T, reml_);
        const MatrixXd gradient = model_.factor_gradient(reml_)[term.factor];
        const MatrixXd slope = gradient.block(term.first, term.first, term.width, term.width);
        const MatrixXd gamma = null_space.transpose() * slope * null_space / (2.0 * probe);
        const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(0.5 * (gamma + gamma.transpose()));
        if (eigen.eigenvalues()(0) < least) {
            const VectorXd direction = null_space * eigen.eigenvectors().col(0);
            const int first = model_.first_parameter(i);
            escape_ = [this, &term, direction, first](double deviation) {
                VectorXd theta = theta_;
                MatrixXd root_of_sum(term.width, term.width + 1);
                root_of_sum << term_factor(term, theta.data() + first).value, deviation * direction;
                write_lower(lower_factor(root_of_sum), theta.data() + first);
                return theta;
            };
        }
        return eigen.eigenvalues()(0);
    }

    // The same for structures whose parameters may stand at a boundary: Sigma moves by the square of the step.
    double parameter_slope(std::size_t i, double least) {
        constexpr double step = 1e-2;
        const Term& term = model_.terms()[i];
        const int first = model_.first_parameter(i), n_sd = term.homogeneous ? 1 : term.width;
        double best = std::numeric_limits<double>::infinity();
        for (int c = 0; c < term.n_parameters(); ++c) {
            if (c < n_sd && theta_(first + c) != 0.0) continue;
            VectorXd moved = theta_;
            moved(first + c) += step;
            const double slope = (evaluate(moved) - value_) / (step * step);
            if (slope < std::min(best, least))
                escape_ = [this, at = first + c](double deviation) {
                    VectorXd theta = theta_;
                    theta(at) += deviation;
                    return theta;
                };
            best = std::min(best, slope);
        }
        return best;
    }

    // Adds a little variance in the direction that the certificate found missing.
    bool escape() {
        if (!escape_) return false;
        for (double deviation = 0.3; deviation > 1e-4; deviation *= 0.3) {
            const VectorXd theta = away_from_zero(model_, escape_(deviation));
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
    double value_ = 0.0, rounding_ = 1e-9;
    double promise_ = std::numeric_limits<double>::infinity();
    double null_eigenvalue_ = 0.0;
    int evaluations_ = 0, iterations_ = 0;
    std::vector<int> rank_;
    bool tried_ = false;  // whether a point other than theta_ was evaluated last
    std::function<VectorXd(double)> escape_;  // theta with a little variance where the certificate found it missing
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
        if (has_correlation(term)) out[n_sd] = 1.2;  // a weak positive correlation
    }
    return theta;
}

SearchResult search(Model& model, const VectorXd& start, bool reml, const SearchSettings& settings,
                    const Heartbeat& heartbeat) {
    return Search(model, reml, settings, heartbeat).run(start);
}

}  // namespace multilevel
