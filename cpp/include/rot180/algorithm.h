// How convolutions are computed.
#pragma once

namespace rot180 {

// direct: the sum as it stands. winograd: a quarter of a 3x3 kernel's multiplications for a few
// bits of accuracy. automatic: as set_algorithm says, and if that is automatic too, the faster one.
enum class Algorithm { automatic, direct, winograd };

// For every call that asks for automatic, wherever the shape admits it. At the start
// ROT180_ALGORITHM ("auto", "direct" or "winograd"), else automatic; the first call of any function
// here throws std::invalid_argument for another name.
Algorithm algorithm();
void set_algorithm(Algorithm algorithm);

}  // namespace rot180
