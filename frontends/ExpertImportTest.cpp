// Experts of Hugging Face checkpoints: in which layers, in which layout, and what is refused.
#include "frontends/TestCheckpoints.h"

#include <gtest/gtest.h>

using namespace llmc::frontends;

namespace {

constexpr int64_t hidden = 8, ffn = 16, expertFfn = 6, experts = 3, vocab = 10;

std::string config(const std::string &type, int64_t layers, const std::string &more) {
  return "{\"model_type\":\"" + type + "\",\"hidden_size\":8,\"num_hidden_layers\":" + std::to_string(layers) +
         ",\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,\"intermediate_size\":16,\"moe_intermediate_size\":6,"
         "\"vocab_size\":10,\"max_position_embeddings\":64," +
         more + "}";
}

std::vector<TinyTensor> attentionTensors(int64_t layers) {
  std::vector<TinyTensor> all{{"model.embed_tokens.weight", {vocab, hidden}}, {"model.norm.weight", {hidden}}, {"lm_head.weight", {vocab, hidden}}};
  for (int64_t i = 0; i < layers; ++i) {
    std::string layer = "model.layers." + std::to_string(i) + ".";
    for (std::string norm : {"input_layernorm", "post_attention_layernorm"})
      all.push_back({layer + norm + ".weight", {hidden}});
    for (std::string norm : {"self_attn.q_norm", "self_attn.k_norm"})
      all.push_back({layer + norm + ".weight", {4}});
    all.push_back({layer + "self_attn.q_proj.weight", {8, hidden}});
    all.push_back({layer + "self_attn.k_proj.weight", {4, hidden}});
    all.push_back({layer + "self_attn.v_proj.weight", {4, hidden}});
    all.push_back({layer + "self_attn.o_proj.weight", {hidden, 8}});
  }
  return all;
}

void addDense(std::vector<TinyTensor> &all, int64_t layer) {
  std::string mlp = "model.layers." + std::to_string(layer) + ".mlp.";
  all.push_back({mlp + "gate_proj.weight", {ffn, hidden}});
  all.push_back({mlp + "up_proj.weight", {ffn, hidden}});
  all.push_back({mlp + "down_proj.weight", {hidden, ffn}});
}

void addExperts(std::vector<TinyTensor> &all, int64_t layer, bool stacked) {
  std::string mlp = "model.layers." + std::to_string(layer) + ".mlp.";
  all.push_back({mlp + "gate.weight", {experts, hidden}});
  if (stacked) {
    all.push_back({mlp + "experts.gate_up_proj", {experts, 2 * expertFfn, hidden}});
    all.push_back({mlp + "experts.down_proj", {experts, hidden, expertFfn}});
    return;
  }
  for (int64_t e = 0; e < experts; ++e) {
    std::string expert = mlp + "experts." + std::to_string(e) + ".";
    all.push_back({expert + "gate_proj.weight", {expertFfn, hidden}});
    all.push_back({expert + "up_proj.weight", {expertFfn, hidden}});
    all.push_back({expert + "down_proj.weight", {hidden, expertFfn}});
  }
}

Imported importTiny(const std::string &json, const std::vector<TinyTensor> &tensors) {
  ScratchDirectory directory;
  directory.write("config.json", json);
  directory.write("model.safetensors", safetensors(tensors, "F32"));
  return importText(directory.path);
}

const std::string numbers = "\"num_experts\":3,\"num_experts_per_tok\":2,\"norm_topk_prob\":true";

} // namespace

TEST(ExpertImport, OneTensorForEachExpertAndDenseLayersBetween) {
  std::vector<TinyTensor> tensors = attentionTensors(3);
  addExperts(tensors, 0, /*stacked=*/false), addDense(tensors, 1), addExperts(tensors, 2, /*stacked=*/false);
  Imported result = importTiny(config("qwen3_moe", 3, numbers + ",\"mlp_only_layers\":[1]"), tensors);
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "@blk.gate_exps : !llm.weights<2x3x6x8xf32> from "
                                    "\"model.layers.{layer}.mlp.experts.{expert}.gate_proj.weight\" layers [0, 2]"))
      << result.text;
  EXPECT_TRUE(contains(result.text, "kinds [@full_experts, @full] order [0, 1, 0]")) << result.text;
  EXPECT_TRUE(contains(result.text, "normalize = #llm<router_normalize sum>"));
}

TEST(ExpertImport, StackedTensorsAreSplit) {
  std::vector<TinyTensor> tensors = attentionTensors(1);
  addExperts(tensors, 0, /*stacked=*/true);
  Imported result = importTiny(config("qwen3_moe", 1, numbers), tensors);
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "@blk.up_exps : !llm.weights<1x3x6x8xf32> from \"model.layers.{layer}.mlp.experts.gate_up_proj\" rows [6, 12]"))
      << result.text;
  EXPECT_TRUE(contains(result.text, "@blk.down_exps : !llm.weights<1x3x8x6xf32> from \"model.layers.{layer}.mlp.experts.down_proj\""));
}

TEST(ExpertImport, RefusesImpossibleNumbers) {
  std::vector<TinyTensor> tensors = attentionTensors(1);
  addExperts(tensors, 0, /*stacked=*/false);
  for (std::string more : {"\"num_experts\":5000,\"num_experts_per_tok\":2", "\"num_experts\":3,\"num_experts_per_tok\":4",
                           "\"num_experts\":3,\"num_experts_per_tok\":0", "\"num_experts\":3,\"num_experts_per_tok\":-1",
                           "\"num_experts\":3,\"num_experts_per_tok\":2,\"decoder_sparse_step\":0"}) {
    Imported result = importTiny(config("qwen3_moe", 1, more), tensors);
    EXPECT_EQ(result.exitCode, 1) << more << ": " << result.error;
  }
  // An expert more than the file has, and one that the configuration does not know.
  EXPECT_TRUE(contains(importTiny(config("qwen3_moe", 1, "\"num_experts\":4,\"num_experts_per_tok\":2"), tensors).error, "missing tensor"));
  EXPECT_TRUE(contains(importTiny(config("qwen3_moe", 1, "\"num_experts\":2,\"num_experts_per_tok\":2"), tensors).error, "want f32[2,8], got f32[3,8]"));
  tensors.back().shape = {hidden, expertFfn + 1};
  EXPECT_TRUE(contains(importTiny(config("qwen3_moe", 1, numbers), tensors).error, "want f32[8,6], got f32[8,7]"));
}
