// BERT and what shares its graph: RoBERTa (positions count from behind the padding's id), ELECTRA (embeddings of a size of their own), ERNIE (a row
// for the task). Layers normalise behind the sums. The head is that of masked tokens; a checkpoint of the base model alone has none.
// Sources: arXiv:1810.04805, 1907.11692, 1911.02116, 2003.10555, 1904.09223; transformers' modeling_bert.py and kin.
#include "frontends/HuggingFace.h"
#include "frontends/families/Common.h"
#include "frontends/families/Families.h"

using namespace llmc;
using namespace llmc::frontends;

static constexpr llvm::StringRef bertTypes[] = {"bert"}, robertaTypes[] = {"roberta", "xlm-roberta", "camembert"}, electraTypes[] = {"electra"},
                                 ernieTypes[] = {"ernie"};

static constexpr TensorName bodyTensors[] = {
    {"embed", "bert.embeddings.word_embeddings.weight", ""},
    {"position_embed", "bert.embeddings.position_embeddings.weight", ""},
    {"type_embed", "bert.embeddings.token_type_embeddings.weight", ""},
    {"task_embed", "bert.embeddings.task_type_embeddings.weight", ""},
    {"embed_norm", "bert.embeddings.LayerNorm.weight", ""},
    {"embed_norm_bias", "bert.embeddings.LayerNorm.bias", ""},
    {"embed_in", "bert.embeddings_project.weight", ""},
    {"embed_in_bias", "bert.embeddings_project.bias", ""},
    {"blk.q", "bert.encoder.layer.{layer}.attention.self.query.weight", ""},
    {"blk.q_bias", "bert.encoder.layer.{layer}.attention.self.query.bias", ""},
    {"blk.k", "bert.encoder.layer.{layer}.attention.self.key.weight", ""},
    {"blk.k_bias", "bert.encoder.layer.{layer}.attention.self.key.bias", ""},
    {"blk.v", "bert.encoder.layer.{layer}.attention.self.value.weight", ""},
    {"blk.v_bias", "bert.encoder.layer.{layer}.attention.self.value.bias", ""},
    {"blk.o", "bert.encoder.layer.{layer}.attention.output.dense.weight", ""},
    {"blk.o_bias", "bert.encoder.layer.{layer}.attention.output.dense.bias", ""},
    {"blk.attn_norm", "bert.encoder.layer.{layer}.attention.output.LayerNorm.weight", ""},
    {"blk.attn_norm_bias", "bert.encoder.layer.{layer}.attention.output.LayerNorm.bias", ""},
    {"blk.up", "bert.encoder.layer.{layer}.intermediate.dense.weight", ""},
    {"blk.up_bias", "bert.encoder.layer.{layer}.intermediate.dense.bias", ""},
    {"blk.down", "bert.encoder.layer.{layer}.output.dense.weight", ""},
    {"blk.down_bias", "bert.encoder.layer.{layer}.output.dense.bias", ""},
    {"blk.ffn_norm", "bert.encoder.layer.{layer}.output.LayerNorm.weight", ""},
    {"blk.ffn_norm_bias", "bert.encoder.layer.{layer}.output.LayerNorm.bias", ""},
    // Checkpoints converted from TensorFlow call a norm's gain and bias so.
    {"embed_norm", "bert.embeddings.LayerNorm.gamma", ""},
    {"embed_norm_bias", "bert.embeddings.LayerNorm.beta", ""},
    {"blk.attn_norm", "bert.encoder.layer.{layer}.attention.output.LayerNorm.gamma", ""},
    {"blk.attn_norm_bias", "bert.encoder.layer.{layer}.attention.output.LayerNorm.beta", ""},
    {"blk.ffn_norm", "bert.encoder.layer.{layer}.output.LayerNorm.gamma", ""},
    {"blk.ffn_norm_bias", "bert.encoder.layer.{layer}.output.LayerNorm.beta", ""},
};
static constexpr TensorName bertHead[] = {
    {"head_dense", "cls.predictions.transform.dense.weight", ""},
    {"head_dense_bias", "cls.predictions.transform.dense.bias", ""},
    {"head_norm", "cls.predictions.transform.LayerNorm.weight", ""},
    {"head_norm_bias", "cls.predictions.transform.LayerNorm.bias", ""},
    {"head_norm", "cls.predictions.transform.LayerNorm.gamma", ""},
    {"head_norm_bias", "cls.predictions.transform.LayerNorm.beta", ""},
    {"head", "cls.predictions.decoder.weight", ""},
    {"head_bias", "cls.predictions.bias", ""},
};
static constexpr TensorName robertaHead[] = {
    {"head_dense", "lm_head.dense.weight", ""},
    {"head_dense_bias", "lm_head.dense.bias", ""},
    {"head_norm", "lm_head.layer_norm.weight", ""},
    {"head_norm_bias", "lm_head.layer_norm.bias", ""},
    {"head", "lm_head.decoder.weight", ""},
    {"head_bias", "lm_head.bias", ""},
};
static constexpr TensorName electraHead[] = {
    {"head_dense", "generator_predictions.dense.weight", ""},
    {"head_dense_bias", "generator_predictions.dense.bias", ""},
    {"head_norm", "generator_predictions.LayerNorm.weight", ""},
    {"head_norm_bias", "generator_predictions.LayerNorm.bias", ""},
    {"head", "generator_lm_head.weight", ""},
    {"head_bias", "generator_lm_head.bias", ""},
};
// The pooler and the heads of other tasks; what is tied, stored once more; old buffers.
static constexpr llvm::StringRef ignored[] = {"bert.pooler.*", "ernie.pooler.*", "roberta.pooler.*", "pooler.*", "cls.seq_relationship.*", "cls.predictions.decoder.*",
                                              "lm_head.decoder.*", "generator_lm_head.weight", "discriminator_predictions.*", ".embeddings.position_ids",
                                              "embeddings.position_ids"};

