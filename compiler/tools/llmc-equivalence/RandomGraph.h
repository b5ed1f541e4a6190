// Small random modules of the `llm` dialect, well typed, made of what the fusion and simplification passes look for and of what lies between.
#pragma once

#include <cstdint>
#include <string>

namespace llmc {

// A module whose `@step(%batch) -> (…)` runs on tokens 0 … randomGraphVocab - 1 and returns two values. The same for a seed on every machine.
std::string randomGraph(uint64_t seed);
inline constexpr int32_t randomGraphVocab = 6;

} // namespace llmc
