// The kernels of the instruction set in use.
#pragma once

#include "kernels.h"

namespace rot180 {

// A driver asks once and uses one table throughout, whatever other threads set meanwhile.
template <class T>
const Kernels<T>& kernels();
template <>
const Kernels<float>& kernels<float>();
template <>
const Kernels<double>& kernels<double>();

}  // namespace rot180
