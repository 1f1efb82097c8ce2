#include "profile.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>
#include <vector>

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr double tolerance = 1e-10;        // decrease of the deviance that the last step may promise
constexpr double acceptable = 1e-7;        // the same where rounding allows no further step: zeta moves by less
constexpr double nearly_singular = 1e-3;   // smallest singular value of T, relative to the largest or to 1
constexpr double shrink = 0.3;             // of the root of a deviation, where a search begins near its zero
constexpr int most_iterations = 200;

// ---- the covariances as functions of free parameters ----

// T of one term with its derivatives in its free parameters, the coordinate held, and log sigma.
struct TermPoint {
    TermFactor factor;
    MatrixXd by_coordinate, by_log_sigma;  // empty where T does not depend on them
};

int n_deviations(const Term& term) { return term.homogeneous ? 1 : term.width; }

bool has_angle(const Term& term) {
    return term.kind == StructureKind::compound_symmetry || term.kind == StructureKind::autoregressive;
}

// Lower-triangular L with L L' = root root' and no negative diagonal.
MatrixXd lower_factor(const MatrixXd& root) {
    const MatrixXd r = root.transpose().householderQr().matrixQR().triangularView<Eigen::Upper>();
    MatrixXd lower = r.topLeftCorner(root.rows(), root.rows()).transpose();
    for (int c = 0; c < lower.cols(); ++c)
        if (lower(c, c) < 0.0) lower.col(c) *= -1.0;
    return lower;
}

// A term that is not held. Deviations beside a correlation count by their size: squares keep the search smooth
// where they vanish.
TermPoint free_term(const Term& term, const double* free) {
    if (!has_angle(term)) return {term_factor(term, free), {}, {}};
    const int n_sd = n_deviations(term);
    VectorXd theta = Eigen::Map<const VectorXd>(free, term.n_parameters());
    theta.head(n_sd) = theta.head(n_sd).cwiseAbs2().eval();
    TermFactor factor = term_factor(term, theta.data());
    for (int c = 0; c < n_sd; ++c) factor.derivative[c] *= 2.0 * free[c];
    return {std::move(factor), {}, {}};
}

void write_free_term(const Term& term, const double* theta, double* free) {
    for (int i = 0; i < term.n_parameters(); ++i)
        free[i] = has_angle(term) && i < n_deviations(term) ? std::sqrt(std::abs(theta[i])) : theta[i];
}

// The held term, or the held residual, as a parametrisation by what is left.
class HeldTerm {
  public:
    HeldTerm(const Term& term, const Constraint& constraint)
        : term_(term), held_(constraint.held), directions_(constraint.directions) {
        if (term.kind == StructureKind::unstructured) {
            // An orthonormal basis that begins with the directions held: there they are leading columns.
            const Eigen::HouseholderQR<MatrixXd> qr(directions_);
            basis_ = qr.householderQ() * MatrixXd::Identity(term.width, term.width);
            triangle_ = (basis_.leftCols(directions_.cols()).transpose() * directions_).triangularView<Eigen::Upper>();
        } else if (held_ == Held::deviation) {
            directions_.col(0).cwiseAbs().maxCoeff(&column_);
        }
    }

    int n_free() const { return term_.n_parameters() - 1; }

    TermPoint at(const double* free, double coordinate, double log_sigma) const {
        if (term_.kind != StructureKind::unstructured) return structured(free, coordinate, log_sigma);
        return held_ == Held::deviation ? deviation(free, coordinate, log_sigma) : correlation(free, coordinate);
    }

    void write_free(const double* theta, double* free) const {
        if (term_.kind != StructureKind::unstructured) {
            VectorXd all(term_.n_parameters());
            write_free_term(term_, theta, all.data());
            const int skipped = skipped_parameter();
            for (int i = 0, out = 0; i < all.size(); ++i)
                if (i != skipped) free[out++] = all(i);
            return;
        }
        const MatrixXd lower = lower_factor(basis_.transpose() * term_factor(term_, theta).value);
        int at = 0;
        if (held_ == Held::correlation) {
            const MatrixXd pair = triangle_.transpose() * lower.topLeftCorner(2, 2);
            free[at++] = std::sqrt(pair.row(0).norm());
            free[at++] = std::sqrt(pair.row(1).norm());
        }
        const auto leading = static_cast<int>(directions_.cols());
        for (int c = 0; c < term_.width; ++c)
            for (int r = std::max(c, leading); r < term_.width; ++r) free[at++] = lower(r, c);
    }

