// GGUF files: what metadata and tensors become.
#include "frontends/TestCheckpoints.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace llmc::frontends;

namespace {

enum : uint32_t { F32 = 0, Q8_0 = 8, Q5_0 = 6 };

// Writes a GGUF v3 file of zeros.
class GgufWriter {
public:
  explicit GgufWriter(std::string architecture) : architecture(std::move(architecture)) {
    text("general.architecture", this->architecture);
  }
  void text(const std::string &key, const std::string &value) { start(key, 8), string(metadata, value); }
  void number(const std::string &key, uint32_t value) { start(architecture + "." + key, 4), append(metadata, value); }
  void real(const std::string &key, float value) { start(architecture + "." + key, 6), append(metadata, value); }
  void flag(const std::string &key, bool value) { start(architecture + "." + key, 7), append<uint8_t>(metadata, value); }
  void numbers(const std::string &key, const std::vector<uint32_t> &values) {
    start(architecture + "." + key, 9), append<uint32_t>(metadata, 4), append<uint64_t>(metadata, values.size());
    for (uint32_t value : values)
      append(metadata, value);
  }
  // `shape` outermost first, as everywhere else of ours.
  void tensor(const TinyTensor &tensor, uint32_t type = F32) {
    string(infos, tensor.name);
    append<uint32_t>(infos, tensor.shape.size());
    for (size_t i = tensor.shape.size(); i-- > 0;)
      append<uint64_t>(infos, tensor.shape[i]);
    append<uint32_t>(infos, type);
    append<uint64_t>(infos, offset);
    int64_t bytes = type == F32 ? tensor.elements() * 4 : tensor.elements() / 32 * (type == Q8_0 ? 34 : 22);
    offset += (bytes + 31) / 32 * 32;
    ++tensors;
  }
  std::string bytes() const {
    std::string file = "GGUF";
    append<uint32_t>(file, 3);
    append<uint64_t>(file, tensors);
    append<uint64_t>(file, keys);
    file += metadata + infos;
    file.resize((file.size() + 31) / 32 * 32);
    return file + std::string(offset, '\0');
  }

private:
  void string(std::string &to, const std::string &value) { append<uint64_t>(to, value.size()), to += value; }
  void start(const std::string &key, uint32_t type) { string(metadata, key), append(metadata, type), ++keys; }

  std::string architecture, metadata, infos;
  uint64_t keys = 0, tensors = 0, offset = 0;
};

constexpr int64_t hidden = 32, heads = 2, headDim = 16, ffn = 64, vocab = 10;

enum class Layout { Dense, Stacked, OneByOne }; // of the feed-forward part: three experts, the last two
GgufWriter tinyModel(const std::string &architecture, int64_t layers, bool headNorms = false, bool postNorms = false,
                     Layout layout = Layout::Dense) {
  GgufWriter gguf(architecture);
  gguf.number("embedding_length", hidden), gguf.number("block_count", layers), gguf.number("context_length", 128);
  gguf.number("attention.head_count", heads), gguf.number("attention.head_count_kv", 1);
  gguf.number("feed_forward_length", ffn), gguf.real("attention.layer_norm_rms_epsilon", 1e-6f);
  gguf.real("rope.freq_base", 1e6f);
  gguf.tensor({"token_embd.weight", {vocab, hidden}}, Q8_0), gguf.tensor({"output_norm.weight", {hidden}});
  for (int64_t i = 0; i < layers; ++i) {
    std::string block = "blk." + std::to_string(i) + ".";
    for (std::string name : {"attn_norm", "ffn_norm"})
      gguf.tensor({block + name + ".weight", {hidden}});
    if (headNorms)
      for (std::string name : {"attn_q_norm", "attn_k_norm"})
        gguf.tensor({block + name + ".weight", {headDim}});
    if (postNorms)
      for (std::string name : {"post_attention_norm", "post_ffw_norm"})
        gguf.tensor({block + name + ".weight", {hidden}});
    gguf.tensor({block + "attn_q.weight", {heads * headDim, hidden}}, Q5_0);
    gguf.tensor({block + "attn_k.weight", {headDim, hidden}}, Q5_0);
    gguf.tensor({block + "attn_v.weight", {headDim, hidden}}, i % 2 ? Q8_0 : Q5_0);
    gguf.tensor({block + "attn_output.weight", {hidden, heads * headDim}}, Q5_0);
    struct Part {
      std::string name;
      int64_t rows, columns;
    };
    for (const Part &part : {Part{"ffn_gate", ffn, hidden}, Part{"ffn_up", ffn, hidden}, Part{"ffn_down", hidden, ffn}})
      if (layout == Layout::Dense)
        gguf.tensor({block + part.name + ".weight", {part.rows, part.columns}}, Q5_0);
      else if (layout == Layout::Stacked)
        gguf.tensor({block + part.name + "_exps.weight", {3, part.rows, part.columns}}, Q5_0);
      else
        for (std::string expert : {"0", "1", "2"})
          gguf.tensor({block + part.name + "." + expert + ".weight", {part.rows, part.columns}}, Q5_0);
    if (layout != Layout::Dense)
      gguf.tensor({block + "ffn_gate_inp.weight", {3, hidden}});
  }
  return gguf;
}

Imported importBytes(const std::string &bytes) {
  ScratchDirectory directory;
  directory.write("tiny.gguf", bytes);
  return importText(directory.path + "/tiny.gguf");
}

} // namespace

