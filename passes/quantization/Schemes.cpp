#include "passes/quantization/Schemes.h"

#include "llvm/ADT/StringSwitch.h"

using namespace llmc;
using llm::Format;

std::optional<Scheme> llmc::findScheme(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<Scheme>>(name)
      .Case("q8", Scheme{Format::q8_0, Format::q8_0})
      .Case("q6", Scheme{Format::q6_k, Format::q6_k})
      .Case("q5", Scheme{Format::q5_k, Format::q6_k})
      .Case("q4", Scheme{Format::q4_0, Format::q6_k})
      .Case("q4a", Scheme{Format::q4_k, Format::q6_k})
      .Default(std::nullopt);
}

// With no super-blocks.
static Format plainFormat(Format format) {
  switch (format) {
  case Format::q6_k: return Format::q8_0;
  case Format::q5_k:
  case Format::q4_k: return Format::q5_0;
  default: return format;
  }
}

std::optional<Format> Scheme::formatFor(bool isTable, int64_t columns) const {
  Format wanted = isTable ? table : products;
  for (Format format : {wanted, plainFormat(wanted)})
    if (columns % llm::formatTraits(format).blockElements == 0)
      return format;
  return std::nullopt;
}
