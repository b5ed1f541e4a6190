// Hybrids: which tensors repeated blocks take, and which tensors a checkpoint may hold beside them.
#include "frontends/Checkpoint.h"
#include "frontends/TestCheckpoints.h"

#include "llvm/ADT/ArrayRef.h"

#include <gtest/gtest.h>

using namespace llmc::frontends;

namespace {

constexpr int64_t hidden = 32, vocab = 10, ffn = 64, rank = 4;
constexpr int64_t mambaHeads = 4, channels = 64, stateSize = 8, convChannels = channels + 2 * stateSize;

void addMixer(std::vector<TinyTensor> &tensors, const std::string &at) {
  tensors.push_back({at + "input_layernorm.weight", {hidden}});
  std::string mixer = at + "mamba.";
  for (const TinyTensor &tensor : {TinyTensor{"in_proj.weight", {channels + convChannels + mambaHeads, hidden}},
                                   TinyTensor{"conv1d.weight", {convChannels, 1, 4}},
                                   TinyTensor{"conv1d.bias", {convChannels}},
                                   TinyTensor{"dt_bias", {mambaHeads}},
                                   TinyTensor{"A_log", {mambaHeads}},
                                   TinyTensor{"D", {mambaHeads}},
                                   TinyTensor{"norm.weight", {channels}},
                                   TinyTensor{"out_proj.weight", {hidden, channels}}})
    tensors.push_back({mixer + tensor.name, tensor.shape});
}

// The block that the layer holds, with adapters for those of `uses` that are its own.
void addBlock(std::vector<TinyTensor> &tensors, const std::string &at, llvm::ArrayRef<int> uses) {
  tensors.push_back({at + "input_layernorm.weight", {2 * hidden}});
  tensors.push_back({at + "pre_ff_layernorm.weight", {hidden}});
  for (std::string name : {"q_proj", "k_proj", "v_proj"})
    tensors.push_back({at + "self_attn." + name + ".weight", {2 * hidden, 2 * hidden}});
  tensors.push_back({at + "self_attn.o_proj.weight", {hidden, 2 * hidden}});
  tensors.push_back({at + "feed_forward.gate_up_proj.weight", {2 * ffn, hidden}});
  tensors.push_back({at + "feed_forward.down_proj.weight", {hidden, ffn}});
  for (int use : uses) {
    std::string adapter = at + "feed_forward.gate_up_proj_adapter_list." + std::to_string(use);
    tensors.push_back({adapter + ".0.weight", {rank, hidden}});
    tensors.push_back({adapter + ".1.weight", {2 * ffn, rank}});
  }
}

// Four layers, of which 1, 2 and 3 use two blocks in turns.
Imported importTwoBlocks() {
  std::vector<TinyTensor> tensors = {{"model.embed_tokens.weight", {vocab, hidden}}, {"model.final_layernorm.weight", {hidden}}};
  addMixer(tensors, "model.layers.0.");
  for (int layer = 1; layer < 4; ++layer) {
    std::string at = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({at + "linear.weight", {hidden, hidden}});
    addMixer(tensors, at + "mamba_decoder.");
  }
  addBlock(tensors, "model.layers.1.shared_transformer.", {0, 2});
  addBlock(tensors, "model.layers.2.shared_transformer.", {1});
  ScratchDirectory directory;
  directory.write("model.safetensors", safetensors(tensors));
  directory.write("config.json", R"({"model_type": "zamba2", "hidden_size": 32, "vocab_size": 10, "num_hidden_layers": 4,
    "layers_block_type": ["mamba", "hybrid", "hybrid", "hybrid"], "num_mem_blocks": 2, "adapter_rank": 4, "intermediate_size": 64,
    "num_attention_heads": 2, "num_key_value_heads": 2, "n_mamba_heads": 4, "mamba_expand": 2, "mamba_d_state": 8, "mamba_d_conv": 4})");
  return importText(directory.path);
}

} // namespace

TEST(HybridImport, TwoSharedBlocksTakeTurns) {
  Imported result = importTwoBlocks();
  ASSERT_EQ(result.error, "");
  std::string block = "model.layers.{layer}.shared_transformer.", list = "shared_transformer.feed_forward.gate_up_proj_adapter_list.";
  EXPECT_TRUE(contains(result.text, "@blk.q : !llm.weights<2x64x64xf32> from \"" + block +
                                        "self_attn.q_proj.weight\" layers [1, 2, 3] entries [0, 1, 0]")) << result.text;
  EXPECT_TRUE(contains(result.text, "@blk.gate : !llm.weights<2x64x32xf32> from \"" + block +
                                        "feed_forward.gate_up_proj.weight\" rows [0, 64] layers [1, 2, 3] entries [0, 1, 0]"));
  // Each use has an adapter of its own, in the block that it uses.
  EXPECT_TRUE(contains(result.text, "@blk.up_adapter_out : !llm.weights<3x64x4xf32> from \"\" rows [64, 128] layers [1, 2, 3] names "
                                    "[\"model.layers.1." + list + "0.1.weight\", \"model.layers.2." + list +
                                    "1.1.weight\", \"model.layers.1." + list + "2.1.weight\"]"));
  EXPECT_TRUE(contains(result.text, "@blk.shared_out : !llm.weights<3x32x32xf32> from \"model.layers.{layer}.linear.weight\" layers [1, 2, 3]"));
}

TEST(HybridImport, IgnoredTensorsByEndingOrBeginning) {
  ScratchDirectory directory;
  directory.write("model.safetensors", safetensors({{"mtp.layers.0.fc.weight", {2}},
                                                    {"model.layers.0.rotary_emb.inv_freq", {2}},
                                                    {"model.layers.0.mtp.weight", {2}},
                                                    {"mtpx.weight", {2}}}));
  llvm::Expected<Checkpoint> checkpoint = Checkpoint::openDirectory(directory.path);
  ASSERT_TRUE(static_cast<bool>(checkpoint));
  EXPECT_EQ(checkpoint->leftovers({".rotary_emb.inv_freq", "mtp.*"}),
            (std::vector<std::string>{"model.layers.{layer}.mtp.weight", "mtpx.weight"}));
}
