// Convolutions by name, in the notation of shapes.py: "n8 h56 w56 c64 k64 r3 s3 p1".
#pragma once

#include <rot180/conv2d.h>

#include <string>
#include <vector>

namespace rot180_bench {

struct NamedConv2d {
    // What the kernels take. A transposed convolution is the map from this one's outputs to its
    // inputs.
    rot180::Conv2dShape convolution;
    bool transposed;

    double flops() const;  // of the direct algorithm, the same for every pass

    static NamedConv2d parse(const std::string& name);  // throws std::invalid_argument
};

// Some of the rows of shapes.py, of every net and every kind.
extern const std::vector<std::string> conv2d_names;

}  // namespace rot180_bench
