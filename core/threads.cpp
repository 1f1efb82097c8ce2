#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace multilevel {
namespace {

// One loop that is being worked on.
struct Loop {
    const std::function<void(int)>& task;
    int count;
    std::atomic<int> next{0};
    std::exception_ptr error;
    std::mutex error_lock;

    void work() {
        for (int i = next++; i < count; i = next++) {
            try {
                task(i);
            } catch (...) {
                const std::lock_guard lock(error_lock);
                if (!error) error = std::current_exception();
                next = count;
            }
        }
    }
};

class Pool {
  public:
    explicit Pool(int helpers) {
        for (int i = 0; i < helpers; ++i) threads_.emplace_back([this] { serve(); });
    }

    ~Pool() {
        {
            const std::lock_guard lock(lock_);
            closing_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    void run(Loop& loop) {
        {
            const std::lock_guard lock(lock_);
            loop_ = &loop;
            ++generation_;
        }
        wake_.notify_all();
        loop.work();
        std::unique_lock lock(lock_);
        loop_ = nullptr;  // whoever has not woken yet stays asleep
        idle_.wait(lock, [this] { return busy_ == 0; });
    }

  private:
    void serve() {
        unsigned long seen = 0;
        std::unique_lock lock(lock_);
        for (;;) {
            wake_.wait(lock, [&] { return closing_ || (loop_ && generation_ != seen); });
            if (closing_) return;
            seen = generation_;
            Loop* loop = loop_;
            ++busy_;
            lock.unlock();
            loop->work();
            lock.lock();
            if (--busy_ == 0) idle_.notify_all();
        }
    }

    std::mutex lock_;
    std::condition_variable wake_, idle_;
    std::vector<std::thread> threads_;
    Loop* loop_ = nullptr;
    unsigned long generation_ = 0;
    int busy_ = 0;
    bool closing_ = false;
};

std::mutex pool_lock;  // one loop at a time; a loop inside a loop runs on its own thread
Pool* pool = nullptr;
std::atomic<int> wanted{1};
thread_local bool inside_loop = false;

#ifndef _WIN32
// A forked child has none of its parent's threads: it starts a pool of its own when it needs one.
void forget_pool() {
    pool = nullptr;
    new (&pool_lock) std::mutex;
}
const int fork_handler = pthread_atfork(nullptr, nullptr, forget_pool);
#endif

}  // namespace

void set_threads(int count) {
    const std::lock_guard lock(pool_lock);
    wanted = std::max(count, 1);
    delete pool;
    pool = nullptr;
}

int threads() { return wanted; }

void parallel_for(int count, const std::function<void(int)>& task) {
    Loop loop{task, count, {}, {}, {}};
    if (count > 1 && wanted > 1 && !inside_loop) {
        std::unique_lock lock(pool_lock, std::try_to_lock);
        if (lock.owns_lock()) {
            if (!pool) pool = new Pool(wanted - 1);
            inside_loop = true;
            pool->run(loop);
            inside_loop = false;
            if (loop.error) std::rethrow_exception(loop.error);
            return;
        }
    }
    loop.work();
    if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace multilevel