  private:
    int skipped_parameter() const {
        return held_ == Held::correlation ? n_deviations(term_) : (term_.homogeneous ? 0 : static_cast<int>(column_));
    }

    TermPoint structured(const double* free, double coordinate, double log_sigma) const {
        const int n = term_.n_parameters(), skipped = skipped_parameter();
        const double size = held_ == Held::deviation ? std::abs(directions_(column_, 0)) * std::exp(log_sigma) : 1.0;
        VectorXd theta(n), chain = VectorXd::Ones(n);
        for (int i = 0; i < n; ++i) {
            theta(i) = i == skipped ? coordinate / size : *free++;
            if (i == skipped || !has_angle(term_) || i >= n_deviations(term_)) continue;
            chain(i) = 2.0 * theta(i);
            theta(i) *= theta(i);
        }
        TermFactor factor = term_factor(term_, theta.data());
        for (int i = 0; i < n; ++i) factor.derivative[i] *= chain(i);
        TermPoint out;
        out.by_coordinate = factor.derivative[skipped] / size;
        if (held_ == Held::deviation) out.by_log_sigma = -theta(skipped) * factor.derivative[skipped];
        factor.derivative.erase(factor.derivative.begin() + skipped);
        out.factor = std::move(factor);
        return out;
    }

    // L_11 = coordinate / (sigma |m|), the rest of L free.
    TermPoint deviation(const double* free, double coordinate, double log_sigma) const {
        const int q = term_.width;
        const double size = std::abs(triangle_(0, 0)) * std::exp(log_sigma);
        MatrixXd lower = MatrixXd::Zero(q, q);
        lower(0, 0) = coordinate / size;
        TermPoint out;
        out.by_coordinate = entry(0, 0, 1.0 / size);
        out.by_log_sigma = entry(0, 0, -lower(0, 0));
        for (int c = 0; c < q; ++c)
            for (int r = std::max(c, 1); r < q; ++r) {
                lower(r, c) = *free++;
                out.factor.derivative.push_back(entry(r, c, 1.0));
            }
        out.factor.value = basis_ * lower;
        return out;
    }

    // The leading block of L is B [[a, 0], [b cos, b sin]] with B = R^-T, where the directions are basis times R.
    TermPoint correlation(const double* free, double angle) const {
        const int q = term_.width;
        const MatrixXd B = triangle_.transpose().inverse().triangularView<Eigen::Lower>();
        const double a = free[0] * free[0], b = free[1] * free[1], cosine = std::cos(angle), sine = std::sin(angle);
        MatrixXd lower = MatrixXd::Zero(q, q);
        lower(0, 0) = B(0, 0) * a;
        lower(1, 0) = B(1, 0) * a + B(1, 1) * b * cosine;
        lower(1, 1) = B(1, 1) * b * sine;
        TermPoint out;
        out.factor.derivative.push_back(entry(0, 0, 2.0 * free[0] * B(0, 0)) + entry(1, 0, 2.0 * free[0] * B(1, 0)));
        out.factor.derivative.push_back(
            entry(1, 0, 2.0 * free[1] * B(1, 1) * cosine) + entry(1, 1, 2.0 * free[1] * B(1, 1) * sine));
        out.by_coordinate = entry(1, 0, -b * B(1, 1) * sine) + entry(1, 1, b * B(1, 1) * cosine);
        free += 2;
        for (int c = 0; c < q; ++c)
            for (int r = std::max(c, 2); r < q; ++r) {
                lower(r, c) = *free++;
                out.factor.derivative.push_back(entry(r, c, 1.0));
            }
        out.factor.value = basis_ * lower;
        return out;
    }

    MatrixXd entry(int row, int column, double value) const {
        MatrixXd out = MatrixXd::Zero(term_.width, term_.width);
        out.col(column) = value * basis_.col(row);
        return out;
    }

    Term term_;
    Held held_;
    MatrixXd directions_, basis_, triangle_;
    Eigen::Index column_ = 0;
};

// ---- the deviance of the free parameters ----

struct Value {
    double deviance = std::numeric_limits<double>::infinity();
    double slope = 0.0;  // in the coordinate held
    VectorXd gradient;
};

