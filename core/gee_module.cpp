// The Python face of generalized estimating equations: arrays in, arrays out, sizes checked once here.
#include "gee_module.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>

#include <memory>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "gee.hpp"
#include "gee_inverse.hpp"
#include "gee_pairs.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace multilevel {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;
using Vector = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Columns = nb::ndarray<const double, nb::ndim<2>, nb::f_contig, nb::device::cpu>;
using Indices = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void require(bool condition, const char* message) {
    if (!condition) throw std::invalid_argument(message);
}

// Starts of consecutive pieces, from 0 to `total`, none of them empty.
void require_starts(const Indices& start, std::int64_t total, const char* message) {
    require(start.shape(0) > 0 && start(0) == 0, message);
    for (std::size_t k = 1; k < start.shape(0); ++k) require(start(k) > start(k - 1), message);
    require(start(start.shape(0) - 1) == total, message);
}

void require_range(const Indices& values, std::int64_t count, const char* message) {
    for (std::size_t k = 0; k < values.shape(0); ++k) require(values(k) >= 0 && values(k) < count, message);
}

std::int64_t length(const Indices& values) { return static_cast<std::int64_t>(values.shape(0)); }
std::int64_t length(const Vector& values) { return static_cast<std::int64_t>(values.shape(0)); }

std::vector<const double*> column_pointers(const Columns& matrix) {
    std::vector<const double*> out;
    for (std::size_t c = 0; c < matrix.shape(1); ++c) out.push_back(matrix.data() + c * matrix.shape(0));
    return out;
}

// Rows in clusters. Keeps a reference to the array of starts.
class RowClusters {
  public:
    explicit RowClusters(Indices start) : start_(start) {
        require(start.shape(0) > 1, "there is at least one cluster");
        require_starts(start, start(start.shape(0) - 1), "clusters have at least one row each");
    }

    Clusters view() const { return {start_.data(), length(start_) - 1}; }

  private:
    Indices start_;
};

// An inverse working correlation, with the arrays that it refers to.
class Inverse {
  public:
    static Inverse independent(const RowClusters& clusters) {
        return Inverse(std::make_unique<IndependentInverse>(clusters.view()), clusters);
    }

    static Inverse exchangeable(const RowClusters& clusters, double alpha) {
        return Inverse(std::make_unique<ExchangeableInverse>(clusters.view(), alpha), clusters);
    }

    static Inverse markov(const RowClusters& clusters, Vector rho) {
        require(length(rho) == clusters.view().rows(), "one correlation a row");
        Inverse out(std::make_unique<MarkovInverse>(clusters.view(), rho.data()), clusters);
        out.vectors_ = {rho};
        return out;
    }

    static Inverse nested(const RowClusters& clusters, Indices group_start, Indices first_group, double inner,
                          double outer) {
        const Clusters view = clusters.view();
        require_starts(group_start, view.rows(), "inner groups have at least one row each");
        require_starts(first_group, length(group_start) - 1, "clusters have at least one inner group each");
        require(length(first_group) == view.count + 1, "inner groups are listed for each cluster");
        for (std::int64_t k = 0; k < view.count; ++k)
            require(group_start(first_group(k)) == view.start[k], "inner groups lie within clusters");
        Inverse out(std::make_unique<NestedInverse>(view, group_start.data(), first_group.data(), inner, outer),
                    clusters);
        out.indices_ = {group_start, first_group};
        return out;
    }

    static Inverse patterned(const RowClusters& clusters, Indices pattern, Indices offset, Vector table) {
        const Clusters view = clusters.view();
        require(length(pattern) == view.count, "one pattern a cluster");
        require_range(pattern, length(offset), "a pattern is out of range");
        for (std::int64_t k = 0; k < view.count; ++k) {
            const std::int64_t at = offset(pattern(k)), m = view.size(k);
            require(at >= 0 && at + m * m <= length(table), "a pattern's table is too short for its cluster");
        }
        Inverse out(std::make_unique<PatternInverse>(view, pattern.data(), offset.data(), table.data()), clusters);
        out.indices_ = {pattern, offset};
        out.vectors_ = {table};
        return out;
    }

