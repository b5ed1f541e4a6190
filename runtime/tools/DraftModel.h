// A draft model, over the C ABI of its own library.
#pragma once

#include "llmc/loader.h"
#include "runtime/support/Error.h"

namespace llmc {

// Errors: InvalidInput where the two models' tokens are not the same, naming the first that differs.
Expected<void> checkSameVocabulary(const llmc_api &api, const llmc_model_handle *model, const llmc_api &draftApi, const llmc_model_handle *draft);

// `context`: of `model`, whose slot 0 it uses.
llmc_draft draftOf(const llmc_api &api, const llmc_model_handle *model, llmc_context *context, int64_t maxTokens, float minProbability);

} // namespace llmc
