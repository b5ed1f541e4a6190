#include "runtime/engine/TextStream.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <utility>

namespace llmc {

size_t TextStream::firstStop() const {
  size_t first = std::string::npos;
  for (const std::string &stop : stops)
    first = std::min(first, pending.find(stop));
  return first;
}

// The longest end of `pending` that begins a stop string.
size_t TextStream::heldBytes() const {
  size_t held = 0;
  for (const std::string &stop : stops)
    for (size_t length = std::min(stop.size() - 1, pending.size()); length > held; --length)
      if (pending.ends_with(std::string_view(stop).substr(0, length)))
        held = length;
  return held;
}

std::string TextStream::push(std::string_view text) {
  if (found)
    return {};
  pending += text;
  size_t stop = firstStop();
  found = stop != std::string::npos;
  if (found)
    pending.resize(stop);
  std::string certain = pending.substr(0, found ? stop : pending.size() - heldBytes());
  pending.erase(0, certain.size());
  return certain;
}

std::string TextStream::flush() { return std::exchange(pending, {}); }

std::string repairUtf8(std::string text) {
  if (isUtf8(text))
    return text;
  std::string repaired;
  for (size_t at = 0; at < text.size();) {
    size_t length = 1;
    while (length <= 4 && !isUtf8(std::string_view(text).substr(at, length)))
      ++length;
    bool whole = length <= 4 && at + length <= text.size();
    repaired += whole ? text.substr(at, length) : "\xef\xbf\xbd";
    at += whole ? length : 1;
  }
  return repaired;
}

} // namespace llmc
