// Workspaces for tasks that run on several threads: each is lent to one task at a time and comes back, so
// that there are never more of them than threads.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace multilevel {

template <class Workspace>
class Workspaces {
  public:
    template <class Make, class Task>
    void with_one(Make make, Task task) {
        std::unique_ptr<Workspace> mine = take();
        if (!mine) mine = make();
        task(*mine);
        const std::lock_guard lock(lock_);
        idle_.push_back(std::move(mine));
    }

  private:
    std::unique_ptr<Workspace> take() {
        const std::lock_guard lock(lock_);
        if (idle_.empty()) return nullptr;
        auto workspace = std::move(idle_.back());
        idle_.pop_back();
        return workspace;
    }

    std::mutex lock_;
    std::vector<std::unique_ptr<Workspace>> idle_;
};

}  // namespace multilevel
