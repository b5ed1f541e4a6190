// A text as one vector: what a model makes of its tokens, pooled.
//
//   LLMC_TRY(how, embedding(model.embedding(), options));
//   LLMC_TRY(end, embed(context, slot, ids, how, vector));
//
// Thread-compatible, as the context is.
#pragma once

#include "runtime/engine/Context.h"

namespace llmc {

// Evaluates the tokens in a slot, which is emptied before, and writes [hidden] floats. Errors: those of Context::eval.
Expected<EvalEnd> embed(Context &context, int64_t slot, std::span<const TokenId> tokens, const Embedding &how, float *vector);

// llmc_embed.
Expected<EvalEnd> embedText(Context &context, std::string_view text, const llmc_embed_options &options, float *vector);

// The tokens of a text that is to have at most `most` of them: its end goes, special tokens behind it stay.
std::vector<TokenId> truncated(std::vector<TokenId> tokens, int64_t most, const Tokenizer &tokenizer);

} // namespace llmc
