// How far one model's distributions are from another's on a text.
#pragma once

#include "compiler/tools/llmc/OpenModel.h"

namespace llmc::tools {

struct Divergences {
  double mean = 0, p99 = 0; // Kullback-Leibler, nats
  double agreement = 0;     // part of the rows whose most likely token is the same
  int64_t tokens = 0;       // rows compared
  double perplexity = 0, referencePerplexity = 0;
};

// Over windows of `size` tokens (0: 512, or what the models can hold), the second half of each.
// Errors: exit 1 if the vocabularies differ, or the text is too short.
absl::StatusOr<Divergences> compareModels(const Model &model, const Model &reference, const std::string &text, int64_t size, int32_t threads);

} // namespace llmc::tools
