// Guesses what comes next from what came before: what followed the last few tokens where they last occurred. Costs no model.
// Source: github.com/apoorvumang/prompt-lookup-decoding
#pragma once

#include "runtime/tokenizer/Tokenizer.h"

#include <span>

namespace llmc {

// At most `most` tokens of `sequence` that followed the latest earlier occurrence of its longest end of `longest` … `shortest` tokens (1 or
// more) that has one; empty if none has. O(length * longest) time.
std::span<const TokenId> lookUp(std::span<const TokenId> sequence, size_t most, size_t longest, size_t shortest);

} // namespace llmc
