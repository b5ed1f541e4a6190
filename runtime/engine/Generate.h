// The generation loop: prompt, then draw, tell, evaluate, until something ends it.
#pragma once

#include "runtime/engine/Context.h"

namespace llmc {

// llmc_generate. `options` is complete (struct_size aside); `stats` is written on success.
Expected<void> generate(Context &context, const llmc_generate_options &options, llmc_generate_stats &stats);

} // namespace llmc
