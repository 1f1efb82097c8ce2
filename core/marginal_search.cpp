#include "marginal_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double infinity = std::numeric_limits<double>::infinity();
// A direction of Sigma with a variance below this, in a working column of unit size, is tried at exactly zero.
constexpr double negligible_variance = 1e-4;

std::vector<int> first_parameters(const std::vector<Term>& terms) {
    std::vector<int> first;
    int next = 0;
    for (const Term& term : terms) {
        first.push_back(next);
        next += term.n_parameters();
    }
    return first;
}

bool has_correlation(const Term& term) {
    return term.kind == StructureKind::autoregressive || term.kind == StructureKind::compound_symmetry;
}

void write_lower(const MatrixXd& root, double* theta) {
    const MatrixXd r = root.transpose().householderQr().matrixQR().triangularView<Eigen::Upper>();
    MatrixXd lower = r.topLeftCorner(root.rows(), root.rows()).transpose();
    const double least = 1e-13 * (1.0 + lower.cwiseAbs().maxCoeff());
    for (int c = 0; c < lower.cols(); ++c) {
        if (lower(c, c) < 0.0) lower.col(c) *= -1.0;
        for (int r = c; r < lower.rows(); ++r) *theta++ = std::abs(lower(r, c)) < least ? 0.0 : lower(r, c);
    }
}

MatrixXd positive_part(const MatrixXd& m) {
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(m);
    return eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0.0).asDiagonal() * eigen.eigenvectors().transpose();
}

// Symmetric, with eigenvalues of the scaled matrix kept away from zero.
MatrixXd made_definite(const MatrixXd& m) {
    VectorXd scale(m.rows());
    for (int i = 0; i < m.rows(); ++i) scale(i) = 1.0 / std::sqrt(std::max(std::abs(m(i, i)), 1e-8));
    const MatrixXd unit = scale.asDiagonal() * m * scale.asDiagonal();
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(0.5 * (unit + unit.transpose()));
    const VectorXd values = eigen.eigenvalues().cwiseAbs().cwiseMax(1e-4);
    const MatrixXd whole = eigen.eigenvectors() * values.asDiagonal() * eigen.eigenvectors().transpose();
    return scale.cwiseInverse().asDiagonal() * whole * scale.cwiseInverse().asDiagonal();
}

class Search {
  public:
    Search(Marginal& model, const MarginalSettings& settings, const std::function<void()>& heartbeat)
        : model_(model), terms_(model.terms()), first_(first_parameters(terms_)), settings_(settings), heartbeat_(heartbeat) {}

    MarginalResult run(const VectorXd& start) {
        psi_ = start;
        value_ = evaluate(psi_);
        if (!std::isfinite(value_)) return result();
        gradient_ = model_.gradient();
        for (int attempt = 0; attempt < 6; ++attempt) {
            descend();
            snap_to_boundary();
            if (attempt == 0) settled_ = value_;
            null_slope_ = certify();
            if (null_slope_ >= -null_tolerance() || spent() || !escape()) break;
        }
        return result();
    }

  private:
    double evaluate(const VectorXd& psi) {
        ++evaluations_;
        return model_.value(psi);
    }
    bool spent() const { return evaluations_ >= settings_.max_evaluations; }
    double rounding() const { return 1e-10 + 1e-13 * std::abs(value_); }
    double null_tolerance() const { return 1e-4 * std::max(1.0, std::sqrt(std::abs(value_))); }

    // The model's curvature, and what the slope in Sigma adds to it in theta (its positive part).
    MatrixXd curvature() {
        MatrixXd B = model_.curvature();
        for (std::size_t i = 0; i < terms_.size(); ++i) {
            const TermFactor factor = term_factor(terms_[i], psi_.data() + first_[i]);
            const int q = terms_[i].width, k = terms_[i].n_parameters();
            if (terms_[i].kind == StructureKind::unstructured) {
                // d F / dT is known below the diagonal, where dF/dT = 2 Gamma T; above it is filled by symmetry of Gamma.
                const MatrixXd gamma = positive_part(sigma_slope(factor.value, gradient_.segment(first_[i], k)));
                for (int a = 0; a < k; ++a)
                    for (int b = 0; b < k; ++b)
                        B(first_[i] + a, first_[i] + b) +=
                            2.0 * (gamma * factor.derivative[a]).cwiseProduct(factor.derivative[b]).sum();
            } else {
                for (int a = 0; a < std::min(k, terms_[i].homogeneous ? 1 : q); ++a) {
                    const double theta = psi_(first_[i] + a);
                    if (std::abs(theta) > 1e-9) B(first_[i] + a, first_[i] + a) += std::max(gradient_(first_[i] + a) / theta, 0.0);
                }
            }
        }
        return made_definite(B);
    }

