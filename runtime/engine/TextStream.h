// Text on its way to the reader: ends at a stop string, and holds back what may become one.
//
//   TextStream stream({"\n\n", "User:"});
//   emit(stream.push(piece)); … emit(stream.flush());
#pragma once

#include "runtime/support/Error.h"

#include <string>
#include <string_view>
#include <vector>

namespace llmc {

class TextStream {
public:
  // `stops`: UTF-8, none empty.
  explicit TextStream(std::vector<std::string> stops) : stops(std::move(stops)) {}

  // Adds text of whole characters; returns what is certain to come before any stop string.
  std::string push(std::string_view text);
  // What was held back; nothing once a stop string was found.
  std::string flush();
  bool stopped() const { return found; }

private:
  size_t firstStop() const;
  size_t heldBytes() const;

  std::vector<std::string> stops;
  std::string pending;
  bool found = false;
};

// `text` with each byte that is no part of well-formed UTF-8 replaced by U+FFFD.
std::string repairUtf8(std::string text);

} // namespace llmc
