// Guesses at the tokens that come next: from the text so far, or by a smaller model.
#pragma once

#include "runtime/engine/Generation.h"

#include <memory>

namespace llmc {

class Guesser {
public:
  virtual ~Guesser() = default;
  // At most `most` tokens that may follow a sequence; none if it has no guess.
  virtual Expected<std::vector<TokenId>> guess(std::span<const TokenId> sequence, int64_t most) = 0;
};

// What the options ask for; null: nothing. Errors: InvalidInput on numbers out of range, on two kinds at once, or on a draft model of another
// vocabulary.
Expected<std::unique_ptr<Guesser>> makeGuesser(const llmc_sampler_options &options, const Generation &generation);

} // namespace llmc
