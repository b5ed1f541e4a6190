// How a model's authors make one vector of a text.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace llmc {

// How the hidden states of a text's tokens become one vector.
enum class Pooling { Mean, First, Max, Last };
std::optional<Pooling> parsePooling(std::string_view name); // mean, cls, max, last

struct Embedding {
  Pooling pooling = Pooling::Mean;
  bool normalize = false;  // to length 1
  int64_t maxTokens = 0;   // that the model's authors let a text have; 0: nobody says
};

} // namespace llmc
