// Output channels cut into panels, the blocks that a register tile computes together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels.h"

namespace rot180 {

// The output channels of each group in as few panels as the tiles allow, as even as possible.
// Channels of different groups never share a panel.
class Panels {
 public:
    template <class T>
    Panels(const Kernels<T>& kernels, int64_t groups, int64_t group_channels)
        : width_(kernels.width), groups_(groups), group_channels_(group_channels) {
        vectors_ = (group_channels_ + width_ - 1) / width_;
        per_group_ = (vectors_ + kernels.max_vectors - 1) / kernels.max_vectors;
    }

    int64_t count() const { return groups_ * per_group_; }
    int64_t group(int64_t panel) const { return panel / per_group_; }
    int vectors(int64_t panel) const { return int(end(panel) - begin(panel)); }
    // Of every panel.
    std::vector<int> vectors() const {
        std::vector<int> all;
        for (int64_t panel = 0; panel < count(); ++panel) all.push_back(vectors(panel));
        return all;
    }
    int64_t lanes(int64_t panel) const { return vectors(panel) * int64_t(width_); }
    int64_t most_lanes() const { return (vectors_ + per_group_ - 1) / per_group_ * width_; }
    // First channel within the group, and how many channels of the group the panel holds.
    int64_t first_channel(int64_t panel) const { return begin(panel) * width_; }
    int64_t channels(int64_t panel) const {
        return std::min(group_channels_ - first_channel(panel), lanes(panel));
    }
    // The panel's first channel among those of all groups.
    int64_t first_of_all(int64_t panel) const {
        return group(panel) * group_channels_ + first_channel(panel);
    }
    // Lanes of all panels before this one: where its packed data begins, line for line.
    int64_t lanes_before(int64_t panel) const {
        return (group(panel) * vectors_ + begin(panel)) * width_;
    }
    int64_t all_lanes() const { return groups_ * vectors_ * width_; }

    // bias, zeros if null, as the panels' lanes: (all_lanes).
    template <class T>
    void pack_bias(const T* bias, T* to) const {
        std::fill(to, to + all_lanes(), T(0));
        for (int64_t panel = 0; bias && panel < count(); ++panel) {
            const T* first = bias + first_of_all(panel);
            std::copy(first, first + channels(panel), to + lanes_before(panel));
        }
    }

 private:
    int64_t begin(int64_t panel) const { return panel % per_group_ * vectors_ / per_group_; }
    int64_t end(int64_t panel) const { return (panel % per_group_ + 1) * vectors_ / per_group_; }

    int width_;
    int64_t groups_, group_channels_, vectors_, per_group_;
};

}  // namespace rot180