TEST(GgufImport, LlamaIsInterleavedAndKeepsMixedFormats) {
  Imported result = importBytes(tinyModel("llama", 4).bytes());
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "llm.asset @weights0 ")) << result.text;
  EXPECT_TRUE(contains(result.text, "@embed : !llm.weights<1x10x32x!llm.quant<q8_0>> from \"token_embd.weight\""));
  EXPECT_TRUE(contains(result.text,
                       "@blk.v : !llm.weights<4x16x32x!llm.quant<q5_0|q8_0>> from \"blk.{layer}.attn_v.weight\" "
                       "formats [0, 1, 0, 1]"));
  EXPECT_TRUE(contains(result.text, "<interleaved, dim = 16>"));
  EXPECT_TRUE(contains(result.text, "head_dim = 16, f16>"));
  EXPECT_FALSE(contains(result.text, "@head")); // no output.weight: tied
}

TEST(GgufImport, FrequencyFactorsAreAnOperand) {
  GgufWriter gguf = tinyModel("llama", 1);
  gguf.tensor({"rope_freqs.weight", {headDim / 2}});
  Imported result = importBytes(gguf.bytes());
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "@rope_factors : !llm.weights<1x8xf32> from \"rope_freqs.weight\""));
  EXPECT_TRUE(contains(result.text, "tensor<8xf32> theta 1.000000e+06"));
}

TEST(GgufImport, GemmaSlidesFiveOfSix) {
  GgufWriter gguf = tinyModel("gemma3", 7, /*headNorms=*/true, /*postNorms=*/true);
  gguf.number("attention.sliding_window", 20);
  Imported result = importBytes(gguf.bytes());
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "kinds [@sliding, @full] order [0, 0, 0, 0, 0, 1, 0]"));
  EXPECT_TRUE(contains(result.text, "window = 20"));
  EXPECT_TRUE(contains(result.text, "theta 1.000000e+04") && contains(result.text, "theta 1.000000e+06"));
  EXPECT_FALSE(contains(result.text, "offset")); // gains in GGUF include the 1
  EXPECT_TRUE(contains(result.text, "scale = 5.65685415"));
  EXPECT_TRUE(contains(result.text, "glu  gelu_tanh") || contains(result.text, "glu gelu_tanh"));
}

