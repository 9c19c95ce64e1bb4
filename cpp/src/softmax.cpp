#include "rot180/softmax.h"

#include <numeric>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

constexpr int64_t rows_per_task = 64;

// body(first, count, task) over blocks of rows.
template <class Body>
void parallel_rows(int64_t rows, int64_t columns, const Body& body) {
    const int64_t tasks = divide_up(rows, rows_per_task);
    const int team = team_size(tasks, double(rows) * double(columns) * 4);
    parallel_for(tasks, team, [&](int64_t task, int) {
        const int64_t first = task * rows_per_task;
        body(first, rows - first < rows_per_task ? rows - first : rows_per_task, task);
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

    // -(sum over j of target[i,j] log_probability(j)). What has no weight may be log 0.
    template <class LogProbability>
    double loss(int64_t i, const LogProbability& log_probability) const {
        double sum = 0;
        const auto add = [&](double share, int64_t j) {
            if (share != 0) sum -= share * log_probability(j);
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

    // to[j] = scale * (probabilities[j] * sum over l of target[i,l] - target[i,j])
    void gradient(int64_t i, const T* probabilities, double scale, T* to) const {
        double sum = spread_sum_;
        if (target_.labels) {
            sum += kept_ * weight(target_.labels[i]);
        } else {
            for (int64_t j = 0; j < classes_; ++j) sum += kept_ * weight(j) * q(i, j);
        }
        const T factor = T(sum * scale);
        for (int64_t j = 0; j < classes_; ++j) to[j] = probabilities[j] * factor;
        if (spread_ != 0) {
            for (int64_t j = 0; j < classes_; ++j) to[j] -= T(scale * spread_ * weight(j));
        }
        if (target_.labels) {
            const int64_t j = target_.labels[i];
            const double own = (kept_ + spread_) * weight(j);
            to[j] = T(scale * (double(probabilities[j]) * sum - own));
        } else {
            for (int64_t j = 0; j < classes_; ++j) to[j] -= T(scale * kept_ * weight(j) * q(i, j));
        }
    }

 private:
    double weight(int64_t j) const { return target_.class_weights ? target_.class_weights[j] : 1; }
    double q(int64_t i, int64_t j) const { return double(target_.probabilities[i * classes_ + j]); }

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
        T max[rows_per_task];
        double log_sum[rows_per_task];
        const int64_t at = first * classes;
        kernels.softmax_rows(count, classes, x + at, y + at, max, log_sum);
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
    std::vector<double> partial(size_t(divide_up(rows, rows_per_task)), 0.0);
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t task) {
        T max[rows_per_task];
        double log_sum[rows_per_task];
        const int64_t at = first * classes;
        kernels.softmax_rows(count, classes, logits + at, probabilities + at, max, log_sum);
        double sum = 0;
        for (int64_t i = 0; i < count; ++i) {
            const T* row = logits + at + i * classes;
            sum += target.loss(first + i, [&](int64_t j) {
                return (double(row[j]) - double(max[i])) - log_sum[i];
            });
        }
        partial[size_t(task)] = sum;
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
        for (int64_t i = first; i < first + count; ++i) {
            target.gradient(i, probabilities + i * classes, scale, dlogits + i * classes);
        }
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