class Constrained {
  public:
    Constrained(Model& model, const Constraint& constraint, double coordinate)
        : model_(model), constraint_(constraint), coordinate_(coordinate) {
        if (constraint.held != Held::residual) held_.emplace(model.terms()[constraint.term], constraint);
        for (std::size_t i = 0; i < model.terms().size(); ++i) {
            first_.push_back(n_free_);
            n_free_ += is_held(i) ? held_->n_free() : model.terms()[i].n_parameters();
        }
        if (constraint.held == Held::deviation) ++n_free_;  // log sigma, last
    }

    int n_free() const { return n_free_; }

    VectorXd free_parameters(const VectorXd& theta, double log_sigma) const {
        VectorXd free(n_free_);
        for (std::size_t i = 0; i < model_.terms().size(); ++i) {
            const double* mine = theta.data() + model_.first_parameter(i);
            if (is_held(i)) held_->write_free(mine, free.data() + first_[i]);
            else write_free_term(model_.terms()[i], mine, free.data() + first_[i]);
        }
        if (constraint_.held == Held::deviation) free(n_free_ - 1) = log_sigma;
        return free;
    }

    // Beside a correlation a deviation may be best at or near zero, where the correlation hardly matters: that is a
    // valley of its own, which a search that comes from elsewhere does not see.
    std::vector<VectorXd> starts_near_boundary(const VectorXd& free) const {
        std::vector<VectorXd> out;
        if (constraint_.held != Held::correlation) return out;
        const Term& term = model_.terms()[constraint_.term];
        const int first = first_[constraint_.term];
        if (has_angle(term)) {
            out.push_back(free);
            out.back().segment(first, n_deviations(term)) *= shrink;
        } else {
            for (int which = 0; which < 2; ++which) {
                out.push_back(free);
                out.back()(first + which) *= shrink;
            }
        }
        return out;
    }

    // sigma is held itself, free beside a deviation, and profiled out beside a correlation.
    Value at(const VectorXd& free) {
        const double log_sigma = given_log_sigma(free);
        points_ = term_points(free, log_sigma);
        Value out;
        const std::vector<MatrixXd> T = factors();
        for (const MatrixXd& factor : T)
            if (!factor.allFinite()) return out;
        const std::optional<Pieces> pieces = model_.pieces(T);
        if (!pieces || !(pieces->pwrss > 0.0)) return out;
        const double n = model_.residual_df(false), constant = n * std::log(2.0 * std::numbers::pi);
        const bool profiled = constraint_.held == Held::correlation;
        log_sigma_ = profiled ? 0.5 * std::log(pieces->pwrss / n) : log_sigma;
        const double scaled = profiled ? n : pieces->pwrss * std::exp(-2.0 * log_sigma_);
        out.deviance = pieces->log_det_random + constant + 2.0 * n * log_sigma_ + scaled;
        if (!std::isfinite(out.deviance)) return Value{};
        add_derivatives(model_.factor_gradient(TailWeights{0.0, scaled}), 2.0 * (n - scaled), out);
        return out;
    }

    double log_sigma() const { return log_sigma_; }

    std::vector<MatrixXd> term_factors() const {
        std::vector<MatrixXd> out;
        for (const TermPoint& point : points_) out.push_back(point.factor.value);
        return out;
    }

    bool nearly_singular_point() const {
        for (const TermPoint& point : points_) {
            if (!point.factor.value.allFinite()) return true;
            const VectorXd values = point.factor.value.jacobiSvd().singularValues();
            if (values.minCoeff() < nearly_singular * std::max(1.0, values.maxCoeff())) return true;
        }
        return false;
    }

  private:
    bool is_held(std::size_t term) const {
        return held_ && static_cast<std::size_t>(constraint_.term) == term;
    }

    double given_log_sigma(const VectorXd& free) const {
        if (constraint_.held == Held::residual) return coordinate_;
        return constraint_.held == Held::deviation ? free(n_free_ - 1) : 0.0;
    }

    std::vector<TermPoint> term_points(const VectorXd& free, double log_sigma) const {
        std::vector<TermPoint> out;
        for (std::size_t i = 0; i < model_.terms().size(); ++i)
            out.push_back(is_held(i) ? held_->at(free.data() + first_[i], coordinate_, log_sigma)
                                     : free_term(model_.terms()[i], free.data() + first_[i]));
        return out;
    }