TEST(GgufImport, BiasesByPresence) {
  GgufWriter gguf = tinyModel("qwen2", 1);
  gguf.tensor({"blk.0.attn_q.bias", {hidden}}), gguf.tensor({"blk.0.attn_k.bias", {16}}),
      gguf.tensor({"blk.0.attn_v.bias", {16}});
  Imported result = importBytes(gguf.bytes());
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "@blk.v_bias"));
  EXPECT_FALSE(contains(result.text, "@blk.o_bias"));
  EXPECT_TRUE(contains(result.text, "<half, dim = 16>"));
}

TEST(GgufImport, Gpt2SplitsItsStackedProjection) {
  GgufWriter gguf("gpt2");
  gguf.number("embedding_length", hidden), gguf.number("block_count", 1), gguf.number("context_length", 64);
  gguf.number("attention.head_count", heads), gguf.number("feed_forward_length", ffn);
  gguf.real("attention.layer_norm_epsilon", 1e-5f);
  for (auto [name, shape] :
       std::vector<std::pair<std::string, std::vector<int64_t>>>{{"token_embd.weight", {vocab, hidden}},
                                                                 {"position_embd.weight", {64, hidden}},
                                                                 {"output_norm.weight", {hidden}},
                                                                 {"output_norm.bias", {hidden}},
                                                                 {"blk.0.attn_norm.weight", {hidden}},
                                                                 {"blk.0.attn_norm.bias", {hidden}},
                                                                 {"blk.0.attn_qkv.weight", {3 * hidden, hidden}},
                                                                 {"blk.0.attn_qkv.bias", {3 * hidden}},
                                                                 {"blk.0.attn_output.weight", {hidden, hidden}},
                                                                 {"blk.0.attn_output.bias", {hidden}},
                                                                 {"blk.0.ffn_norm.weight", {hidden}},
                                                                 {"blk.0.ffn_norm.bias", {hidden}},
                                                                 {"blk.0.ffn_up.weight", {ffn, hidden}},
                                                                 {"blk.0.ffn_up.bias", {ffn}},
                                                                 {"blk.0.ffn_down.weight", {hidden, ffn}},
                                                                 {"blk.0.ffn_down.bias", {hidden}}})
    gguf.tensor({name, shape});
  Imported result = importBytes(gguf.bytes());
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(
      contains(result.text, "@blk.k : !llm.weights<1x32x32xf32> from \"blk.{layer}.attn_qkv.weight\" rows [32, 64]"));
  EXPECT_TRUE(
      contains(result.text, "@blk.v_bias : !llm.weights<1x32xf32> from \"blk.{layer}.attn_qkv.bias\" rows [64, 96]"));
  EXPECT_FALSE(contains(result.text, "transpose"));
}

// A llama with experts is a Mixtral; old files have a tensor for each expert.
TEST(GgufImport, ExpertsOfALlama) {
  for (Layout layout : {Layout::Stacked, Layout::OneByOne}) {
    GgufWriter gguf = tinyModel("llama", 2, false, false, layout);
    gguf.number("expert_count", 3), gguf.number("expert_used_count", 2);
    Imported result = importBytes(gguf.bytes());
    ASSERT_EQ(result.error, "");
    std::string from = layout == Layout::Stacked ? "blk.{layer}.ffn_down_exps.weight" : "blk.{layer}.ffn_down.{expert}.weight";
    EXPECT_TRUE(contains(result.text, "@blk.down_exps : !llm.weights<2x3x32x64x!llm.quant<q5_0>> from \"" + from + "\"")) << result.text;
    EXPECT_TRUE(contains(result.text, "softmax %17 top 2 {normalize = #llm<router_normalize sum>}")) << result.text;
    EXPECT_TRUE(contains(result.text, "<interleaved, dim = 16>"));
  }
}

