// A tokenizer for the fake model whose ids spell known text.
#pragma once

#include "runtime/tokenizer/Tokenizer.h"

#include <cstdio>
#include <filesystem>
#include <unistd.h>

namespace llmc {

// Ids 0 … 25 are "a" … "z"; 26 27 28 the bytes of "€"; 29 "x!"; 30 a byte that begins no character; 40 "</s>", special.
inline std::string fakePiece(int id) {
  if (id < 26)
    return std::string(1, char('a' + id));
  switch (id) {
  case 26:
    return "<0xE2>";
  case 27:
    return "<0x82>";
  case 28:
    return "<0xAC>";
  case 29:
    return "x!";
  case 30:
    return "<0xFF>";
  case 40:
    return "</s>";
  default:
    return "[" + std::to_string(id) + "]";
  }
}

inline std::string fakeTokenizerJson(int vocab) {
  std::string vocabulary;
  for (int id = 0; id < vocab; ++id)
    vocabulary += (id ? ", \"" : "\"") + fakePiece(id) + "\": " + std::to_string(id);
  return R"({"version": "1.0", "added_tokens": [{"id": 40, "content": "</s>", "special": true, "single_word": false,
    "lstrip": false, "rstrip": false, "normalized": false}], "normalizer": null, "pre_tokenizer": null,
    "post_processor": null, "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
    "model": {"type": "BPE", "byte_fallback": true, "unk_token": null, "merges": [], "vocab": {)" +
         vocabulary + "}}}";
}

// Errors are those of the tokenizer.
inline Expected<std::string> fakeTokenizerBlob(int vocab) {
  std::string path =
      (std::filesystem::temp_directory_path() / ("llmc-fake-tokenizer-" + std::to_string(::getpid()) + ".json")).string();
  std::string json = fakeTokenizerJson(vocab);
  std::FILE *file = std::fopen(path.c_str(), "w");
  if (!file)
    return invalidInput(path + ": can't write");
  std::fwrite(json.data(), 1, json.size(), file);
  std::fclose(file);
  auto tokenizer = Tokenizer::fromHuggingFace(path);
  std::remove(path.c_str());
  if (!tokenizer)
    return std::unexpected(std::move(tokenizer.error()));
  return tokenizer->toBlob();
}

} // namespace llmc
