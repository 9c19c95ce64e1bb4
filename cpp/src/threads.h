// How many threads there are to be had.
#pragma once

#include "rot180/runtime.h"

namespace rot180 {

// `wanted` threads, or fewer where the system has no more to give. An OpenMP runtime that cannot
// start a thread ends the process, so this tries first.
int available_team(int wanted);

}  // namespace rot180