TEST(GgufImport, RefusesImpossibleExperts) {
  for (auto [count, used] : {std::pair{4097u, 1u}, {3u, 4u}, {3u, 0u}, {4000000000u, 4000000000u}}) {
    GgufWriter gguf = tinyModel("llama", 1, false, false, Layout::Stacked);
    gguf.number("expert_count", count), gguf.number("expert_used_count", used);
    EXPECT_EQ(importBytes(gguf.bytes()).exitCode, 1) << count << " " << used;
  }
  GgufWriter fewer = tinyModel("llama", 1, false, false, Layout::OneByOne);
  fewer.number("expert_count", 4), fewer.number("expert_used_count", 2);
  Imported result = importBytes(fewer.bytes());
  EXPECT_NE(result.exitCode, 0);
}

TEST(GgufImport, Refusals) {
  EXPECT_EQ(importBytes(tinyModel("rwkv9", 1).bytes()).exitCode, 3);
  GgufWriter experts = tinyModel("qwen2", 1);
  experts.number("expert_count", 8);
  experts.tensor({"blk.0.ffn_gate_inp.weight", {8, hidden}});
  Imported result = importBytes(experts.bytes());
  EXPECT_EQ(result.exitCode, 3);
  EXPECT_TRUE(contains(result.error, "expert_count")) << result.error;
  GgufWriter rope = tinyModel("llama", 1);
  rope.text("llama.rope.scaling.type", "spiral");
  EXPECT_EQ(importBytes(rope.bytes()).exitCode, 3);
  EXPECT_EQ(importBytes("GGUF").exitCode, 1);
  EXPECT_EQ(importBytes("plain text").exitCode, 1);
  GgufWriter sizes("llama");
  sizes.number("block_count", 4000000000u);
  EXPECT_NE(importBytes(sizes.bytes()).exitCode, 0);
}

// Layers without KV heads hold a short convolution.
static GgufWriter tinyConvolutions(std::vector<uint32_t> kvHeads, int64_t layers = 3) {
  GgufWriter gguf("lfm2");
  gguf.number("embedding_length", hidden), gguf.number("block_count", layers), gguf.number("context_length", 128);
  gguf.number("attention.head_count", heads), gguf.numbers("attention.head_count_kv", kvHeads);
  gguf.number("feed_forward_length", ffn), gguf.real("attention.layer_norm_rms_epsilon", 1e-6f);
  gguf.number("shortconv.l_cache", 3);
  gguf.tensor({"token_embd.weight", {vocab, hidden}}), gguf.tensor({"token_embd_norm.weight", {hidden}});
  for (int64_t i = 0; i < layers; ++i) {
    std::string block = "blk." + std::to_string(i) + ".";
    for (std::string name : {"attn_norm", "ffn_norm"})
      gguf.tensor({block + name + ".weight", {hidden}});
    gguf.tensor({block + "ffn_gate.weight", {ffn, hidden}}), gguf.tensor({block + "ffn_up.weight", {ffn, hidden}});
    gguf.tensor({block + "ffn_down.weight", {hidden, ffn}});
    if (i == 1) {
      gguf.tensor({block + "attn_q.weight", {heads * headDim, hidden}}), gguf.tensor({block + "attn_k.weight", {headDim, hidden}});
      gguf.tensor({block + "attn_v.weight", {headDim, hidden}}), gguf.tensor({block + "attn_output.weight", {hidden, heads * headDim}});
      gguf.tensor({block + "attn_q_norm.weight", {headDim}}), gguf.tensor({block + "attn_k_norm.weight", {headDim}});
      continue;
    }
    gguf.tensor({block + "shortconv.in_proj.weight", {3 * hidden, hidden}});
    gguf.tensor({block + "shortconv.conv.weight", {hidden, 3}}), gguf.tensor({block + "shortconv.out_proj.weight", {hidden, hidden}});
  }
  return gguf;
}