    std::vector<MatrixXd> factors() const {
        std::vector<MatrixXd> out;
        for (const Factor& f : model_.sums().factors) out.push_back(MatrixXd::Zero(f.width, f.width));
        for (std::size_t i = 0; i < points_.size(); ++i) {
            const Term& term = model_.terms()[i];
            out[term.factor].block(term.first, term.first, term.width, term.width) = points_[i].factor.value;
        }
        return out;
    }

    void add_derivatives(const std::vector<MatrixXd>& by_factor, double by_log_sigma, Value& out) const {
        out.gradient = VectorXd::Zero(n_free_);
        if (constraint_.held == Held::residual) out.slope = by_log_sigma;
        if (constraint_.held == Held::deviation) out.gradient(n_free_ - 1) = by_log_sigma;
        for (std::size_t i = 0; i < points_.size(); ++i) {
            const Term& term = model_.terms()[i];
            const MatrixXd slope = by_factor[term.factor].block(term.first, term.first, term.width, term.width);
            const TermPoint& point = points_[i];
            for (std::size_t j = 0; j < point.factor.derivative.size(); ++j)
                out.gradient(first_[i] + j) = slope.cwiseProduct(point.factor.derivative[j]).sum();
            if (point.by_coordinate.size()) out.slope += slope.cwiseProduct(point.by_coordinate).sum();
            if (point.by_log_sigma.size())
                out.gradient(n_free_ - 1) += slope.cwiseProduct(point.by_log_sigma).sum();
        }
    }

    Model& model_;
    Constraint constraint_;
    double coordinate_;
    std::optional<HeldTerm> held_;
    std::vector<int> first_;
    int n_free_ = 0;
    std::vector<TermPoint> points_;
    double log_sigma_ = 0.0;
};

// ---- the search: BFGS from differences of the exact gradient ----

struct Minimum {
    VectorXd free;
    Value value;
    MatrixXd inverse_hessian;
    bool converged = false;
    int evaluations = 0;
};

class Descent {
  public:
    Descent(Constrained& problem, const Heartbeat& heartbeat) : problem_(problem), heartbeat_(heartbeat) {}

    Minimum run(const VectorXd& start, const MatrixXd& inverse_hessian) {
        best_.free = start;
        best_.value = evaluate(start);
        if (!std::isfinite(best_.value.deviance)) return best_;
        best_.inverse_hessian = inverse_hessian.size() ? inverse_hessian : differenced();
        bool fresh = inverse_hessian.size() == 0;
        for (int i = 0; i < most_iterations; ++i) {
            heartbeat_();
            const VectorXd direction = -best_.inverse_hessian * best_.value.gradient;
            const double promise = -0.5 * direction.dot(best_.value.gradient);
            if (std::abs(promise) < tolerance) {
                best_.converged = true;
                break;
            }
            if (promise > 0.0 && advance(direction, promise)) {
                fresh = false;
                continue;
            }
            if (promise > 0.0 && promise < acceptable) best_.converged = true;
            if (fresh || best_.converged) break;
            best_.inverse_hessian = differenced();
            fresh = true;
        }
        evaluate(best_.free);  // the model stands where the search ended
        return best_;
    }

  private:
    Value evaluate(const VectorXd& free) {
        ++best_.evaluations;
        return problem_.at(free);
    }

    // Backtracks along a direction; false if no point on it is better.
    bool advance(VectorXd direction, double promise) {
        const double longest = 2.0 * std::max(1.0, best_.free.cwiseAbs().maxCoeff());
        double length = std::min(1.0, longest / direction.cwiseAbs().maxCoeff());
        for (int tries = 0; tries < 30; ++tries, length *= 0.35) {
            const VectorXd free = best_.free + length * direction;
            Value value = free.allFinite() ? evaluate(free) : Value{};
            if (!(value.deviance <= best_.value.deviance - 2e-4 * length * promise)) continue;
            update(free - best_.free, value.gradient - best_.value.gradient);
            best_.free = free;
            best_.value = std::move(value);
            return true;
        }
        return false;
    }

