// Frequencies of every rope scaling against values recorded from transformers 5.23 (ROPE_INIT_FUNCTIONS of a
// LlamaConfig with head_dim 16), by way of the configuration in both of its styles.
#include "dialects/llm/LLM.h"
#include "frontends/HuggingFace.h"
#include "frontends/families/Families.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace llmc;
using namespace llmc::frontends;

namespace {

struct Case {
  const char *name;
  int64_t context;
  std::string parameters; // without theta and type
  const char *type;
  double theta;
  int64_t length;
  std::vector<float> inverse;
  float attentionFactor;
};

const std::string longFactors = "\"short_factor\":[1.0,1.05,1.1,1.2,1.3,1.5,1.8,2.0],"
                                "\"long_factor\":[1.0,1.3,1.9,2.8,4.0,6.0,9.0,12.0],"
                                "\"original_max_position_embeddings\":48";
const std::string mscale =
    "\"factor\":4.0,\"original_max_position_embeddings\":64,\"mscale\":1.0,\"mscale_all_dim\":0.8,"
    "\"beta_fast\":16.0,\"beta_slow\":2.0,\"truncate\":false";
const std::string llama3 = "\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
                           "\"original_max_position_embeddings\":64";

std::vector<Case> cases() {
  return {
      {"default",
       2048,
       "",
       "default",
       500000,
       1,
       {1.0f, 0.193922758f, 0.0376060307f, 0.00729266508f, 0.00141421345f, 0.000274248188f, 5.31829573e-05f,
        1.03133852e-05f},
       1},
      {"linear",
       2048,
       "\"factor\":4.0",
       "linear",
       10000,
       1,
       {0.25f, 0.079056941f, 0.0250000004f, 0.00790569466f, 0.00249999994f, 0.000790569466f, 0.000250000012f,
        7.90569466e-05f},
       1},
      {"dynamic, short",
       48,
       "\"factor\":2.0",
       "dynamic",
       10000,
       20,
       {1.0f, 0.316227764f, 0.100000001f, 0.0316227786f, 0.00999999978f, 0.00316227786f, 0.00100000005f,
        0.000316227786f},
       1},
      {"dynamic, long",
       48,
       "\"factor\":2.0",
       "dynamic",
       10000,
       80,
       {1.0f, 0.28017661f, 0.0784989372f, 0.0219935663f, 0.00616208324f, 0.00172647159f, 0.000483717013f,
        0.000135526192f},
       1},
      {"llama3",
       2048,
       llama3,
       "llama3",
       500000,
       1,
       {1.0f, 0.079403013f, 0.00470075384f, 0.000911583134f, 0.000176776681f, 3.42810235e-05f, 6.64786967e-06f,
        1.28917316e-06f},
       1},
      {"yarn",
       2048,
       "\"factor\":4.0,\"original_max_position_embeddings\":64",
       "yarn",
       10000,
       1,
       {1.0f, 0.237170815f, 0.049999997f, 0.00790569466f, 0.00249999994f, 0.000790569466f, 0.000250000012f,
        7.90569466e-05f},
       1.13862944f},
      {"yarn, mscale",
       2048,
       mscale,
       "yarn",
       10000,
       1,
       {1.0f, 0.14849025f, 0.0250000004f, 0.00790569466f, 0.00249999994f, 0.000790569466f, 0.000250000012f,
        7.90569466e-05f},
       1.02495796f},
      {"longrope, short",
       256,
       longFactors,
       "longrope",
       10000,
       48,
       {1.0f, 0.301169306f, 0.0909090936f, 0.0263523124f, 0.0076923077f, 0.00210818532f, 0.000555555569f,
        0.000158113893f},
       1.1968366f},
      {"longrope, long",
       256,
       longFactors,
       "longrope",
       10000,
       49,
       {1.0f, 0.243252128f, 0.0526315793f, 0.011293849f, 0.00249999994f, 0.00052704633f, 0.000111111112f,
        2.63523143e-05f},
       1.1968366f},
  };
}

enum class Style { V5, Hub, HubOldName };

std::string configText(const Case &c, Style style) {
  std::string members = c.parameters.empty() ? "" : c.parameters + ",",
              theta = "\"rope_theta\":" + std::to_string(c.theta);
  std::string kind = std::string(style == Style::HubOldName ? "\"type\"" : "\"rope_type\"") + ":\"" + c.type + "\"";
  std::string head = "{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":1,\"num_attention_heads\":4,"
                     "\"intermediate_size\":128,\"vocab_size\":100,\"max_position_embeddings\":" +
                     std::to_string(c.context) + ",";
  if (style == Style::V5)
    return head + "\"rope_parameters\":{" + members + theta + "," + kind + "}}";
  return head + theta + ",\"rope_scaling\":{" + members + kind + "}}";
}

} // namespace

TEST(Rope, EqualsTransformers) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<llm::LLMDialect>();
  for (const Case &c : cases())
    for (Style style : {Style::V5, Style::Hub, Style::HubOldName}) {
      SCOPED_TRACE(c.name);
      auto json = parseJson(configText(c, style), "config.json");
      ASSERT_TRUE(json);
      Report report;
      Model model = readConfig(context, llama, *json, report);
      ASSERT_TRUE(report.ok()) << llvm::toString(report.take("config.json"));
      ASSERT_EQ(model.ropes.size(), 1u);
      const RopeTable &table = model.ropes[0];
      llm::RopeFrequencies got = llm::ropeFrequencies(table.dim, table.theta, table.scaling, c.length);
      ASSERT_EQ(got.inverse.size(), c.inverse.size());
      for (size_t i = 0; i < c.inverse.size(); ++i)
        EXPECT_NEAR(got.inverse[i] / c.inverse[i], 1.0f, 4e-7f) << i;
      EXPECT_FLOAT_EQ(got.attentionFactor, c.attentionFactor);
    }
}

TEST(Rope, GemmaHasTwoTablesInBothStyles) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<llm::LLMDialect>();
  std::string head = "{\"hidden_size\":64,\"num_hidden_layers\":6,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
                     "\"intermediate_size\":128,\"sliding_window\":16,";
  for (std::string tail :
       {"\"rope_theta\":2e6,\"rope_local_base_freq\":5e3,\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8}}",
        "\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":8,\"rope_theta\":2e6},"
        "\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":5e3}}}"}) {
    auto json = parseJson(head + tail, "config.json");
    ASSERT_TRUE(json);
    Report report;
    Model model = readConfig(context, gemma3, *json, report);
    ASSERT_TRUE(report.ok()) << llvm::toString(report.take("config.json"));
    ASSERT_EQ(model.kinds.size(), 2u);
    EXPECT_EQ(model.kinds[0].symbol, "sliding");
    EXPECT_EQ(model.kinds[0].window, 16);
    EXPECT_EQ(model.kinds[1].layers, std::vector<int64_t>{5});
    const RopeTable &sliding = model.ropes[model.kinds[0].rope], &full = model.ropes[model.kinds[1].rope];
    EXPECT_EQ(sliding.theta, 5e3);
    EXPECT_FALSE(sliding.scaling);
    EXPECT_EQ(full.theta, 2e6);
    ASSERT_TRUE(full.scaling);
    EXPECT_EQ(full.scaling.getKind(), llm::RopeScalingKind::linear);
    EXPECT_EQ(model.attentionScale, 1.0 / 16);
  }
}
