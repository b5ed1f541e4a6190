// Dense families: tensors that q, k and v share, blocks of other shapes, numbers that no file holds.
#include "frontends/Alibi.h"
#include "frontends/TestCheckpoints.h"

#include "llvm/ADT/ArrayRef.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace llmc::frontends;

namespace {

constexpr int64_t hidden = 8, vocab = 10;

Imported importOf(const std::string &config, const std::vector<TinyTensor> &tensors) {
  ScratchDirectory directory;
  directory.write("model.safetensors", safetensors(tensors));
  directory.write("config.json", config);
  return importText(directory.path);
}

void addNorms(std::vector<TinyTensor> &tensors, llvm::ArrayRef<std::string> names) {
  for (const std::string &name : names)
    tensors.push_back({name + ".weight", {hidden}}), tensors.push_back({name + ".bias", {hidden}});
}

// Two layers of Falcon with `rows` of q, k and v, and these norms in each.
Imported importFalcon(const std::string &keys, int64_t rows, const std::vector<std::string> &norms) {
  std::vector<TinyTensor> tensors = {{"transformer.word_embeddings.weight", {vocab, hidden}}};
  addNorms(tensors, {"transformer.ln_f"});
  for (int layer = 0; layer < 2; ++layer) {
    std::string at = "transformer.h." + std::to_string(layer) + ".";
    for (const std::string &norm : norms)
      addNorms(tensors, {at + norm});
    tensors.push_back({at + "self_attention.query_key_value.weight", {rows, hidden}});
    tensors.push_back({at + "self_attention.dense.weight", {hidden, hidden}});
    tensors.push_back({at + "mlp.dense_h_to_4h.weight", {4 * hidden, hidden}});
    tensors.push_back({at + "mlp.dense_4h_to_h.weight", {hidden, 4 * hidden}});
  }
  return importOf(R"({"model_type": "falcon", "hidden_size": 8, "vocab_size": 10, "num_hidden_layers": 2, "num_attention_heads": 4)" + keys + "}", tensors);
}

int64_t count(const std::string &text, const std::string &part) {
  int64_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

std::string refused(const std::string &config) { return importOf(config, {{"x", {1}}}).error; }

} // namespace

TEST(DenseImport, OneHeadOfKeysHasItsRowsBehindAllQueries) {
  Imported result = importFalcon("", 12, {"input_layernorm"});
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "@blk.q : !llm.weights<2x8x8xf32> from \"transformer.h.{layer}.self_attention.query_key_value.weight\" rows [0, 8, 12, 8]"))
      << result.text;
  EXPECT_TRUE(contains(result.text, "kv_heads = 1, head_dim = 2"));
  // One norm in a layer, and one behind the layers.
  EXPECT_EQ(count(result.text, " = llm.layer_norm "), 2) << result.text;
}

TEST(DenseImport, GroupsOfHeadsTakeTurns) {
  Imported result = importFalcon(R"(, "new_decoder_architecture": true, "num_kv_heads": 2)", 16, {"ln_attn", "ln_mlp"});
  ASSERT_EQ(result.error, "");
  // Each turn: two heads of q, one of k, one of v.
  EXPECT_TRUE(contains(result.text, "@blk.q : !llm.weights<2x8x8xf32> from \"transformer.h.{layer}.self_attention.query_key_value.weight\" rows [0, 12, 8, 4]"))
      << result.text;
  EXPECT_TRUE(contains(result.text, "@blk.k : !llm.weights<2x4x8xf32> from \"transformer.h.{layer}.self_attention.query_key_value.weight\" rows [4, 14, 8, 2]"))
      << result.text;
  EXPECT_EQ(count(result.text, " = llm.layer_norm "), 3) << result.text;
}

TEST(DenseImport, AlibiTakesThePlaceOfRope) {
  Imported result = importFalcon(R"(, "alibi": true, "multi_query": false, "parallel_attn": false)", 24, {"input_layernorm", "post_attention_layernorm"});
  ASSERT_EQ(result.error, "");
  // 2^-2 ... 2^-8, scaled as scores of heads of two channels are.
  EXPECT_TRUE(contains(result.text, "llm.weight @slopes : !llm.weights<1x4xf32> from \"\" values [1.767767e-01, 4.419417e-02, ")) << result.text;
  EXPECT_TRUE(contains(result.text, " slopes %"));
  EXPECT_FALSE(contains(result.text, "llm.rope"));
}

TEST(DenseImport, ASequentialLayerNeedsItsSecondNorm) {
  Imported result = importFalcon(R"(, "parallel_attn": false)", 12, {"input_layernorm"});
  EXPECT_EQ(result.exitCode, 3);
  EXPECT_TRUE(contains(result.error, "missing tensor 'transformer.h.{layer}.ln_mlp.weight'")) << result.error;
}

TEST(DenseImport, KeysThatChangeTheGraphAreRefused) {
  std::string mpt = R"({"model_type": "mpt", "d_model": 8, "n_heads": 2, "n_layers": 1, "max_seq_len": 16, "vocab_size": 10, "attn_config": )";
  EXPECT_TRUE(contains(refused(mpt + R"({"qk_ln": true}})"), "not supported: config.json: attn_config.qk_ln"));
  EXPECT_TRUE(contains(refused(mpt + R"({"alibi_bias_max": -1}})"), "'attn_config.alibi_bias_max': want a positive number"));
  EXPECT_TRUE(contains(refused(mpt + R"({"clip_qkv": "much"}})"), "'attn_config.clip_qkv': want a number, got"));
  std::string opt = R"({"model_type": "opt", "hidden_size": 8, "ffn_dim": 8, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 10, "max_position_embeddings": 16)";
  EXPECT_TRUE(contains(refused(opt + R"(, "layer_norm_elementwise_affine": false})"), "layer_norm_elementwise_affine false"));
  EXPECT_TRUE(contains(refused(opt + R"(, "word_embed_proj_dim": -3})"), "size of embeddings: want 1 to"));
}

TEST(DenseImport, SlopesOfHeadsThatAreNoPowerOfTwo) {
  auto exponents = [](int64_t heads) {
    std::vector<double> result;
    for (float slope : alibiSlopes(heads, 8, {}, 1))
      result.push_back(-std::log2(static_cast<double>(slope)));
    return result;
  };
  EXPECT_EQ(exponents(4), (std::vector<double>{2, 4, 6, 8}));
  EXPECT_EQ(exponents(6), (std::vector<double>{2, 4, 6, 8, 1, 3}));
  // 2^-0.5 in bf16.
  EXPECT_EQ(alibiSlopes(16, 8, {.inBf16 = true}, 1)[0], 0.70703125f);
}
