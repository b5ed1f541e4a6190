// What the engine's tests share: the fake model opened with a tokenizer whose ids spell known text.
#pragma once

#include "runtime/abi/tests/FakeModel.h"
#include "runtime/abi/tests/FakeTokenizer.h"
#include "runtime/engine/Context.h"

#include <gtest/gtest.h>

namespace llmc {

// A fake artifact with a tokenizer.
inline llmc_artifact withTokenizer(const llmc_artifact &artifact) {
  static const std::string blob = fakeTokenizerBlob(FAKE_VOCAB).value_or("no blob");
  static const llmc_asset assets[] = {
      llmc_model.assets[0],
      {"tokenizer", reinterpret_cast<const uint8_t *>(blob.data()), int64_t(blob.size())}};
  llmc_artifact copy = artifact;
  copy.assets = assets;
  copy.asset_count = 2;
  return copy;
}

// With an attention cache.
inline const llmc_artifact &fakeArtifact() {
  static const llmc_artifact artifact = withTokenizer(llmc_model);
  return artifact;
}

// `artifact` outlives the model.
inline std::shared_ptr<const LoadedModel> openFake(const llmc_artifact &artifact = fakeArtifact()) {
  auto model = LoadedModel::open(artifact, "fake.so");
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

inline std::unique_ptr<Context> makeContext(ContextOptions options = {.context = 100, .slots = 3, .threads = 2},
                                            const llmc_artifact &artifact = fakeArtifact()) {
  auto context = Context::create(openFake(artifact), options);
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
