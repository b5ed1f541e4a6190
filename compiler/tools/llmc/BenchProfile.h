// llmc bench --profile: where the time of a test goes, loop by loop.
#pragma once

#include "compiler/tools/llmc/Limits.h"
#include "compiler/tools/llmc/Model.h"

namespace llmc::tools {

// Times steps from now on. Errors: exit 3 when the model was compiled without a profile.
absl::Status beginProfile(Context &context);
// Of the version of the step that took most of the time: {"max_tokens", "steps", "tokens", "ns", "limits": {"threads",
// "read_bytes_per_second", "operations_per_second": {"f32", …}}, "sites": [{"name", "order", "runs", "ns", "busy_ns", "bytes", "operations",
// "arithmetic", "share", "bound", "bound_by"}], "experts": [{"layer", "experts", "tokens", "counts", "min_share", "median_share", "max_share",
// "imbalance"}]}, sites by time, the longest first; `order`: their place in the step. `bytes`: of weights, caches and states, once however often a
// loop reads them. `bound`: the time that the limits allow over the time it took; `bound_by`: "memory" or "arithmetic", whichever allows
// less. `counts`: how many of the version's tokens each expert of the layer got.
absl::StatusOr<Json> readProfile(Context &context, const Limits &limits);
void printProfile(const Json &profile);

} // namespace llmc::tools
