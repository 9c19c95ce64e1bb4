#include "threads.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace rot180 {
namespace {

// The team that this thread's OpenMP pool already holds; a team no larger starts no thread.
thread_local int pooled_team = 1;

int positive_or_zero(const char* variable) {
    const char* text = std::getenv(variable);
    if (!text) return 0;
    // OMP_NUM_THREADS may be a list, one entry for each level of nesting; the first counts here.
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    return end != text && value > 0 && value <= 4096 ? int(value) : 0;
}

int affinity_threads() {
#if defined(__linux__)
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) return CPU_COUNT(&mask);
#endif
    return int(std::thread::hardware_concurrency());
}

// CPUs that a cgroup's quota allows, or a large number without one. Reads "max 100000" or
// "150000 100000" (version 2), or the two files of version 1.
double quota_of(const std::string& folder) {
    constexpr double unlimited = 1e9;
    std::ifstream v2(folder + "/cpu.max");
    std::string quota;
    double period = 0;
    if (v2 >> quota >> period && period > 0) {
        return quota == "max" ? unlimited : std::strtod(quota.c_str(), nullptr) / period;
    }
    std::ifstream v1_quota(folder + "/cpu.cfs_quota_us"), v1_period(folder + "/cpu.cfs_period_us");
    double microseconds = 0;
    if (v1_quota >> microseconds && v1_period >> period && microseconds > 0 && period > 0) {
        return microseconds / period;
    }
    return unlimited;
}

// The smallest quota on the way from this process's cgroup up to the root.
int cgroup_threads() {
    double cpus = std::min(quota_of("/sys/fs/cgroup"), quota_of("/sys/fs/cgroup/cpu"));
    std::ifstream groups("/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {
        std::istringstream fields(line);
        std::string id, controllers, path;
        std::getline(fields, id, ':');
        std::getline(fields, controllers, ':');
        std::getline(fields, path);
        const bool v2 = controllers.empty();
        // A list such as "cpu,cpuacct"; "cpuset" is another controller.
        if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
        const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
        for (; path.size() > 1; path.erase(path.rfind('/'))) {
            cpus = std::min(cpus, quota_of(root + path));
        }
    }
    return int(std::max(1.0, std::floor(cpus)));
}

int initial_threads() {
#if defined(_OPENMP)
    for (const char* variable : {"ROT180_NUM_THREADS", "OMP_NUM_THREADS"}) {
        if (const int threads = positive_or_zero(variable)) return threads;
    }
    return std::max(1, std::min(affinity_threads(), cgroup_threads()));
#else
    return 1;
#endif
}

std::atomic<int>& thread_setting() {
    static std::atomic<int> setting{initial_threads()};
    return setting;
}

struct Gate {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
    bool open = false;
};

void* wait_at(void* argument) {
    auto* gate = static_cast<Gate*>(argument);
    pthread_mutex_lock(&gate->mutex);
    while (!gate->open) pthread_cond_wait(&gate->opened, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
    return nullptr;
}

struct Trial {
    pthread_t thread;
    void* stack;
};

// Starts up to `wanted` threads that live at the same time, ends them, says how many there were.
// Their stacks are ours and go back to the system: those of the C library would stay in its cache
// and be missing when OpenMP asks for its own.
int threads_that_start(int wanted) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    size_t stack_size = 0;
    pthread_attr_getstacksize(&attributes, &stack_size);
    stack_size *= 2;  // a thread costs more than its stack, and the caller wants memory too
    Gate gate;
    std::vector<Trial> trials;
    trials.reserve(size_t(wanted));
    while (int(trials.size()) < wanted) {
        void* stack =
            mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) break;
        pthread_attr_setstack(&attributes, stack, stack_size);
        pthread_t thread;
        if (pthread_create(&thread, &attributes, wait_at, &gate) != 0) {
            munmap(stack, stack_size);
            break;
        }
        trials.push_back({thread, stack});
    }
    pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    pthread_cond_broadcast(&gate.opened);
    pthread_mutex_unlock(&gate.mutex);
    for (const Trial& trial : trials) {
        pthread_join(trial.thread, nullptr);
        munmap(trial.stack, stack_size);
    }
    pthread_attr_destroy(&attributes);
    return int(trials.size());
}

#if defined(_OPENMP)
// A child of fork has none of its parent's threads, yet GCC's OpenMP would wait for them. So its
// pool is shut down before the fork and starts again when next it is needed. Clang's sees to it
// itself.
void before_fork() {
    pooled_team = 1;
#if !defined(__clang__)
    omp_pause_resource_all(omp_pause_hard);
#endif
}

[[maybe_unused]] const int fork_handler = pthread_atfork(before_fork, nullptr, nullptr);
#endif

}  // namespace

int num_threads() { return thread_setting().load(std::memory_order_relaxed); }

void set_num_threads(int threads) {
    if (threads < 1 || threads > 4096) {
        throw std::invalid_argument("threads must be from 1 to 4096, got " +
                                    std::to_string(threads));
    }
#if defined(_OPENMP)
    thread_setting().store(threads, std::memory_order_relaxed);
#endif
}

int available_team(int wanted) {
    if (wanted > pooled_team) wanted = 1 + threads_that_start(wanted - 1);
    // A smaller team shrinks the pool, so that a later, larger one has to start threads again.
    pooled_team = wanted;
    return wanted;
}

std::string openmp() {
#if defined(_OPENMP)
    return std::to_string(_OPENMP);
#else
    return "none";
#endif
}

}  // namespace rot180
