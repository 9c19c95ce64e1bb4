// The only OpenMP of the project: tasks cut by the shape alone, handed to threads as they come
// free.
#pragma once

#include <cstdint>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "denormals.h"
#include "threads.h"

namespace rot180 {

// With fewer operations for each thread, starting them costs more than they bring.
inline constexpr double operations_worth_a_thread = 3e4;

// Runs task(index, thread) for every index in [0, tasks), thread < team. Tasks must not throw, and
// what they compute may depend on the index only: that is what keeps the bits the same for any
// number of threads.
template <class Task>
void parallel_for(int64_t tasks, int team, const Task& task) {
    if (team <= 1) {
        const FlushDenormals flush;
        for (int64_t index = 0; index < tasks; ++index) task(index, 0);
        return;
    }
#if defined(_OPENMP)
#pragma omp parallel num_threads(team)
    {
        const FlushDenormals flush;
#pragma omp for schedule(dynamic)
        for (int64_t index = 0; index < tasks; ++index) task(index, omp_get_thread_num());
    }
#endif
}

// Threads to use for `tasks` tasks of `operations` in all: one, or all there are. OpenMP ends and
// starts threads when a team has another size than the one before.
inline int team_size(int64_t tasks, double operations) {
    const int team = num_threads();
    if (tasks <= 1 || operations < operations_worth_a_thread * team) return 1;
    return available_team(team);
}

inline int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

// Arrays that are treated element by element are cut into pieces of this many elements.
inline constexpr int64_t elements_per_task = 16384;

// body(first, count, thread) over pieces of [0, size).
template <class Body>
void parallel_elements(int64_t size, double operations_per_element, const Body& body) {
    const int64_t tasks = divide_up(size, elements_per_task);
    const int team = team_size(tasks, double(size) * operations_per_element);
    parallel_for(tasks, team, [&](int64_t index, int thread) {
        const int64_t first = index * elements_per_task;
        const int64_t count = size - first < elements_per_task ? size - first : elements_per_task;
        body(first, count, thread);
    });
}

}  // namespace rot180
