// Output channels cut into panels, the blocks that a register tile computes together.
#pragma once

#include <cstdint>

#include "instruction_set.h"

namespace rot180 {

// The output channels of each group in as few panels as the tiles allow, as even as possible.
// Channels of different groups never share a panel; only depthwise, where every channel is a group
// of its own, all of them are one panel without padding lanes.
class Panels {
 public:
    template <class T>
    Panels(const Kernels<T>& kernels, int64_t groups, int64_t group_channels, bool depthwise)
        : width_(depthwise ? 1 : kernels.width),
          groups_(depthwise ? 1 : groups),
          group_channels_(depthwise ? groups : group_channels) {
        vectors_ = (group_channels_ + width_ - 1) / width_;
        per_group_ = depthwise ? 1 : (vectors_ + kernels.max_vectors - 1) / kernels.max_vectors;
    }

    int64_t count() const { return groups_ * per_group_; }
    int64_t group(int64_t panel) const { return panel / per_group_; }
    int vectors(int64_t panel) const { return int(end(panel) - begin(panel)); }
    int64_t lanes(int64_t panel) const { return vectors(panel) * int64_t(width_); }
    // First channel within the group, and how many channels of the group the panel holds.
    int64_t first_channel(int64_t panel) const { return begin(panel) * width_; }
    int64_t channels(int64_t panel) const {
        const int64_t left = group_channels_ - first_channel(panel);
        return left < lanes(panel) ? left : lanes(panel);
    }
    // Lanes of all panels before this one: where its packed data begins, line for line.
    int64_t lanes_before(int64_t panel) const {
        return (group(panel) * vectors_ + begin(panel)) * width_;
    }
    int64_t all_lanes() const { return groups_ * vectors_ * width_; }

 private:
    int64_t begin(int64_t panel) const { return panel % per_group_ * vectors_ / per_group_; }
    int64_t end(int64_t panel) const { return (panel % per_group_ + 1) * vectors_ / per_group_; }

    int width_;
    int64_t groups_, group_channels_, vectors_, per_group_;
};

}  // namespace rot180