TEST(GgufImport, ListOfKvHeadsSaysWhichLayersAttend) {
  Imported result = importBytes(tinyConvolutions({0, 1, 0}).bytes());
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "@blk.q : !llm.weights<1x32x32xf32> from \"blk.{layer}.attn_q.weight\" layers [1]")) << result.text;
  EXPECT_TRUE(contains(result.text, "@blk.conv : !llm.weights<2x32x3xf32> from \"blk.{layer}.shortconv.conv.weight\" layers [0, 2]"));
  EXPECT_TRUE(contains(result.text, "!llm.conv_tail<layers = 2, channels = 32, taps = 2>"));
  EXPECT_TRUE(contains(result.text, "!llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 16, f32>"));
}

TEST(GgufImport, RefusesListsThatDoNotFit) {
  EXPECT_EQ(importBytes(tinyConvolutions({0, 1}).bytes()).exitCode, 1);
  EXPECT_EQ(importBytes(tinyConvolutions({0, 1, 0, 0}).bytes()).exitCode, 1);
  EXPECT_EQ(importBytes(tinyConvolutions({0, 1, 2}).bytes()).exitCode, 3); // differs between the layers that have any
  EXPECT_EQ(importBytes(tinyConvolutions({1, 1, 0}).bytes()).exitCode, 3); // layer 0 has no attn_q
  EXPECT_EQ(importBytes(tinyConvolutions({0, 0, 0}).bytes()).exitCode, 1);
  GgufWriter sliding = tinyConvolutions({0, 1, 0});
  sliding.number("attention.sliding_window", 16);
  EXPECT_EQ(importBytes(sliding.bytes()).exitCode, 3);
  GgufWriter both = tinyConvolutions({0, 1, 0});
  both.flag("attention.causal", false);
  EXPECT_EQ(importBytes(both.bytes()).exitCode, 3);
  GgufWriter factor = tinyConvolutions({0, 1, 0});
  factor.real("residual_scale", 0.5f);
  EXPECT_EQ(importBytes(factor.bytes()).exitCode, 3);
}

// What the metadata of a hybrid says; its tensors are never looked at.
static GgufWriter hybridMetadata(const std::string &architecture, std::vector<uint32_t> kvHeads, std::vector<uint32_t> ffnSizes) {
  GgufWriter gguf(architecture);
  gguf.number("embedding_length", hidden), gguf.number("block_count", kvHeads.size()), gguf.number("context_length", 128);
  gguf.number("attention.head_count", heads), gguf.numbers("attention.head_count_kv", kvHeads);
  gguf.numbers("feed_forward_length", ffnSizes), gguf.real("attention.layer_norm_rms_epsilon", 1e-6f);
  gguf.number("ssm.inner_size", 64), gguf.number("ssm.conv_kernel", 4), gguf.number("ssm.state_size", 8);
  gguf.number("ssm.time_step_rank", 4), gguf.number("ssm.group_count", 1);
  gguf.tensor({"token_embd.weight", {vocab, hidden}});
  return gguf;
}

TEST(GgufImport, RefusesHybridsThatItCannotBeSureOf) {
  auto refused = [](const GgufWriter &gguf, const std::string &why) {
    Imported result = importBytes(gguf.bytes());
    EXPECT_EQ(result.exitCode, 3) << result.error;
    EXPECT_TRUE(contains(result.error, why)) << result.error;
  };
  GgufWriter partial = hybridMetadata("granitehybrid", {0, 1}, {ffn, ffn});
  partial.number("rope.dimension_count", headDim / 2);
  refused(partial, "rope.dimension_count' 8 of 16");
  refused(hybridMetadata("nemotron_h", {0, 1, 1}, {0, 0, ffn}), "layer 2 with both attention and a feed-forward part");
  GgufWriter groups = hybridMetadata("nemotron_h_moe", {0, 1, 0}, {0, 0, ffn});
  groups.number("expert_count", 4), groups.number("expert_used_count", 2), groups.number("expert_group_count", 2);
  refused(groups, "expert_group_used_count");
}
