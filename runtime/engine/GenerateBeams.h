// Generating by beam search.
#pragma once

#include "runtime/engine/Generation.h"

namespace llmc {

// The live sequences are one ragged batch a step, in the slots from options.slot on; a sequence that several continue is forked. The
// slots are then empty but for the first, which holds the prompt. Errors: InvalidInput if there are fewer slots than beams.
Expected<void> generateBeams(Generation &generation, const llmc_sampler_options &options, std::span<const TokenId> prompt);

} // namespace llmc
