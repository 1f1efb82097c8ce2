// Derivatives of log-densities over a range of rows, and what the row sums of marginal likelihoods share.
#pragma once

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "density.hpp"
#include "grouped_rows.hpp"

namespace multilevel {

inline int pair_place(int variables, int i, int j) { return derivative_at(variables, std::min(i, j), std::max(i, j)); }

inline int triple_place(int variables, int i, int j, int k) {
    int s[3] = {i, j, k};
    std::sort(s, s + 3);
    return derivative_at(variables, s[0], s[1], s[2]);
}

// The nearest positive semidefinite matrix of one or two rows (W of a row; in place, by rows).
inline void project_weights(double* W, int k) {
    if (k == 1) {
        W[0] = std::max(W[0], 0.0);
        return;
    }
    const double mean = 0.5 * (W[0] + W[3]), half = 0.5 * (W[0] - W[3]), radius = std::hypot(half, W[1]);
    if (mean >= radius) return;
    if (mean <= -radius) {
        std::fill(W, W + 4, 0.0);
        return;
    }
    const double scale = (mean + radius) / (2.0 * radius), low = mean - radius;
    W[0] = scale * (W[0] - low);
    W[3] = scale * (W[3] - low);
    W[1] = W[2] = scale * W[1];
}

// offset + X gamma of rows begin .. end - 1.
inline void fixed_part(const PredictorRows& p, const double* gamma, std::int64_t begin, std::int64_t end, double* out) {
    if (p.offset.empty()) std::fill(out + begin, out + end, 0.0);
    else std::copy(p.offset.begin() + begin, p.offset.begin() + end, out + begin);
    for (std::size_t c = 0; c < p.columns.size(); ++c) {
        const double coefficient = gamma[p.coefficients[c]];
        const double* x = p.columns[c].data();
        for (std::int64_t i = begin; i < end; ++i) out[i] += coefficient * x[i];
    }
}

// out[stride * level] += the sum of x y over the level's rows; rows of a level often stand together.
inline void add_to_levels(const std::int32_t* level, const double* x, const double* y, int count, int stride, double* out) {
    for (int r = 0; r < count;) {
        const std::int32_t here = level[r];
        int end = r + 1;
        while (end < count && level[end] == here) ++end;
        double sum[4] = {};  // side by side: additions need not wait for each other
        for (; r + 4 <= end; r += 4)
            for (int k = 0; k < 4; ++k) sum[k] += x[r + k] * y[r + k];
        for (; r < end; ++r) sum[0] += x[r] * y[r];
        out[static_cast<std::size_t>(here) * stride] += (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

// Room for the derivatives of some rows: d[place][row - first].
class RowDerivatives {
  public:
    explicit RowDerivatives(std::int64_t rows) : values_(static_cast<std::size_t>(most) * rows) {
        for (int d = 0; d < most; ++d) at_[d] = values_.data() + static_cast<std::size_t>(d) * rows;
    }

    // Rows begin .. end - 1, of which `first` has place 0, in the `active` predictors (all of them if empty).
    void evaluate(const GroupedRows& rows, const std::vector<std::vector<double>>& predictors, const std::vector<int>& active,
                  std::int64_t begin, std::int64_t end, std::int64_t first, int order) {
        static constexpr int all[most_predictors] = {0, 1, 2};
        const double* at[most_predictors];
        for (std::size_t k = 0; k < predictors.size(); ++k) at[k] = predictors[k].data();
        double* out[most];
        for (int d = 0; d < most; ++d) out[d] = at_[d] + (begin - first);
        const int count = static_cast<int>(active.empty() ? predictors.size() : active.size());
        log_density(rows.density, rows.responses(), at, begin, end, active.empty() ? all : active.data(), count, order, out);
    }

    const double* operator[](int d) const { return at_[d]; }

  private:
    static constexpr int most = n_derivatives(most_predictors, 3);
    std::vector<double> values_;
    double* at_[most];
};

// A covariance of each term by moments: with scores s = Z'l' and their information M = Z'WZ in each level, without random
// effects, E[ss'] = M + M Sigma M where M varies little.
class ScoreMoments {
  public:
    ScoreMoments() = default;
    explicit ScoreMoments(const std::vector<Term>& terms) : terms_(terms), of_(terms.size()) {
        for (std::size_t i = 0; i < terms.size(); ++i)
            of_[i].excess = of_[i].mean = Eigen::MatrixXd::Zero(terms[i].width, terms[i].width);
    }

    void add_level(int factor, const Eigen::MatrixXd& M, const Eigen::VectorXd& score) {
        for (std::size_t i = 0; i < terms_.size(); ++i) {
            const Term& term = terms_[i];
            if (term.factor != factor) continue;
            const auto s = score.segment(term.first, term.width);
            const Eigen::MatrixXd own = M.block(term.first, term.first, term.width, term.width);
            of_[i].excess += s * s.transpose() - own;
            of_[i].mean += own;
            const double n = own.trace() / term.width;
            of_[i].size += n;
            of_[i].squared_size += n * n;
            ++of_[i].levels;
        }
    }

    void add(const ScoreMoments& other) {
        for (std::size_t i = 0; i < of_.size(); ++i) {
            of_[i].excess += other.of_[i].excess;
            of_[i].mean += other.of_[i].mean;
            of_[i].size += other.of_[i].size;
            of_[i].squared_size += other.of_[i].squared_size;
            of_[i].levels += other.of_[i].levels;
        }
    }

    std::vector<Eigen::MatrixXd> covariances() const {
        std::vector<Eigen::MatrixXd> out;
        for (std::size_t i = 0; i < of_.size(); ++i) out.push_back(covariance(of_[i], terms_[i].width));
        return out;
    }

  private:
    struct Moments {
        Eigen::MatrixXd excess, mean;
        double size = 0.0, squared_size = 0.0;
        int levels = 0;
    };

    static Eigen::MatrixXd covariance(const Moments& m, int width) {
        if (!(m.size > 0.0) || !m.excess.allFinite()) return 0.25 * Eigen::MatrixXd::Identity(width, width);
        Eigen::MatrixXd mean = m.mean / m.size;
        mean.diagonal().array() += 1e-8 * mean.trace();
        const Eigen::MatrixXd inverse = mean.inverse(), rough = inverse * m.excess * inverse / m.squared_size;
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(0.5 * (rough + rough.transpose()));
        const double floor = std::min(0.2 * m.levels / m.size, 0.25);  // a deviation that a group of mean size can just show
        const Eigen::VectorXd values = eigen.eigenvalues().cwiseMax(floor).cwiseMin(25.0);
        return eigen.eigenvectors() * values.asDiagonal() * eigen.eigenvectors().transpose();
    }

    std::vector<Term> terms_;
    std::vector<Moments> of_;
};

}  // namespace multilevel