    std::tuple<MatrixXd, VectorXd, MatrixXd, MatrixXd> sums(Columns X, Vector slope, Vector residual,
                                                            int by_cluster) const {
        require(by_cluster >= 0 && by_cluster <= 2, "0 for nothing, 1 for scores, 2 for informations too");
        const Clusters view = clusters_.view();
        require(static_cast<std::int64_t>(X.shape(0)) == view.rows(), "X has the rows of the clusters");
        require(length(slope) == view.rows() && length(residual) == view.rows(), "one slope and residual a row");
        nb::gil_scoped_release release;
        EstimatingSums out = estimating_sums({column_pointers(X), slope.data(), residual.data()}, view, *inverse_,
                                             static_cast<ByCluster>(by_cluster));
        return {std::move(out.information), std::move(out.score), std::move(out.scores), std::move(out.informations)};
    }

    MatrixXd times(Columns V) const {
        const Clusters view = clusters_.view();
        require(static_cast<std::int64_t>(V.shape(0)) == view.rows(), "V has the rows of the clusters");
        nb::gil_scoped_release release;
        return inverse_times(V.data(), static_cast<int>(V.shape(1)), view, *inverse_);
    }

  private:
    Inverse(std::unique_ptr<InverseCorrelation> inverse, const RowClusters& clusters)
        : inverse_(std::move(inverse)), clusters_(clusters) {}

    std::shared_ptr<InverseCorrelation> inverse_;
    RowClusters clusters_;
    std::vector<Indices> indices_;
    std::vector<Vector> vectors_;
};

// A design of pairs. Keeps references to the arrays it was made from.
class Pairs {
  public:
    Pairs(const RowClusters& clusters, Indices pattern, Indices first_pair, Indices first_entry, Indices parameter,
          Vector value, int n_parameters)
        : clusters_(clusters), indices_{pattern, first_pair, first_entry, parameter}, value_(value) {
        const Clusters view = clusters.view();
        require(length(pattern) == view.count, "one pattern a cluster");
        require(length(first_pair) > 0 && length(first_entry) > 0, "pairs and entries have an end");
        require_range(pattern, length(first_pair) - 1, "a pattern is out of range");
        for (std::int64_t k = 0; k < view.count; ++k) {
            const std::int64_t m = view.size(k), first = first_pair(pattern(k)), last = first_pair(pattern(k) + 1);
            require(first >= 0 && last - first == m * (m - 1) / 2 && last < length(first_entry),
                    "a pattern has the pairs of its cluster");
        }
        for (std::int64_t i = 0; i + 1 < length(first_entry); ++i)
            require(first_entry(i) >= 0 && first_entry(i) <= first_entry(i + 1), "entries stand in order");
        require(first_entry(length(first_entry) - 1) <= length(parameter), "entries are as many as they say");
        require(length(parameter) == length(value), "one value an entry");
        require_range(parameter, n_parameters, "a parameter is out of range");
        design_ = {pattern.data(),   first_pair.data(), first_entry.data(),
                   parameter.data(), value.data(),      n_parameters};
    }

    MatrixXd products(Vector u, Vector v) const {
        const Clusters view = clusters_.view();
        require(length(u) == view.rows() && length(v) == view.rows(), "one number a row");
        nb::gil_scoped_release release;
        return pair_products(u.data(), v.data(), view, design_);
    }

    MatrixXd gram(Vector weights) const {
        const Clusters view = clusters_.view();
        require(length(weights) == view.rows(), "one weight a row");
        nb::gil_scoped_release release;
        return pair_gram(weights.data(), view, design_);
    }

  private:
    RowClusters clusters_;
    std::vector<Indices> indices_;
    Vector value_;
    PairDesign design_{};
};

