#include "refits.hpp"

#include <memory>
#include <mutex>

#include "threads.hpp"

namespace multilevel {
namespace {

// What one thread needs to fit: its own sums, which hold the response, and its own factorisation.
struct Workspace {
    Workspace(const Model& model, const RowData& of_rows) : model(model.copy()), rows(of_rows) {}

    std::unique_ptr<Model> model;
    RowData rows;
};

// Workspaces are lent to tasks and come back: there are never more than threads.
class Workspaces {
  public:
    Workspaces(const Model& model, const RowData& rows) : model_(model), rows_(rows) {}

    std::unique_ptr<Workspace> borrow() {
        {
            const std::lock_guard lock(lock_);
            if (!idle_.empty()) {
                auto workspace = std::move(idle_.back());
                idle_.pop_back();
                return workspace;
            }
        }
        return std::make_unique<Workspace>(model_, rows_);
    }

    void give_back(std::unique_ptr<Workspace> workspace) {
        const std::lock_guard lock(lock_);
        idle_.push_back(std::move(workspace));
    }

  private:
    const Model& model_;
    const RowData& rows_;
    std::mutex lock_;
    std::vector<std::unique_ptr<Workspace>> idle_;
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
    Workspaces workspaces(model, rows);
    const Heartbeat none = [] {};
    constexpr int responses_a_task = 8;
    parallel_for((count + responses_a_task - 1) / responses_a_task, [&](int task) {
        auto workspace = workspaces.borrow();
        for (int i = task * responses_a_task; i < std::min(count, (task + 1) * responses_a_task); ++i) {
            workspace->rows.response.data = responses + static_cast<std::size_t>(i) * rows.n;
            workspace->model->set_response(workspace->rows);
            const SearchResult found = search(*workspace->model, start, reml, settings, none);
            out.theta.col(i) = found.theta;
            out.criterion(i) = found.criterion;
            out.evaluations(i) = found.evaluations;
            out.converged(i) = found.converged;
            for (Eigen::Index k = 0; k < terms; ++k) out.rank(k, i) = found.rank[k];
            out.beta.col(i) = workspace->model->beta();
            out.pwrss(i) = workspace->model->pwrss();
        }
        workspaces.give_back(std::move(workspace));
    });
    return out;
}

}  // namespace multilevel
