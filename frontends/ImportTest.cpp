// Hugging Face directories and `.mlir` sources: the shape of the module, and what is refused.
#include "frontends/TestCheckpoints.h"

#include <gtest/gtest.h>

using namespace llmc::frontends;

namespace {

constexpr int64_t hidden = 8, heads = 2, kvHeads = 1, headDim = 4, ffn = 16, vocab = 10;

// A config.json of small numbers; `more` adds members, overriding none.
std::string config(const std::string &type, int64_t layers, const std::string &more = "") {
  return "{\"model_type\":\"" + type + "\",\"hidden_size\":8,\"num_hidden_layers\":" + std::to_string(layers) +
         ",\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":4,\"intermediate_size\":16,\"vocab_size\":"
         "10,"
         "\"max_position_embeddings\":64,\"rms_norm_eps\":1e-5,\"eos_token_id\":2" +
         (more.empty() ? "" : "," + more) + "}";
}

std::vector<TinyTensor> llamaTensors(int64_t layers, bool tied = false) {
  std::vector<TinyTensor> all{{"model.embed_tokens.weight", {vocab, hidden}}, {"model.norm.weight", {hidden}}};
  if (!tied)
    all.push_back({"lm_head.weight", {vocab, hidden}});
  for (int64_t i = 0; i < layers; ++i) {
    std::string layer = "model.layers." + std::to_string(i) + ".";
    all.push_back({layer + "input_layernorm.weight", {hidden}});
    all.push_back({layer + "post_attention_layernorm.weight", {hidden}});
    all.push_back({layer + "self_attn.q_proj.weight", {heads * headDim, hidden}});
    all.push_back({layer + "self_attn.k_proj.weight", {kvHeads * headDim, hidden}});
    all.push_back({layer + "self_attn.v_proj.weight", {kvHeads * headDim, hidden}});
    all.push_back({layer + "self_attn.o_proj.weight", {hidden, heads * headDim}});
    all.push_back({layer + "mlp.gate_proj.weight", {ffn, hidden}});
    all.push_back({layer + "mlp.up_proj.weight", {ffn, hidden}});
    all.push_back({layer + "mlp.down_proj.weight", {hidden, ffn}});
  }
  return all;
}

Imported importTiny(const std::string &json, const std::vector<TinyTensor> &tensors, const std::string &dtype = "F32") {
  ScratchDirectory directory;
  directory.write("config.json", json);
  directory.write("model.safetensors", safetensors(tensors, dtype));
  return importText(directory.path);
}

int64_t lines(const std::string &text) { return std::count(text.begin(), text.end(), '\n'); }

} // namespace

TEST(Import, Llama) {
  Imported result = importTiny(config("llama", 3), llamaTensors(3));
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "llm.family = \"llama\""));
  EXPECT_TRUE(contains(result.text, "llm.context = 64"));
  EXPECT_TRUE(contains(result.text, "llm.eos = array<i64: 2>"));
  EXPECT_TRUE(
      contains(result.text, "@blk.q : !llm.weights<3x8x8xf32> from \"model.layers.{layer}.self_attn.q_proj.weight\""));
  EXPECT_TRUE(contains(result.text, "!llm.kv_cache<layers = 3, kv_heads = 1, head_dim = 4, f32>"));
  EXPECT_TRUE(contains(result.text, "scale 5.000000e-01"));
  EXPECT_TRUE(contains(result.text, "<half, dim = 4>"));
  EXPECT_TRUE(contains(result.text, "kinds [@layer] order [0, 0, 0]"));
  EXPECT_TRUE(contains(result.text, "llm.weight @head"));
}

TEST(Import, SizeDoesNotGrowWithDepth) {
  Imported shallow = importTiny(config("llama", 2), llamaTensors(2)),
           deep = importTiny(config("llama", 20), llamaTensors(20));
  ASSERT_EQ(deep.error, "");
  EXPECT_EQ(lines(shallow.text), lines(deep.text));
}

TEST(Import, TiedHeadIsTheEmbedding) {
  // A stored head is ignored where the configuration ties it, as transformers does.
  for (bool stored : {false, true}) {
    Imported result = importTiny(config("llama", 1, "\"tie_word_embeddings\":true"), llamaTensors(1, !stored));
    ASSERT_EQ(result.error, "");
    EXPECT_FALSE(contains(result.text, "@head"));
  }
}

