// Slopes of ALiBi. Source: arXiv:2108.12409.
#pragma once

#include "frontends/Family.h"

#include <vector>

namespace llmc::frontends {

constexpr int maxAlibiBias = 1000; // published: 8

// One slope for each of `heads` heads: 2^(-mostBias / heads), its square, and so on, where the number of heads is a power of 2. Other
// numbers have those of the power below, and then every other one of the power above.
std::vector<float> alibiSlopes(int64_t heads, double mostBias, const AlibiRule &rule, double attentionScale);

} // namespace llmc::frontends
