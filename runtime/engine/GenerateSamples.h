// Generating several continuations of one prompt at once.
#pragma once

#include "runtime/engine/Generation.h"
#include "runtime/sampler/Sampler.h"

namespace llmc {

// All that have not ended are one ragged batch a step, in slots forked from the prompt's. Errors: InvalidInput if there are fewer slots than
// samples.
Expected<void> generateSamples(Generation &generation, const SamplerOptions &sampling, std::span<const TokenId> prompt);

} // namespace llmc
