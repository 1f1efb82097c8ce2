#include "gee_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "threads.hpp"

namespace multilevel {
namespace {

using Eigen::MatrixXd;

constexpr std::int64_t clusters_a_task = 512;

int n_tasks(const Clusters& clusters) {
    return static_cast<int>((clusters.count + clusters_a_task - 1) / clusters_a_task);
}

template <typename OfCluster>
void each_cluster(const Clusters& clusters, int task, OfCluster&& of_cluster) {
    const std::int64_t from = task * clusters_a_task, to = std::min(clusters.count, from + clusters_a_task);
    for (std::int64_t k = from; k < to; ++k) of_cluster(k);
}

// Calls of_pair(s, t, pair) for the rows s < t of a cluster of m rows.
template <typename OfPair>
void each_pair(std::int64_t m, std::int64_t first, OfPair&& of_pair) {
    for (std::int64_t s = 0, pair = first; s + 1 < m; ++s)
        for (std::int64_t t = s + 1; t < m; ++t, ++pair) of_pair(s, t, pair);
}

// Sums over the earlier rows of a cluster of a^d v, d a^(d - 1) v and d^2 a^(d - 1) v.
struct Decaying {
    double plain = 0.0, first = 0.0, second = 0.0;

    // From the row before, whose number is `before`, to the next row a time d later; power = a^d, slope its derivative.
    void move(double d, double power, double slope, double before) {
        const double all = plain + before;
        second = power * (second + 2.0 * d * first) + d * slope * all;
        first = power * first + slope * all;
        plain = power * all;
    }
};

}  // namespace

DecayingProducts decaying_products(const double* u, const double* v, const double* gap, const Clusters& clusters,
                                   double a) {
    DecayingProducts out{Eigen::VectorXd(clusters.count), Eigen::VectorXd(clusters.count)};
    parallel_for(n_tasks(clusters), [&](int task) {
        each_cluster(clusters, task, [&](std::int64_t k) {
            Decaying of_u, of_v;
            double first = 0.0, second = 0.0;
            for (std::int64_t r = clusters.start[k] + 1; r < clusters.start[k + 1]; ++r) {
                const double d = gap[r], power = d == 1.0 ? a : std::pow(a, d);
                const double slope = d == 1.0 ? 1.0 : d * std::pow(a, d - 1.0);
                of_v.move(d, power, slope, v[r - 1]);
                if (u != v) of_u.move(d, power, slope, u[r - 1]);
                const Decaying& other = u != v ? of_u : of_v;
                first += u[r] * of_v.first + v[r] * other.first;
                second += u[r] * of_v.second + v[r] * other.second;
            }
            out.first(k) = 0.5 * first;
            out.second(k) = 0.5 * second;
        });
    });
    return out;
}

MatrixXd pair_products(const double* u, const double* v, const Clusters& clusters, const PairDesign& design) {
    MatrixXd out = MatrixXd::Zero(design.n_parameters, clusters.count);
    parallel_for(n_tasks(clusters), [&](int task) {
        each_cluster(clusters, task, [&](std::int64_t k) {
            const double *a = u + clusters.start[k], *b = v + clusters.start[k];
            double* sums = out.col(k).data();
            each_pair(clusters.size(k), design.first_pair[design.pattern[k]],
                      [&](std::int64_t s, std::int64_t t, std::int64_t pair) {
                          const double product = 0.5 * (a[s] * b[t] + b[s] * a[t]);
                          for (std::int64_t i = design.first_entry[pair]; i < design.first_entry[pair + 1]; ++i)
                              sums[design.parameter[i]] += design.value[i] * product;
                      });
        });
    });
    return out;
}

MatrixXd pair_gram(const double* weights, const Clusters& clusters, const PairDesign& design) {
    const int tasks = n_tasks(clusters), q = design.n_parameters;
    std::vector<MatrixXd> partial(tasks);
    parallel_for(tasks, [&](int task) {
        MatrixXd sum = MatrixXd::Zero(q, q);
        each_cluster(clusters, task, [&](std::int64_t k) {
            const double* w = weights ? weights + clusters.start[k] : nullptr;
            each_pair(clusters.size(k), design.first_pair[design.pattern[k]],
                      [&](std::int64_t s, std::int64_t t, std::int64_t pair) {
                          const double weight = w ? w[s] * w[t] : 1.0;
                          for (std::int64_t i = design.first_entry[pair]; i < design.first_entry[pair + 1]; ++i)
                              for (std::int64_t j = design.first_entry[pair]; j < design.first_entry[pair + 1]; ++j)
                                  sum(design.parameter[i], design.parameter[j]) +=
                                      weight * design.value[i] * design.value[j];
                      });
        });
        partial[task] = std::move(sum);
    });
    MatrixXd total = MatrixXd::Zero(q, q);
    for (const MatrixXd& part : partial) total += part;
    return total;
}

}  // namespace multilevel
