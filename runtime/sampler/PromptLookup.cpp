#include "runtime/sampler/PromptLookup.h"

#include <algorithm>

namespace llmc {

// One pass from the end: the first place of a greater length is the latest of that length.
std::span<const TokenId> lookUp(std::span<const TokenId> sequence, size_t most, size_t longest, size_t shortest) {
  size_t count = sequence.size(), best = 0, place = 0; // place: of the token that followed
  for (size_t end = count; end-- > 1 && best < longest;) {
    size_t length = 0;
    while (length < longest && length < end && sequence[end - 1 - length] == sequence[count - 1 - length])
      ++length;
    if (length > best)
      best = length, place = end;
  }
  if (best < std::max<size_t>(shortest, 1))
    return {};
  return sequence.subspan(place, std::min(most, count - place));
}

} // namespace llmc
