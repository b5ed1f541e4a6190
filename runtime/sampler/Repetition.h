// What lowers the logits of tokens that would repeat what was said: penalties, the block of n-grams, DRY.
#pragma once

#include "runtime/sampler/Candidates.h"
#include "runtime/sampler/SamplerOptions.h"

namespace llmc {

// Repeat, presence and frequency penalty for the tokens of `recent`, each by how often it occurs there.
void applyPenalties(Candidates &candidates, std::span<const TokenId> recent, const SamplerOptions &options);

// -infinity to every token that would make the last n tokens occur a second time in `history`.
void blockNgrams(Candidates &candidates, std::span<const TokenId> history, size_t n);
// Those tokens.
std::vector<TokenId> repeatingTokens(std::span<const TokenId> history, size_t n);

// DRY: for each token that followed somewhere on what the sequence ends with, how many tokens of that end came before it, at most. No
// repetition reaches across a breaker, and a token that is one continues none. O(length) time.
std::unordered_map<TokenId, int64_t> longestRepeats(std::span<const TokenId> recent, const DryBreakers &breakers);
void applyDry(Candidates &candidates, std::span<const TokenId> recent, const SamplerOptions &options);

} // namespace llmc
