// Generating token by token, or by guesses that one step checks.
#pragma once

#include "runtime/engine/Generation.h"
#include "runtime/sampler/Sampler.h"

namespace llmc {

// Draws until something ends it. With guesses (llmc_sampler_options.lookup_tokens, llmc_generate_options.draft) a step runs the last token
// and what may follow; each token is then drawn from the logits of its place by the very draw that would have been made without, and what was
// guessed wrong is rolled back. So the guesses change neither the distribution nor, where steps of any size compute the same, the text.
// Source: arXiv:2211.17192, with guesses of probability 1
Expected<void> generateTokens(Generation &generation, const llmc_sampler_options &options, const SamplerOptions &sampling,
                              std::span<const TokenId> prompt);

} // namespace llmc