TEST(Import, HalfWeightsHaveHalfCaches) {
  Imported result = importTiny(config("llama", 1), llamaTensors(1), "BF16");
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "!llm.weights<1x8x8xbf16>"));
  EXPECT_TRUE(contains(result.text, "head_dim = 4, f16>"));
}

TEST(Import, BiasesFollowTheConfiguration) {
  std::vector<TinyTensor> tensors = llamaTensors(1);
  for (const char *name : {"q_proj", "o_proj"})
    tensors.push_back({std::string("model.layers.0.self_attn.") + name + ".bias", {8}});
  for (const char *name : {"k_proj", "v_proj"})
    tensors.push_back({std::string("model.layers.0.self_attn.") + name + ".bias", {4}});
  Imported with = importTiny(config("llama", 1, "\"attention_bias\":true"), tensors);
  ASSERT_EQ(with.error, "");
  EXPECT_TRUE(contains(with.text, "@blk.o_bias"));
  EXPECT_EQ(importTiny(config("llama", 1), tensors).exitCode, 3); // left over
  Imported without = importTiny(config("llama", 1, "\"attention_bias\":true"), llamaTensors(1));
  EXPECT_EQ(without.exitCode, 3);
  EXPECT_TRUE(contains(without.error, "missing tensor 'model.layers.{layer}.self_attn.q_proj.bias' (layer 0)"))
      << without.error;
}

TEST(Import, BaseModelNamesLackThePrefix) {
  std::vector<TinyTensor> tensors = llamaTensors(1, /*tied=*/true);
  for (TinyTensor &tensor : tensors)
    tensor.name.erase(0, std::string("model.").size());
  Imported result = importTiny(config("llama", 1, "\"tie_word_embeddings\":true"), tensors);
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "from \"layers.{layer}.mlp.up_proj.weight\"") ||
              contains(result.text, "from \"layers.0"));
}

TEST(Import, SlidingLayers) {
  Imported all = importTiny(config("mistral", 2, "\"sliding_window\":16"), llamaTensors(2));
  ASSERT_EQ(all.error, "");
  EXPECT_TRUE(contains(all.text, "{window = 16 : i64}"));
  EXPECT_TRUE(contains(all.text, "kinds [@layer] order [0, 0]"));
  EXPECT_FALSE(contains(importTiny(config("mistral", 2, "\"sliding_window\":null"), llamaTensors(2)).text, "window"));

  std::string listed = "\"use_sliding_window\":true,\"sliding_window\":16,"
                       "\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]";
  std::vector<TinyTensor> tensors = llamaTensors(3);
  for (int64_t i = 0; i < 3; ++i)
    for (auto [name, size] : {std::pair("q", 8), {"k", 4}, {"v", 4}})
      tensors.push_back({"model.layers." + std::to_string(i) + ".self_attn." + name + "_proj.bias", {size}});
  Imported some = importTiny(config("qwen2", 3, listed), tensors);
  ASSERT_EQ(some.error, "");
  EXPECT_TRUE(contains(some.text, "kinds [@full, @sliding] order [0, 1, 0]"));
  // The window belongs to the kind; the weights stay one array.
  EXPECT_TRUE(contains(some.text, "@blk.q : !llm.weights<3x8x8xf32>"));
}

