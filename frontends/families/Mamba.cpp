// Mamba, Mamba-2 and Falcon Mamba: recurrent mixers alone, no attention and no feed-forward part.
// Sources: arXiv:2312.00752, 2405.21060, 2410.05355; transformers' modeling_mamba.py, modeling_mamba2.py, modeling_falcon_mamba.py;
// GGUF's architectures mamba (Falcon Mamba too) and mamba2, whose ssm_a holds -exp(A_log).
#include "frontends/HuggingFace.h"
#include "frontends/RecurrentParts.h"
#include "frontends/families/Families.h"

using namespace llmc::frontends;

static constexpr llvm::StringRef mambaTypes[] = {"mamba"}, falconTypes[] = {"falcon_mamba"}, mamba2Types[] = {"mamba2"};
static constexpr llvm::StringRef inputs[] = {"blk.ssm_x", "blk.ssm_z"}, selected[] = {"blk.ssm_rank", "blk.ssm_b", "blk.ssm_c"};
static constexpr llvm::StringRef inputs2[] = {"blk.ssm_z", "blk.ssm_x", "blk.ssm_dt"};

// What the input product makes, and its bias.
static constexpr TensorName input(llvm::StringRef role, llvm::ArrayRef<llvm::StringRef> stack) {
  return {role, "backbone.layers.{layer}.mixer.in_proj.weight", "blk.{layer}.ssm_in.weight", false, stack};
}
static constexpr TensorName inputBias(llvm::StringRef role, llvm::ArrayRef<llvm::StringRef> stack) {
  return {role, "backbone.layers.{layer}.mixer.in_proj.bias", "", false, stack};
}
static constexpr TensorName selection(llvm::StringRef role) {
  return {role, "backbone.layers.{layer}.mixer.x_proj.weight", "blk.{layer}.ssm_x.weight", false, selected};
}

static constexpr TensorName shared[] = {
    {"embed", "backbone.embeddings.weight", "token_embd.weight"},
    {"norm", "backbone.norm_f.weight", "output_norm.weight"},
    {"head", "lm_head.weight", "output.weight"},
    {"blk.ssm_norm_in", "backbone.layers.{layer}.norm.weight", "blk.{layer}.attn_norm.weight"},
    {"blk.conv", "backbone.layers.{layer}.mixer.conv1d.weight", "blk.{layer}.ssm_conv1d.weight"},
    {"blk.conv_bias", "backbone.layers.{layer}.mixer.conv1d.bias", "blk.{layer}.ssm_conv1d.bias"},
    {"blk.ssm_a", "backbone.layers.{layer}.mixer.A_log", "blk.{layer}.ssm_a"},
    {"blk.ssm_d", "backbone.layers.{layer}.mixer.D", "blk.{layer}.ssm_d"},
    {"blk.ssm_out", "backbone.layers.{layer}.mixer.out_proj.weight", "blk.{layer}.ssm_out.weight"},
    {"blk.ssm_out_bias", "backbone.layers.{layer}.mixer.out_proj.bias", ""},
};

static constexpr TensorName tensors[] = {
    input("blk.ssm_x", inputs),
    input("blk.ssm_z", inputs),
    inputBias("blk.ssm_x_bias", inputs),
    inputBias("blk.ssm_z_bias", inputs),
    selection("blk.ssm_rank"),
    selection("blk.ssm_b"),
    selection("blk.ssm_c"),
    {"blk.ssm_step", "backbone.layers.{layer}.mixer.dt_proj.weight", "blk.{layer}.ssm_dt.weight"},
    {"blk.ssm_step_bias", "backbone.layers.{layer}.mixer.dt_proj.bias", "blk.{layer}.ssm_dt.bias"},
};

static constexpr TensorName tensors2[] = {
    input("blk.ssm_z", inputs2),
    input("blk.ssm_x", inputs2),
    input("blk.ssm_dt", inputs2),
    inputBias("blk.ssm_z_bias", inputs2),
    inputBias("blk.ssm_x_bias", inputs2),
    inputBias("blk.ssm_dt_bias", inputs2),
    {"blk.ssm_dt_offset", "backbone.layers.{layer}.mixer.dt_bias", "blk.{layer}.ssm_dt.bias"},
    {"blk.ssm_norm", "backbone.layers.{layer}.mixer.norm.weight", "blk.{layer}.ssm_norm.weight"},
};

static constexpr Sublayer mixer[] = {{"blk.ssm_norm_in", &mamba}}, mixer2[] = {{"blk.ssm_norm_in", &mamba2}};
static constexpr LayerSpec layers[] = {{.type = "full_attention", .sublayers = mixer, .rotary = false}};
static constexpr LayerSpec layers2[] = {{.type = "full_attention", .sublayers = mixer2, .rotary = false}};

static void readRank(Model &model, const Config &config) {
  const llmc::Json *rank = config.member("time_step_rank");
  if (!rank || llmc::jsonString(*rank) == "auto")
    model.ssm.rank = model.hidden / 16 + (model.hidden % 16 != 0);
}

// Falcon Mamba norms, without gain, what the mixer selects.
static void readFalcon(Model &model, const Config &config) {
  readRank(model, config);
  model.ssm.selectedEps = config.number({"mixer_rms_eps", 1e-6});
}

static constexpr RecurrenceKeys keys = {.used = true,
                                        .channels = {"intermediate_size", 0},
                                        .expand = {"expand", 2},
                                        .stateSize = {"state_size", 16},
                                        .taps = {"conv_kernel", 4},
                                        .rank = {"time_step_rank", 0},
                                        .convBias = {BiasRule::ByKey, "use_conv_bias", true},
                                        .projectionBias = {BiasRule::ByKey, "use_bias"}};
static constexpr int64_t anyLength = int64_t(1) << 20; // nothing in it knows positions

// No key: sizes of parts that these models do not have.
static constexpr Family family(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> types, llvm::ArrayRef<llvm::StringRef> architectures) {
  return {.name = name,
          .modelTypes = types,
          .architectures = architectures,
          .tensors = shared,
          .ownTensors = tensors,
          .prefix = "backbone.",
          .layers = layers,
          .ssm = keys,
          .tied = true,
          .heads = {"", 1},
          .ffn = {"", 1},
          .context = {"", anyLength},
          .eps = {"layer_norm_epsilon", 1e-5},
          .kvHeadsKey = "",
          .headDim = {"", 1},
          .complete = readRank};
}

static constexpr Family falconFamily() {
  Family result = family("falcon_mamba", falconTypes, {});
  result.complete = readFalcon;
  return result;
}

static constexpr Family mamba2Family() {
  Family result = family("mamba2", mamba2Types, mamba2Types);
  result.ownTensors = tensors2;
  result.layers = layers2;
  result.ssm = {.used = true,
                .heads = {"num_heads", 128},
                .headDim = {"head_dim", 64},
                .groups = {"n_groups", 8},
                .stateSize = {"state_size", 128},
                .taps = {"conv_kernel", 4},
                .stepLimit = "time_step_limit",
                .convBias = {BiasRule::ByKey, "use_conv_bias", true},
                .projectionBias = {BiasRule::ByKey, "use_bias"},
                .mixesInputs = true};
  result.tied = false;
  result.complete = nullptr;
  return result;
}

constinit const Family llmc::frontends::mamba1 = family("mamba", mambaTypes, mambaTypes);
constinit const Family llmc::frontends::falconMamba = falconFamily();
constinit const Family llmc::frontends::mamba2Alone = mamba2Family();
