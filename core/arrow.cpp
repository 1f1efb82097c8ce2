#include "arrow.hpp"

#include <algorithm>
#include <cmath>

#include "dense.hpp"
#include "threads.hpp"

namespace multilevel {

namespace arrow {
namespace baseline {
Sweeps sweeps(int q);
}
#ifdef X86_KERNELS
namespace avx2 {
Sweeps sweeps(int q);
}
namespace avx512 {
Sweeps sweeps(int q);
}
#endif

Sweeps sweeps_for(int q) {
#ifdef X86_KERNELS
    if (__builtin_cpu_supports("avx512f")) return avx512::sweeps(q);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::sweeps(q);
#endif
    return baseline::sweeps(q);
}

}  // namespace arrow

using arrow::lanes;
using arrow::triangle;

namespace {

constexpr int most_parts = 16;
constexpr std::int64_t batches_worth_a_thread = 64;

int pair_index(int i, int j) { return i >= j ? triangle(i) + j : triangle(j) + i; }

}  // namespace

bool Arrow::serves(const CrossProducts& sums) {
    return sums.factors.size() == 1 && sums.factors[0].width <= arrow::most_columns;
}

Arrow::Arrow(const CrossProducts& sums)
    : q_(sums.factors[0].width),
      k_(sums.n_tail()),
      levels_(sums.factors[0].levels),
      batches_((levels_ + lanes - 1) / lanes),
      parts_(static_cast<int>(std::clamp<std::int64_t>(batches_ / batches_worth_a_thread, 1, most_parts))),
      sweeps_(arrow::sweeps_for(q_)),
      own_(static_cast<std::size_t>(batches_) * triangle(q_) * lanes, 0.0),
      tail_(static_cast<std::size_t>(batches_) * q_ * k_ * lanes, 0.0) {
    for (std::int64_t g = 0; g < levels_; ++g) {
        const double* own = &sums.diag[0][static_cast<std::size_t>(g) * q_ * q_];
        double* out = &own_[(g / lanes) * triangle(q_) * lanes + g % lanes];
        for (int i = 0; i < q_; ++i)
            for (int j = 0; j <= i; ++j, out += lanes) *out = own[i * q_ + j];
    }
    read_tail(sums);
}

void Arrow::replace_response(const CrossProducts& sums) { read_tail(sums); }

void Arrow::read_tail(const CrossProducts& sums) {
    for (std::int64_t g = 0; g < levels_; ++g) {
        const double* tail = &sums.tail[0][static_cast<std::size_t>(g) * q_ * k_];
        double* out = &tail_[(g / lanes) * q_ * k_ * lanes + g % lanes];
        for (int i = 0; i < q_ * k_; ++i, out += lanes) *out = tail[i];
    }
    fixed_ = Eigen::Map<const Eigen::MatrixXd>(sums.fixed.data(), k_, k_);
}

// Splits the batches by their number alone and hands each part its range and a place for scratch.
template <class Task>
void Arrow::for_each_part(Task task) const {
    parallel_for(parts_, [&](int part) {
        thread_local std::vector<double> scratch;
        scratch.resize(arrow::scratch_size(q_, k_));
        task(part, batches_ * part / parts_, batches_ * (part + 1) / parts_, scratch.data());
    });
}

bool Arrow::factorise(const Eigen::MatrixXd& T) {
    T_.resize(q_ * q_);
    for (int i = 0; i < q_; ++i)
        for (int j = 0; j < q_; ++j) T_[i * q_ + j] = T(i, j);
    const arrow::Groups groups{q_, k_, batches_, own_.data(), tail_.data()};
    const int size = triangle(k_) + 1;  // the reduction, then the log-determinant
    sums_.assign(static_cast<std::size_t>(parts_) * size, 0.0);
    for_each_part([&](int part, std::int64_t begin, std::int64_t end, double* scratch) {
        double* out = &sums_[static_cast<std::size_t>(part) * size];
        arrow::ValueSums sums{out, 0.0};
        sweeps_.value(groups, begin, end, T_.data(), sums, scratch);
        out[size - 1] = sums.log_det;
    });
    root_ = fixed_;
    log_det_ = 0.0;
    for (int part = 0; part < parts_; ++part) {
        const double* reduction = &sums_[static_cast<std::size_t>(part) * size];
        for (int i = 0; i < k_; ++i)
            for (int j = 0; j <= i; ++j) root_(i, j) -= *reduction++;
        log_det_ += *reduction;
    }
    return dense::cholesky(root_.data(), k_);
}

Pieces Arrow::pieces() const {
    Pieces p{log_det_, 0.0, std::pow(root_(k_ - 1, k_ - 1), 2)};
    for (int i = 0; i + 1 < k_; ++i) p.log_det_fixed += 2.0 * std::log(root_(i, i));
    return p;
}

Eigen::MatrixXd Arrow::fixed_cholesky() const {
    return root_.topLeftCorner(k_ - 1, k_ - 1).triangularView<Eigen::Lower>();
}

Eigen::VectorXd Arrow::beta() const {
    const int p = k_ - 1;
    Eigen::VectorXd x = root_.row(p).head(p).transpose();
    root_.topLeftCorner(p, p).triangularView<Eigen::Lower>().transpose().solveInPlace(x);
    return x;
}

Eigen::MatrixXd Arrow::gradient(TailWeights weights) {
    const int p = k_ - 1, n2 = triangle(q_);
    Eigen::VectorXd h(k_);
    h << -beta(), 1.0;
    std::vector<double> roots(k_, std::sqrt(weights.fixed));
    roots[p] = std::sqrt(weights.response);
    P_.resize(k_, k_);
    dense::weighted_inverse(root_.data(), roots, k_, P_.data());
    const arrow::Groups groups{q_, k_, batches_, own_.data(), tail_.data()};
    const int size = q_ * q_ + n2 + n2 * n2 + q_ * q_ * p;
    std::vector<double>& sums = sums_;
    sums.assign(static_cast<std::size_t>(parts_) * size, 0.0);
    for_each_part([&](int part, std::int64_t begin, std::int64_t end, double* scratch) {
        double* out = &sums[static_cast<std::size_t>(part) * size];
        arrow::MomentSums moments{out, out + q_ * q_, out + q_ * q_ + n2, out + q_ * q_ + n2 + n2 * n2};
        sweeps_.moments(groups, begin, end, T_.data(), P_.data(), h.data(), moments, scratch);
    });
    for (int part = 1; part < parts_; ++part)
        for (int i = 0; i < size; ++i) sums[i] += sums[static_cast<std::size_t>(part) * size + i];
    scores_.resize(q_, q_);
    for (int i = 0; i < q_; ++i)
        for (int j = 0; j < q_; ++j) scores_(i, j) = sums[q_ * q_ + pair_index(i, j)];
    const auto fourth = sums.begin() + q_ * q_ + n2, against = fourth + n2 * n2;
    fourth_.assign(fourth, fourth + n2 * n2);
    against_.assign(against, against + q_ * q_ * p);
    Eigen::MatrixXd gradient(q_, q_);
    for (int i = 0; i < q_; ++i)
        for (int j = 0; j < q_; ++j) gradient(i, j) = 2.0 * sums[i * q_ + j];
    return gradient;
}

Eigen::MatrixXd Arrow::projected_crossproduct(const std::vector<Eigen::MatrixXd>& directions) const {
    const int n = static_cast<int>(directions.size()), p = k_ - 1, n2 = triangle(q_);
    Eigen::MatrixXd product = Eigen::MatrixXd::Zero(n, n), tail = Eigen::MatrixXd::Zero(p, n);
    for (int i = 0; i < n; ++i)
        for (int a = 0; a < q_; ++a)
            for (int c = 0; c < q_; ++c) {
                const double d = directions[i](a, c);
                if (d == 0.0) continue;
                for (int x = 0; x < p; ++x) tail(x, i) += d * against_[(a * q_ + c) * p + x];
                for (int j = 0; j <= i; ++j)
                    for (int b = 0; b < q_; ++b)
                        for (int e = 0; e < q_; ++e)
                            product(i, j) += d * directions[j](b, e) * fourth_[pair_index(a, b) * n2 + pair_index(c, e)];
            }
    root_.topLeftCorner(p, p).triangularView<Eigen::Lower>().solveInPlace(tail);
    const Eigen::MatrixXd whole = product.selfadjointView<Eigen::Lower>();
    return whole - tail.transpose() * tail;
}

}  // namespace multilevel
