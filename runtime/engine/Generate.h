// The generation loop: prompt, then draw, tell, evaluate, until something ends it.
#pragma once

#include "runtime/engine/Context.h"

namespace llmc {

// llmc_generate. `options` is complete (struct_size aside); `stats` is written on success.
Expected<void> generate(Context &context, const llmc_generate_options &options, llmc_generate_stats &stats);

// llmc_sampler_defaults.
llmc_sampler_options samplerDefaults(const LoadedModel &model);
SamplerOptions samplerOptions(const llmc_sampler_options &options);

} // namespace llmc
