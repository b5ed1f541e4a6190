// What the engine's tests share: the fake model opened with a tokenizer whose ids spell known text.
#pragma once

#include "runtime/abi/tests/FakeModel.h"
#include "runtime/engine/Context.h"

#include <gtest/gtest.h>

namespace llmc {

// Ids 0 … 25 are "a" … "z"; 26 27 28 the bytes of "€"; 29 "x!"; 30 a byte that no character begins with; 40 "</s>", special.
inline const std::string &fakeTokenizerBlob() {
  static const std::string blob = [] {
    std::string vocabulary;
    for (int id = 0; id < FAKE_VOCAB; ++id) {
      std::string piece = id < 26    ? std::string(1, char('a' + id))
                          : id == 26 ? "<0xE2>"
                          : id == 27 ? "<0x82>"
                          : id == 28 ? "<0xAC>"
                          : id == 29 ? "x!"
                          : id == 30 ? "<0xFF>"
                          : id == 40 ? "</s>"
                                     : "[" + std::to_string(id) + "]";
      vocabulary += (id ? ", \"" : "\"") + piece + "\": " + std::to_string(id);
    }
    std::string json = R"({"version": "1.0", "added_tokens": [{"id": 40, "content": "</s>", "special": true,
      "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}], "normalizer": null,
      "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Sequence",
      "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}, "model": {"type": "BPE", "byte_fallback": true,
      "unk_token": null, "merges": [], "vocab": {)" +
                       vocabulary + "}}}";
    std::string path = testing::TempDir() + "llmc-fake-tokenizer-" + std::to_string(getpid()) + ".json";
    std::FILE *file = std::fopen(path.c_str(), "w");
    std::fwrite(json.data(), 1, json.size(), file);
    std::fclose(file);
    auto tokenizer = Tokenizer::fromHuggingFace(path);
    std::remove(path.c_str());
    return tokenizer ? tokenizer->toBlob() : "error: " + tokenizer.error().message;
  }();
  return blob;
}

// The fake artifact with a tokenizer.
inline const llmc_artifact &fakeArtifact() {
  static const llmc_asset assets[] = {
      llmc_model.assets[0],
      {"tokenizer", reinterpret_cast<const uint8_t *>(fakeTokenizerBlob().data()), int64_t(fakeTokenizerBlob().size())}};
  static const llmc_artifact artifact = [] {
    llmc_artifact copy = llmc_model;
    copy.assets = assets;
    copy.asset_count = 2;
    return copy;
  }();
  return artifact;
}

inline std::shared_ptr<const LoadedModel> openFake() {
  auto model = LoadedModel::open(fakeArtifact(), "fake.so");
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

inline std::unique_ptr<Context> makeContext(ContextOptions options = {.context = 100, .slots = 3, .threads = 2}) {
  auto context = Context::create(openFake(), options);
  EXPECT_TRUE(context) << context.error().message;
  return context ? std::move(*context) : nullptr;
}

inline std::vector<TokenId> countingTokens(int64_t count, TokenId first = 0) {
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(TokenId((first + i * 7) % 60));
  return ids;
}

// The rows of logits of one request.
inline std::vector<float> evalRows(Context &context, const std::vector<TokenId> &ids, int32_t want = LLMC_WANT_LAST,
                                   int32_t slot = 0) {
  std::vector<float> logits(size_t(want == LLMC_WANT_ALL ? ids.size() : 1) * FAKE_VOCAB);
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = int64_t(ids.size());
  request.slot = slot;
  request.want = want;
  request.logits = logits.data();
  auto end = context.eval(request);
  EXPECT_TRUE(end) << end.error().message;
  return logits;
}

} // namespace llmc