    // Symmetric Gamma with the lower triangle of 2 Gamma T equal to the slope in T.
    static MatrixXd sigma_slope(const MatrixXd& T, const VectorXd& slope) {
        const int q = static_cast<int>(T.rows()), k = static_cast<int>(slope.size());
        MatrixXd system = MatrixXd::Zero(k, k);
        int row = 0;
        std::vector<std::pair<int, int>> entries;
        for (int c = 0; c < q; ++c)
            for (int r = c; r < q; ++r) entries.emplace_back(r, c);
        for (const auto& [r, c] : entries) {
            for (int e = 0; e < k; ++e) {
                const auto [i, j] = entries[e];
                if (i == r) system(row, e) += 2.0 * T(j, c);
                if (j == r && i != j) system(row, e) += 2.0 * T(i, c);
            }
            ++row;
        }
        const VectorXd solution = system.completeOrthogonalDecomposition().solve(slope);
        MatrixXd gamma(q, q);
        for (int e = 0; e < k; ++e) gamma(entries[e].first, entries[e].second) = gamma(entries[e].second, entries[e].first) = solution(e);
        return gamma;
    }

    void descend() {
        MatrixXd B = curvature();
        for (int iteration = 0; !spent(); ++iteration, ++iterations_) {
            heartbeat_();
            VectorXd direction = -B.llt().solve(gradient_);
            promise_ = -0.5 * direction.dot(gradient_);
            if (!std::isfinite(promise_)) return;
            if (promise_ < settings_.tolerance) return;
            const double longest = 2.0 * std::max(1.0, psi_.cwiseAbs().maxCoeff()) / direction.cwiseAbs().maxCoeff();
            direction *= std::min(1.0, longest);
            const VectorXd from = psi_, slope = gradient_;
            if (!advance(direction)) {
                if (iteration == 0) return;
                B = curvature();  // once more from the analytic curvature
                direction = -B.llt().solve(gradient_);
                promise_ = -0.5 * direction.dot(gradient_);
                if (promise_ < settings_.tolerance || !advance(direction)) return;
                continue;
            }
            const VectorXd s = psi_ - from, y = gradient_ - slope;
            if (promise_ > (iteration <= 1 ? 1e-3 : 1e-2)) B = curvature();
            update(B, s, y);
        }
    }

    // Powell's damped BFGS update of the Hessian.
    static void update(MatrixXd& B, const VectorXd& s, const VectorXd& y) {
        const VectorXd Bs = B * s;
        const double curved = s.dot(Bs), found = s.dot(y);
        if (!(curved > 0.0)) return;
        const double share = found >= 0.1 * curved ? 1.0 : 0.9 * curved / (curved - found);
        const VectorXd r = share * y + (1.0 - share) * Bs;
        B += r * r.transpose() / s.dot(r) - Bs * Bs.transpose() / curved;
    }

    // Backtracks along the step; false if no point on it is better.
    bool advance(const VectorXd& direction) {
        const double slope = gradient_.dot(direction);
        double length = 1.0;
        for (int tries = 0; tries < 24 && !spent(); ++tries) {
            const VectorXd psi = psi_ + length * direction;
            const double value = evaluate(psi);
            if (value <= value_ + 1e-4 * length * slope || (-slope < 1e-6 && value <= value_ + rounding())) {
                psi_ = psi;
                value_ = value;
                gradient_ = model_.gradient();
                return true;
            }
            const double parabola = std::isfinite(value) ? -0.5 * slope * length * length / (value - value_ - length * slope) : 0.0;
            length = std::clamp(parabola, 0.1 * length, 0.5 * length);
        }
        value_ = evaluate(psi_);  // the model must stand at psi_
        gradient_ = model_.gradient();
        return false;
    }

