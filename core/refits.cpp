#include "refits.hpp"

#include <memory>

#include "threads.hpp"
#include "workspaces.hpp"

namespace multilevel {
namespace {

// What one thread needs to fit: its own sums, which hold the response, and its own factorisation.
struct Workspace {
    Workspace(const Model& model, const RowData& of_rows) : model(model.copy()), rows(of_rows) {}

    std::unique_ptr<Model> model;
    RowData rows;
};

}  // namespace

Refits refit_many(const Model& model, const RowData& rows, const double* responses, int count,
                  const Eigen::VectorXd& start, bool reml, const SearchSettings& settings) {
    const auto terms = static_cast<Eigen::Index>(model.terms().size());
    Refits out{Eigen::MatrixXd(model.n_parameters(), count),
               Eigen::MatrixXd(model.n_fixed(), count),
               Eigen::VectorXd(count),
               Eigen::VectorXd(count),
               Eigen::VectorXi(count),
               Eigen::VectorXi(count),
               Eigen::MatrixXi(terms, count)};
    Workspaces<Workspace> workspaces;
    const Heartbeat none = [] {};
    constexpr int responses_a_task = 8;
    parallel_for((count + responses_a_task - 1) / responses_a_task, [&](int task) {
        workspaces.with_one([&] { return std::make_unique<Workspace>(model, rows); }, [&](Workspace& mine) {
            for (int i = task * responses_a_task; i < std::min(count, (task + 1) * responses_a_task); ++i) {
                mine.rows.response.data = responses + static_cast<std::size_t>(i) * rows.n;
                mine.model->set_response(mine.rows);
                const SearchResult found = search(*mine.model, start, reml, settings, none);
                out.theta.col(i) = found.theta;
                out.criterion(i) = found.criterion;
                out.evaluations(i) = found.evaluations;
                out.converged(i) = found.converged;
                for (Eigen::Index k = 0; k < terms; ++k) out.rank(k, i) = found.rank[k];
                out.beta.col(i) = mine.model->beta();
                out.pwrss(i) = mine.model->pwrss();
            }
        });
    });
    return out;
}

}  // namespace multilevel
