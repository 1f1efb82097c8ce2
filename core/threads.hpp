// A persistent pool of threads for loops over a fixed number of tasks.
//
// Results must not depend on how many threads there are: callers split their work into tasks by the size of
// the problem alone, give each task its own place for results, and combine these in task order.
#pragma once

#include <functional>

namespace multilevel {

// Threads used from now on (at least 1, the caller's own included).
void set_threads(int count);
int threads();

// Calls task(0) ... task(count - 1), on several threads if there are any. The first exception is rethrown.
void parallel_for(int count, const std::function<void(int)>& task);

}  // namespace multilevel
