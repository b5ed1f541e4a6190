// Any bytes as a SentencePiece model: refused, or a tokenizer that encodes, decodes and survives its blob.
#include "runtime/tokenizer/FromHuggingFace.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace llmc;
  auto tokenizer = tokenizerFromSentencePiece({reinterpret_cast<const char *>(data), size});
  if (!tokenizer)
    return 0;
  std::string blob = tokenizer->toBlob();
  auto again = Tokenizer::fromBlob(std::as_bytes(std::span(blob)));
  if (!again)
    std::abort();
  for (std::string_view text : {"", " a", "Hello, World! 123\n\n  it's", "é漢字▁😀<s></s>", "aaaaaaaaaaaaaaab"}) {
    auto ids = tokenizer->encode(text), same = again->encode(text);
    if (ids.has_value() != same.has_value() || (ids && *ids != *same))
      std::abort();
    if (ids)
      (void)tokenizer->decode(*ids);
  }
  return 0;
}
