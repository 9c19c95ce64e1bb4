// Memory that a driver needs for the length of one call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rot180 {

// One block, 64-byte aligned, kept by the calling thread for its next call: fresh pages cost more
// than the work that is done in them. Throws std::bad_alloc.
class Scratch {
 public:
    explicit Scratch(size_t bytes);
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    char* data() const { return data_; }

 private:
    char* data_;
    size_t bytes_;
};

// Plans the arrays of one Scratch: add() each, make the Scratch of bytes(), then at(offset).
class ScratchPlan {
 public:
    // Returns the array's offset. Throws std::bad_alloc where the size cannot be expressed.
    size_t add(int64_t count, size_t element_size);
    size_t bytes() const { return bytes_; }

 private:
    size_t bytes_ = 0;
};

}  // namespace rot180
