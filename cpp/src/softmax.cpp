#include "rot180/softmax.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

// Rows that are computed at once: as many numbers as one of them has are kept on the stack.
constexpr int64_t rows_per_block = 64;

// Enough of them that a task is worth its start, whole vectors of them where they are short.
int64_t rows_per_task(int64_t classes) { return rows_per_block * divide_up(256, classes); }

// body(first, count, task) over blocks of rows, one after the other in each task.
template <class Body>
void parallel_rows(int64_t rows, int64_t classes, const Body& body) {
    const int64_t task_rows = rows_per_task(classes), tasks = divide_up(rows, task_rows);
    const int team = team_size(tasks, double(rows) * double(classes) * 4);
    parallel_for(tasks, team, [&](int64_t task, int) {
        const int64_t end = std::min(rows, (task + 1) * task_rows);
        for (int64_t first = task * task_rows; first < end; first += rows_per_block) {
            body(first, std::min(rows_per_block, end - first), task);
        }
    });
}

// The numbers that a target is made of: w[j] ((1 - smoothing) q[i,j] + smoothing / classes).
template <class T>
class Target {
 public:
    Target(int64_t classes, const ClassTarget<T>& target)
        : classes_(classes),
          target_(target),
          kept_(1 - target.smoothing),
          spread_(target.smoothing / double(classes)) {
        for (int64_t j = 0; j < classes; ++j) spread_sum_ += spread_ * weight(j);
    }

    // -(sum over j of target[i,j] (logits[j] - log_sum)). What has no weight may be -infinity.
    double loss(int64_t i, const T* logits, double log_sum) const {
        double sum = 0;
        const auto add = [&](double share, int64_t j) {
            if (share != 0) sum += share * (log_sum - double(logits[j]));
        };
        if (target_.labels) {
            add(kept_ * weight(target_.labels[i]), target_.labels[i]);
        } else {
            for (int64_t j = 0; j < classes_; ++j) add(kept_ * weight(j) * q(i, j), j);
        }
        if (spread_ != 0) {
            for (int64_t j = 0; j < classes_; ++j) add(spread_ * weight(j), j);
        }
        return sum;
    }

    // to[i,j] = scale * (probabilities[i,j] * sum over l of target[i,l] - target[i,j]), the rows
    // from first on.
    void gradient(int64_t first, int64_t rows, const T* probabilities, double scale, T* to) const {
        if (target_.labels && !target_.class_weights) {
            // Every row's sum is 1: all rows in one.
            const T factor = T(scale), even = T(scale * spread_);
            const int64_t begin = first * classes_, end = begin + rows * classes_;
            for (int64_t e = begin; e < end; ++e) to[e] = probabilities[e] * factor - even;
        } else {
            for (int64_t i = first; i < first + rows; ++i) {
                const T factor = T(scale * target_sum(i));
                for (int64_t j = 0; j < classes_; ++j) {
                    const double own = target_.labels ? 0 : kept_ * q(i, j);
                    const T wanted = T(scale * weight(j) * (own + spread_));
                    to[i * classes_ + j] = probabilities[i * classes_ + j] * factor - wanted;
                }
            }
        }
        if (!target_.labels) return;
        for (int64_t i = first; i < first + rows; ++i) {
            const int64_t j = target_.labels[i], at = i * classes_ + j;
            const double wanted = weight(j) * (kept_ + spread_);
            to[at] = T(scale * (double(probabilities[at]) * target_sum(i) - wanted));
        }
    }

 private:
    double weight(int64_t j) const { return target_.class_weights ? target_.class_weights[j] : 1; }
    double q(int64_t i, int64_t j) const { return double(target_.probabilities[i * classes_ + j]); }

    double target_sum(int64_t i) const {
        if (target_.labels) return spread_sum_ + kept_ * weight(target_.labels[i]);
        double sum = spread_sum_;
        for (int64_t j = 0; j < classes_; ++j) sum += kept_ * weight(j) * q(i, j);
        return sum;
    }

    const int64_t classes_;
    const ClassTarget<T>& target_;
    const double kept_, spread_;
    double spread_sum_ = 0;
};

}  // namespace

template <class T>
void softmax(int64_t rows, int64_t classes, const T* x, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t) {
        double log_sum[rows_per_block];
        const int64_t at = first * classes;
        kernels.softmax_rows(count, classes, x + at, y + at, log_sum);
    });
}

template <class T>
void softmax_grad_input(int64_t rows, int64_t classes, const T* dy, const T* y, T* dx) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t) {
        const int64_t at = first * classes;
        kernels.softmax_grad_rows(count, classes, dy + at, y + at, dx + at);
    });
}

template <class T>
double total_weight(int64_t rows, const ClassTarget<T>& target) {
    if (!target.labels || !target.class_weights) return double(rows);
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i) sum += target.class_weights[target.labels[i]];
    return sum;
}

template <class T>
double softmax_cross_entropy(int64_t rows, int64_t classes, const T* logits,
                             const ClassTarget<T>& class_target, T* probabilities) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Target<T> target(classes, class_target);
    std::vector<double> partial(size_t(divide_up(rows, rows_per_task(classes))), 0.0);
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t task) {
        double log_sum[rows_per_block];
        const T* block = logits + first * classes;
        kernels.softmax_rows(count, classes, block, probabilities + first * classes, log_sum);
        double sum = 0;
        for (int64_t i = 0; i < count; ++i) {
            sum += target.loss(first + i, block + i * classes, log_sum[i]);
        }
        partial[size_t(task)] += sum;
    });
    const double sum = std::accumulate(partial.begin(), partial.end(), 0.0);
    return sum / total_weight(rows, class_target);
}

template <class T>
void softmax_cross_entropy_grad_input(int64_t rows, int64_t classes, const T* probabilities,
                                      const ClassTarget<T>& class_target, T* dlogits) {
    const Target<T> target(classes, class_target);
    const double scale = 1 / total_weight(rows, class_target);
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t) {
        target.gradient(first, count, probabilities, scale, dlogits);
    });
}

#define INSTANTIATE(T)                                                                            \
    template void softmax(int64_t, int64_t, const T*, T*);                                        \
    template void softmax_grad_input(int64_t, int64_t, const T*, const T*, T*);                   \
    template double total_weight(int64_t, const ClassTarget<T>&);                                 \
    template double softmax_cross_entropy(int64_t, int64_t, const T*, const ClassTarget<T>&, T*); \
    template void softmax_cross_entropy_grad_input(int64_t, int64_t, const T*,                    \
                                                   const ClassTarget<T>&, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
