#include "frontends/ModuleText.h"

#include "llvm/ADT/StringExtras.h"

using namespace llmc::frontends;

// Modules of ours nest about ten deep. The parser takes some hundred bytes of stack for each level.
static constexpr int64_t maxDepth = 256, maxSigns = 64;

// Position after the string that begins at `at`, or after the comment; `at` itself if neither begins there.
static size_t skipOpaque(llvm::StringRef text, size_t at) {
  if (text.substr(at).starts_with("//"))
    return std::min(text.find('\n', at), text.size());
  if (text[at] != '"')
    return at;
  for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
    if (text[at] == '\\')
      ++at;
  return std::min(at + 1, text.size());
}

std::optional<std::string> llmc::frontends::findDangerousNesting(llvm::StringRef text) {
  int64_t depth = 0, signs = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (size_t after = skipOpaque(text, at); after != at) {
      at = after - 1;
      continue;
    }
    char c = text[at];
    bool arrow = c == '>' && at && text[at - 1] == '-';
    if (llvm::StringRef("([{<").contains(c))
      ++depth;
    else if (llvm::StringRef(")]}>").contains(c) && !arrow)
      depth = std::max<int64_t>(depth - 1, 0); // a stray one is the parser's to report
    if (!llvm::isSpace(c))
      signs = c == '-' ? signs + 1 : 0;
    if (depth > maxDepth)
      return "brackets are nested more than " + std::to_string(maxDepth) + " deep";
    if (signs > maxSigns)
      return "more than " + std::to_string(maxSigns) + " signs in a row";
  }
  return std::nullopt;
}