    // Directions of Sigma that are as good as zero become exactly zero, where the criterion does not object.
    void snap_to_boundary() {
        rank_.clear();
        bool moved = false;
        for (std::size_t i = 0; i < terms_.size(); ++i) moved = snap_term(i) || moved;
        if (!moved) return;
        value_ = evaluate(psi_);
        gradient_ = model_.gradient();
    }

    bool try_point(const VectorXd& psi) {
        const double value = evaluate(psi);
        if (!(value <= value_ + 10.0 * rounding() + 1e-9)) return false;
        psi_ = psi;
        return true;
    }

    bool snap_term(std::size_t i) {
        const Term& term = terms_[i];
        const int first = first_[i];
        bool tried = false;
        if (term.kind == StructureKind::unstructured) {
            const MatrixXd T = term_factor(term, psi_.data() + first).value;
            const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(T * T.transpose());
            const double threshold = negligible_variance * std::max(1.0, eigen.eigenvalues().maxCoeff());
            for (int zero = static_cast<int>((eigen.eigenvalues().array() < threshold).count()); zero > 0; --zero) {
                VectorXd root = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
                root.head(zero).setZero();
                VectorXd psi = psi_;
                write_lower(eigen.eigenvectors() * root.asDiagonal(), psi.data() + first);
                tried = true;
                if (try_point(psi)) break;
            }
            VectorXd psi = psi_;
            write_lower(term_factor(term, psi_.data() + first).value, psi.data() + first);
            if (psi != psi_) tried = true;
            psi_ = psi;
        } else {
            const int n_sd = term.homogeneous ? 1 : term.width;
            for (int c = 0; c < n_sd; ++c) {
                if (psi_(first + c) < 0.0) tried = true;
                psi_(first + c) = std::abs(psi_(first + c));
                if (std::pow(psi_(first + c), 2) > negligible_variance || psi_(first + c) == 0.0) continue;
                VectorXd psi = psi_;
                psi(first + c) = 0.0;
                tried = true;
                try_point(psi);
            }
            if (has_correlation(term)) tried = snap_angle(first + n_sd) || tried;
        }
        const MatrixXd T = term_factor(term, psi_.data() + first).value;
        const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(T * T.transpose());
        const double largest = std::max(eigen.eigenvalues().maxCoeff(), 1e-300);
        rank_.push_back(static_cast<int>((eigen.eigenvalues().array() > 1e-14 * largest).count()) *
                        static_cast<int>(largest > 1e-28));
        return tried;
    }

    bool snap_angle(int at) {
        constexpr double quarter_turn = std::numbers::pi / 2.0;
        const double end = std::round(psi_(at) / quarter_turn) * quarter_turn;
        if (std::pow(psi_(at) - end, 2) > negligible_variance || psi_(at) == end) return false;
        VectorXd psi = psi_;
        psi(at) = end;
        try_point(psi);
        return true;
    }

    // Least slope of the criterion as a term gains a variance that it lacks, and remembers how it gains it.
    double certify() {
        constexpr double probe = 1e-2;
        escape_ = {};
        double least = infinity;
        bool any = false;
        for (std::size_t i = 0; i < terms_.size(); ++i) {
            if (rank_[i] == terms_[i].width) continue;
            for (const auto& move : missing_directions(i)) {
                any = true;
                const double slope = (evaluate(move(probe)) - value_) / (probe * probe);
                if (slope < least) {
                    least = slope;
                    escape_ = move;
                }
            }
        }
        if (!any) return 0.0;
        value_ = evaluate(psi_);
        gradient_ = model_.gradient();
        return least;
    }

    std::vector<std::function<VectorXd(double)>> missing_directions(std::size_t i) const {
        const Term& term = terms_[i];
        const int first = first_[i];
        std::vector<std::function<VectorXd(double)>> out;
        if (term.kind != StructureKind::unstructured) {
            for (int c = 0; c < (term.homogeneous ? 1 : term.width); ++c)
                if (psi_(first + c) == 0.0)
                    out.push_back([this, at = first + c](double deviation) {
                        VectorXd psi = psi_;
                        psi(at) = deviation;
                        return psi;
                    });
            return out;
        }
        const MatrixXd T = term_factor(term, psi_.data() + first).value;
        const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(T * T.transpose());
        for (int c = 0; c < term.width - rank_[i]; ++c)
            out.push_back([this, &term, T, first, v = VectorXd(eigen.eigenvectors().col(c))](double deviation) {
                VectorXd psi = psi_;
                MatrixXd root(term.width, term.width + 1);
                root << T, deviation * v;
                write_lower(root, psi.data() + first);
                return psi;
            });
        return out;
    }

