// The sampler that a caller of the C ABI describes.
#pragma once

#include "runtime/engine/LoadedModel.h"

#include "llmc/llmc.h"

namespace llmc {

// llmc_sampler_defaults.
llmc_sampler_options samplerDefaults(const LoadedModel &model);
// Errors: as validate(); InvalidInput on names and numbers that can't be read; Unsupported on DRY breakers that are text where the model has
// no tokenizer.
Expected<SamplerOptions> samplerOptions(const llmc_sampler_options &options, const LoadedModel &model);

// The sequences of tokens that hold or begin with `text`, wherever its first character may lie in a token.
Expected<void> addDryBreakers(const Tokenizer &tokenizer, std::string_view text, DryBreakers &breakers);

} // namespace llmc