TEST(Import, ShardsAreAssets) {
  ScratchDirectory directory;
  directory.write("config.json", config("llama", 1));
  std::vector<TinyTensor> tensors = llamaTensors(1);
  std::string map;
  for (size_t i = 0; i < tensors.size(); ++i)
    map += (i ? ",\"" : "\"") + tensors[i].name + "\":\"" + (i < 3 ? "a" : "b") + ".safetensors\"";
  directory.write("model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  directory.write("a.safetensors", safetensors({tensors.begin(), tensors.begin() + 3}));
  directory.write("b.safetensors", safetensors({tensors.begin() + 3, tensors.end()}));
  directory.write("tokenizer.json", "{}");
  directory.write("tokenizer_config.json", "{\"chat_template\":\"x\"}");
  directory.write("generation_config.json", "{\"eos_token_id\":[5,6]}");
  Imported result = importText(directory.path);
  ASSERT_EQ(result.error, "");
  for (const char *part : {"weights \"a.safetensors\"", "weights \"b.safetensors\"", "tokenizer \"tokenizer.json\"",
                           "chat_template \"tokenizer_config.json\"", "generation_config \"generation_config.json\"",
                           "llm.eos = array<i64: 5, 6>"})
    EXPECT_TRUE(contains(result.text, part)) << part;

  ImportOptions options;
  options.outputDirectory = directory.path + "/out/deep";
  EXPECT_TRUE(contains(importText(directory.path, options).text, "weights \"../../a.safetensors\""));
  options.outputDirectory = std::filesystem::path(directory.path).parent_path();
  std::string name = std::filesystem::path(directory.path).filename();
  EXPECT_TRUE(contains(importText(directory.path, options).text, "weights \"" + name + "/a.safetensors\""));

  directory.write("model.safetensors.index.json", "{\"weight_map\":{\"x\":\"../a.safetensors\"}}");
  EXPECT_EQ(importText(directory.path).exitCode, 1);
}

TEST(Import, ModulesComeBackAsTheyAre) {
  ScratchDirectory directory;
  Imported first = importTiny(config("llama", 2), llamaTensors(2));
  directory.write("model.mlir", first.text);
  Imported second = importText(directory.path + "/model.mlir");
  EXPECT_EQ(second.error, "");
  EXPECT_EQ(second.text, first.text);
  directory.write("model.mlir", first.text.substr(0, first.text.size() / 2));
  Imported broken = importText(directory.path + "/model.mlir");
  EXPECT_EQ(broken.exitCode, 1);
  EXPECT_EQ(lines(broken.error), 0) << broken.error;
}

//===----------------------------------------------------------------------===//
// Layers of several kinds
//===----------------------------------------------------------------------===//

namespace {

// Bamba: Mamba-2 with 2 heads of 8 channels, one group, 4 states: 16 + 2 * 4 channels are convolved.
std::vector<TinyTensor> bambaTensors(int64_t layers, const std::vector<int64_t> &attending) {
  std::vector<TinyTensor> all{{"model.embed_tokens.weight", {vocab, hidden}},
                              {"model.final_layernorm.weight", {hidden}},
                              {"lm_head.weight", {vocab, hidden}}};
  for (int64_t i = 0; i < layers; ++i) {
    std::string layer = "model.layers." + std::to_string(i) + ".";
    for (const char *norm : {"input_layernorm.weight", "pre_ff_layernorm.weight"})
      all.push_back({layer + norm, {hidden}});
    all.push_back({layer + "feed_forward.gate_proj.weight", {ffn, hidden}});
    all.push_back({layer + "feed_forward.up_proj.weight", {ffn, hidden}});
    all.push_back({layer + "feed_forward.down_proj.weight", {hidden, ffn}});
    if (std::find(attending.begin(), attending.end(), i) != attending.end()) {
      all.push_back({layer + "self_attn.q_proj.weight", {heads * headDim, hidden}});
      all.push_back({layer + "self_attn.k_proj.weight", {kvHeads * headDim, hidden}});
      all.push_back({layer + "self_attn.v_proj.weight", {kvHeads * headDim, hidden}});
      all.push_back({layer + "self_attn.o_proj.weight", {hidden, heads * headDim}});
      continue;
    }
    all.push_back({layer + "mamba.in_proj.weight", {16 + 24 + 2, hidden}});
    all.push_back({layer + "mamba.conv1d.weight", {24, 1, 4}});
    all.push_back({layer + "mamba.conv1d.bias", {24}});
    for (const char *name : {"dt_bias", "A_log", "D"})
      all.push_back({layer + "mamba." + name, {2}});
    all.push_back({layer + "mamba.norm.weight", {16}});
    all.push_back({layer + "mamba.out_proj.weight", {hidden, 16}});
  }
  return all;
}

const std::string bambaKeys = "\"mamba_n_heads\":2,\"mamba_d_state\":4,\"mamba_expand\":2,\"mamba_d_head\":\"auto\"";

} // namespace

TEST(Import, KindsByNumbersOfLayers) {
  Imported result = importTiny(config("bamba", 4, bambaKeys + ",\"attn_layer_indices\":[2]"), bambaTensors(4, {2}));
  ASSERT_EQ(result.error, "");
  EXPECT_TRUE(contains(result.text, "kinds [@linear, @full] order [0, 0, 1, 0]"));
  EXPECT_TRUE(contains(result.text, "llm.state @kv : !llm.kv_cache<layers = 1, kv_heads = 1, head_dim = 4, f32> layers [2]"));
  EXPECT_TRUE(contains(result.text, "!llm.conv_tail<layers = 3, channels = 24, taps = 3> layers [0, 1, 3]"));
  EXPECT_TRUE(contains(result.text, "!llm.recurrent<3x2x8x4> layers [0, 1, 3]"));
  EXPECT_TRUE(contains(result.text, "rows [16, 40] layers [0, 1, 3]")) << result.text; // what is convolved, of in_proj
  EXPECT_TRUE(contains(result.text, "<half, dim = 2>"));                               // half of each head turns
}

TEST(Import, BoundsOfTheTimeStep) {
  for (const char *limit : {"[0.0,Infinity]", "[0.0,{\"__float__\":\"Infinity\"}]", "null"})
    EXPECT_FALSE(contains(importTiny(config("bamba", 1, bambaKeys + ",\"time_step_limit\":" + limit), bambaTensors(1, {})).text,
                          "step_limit"));
  Imported bounded = importTiny(config("bamba", 1, bambaKeys + ",\"time_step_limit\":[0.5,2]"), bambaTensors(1, {}));
  EXPECT_TRUE(contains(bounded.text, "step_limit = array<f64: 5.000000e-01, 2.000000e+00>")) << bounded.error;
  for (const char *limit : {"[0.5]", "[1,0.5]", "[-1,2]", "\"x\""})
    EXPECT_EQ(importTiny(config("bamba", 1, bambaKeys + ",\"time_step_limit\":" + limit), bambaTensors(1, {})).exitCode, 1) << limit;
}

//===----------------------------------------------------------------------===//
// Refusals
//===----------------------------------------------------------------------===//

TEST(ImportErrors, EverythingMissingIsInOneMessage) {
  std::vector<TinyTensor> tensors = llamaTensors(2);
  std::erase_if(tensors, [](const TinyTensor &t) { return contains(t.name, "1.mlp.up_proj"); });
  tensors.push_back({"model.layers.0.self_attn.sinks", {2}});
  tensors.push_back({"model.layers.1.self_attn.sinks", {2}});
  Imported result = importTiny(config("llama", 2), tensors);
  EXPECT_EQ(result.exitCode, 3);
  EXPECT_TRUE(contains(result.error, "missing tensor 'model.layers.{layer}.mlp.up_proj.weight' (layer 1)"))
      << result.error;
  EXPECT_TRUE(contains(result.error, "model.layers.{layer}.self_attn.sinks")) << result.error;
  EXPECT_EQ(lines(result.error), 0);

  Imported keys = importTiny(config("llama", 1,
                                    "\"hidden_act\":\"xielu\",\"quantization_config\":{\"bits\":4},"
                                    "\"rope_scaling\":{\"rope_type\":\"spiral\"}"),
                             llamaTensors(1));
  EXPECT_EQ(keys.exitCode, 3);
  EXPECT_TRUE(contains(keys.error, "hidden_act \"xielu\"") || contains(keys.error, "hidden_act 'xielu'")) << keys.error;
  EXPECT_TRUE(contains(keys.error, "quantization_config")) << keys.error;
}

TEST(ImportErrors, UnknownRopeAndFamily) {
  Imported rope = importTiny(config("llama", 1, "\"rope_scaling\":{\"rope_type\":\"spiral\"}"), llamaTensors(1));
  EXPECT_EQ(rope.exitCode, 3);
  EXPECT_TRUE(contains(rope.error, "spiral")) << rope.error;
  Imported family = importTiny(config("mamba9", 1), llamaTensors(1));
  EXPECT_EQ(family.exitCode, 3);
  EXPECT_TRUE(contains(family.error, "mamba9") && contains(family.error, "gemma3_text")) << family.error;
}

TEST(ImportErrors, WrongShapes) {
  std::vector<TinyTensor> tensors = llamaTensors(2);
  for (TinyTensor &tensor : tensors)
    if (tensor.name == "model.layers.1.mlp.up_proj.weight")
      tensor.shape = {12, 8};
  Imported result = importTiny(config("llama", 2), tensors);
  EXPECT_EQ(result.exitCode, 1);
  EXPECT_TRUE(contains(result.error, "'model.layers.1.mlp.up_proj.weight': want f32[16,8], got f32[12,8]"))
      << result.error;
}

TEST(ImportErrors, NumbersOutOfRange) {
  const char *keys[] = {"hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                        "head_dim",    "intermediate_size", "vocab_size",          "max_position_embeddings"};
  const char *values[] = {"0",   "-1",  "9223372036854775807", "-9223372036854775808", "1e300", "\"8\"",
                          "[8]", "2.5", "1073741825"};
  for (const char *key : keys)
    for (const char *value : values) {
      std::string json = config("llama", 1);
      size_t at = json.find(std::string("\"") + key + "\":") + std::string(key).size() + 3;
      json.replace(at, json.find_first_of(",}", at) - at, value);
      EXPECT_EQ(importTiny(json, llamaTensors(1)).exitCode, 1) << json;
    }
  for (const char *more :
       {"\"rope_theta\":-1", "\"rope_theta\":\"x\"", "\"partial_rotary_factor\":1e300",
        "\"rope_scaling\":{\"rope_type\":\"linear\"}", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}",
        "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,\"beta_fast\":-3}",
        "\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1],\"long_factor\":[1,2]}",
        "\"rope_scaling\":{\"type\":\"yarn\",\"original_max_position_embeddings\":0}",
        "\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,\"high_freq_factor\":1}"})
    EXPECT_EQ(importTiny(config("llama", 1, more), llamaTensors(1)).exitCode, 1) << more;
}

TEST(ImportErrors, NumbersOfRecurrencesOutOfRange) {
  for (const char *key : {"mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_expand", "mamba_d_conv"})
    for (const char *value : {"0", "-1", "9223372036854775807", "-9223372036854775808", "1e300", "\"8\"", "[8]", "2.5", "3"}) {
      std::string json = config("bamba", 1, bambaKeys + ",\"mamba_n_groups\":1,\"mamba_d_conv\":4");
      size_t at = json.find(std::string("\"") + key + "\":") + std::string(key).size() + 3;
      json.replace(at, json.find_first_of(",}", at) - at, value);
      EXPECT_EQ(importTiny(json, bambaTensors(1, {})).exitCode, 1) << json;
    }
  for (const char *more : {"\"attn_layer_indices\":3", "\"attn_layer_indices\":[\"a\"]", "\"mamba_conv_bias\":2"})
    EXPECT_EQ(importTiny(config("bamba", 1, bambaKeys + "," + more), bambaTensors(1, {})).exitCode, 1) << more;
  for (std::string more : {"\"layer_types\":[\"linear_attention\"]", "\"layer_types\":[\"warp\",\"linear_attention\"]"})
    EXPECT_NE(importTiny(config("bamba", 2, bambaKeys + "," + more), bambaTensors(2, {})).exitCode, 0) << more;
}

TEST(ImportErrors, FilesThatAreNotThere) {
  ScratchDirectory directory;
  EXPECT_EQ(importText(directory.path + "/none").exitCode, 1);
  EXPECT_EQ(importText(directory.path).exitCode, 1); // no config.json
  directory.write("config.json", config("llama", 1));
  EXPECT_EQ(importText(directory.path).exitCode, 1); // no weights
  directory.write("config.json", "[1]");
  EXPECT_EQ(importText(directory.path).exitCode, 1);
  directory.write("model.mlir", std::string("ML\xefR", 4));
  EXPECT_EQ(importText(directory.path + "/model.mlir").exitCode, 1);
}

TEST(ImportErrors, NestingThatWouldEndTheParsersStack) {
  ScratchDirectory directory;
  auto nested = [](const std::string &open, const std::string &close) {
    std::string text;
    for (int i = 0; i < 200000; ++i)
      text += open;
    for (int i = 0; i < 200000; ++i)
      text += close;
    return text;
  };
  for (const std::string &text : {"module attributes {a = " + nested("[", "]") + "} {}", nested("module {", "}"),
                                  "module attributes {a = affine_map<(d0) -> (" + nested("- ", "") + "d0)>} {}",
                                  "module attributes {a = \"\\\"" + nested("<", ">") + "\"} " + nested("<", ">")}) {
    directory.write("model.mlir", text);
    EXPECT_EQ(importText(directory.path + "/model.mlir").exitCode, 1);
  }
  directory.write("model.mlir", "// " + nested("[", "") + "\nmodule attributes {llm.a = \"" + nested("[", "") + "\"} {}");
  EXPECT_EQ(importText(directory.path + "/model.mlir").error, ""); // brackets in comments and strings nest nothing
}