static void complete(Model &model, const Config &config) {
  model.normAfter = true;
  if (std::optional<std::string> kind = config.text("position_embedding_type"); kind && *kind != "absolute")
    config.unsupported("position_embedding_type " + *kind);
}

// The table's first rows are for padding, whose id says how many.
static void completeRoberta(Model &model, const Config &config) {
  complete(model, config);
  int64_t offset = model.family->positionOffset;
  if (config.integer({"pad_token_id", 1}) + 1 != offset)
    config.unsupported("pad_token_id other than " + llvm::Twine(offset - 1));
  model.context -= offset;
}

static constexpr Family bertLike(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> types, llvm::ArrayRef<TensorName> head, llvm::StringRef prefix) {
  Family family{.name = name, .modelTypes = types, .tensors = bodyTensors, .ownTensors = head, .prefix = "bert.", .ownPrefix = prefix, .layers = encoderLayers};
  family.norm = llm::NormKind::layer;
  family.learnedPositions = true;
  family.looksAhead = true;
  family.tokenTypes = {"type_vocab_size", 2};
  family.tied = true;
  family.qkvBias = family.outputBias = family.mlpBias = {BiasRule::Always};
  family.activation = llm::Activation::gelu;
  family.eps = {"layer_norm_eps", 1e-12};
  family.kvHeadsKey = "";
  family.headDim = {""};
  family.ignoredTensors = ignored;
  family.complete = complete;
  return family;
}

static constexpr Family robertaFamily() {
  Family family = bertLike("roberta", robertaTypes, robertaHead, "roberta.");
  family.positionOffset = 2;
  family.padsMovePositions = true;
  family.complete = completeRoberta;
  return family;
}

static constexpr Family electraFamily() {
  Family family = bertLike("electra", electraTypes, electraHead, "electra.");
  family.embeddingSize = {"embedding_size", 128};
  family.embeddingWidenedLast = true;
  return family;
}

static constexpr Family ernieFamily() {
  Family family = bertLike("ernie", ernieTypes, bertHead, "ernie.");
  family.taskSwitch = "use_task_id";
  family.taskTypes = {"task_type_vocab_size", 3};
  return family;
}

constinit const Family llmc::frontends::bert = bertLike("bert", bertTypes, bertHead, "");
constinit const Family llmc::frontends::roberta = robertaFamily();
constinit const Family llmc::frontends::electra = electraFamily();
constinit const Family llmc::frontends::ernie = ernieFamily();
