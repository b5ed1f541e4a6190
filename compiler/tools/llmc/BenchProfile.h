// llmc bench --profile: where the time of a test goes, loop by loop.
#pragma once

#include "compiler/tools/llmc/Model.h"

namespace llmc::tools {

// Times steps from now on. Errors: exit 3 when the model was compiled without a profile.
absl::Status beginProfile(Context &context);
// Of the version of the step that took most of the time: {"max_tokens", "steps", "tokens", "ns", "sites": [{"name", "runs", "ns",
// "busy_ns", "bytes", "share"}], "experts": [{"layer", "experts", "tokens", "counts", "min_share", "median_share", "max_share",
// "imbalance"}]}, sites by time, the longest first. `counts`: how many of the version's tokens each expert of the layer got.
absl::StatusOr<Json> readProfile(Context &context);
void printProfile(const Json &profile);

} // namespace llmc::tools