    void update(const VectorXd& step, const VectorXd& change) {
        const double curvature = step.dot(change);
        if (!(curvature > 1e-12 * step.norm() * change.norm())) return;
        const VectorXd moved = best_.inverse_hessian * change;
        const double size = (curvature + change.dot(moved)) / (curvature * curvature);
        best_.inverse_hessian += size * step * step.transpose() -
                                 (moved * step.transpose() + step * moved.transpose()) / curvature;
    }

    // Inverse of a Hessian differenced from gradients, its eigenvalues taken by their size.
    MatrixXd differenced() {
        const Eigen::Index n = best_.free.size();
        MatrixXd hessian(n, n);
        for (Eigen::Index i = 0; i < n; ++i) {
            const double step = 1e-5 * std::max(1.0, std::abs(best_.free(i)));
            VectorXd moved = best_.free;
            moved(i) += step;
            const Value value = evaluate(moved);
            if (!std::isfinite(value.deviance)) return MatrixXd::Identity(n, n);
            hessian.col(i) = (value.gradient - best_.value.gradient) / step;
        }
        if (n == 0 || !hessian.allFinite()) return MatrixXd::Identity(n, n);
        const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(0.5 * (hessian + hessian.transpose()));
        const double largest = std::max(eigen.eigenvalues().cwiseAbs().maxCoeff(), 1e-8);
        const VectorXd values = eigen.eigenvalues().cwiseAbs().cwiseMax(1e-6 * largest);
        return eigen.eigenvectors() * values.cwiseInverse().asDiagonal() * eigen.eigenvectors().transpose();
    }

    Constrained& problem_;
    const Heartbeat& heartbeat_;
    Minimum best_;
};

}  // namespace

VectorXd free_parameters(Model& model, const Constraint& constraint, const VectorXd& theta, double log_sigma) {
    return Constrained(model, constraint, 0.0).free_parameters(theta, log_sigma);
}

int n_free_parameters(Model& model, const Constraint& constraint) { return Constrained(model, constraint, 0.0).n_free(); }

ProfilePoint constrained_minimum(Model& model, const Constraint& constraint, double coordinate, const MatrixXd& starts,
                                 const MatrixXd& inverse_hessian, const Heartbeat& heartbeat) {
    Constrained problem(model, constraint, coordinate);
    Minimum best = Descent(problem, heartbeat).run(starts.col(0), inverse_hessian);
    const auto try_start = [&](const VectorXd& start) {
        Minimum other = Descent(problem, heartbeat).run(start, MatrixXd());
        other.evaluations += best.evaluations;
        if (other.value.deviance < best.value.deviance) best = std::move(other);
        else best.evaluations = other.evaluations;
    };
    for (Eigen::Index k = 1; k < starts.cols(); ++k)
        if (!best.converged || problem.nearly_singular_point()) try_start(starts.col(k));
    for (const VectorXd& start : problem.starts_near_boundary(starts.col(starts.cols() - 1))) try_start(start);
    if (!std::isfinite(problem.at(best.free).deviance)) {  // no start was any good
        best.converged = false;
        best.value.deviance = std::numeric_limits<double>::quiet_NaN();
        return {best.free, problem.term_factors(), VectorXd::Constant(model.n_fixed(), best.value.deviance),
                problem.log_sigma(), best.value.deviance, best.value.deviance, false, best.evaluations, MatrixXd()};
    }
    return {best.free,       problem.term_factors(), model.beta(),     problem.log_sigma(),  best.value.deviance,
            best.value.slope, best.converged,         best.evaluations, best.inverse_hessian};
}

CrossProducts with_tail(const CrossProducts& sums, const MatrixXd& map) {
    CrossProducts out = sums;
    const int t = sums.n_tail(), k = static_cast<int>(map.cols());
    out.n_fixed = k - 1;
    for (std::size_t f = 0; f < sums.tail.size(); ++f) {
        const auto rows = static_cast<Eigen::Index>(sums.tail[f].size()) / t;
        out.tail[f].resize(static_cast<std::size_t>(rows) * k);
        Eigen::Map<RowMajor>(out.tail[f].data(), rows, k) =
            Eigen::Map<const RowMajor>(sums.tail[f].data(), rows, t) * map;
    }
    out.fixed.resize(static_cast<std::size_t>(k) * k);
    Eigen::Map<RowMajor>(out.fixed.data(), k, k) =
        map.transpose() * Eigen::Map<const RowMajor>(sums.fixed.data(), t, t) * map;
    return out;
}

}  // namespace multilevel