std::tuple<VectorXd, VectorXd> decaying(const RowClusters& clusters, Vector u, Vector v, Vector gap, double a) {
    const Clusters view = clusters.view();
    require(length(u) == view.rows() && length(v) == view.rows() && length(gap) == view.rows(),
            "two numbers and a gap a row");
    nb::gil_scoped_release release;
    DecayingProducts products = decaying_products(u.data(), v.data(), gap.data(), view, a);
    return {std::move(products.first), std::move(products.second)};
}

std::tuple<VectorXd, VectorXd, bool> rows(Columns X, Vector beta, nb::object offset, Vector y, nb::object weights,
                                          int link, int variance) {
    const std::int64_t n = static_cast<std::int64_t>(X.shape(0));
    require(length(beta) == static_cast<std::int64_t>(X.shape(1)) && length(y) == n, "beta and y fit X");
    require(link >= 0 && link <= 2 && variance >= 0 && variance <= 3, "a link and a variance that the core knows");
    Vector given_offset, given_weights;
    const double *offset_data = nullptr, *weights_data = nullptr;
    if (!offset.is_none()) {
        require(nb::try_cast<Vector>(offset, given_offset, false) && length(given_offset) == n, "one offset a row");
        offset_data = given_offset.data();
    }
    if (!weights.is_none()) {
        require(nb::try_cast<Vector>(weights, given_weights, false) && length(given_weights) == n, "one weight a row");
        weights_data = given_weights.data();
    }
    VectorXd slope(n), pearson(n);
    nb::gil_scoped_release release;
    const bool possible = working_rows(column_pointers(X), beta.data(), offset_data, y.data(), weights_data, n,
                                       static_cast<MeanLink>(link), static_cast<MeanVariance>(variance), slope.data(),
                                       pearson.data());
    return {std::move(slope), std::move(pearson), possible};
}

}  // namespace

void bind_gee(nb::module_& m) {
    nb::class_<RowClusters>(m, "RowClusters").def(nb::init<Indices>(), "start"_a.noconvert());
    nb::class_<Inverse>(m, "InverseCorrelation")
        .def_static("independent", &Inverse::independent, "clusters"_a)
        .def_static("exchangeable", &Inverse::exchangeable, "clusters"_a, "alpha"_a)
        .def_static("markov", &Inverse::markov, "clusters"_a, "rho"_a.noconvert())
        .def_static("nested", &Inverse::nested, "clusters"_a, "group_start"_a.noconvert(),
                    "first_group"_a.noconvert(), "inner"_a, "outer"_a)
        .def_static("patterned", &Inverse::patterned, "clusters"_a, "pattern"_a.noconvert(), "offset"_a.noconvert(),
                    "table"_a.noconvert())
        .def("sums", &Inverse::sums, "X"_a.noconvert(), "slope"_a.noconvert(), "residual"_a.noconvert(),
             "by_cluster"_a)
        .def("times", &Inverse::times, "V"_a.noconvert());
    nb::class_<Pairs>(m, "PairDesign")
        .def(nb::init<const RowClusters&, Indices, Indices, Indices, Indices, Vector, int>(), "clusters"_a,
             "pattern"_a.noconvert(), "first_pair"_a.noconvert(), "first_entry"_a.noconvert(),
             "parameter"_a.noconvert(), "value"_a.noconvert(), "n_parameters"_a)
        .def("products", &Pairs::products, "u"_a.noconvert(), "v"_a.noconvert())
        .def("gram", &Pairs::gram, "weights"_a.noconvert());
    m.def("decaying_products", &decaying, "clusters"_a, "u"_a.noconvert(), "v"_a.noconvert(), "gap"_a.noconvert(),
          "a"_a);
    m.def("working_rows", &rows, "X"_a.noconvert(), "beta"_a.noconvert(), "offset"_a.none(), "y"_a.noconvert(),
          "weights"_a.none(), "link"_a, "variance"_a);
}

}  // namespace multilevel