    bool escape() {
        if (!escape_) return false;
        for (double deviation = 0.3; deviation > 1e-4; deviation *= 0.3) {
            const VectorXd psi = escape_(deviation);
            const double value = evaluate(psi);
            if (value < value_) {
                psi_ = psi;
                value_ = value;
                gradient_ = model_.gradient();
                return true;
            }
        }
        value_ = evaluate(psi_);
        gradient_ = model_.gradient();
        return false;
    }

    MarginalResult result() const {
        const bool stationary = promise_ < 1e3 * settings_.tolerance;
        return {psi_,  value_, evaluations_, iterations_, promise_, null_slope_,
                std::isfinite(value_) && stationary && null_slope_ >= -null_tolerance(), rank_, settled_};
    }

    Marginal& model_;
    const std::vector<Term>& terms_;
    const std::vector<int> first_;
    MarginalSettings settings_;
    const std::function<void()>& heartbeat_;
    VectorXd psi_, gradient_;
    double value_ = infinity, promise_ = infinity, null_slope_ = 0.0, settled_ = infinity;
    int evaluations_ = 0, iterations_ = 0;
    std::vector<int> rank_;
    std::function<VectorXd(double)> escape_;
};

}  // namespace

VectorXd marginal_start(Marginal& model, const VectorXd& gamma) {
    VectorXd psi = VectorXd::Zero(model.n_parameters());
    psi.tail(gamma.size()) = gamma;
    const std::vector<Term>& terms = model.terms();
    const std::vector<int> first = first_parameters(terms);
    const std::vector<MatrixXd> sigma = model.moment_covariances(gamma);
    for (std::size_t i = 0; i < terms.size(); ++i) {
        const Term& term = terms[i];
        double* out = psi.data() + first[i];
        if (term.kind == StructureKind::unstructured) {
            write_lower(sigma[i].llt().matrixL(), out);
            continue;
        }
        const VectorXd deviation = sigma[i].diagonal().cwiseSqrt();
        const int n_sd = term.homogeneous ? 1 : term.width;
        for (int c = 0; c < n_sd; ++c) out[c] = term.homogeneous ? deviation.mean() : deviation(c);
        if (has_correlation(term)) out[n_sd] = 1.2;  // a weak positive correlation
    }
    return psi;
}

MarginalResult search_marginal(Marginal& model, const VectorXd& start, const MarginalSettings& settings,
                               const std::function<void()>& heartbeat) {
    return Search(model, settings, heartbeat).run(start);
}

MatrixXd marginal_hessian(Marginal& model, const VectorXd& psi, const std::vector<bool>& free) {
    const int k = static_cast<int>(psi.size());
    model.value(psi);
    model.gradient();
    const MatrixXd rough = model.curvature();
    std::vector<VectorXd> points;  // on either side of psi, for each free parameter
    VectorXd step = VectorXd::Zero(k);
    for (int j = 0; j < k; ++j) {
        if (!free[j]) continue;
        step(j) = std::min(2e-3 / std::sqrt(std::max(rough(j, j), 1e-4)), 1e-2);
        for (double side : {step(j), -step(j)}) {
            points.push_back(psi);
            points.back()(j) += side;
        }
    }
    const std::vector<VectorXd> gradients = model.gradients_near(points);
    MatrixXd H = MatrixXd::Zero(k, k);
    for (int j = 0, at = 0; j < k; ++j)
        if (free[j]) {
            H.col(j) = (gradients[at] - gradients[at + 1]) / (2.0 * step(j));
            at += 2;
        }
    for (int j = 0; j < k; ++j)
        if (!free[j]) H.row(j).setZero();
    model.value(psi);
    return 0.5 * (H + H.transpose());
}

}  // namespace multilevel
