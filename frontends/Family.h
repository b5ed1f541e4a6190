// A model family is one row of data: what its layers are made of, what its configuration keys are called, and what its
// tensors are called. One generic builder (Builder.cpp) reads it; no code is written per family.
// How to add one: docs/howto/AddAModel.md.
#pragma once

#include "dialects/llm/LLM.h"

#include <optional>

namespace llmc::frontends {

class Config;
struct Part;
struct Model;

// A key of config.json, and its value when absent. No fallback: it must be there. Names that mean the same are separated
// by '|'.
struct Key {
  llvm::StringRef name;
  std::optional<double> fallback = std::nullopt;
};

// Half a layer: x + postNorm(part(norm(x))). Norms are roles (below); empty: no such norm.
struct Sublayer {
  llvm::StringRef norm;
  const Part *part; // Parts.h: attention, gated or plain MLP, …
  llvm::StringRef postNorm = "";
};

// A kind of layer, by the name that `layer_types` gives it. Each kind that a model uses becomes one function.
struct LayerSpec {
  llvm::StringRef type;
  llvm::ArrayRef<Sublayer> sublayers;
  bool windowed = false; // attention looks back `sliding_window` tokens
  bool experts = false;  // the kind of those layers of this type that ExpertRule names
  bool rotary = true;    // false: its parts look at no rope table
};

// Which layer is of which type when the configuration has no list of them.
enum class LayerRule {
  Uniform,   // all full_attention
  Windowed,  // all sliding_attention if there is a sliding window
  Pattern,   // every N-th is full_attention (`sliding_window_pattern`), the others slide
  MaxWindow, // layers from `max_window_layers` slide, if `use_sliding_window`
  Chosen,    // as LayerChoice says
};

// Two types of layers: those that a list of numbers names, or every `period`-th one; and the others.
struct LayerChoice {
  llvm::StringRef chosen = "full_attention", other = "linear_attention";
  llvm::StringRef numbers = "";      // key of the list of the chosen layers' numbers; absent: none, unless `orAll`
  bool orAll = false;                // an absent list chooses all
  llvm::StringRef feedForward = "", experts = ""; // GGUF: layers that are a feed-forward part and no more; those with a router
  Key period{"", 0}, offset{"", -1}; // chosen if layer % period == offset (-1: the last of each period); 0: none
};

// The list of the layers' types in config.json: names, or one string of letters, or names that repeat until the layers
// are used up. `spellings` turns names of the file into those of LayerSpec. LayerRule::Uniform and Windowed ignore it.
struct LayerList {
  struct Spelling {
    llvm::StringRef written, type;
  };
  static constexpr llvm::StringRef usual[] = {"layer_types"};
  static constexpr Spelling older[] = {{"mamba", "linear_attention"}, {"attention", "full_attention"}};
  llvm::ArrayRef<llvm::StringRef> keys = usual; // the first that is there
  llvm::ArrayRef<Spelling> spellings = older;
  bool repeats = false;
};

// Which layers have routed experts in place of a dense feed-forward part.
struct ExpertRule {
  Key count{"", 0};                 // experts of a layer; fewer than `least`: no layer has any
  int64_t least = 1;                // that make a layer one of experts
  Key period{"", 1}, offset{"", 0}; // layer % period == offset; -1: the last of each period
  Key first{"", 0};                 // earlier layers are dense
  llvm::StringRef dense = "";       // key of a list of layers that are dense
};

// How a layer of experts routes, and where config.json has the numbers. In GGUF they have keys of their own.
struct ExpertShape {
  Key top{"num_experts_per_tok"}, ffn{"moe_intermediate_size"};
  Key sharedFfn{"", 0}, sharedCount{"", 0}; // size of the shared expert; or how many times `ffn` it is. None: both 0
  llm::RouterScores scores = llm::RouterScores::softmax, ggufScores = llm::RouterScores::softmax; // the second, where the file is silent
  llm::RouterNormalize normalize = llm::RouterNormalize::none; // in Hugging Face if `normalizeSwitch` is true or has no name
  llm::RouterNormalize ggufNormalize = llm::RouterNormalize::none; // where the file does not say
  llvm::StringRef normalizeSwitch = "";
  bool normalizeByDefault = false; // when the switch is absent
  double epsilon = 0;
  Key scale{"", 1}, groups{"", 1}, topGroups{"", 1};
  llm::GroupScore groupScore = llm::GroupScore::max;
  bool gated = true, routerBias = false, biases = false;
  struct ClampedUnit {
    double limit = 0, alpha = 1, offset = 0; // as Experts has them
  };
  ClampedUnit ggufUnit{}; // GGUF has no keys for it
};

// The file's name of the weight that plays a role in the graph. The role is also the symbol in the module; roles of a
// layer begin with "blk." and their names hold {layer}. A bias has the role of its weight and "_bias". Weights of experts
// have {expert} where each expert has a tensor; else one tensor stacks them. Several rows of one role are layouts that
// occur: for each layer the first one that the file has is taken.
struct TensorName {
  enum class Turns { None, Rows, Heads, KVHeads, KeyHeads };
  llvm::StringRef role, huggingFace, gguf; // empty: this container has no such tensor
  bool transposed = false;                 // Hugging Face only: stored [in, out]
  llvm::ArrayRef<llvm::StringRef> stack{}; // the roles whose rows the tensor stacks, in order; empty: the role alone
  // The stacked roles take turns: row by row, or with the rows of an attention head, or with those that belong to one head
  // of keys and values, or to one of the recurrence's heads of keys.
  Turns turns = Turns::None;
  bool shared = false; // the layers that use it take turns in using the tensors of the first Model::sharedBlocks of them;
                       // {layer} is that layer, {use} counts the uses
  bool across = false; // the weight is the transpose of the part that its role has in the tensor (Hugging Face only)
};

// Whether linear layers have biases: in Hugging Face by this rule, in GGUF by the presence of the tensor.
struct BiasRule {
  enum { Never, Always, ByKey } when = Never;
  llvm::StringRef key = "";
  bool byDefault = false; // when the key is absent
};

// Scores fall with the distance between tokens (ALiBi), in place of other positions.
struct AlibiRule {
  BiasRule when{}; // in GGUF by the file's largest bias
  Key mostBias{"", 8};
  bool inBf16 = false; // slopes are rounded to bf16
  bool scaled = false; // by the attention scale, too
};

// What a key's distance adds to scores (T5), in place of other positions.
struct RelativeRule {
  Key buckets{"", 0}, maxDistance{"", 128};
  bool both = false; // later tokens have buckets of their own
};

// A key that changes the graph in a way that we do not have, unless it is absent, null, false, or `neutral`.
struct Refusal {
  llvm::StringRef key;
  double neutral = 0;
};

// Keys of the numbers of Model::ssm. What a model has none of is 0 by default.
struct RecurrenceKeys {
  bool used = false;                  // by the family
  Key channels{"", 0}, expand{"", 0}; // without channels: expand * hidden, or hidden where there is no such key
  Key heads{"", 1}, headDim{"", 0};   // without a head size: channels / heads; with one, channels follow from both
  Key groups{"", 1}, stateSize{"", 0}, taps{"", 0}, rank{"", 0};
  Key keyHeads{"", 0}, keyDim{"", 0};
  llvm::StringRef stepLimit = ""; // a list: least and largest time step
  Key minStep{"", 0};             // the least one
  BiasRule convBias{}, projectionBias{};
  double normEps = 0; // of the norm within, where it is a constant
  bool mixesInputs = false; // the convolution covers what goes into and comes out of the state, too (Mamba-2)
};

// Tensors of GGUF files that are the two sets of factors of longrope.
inline constexpr llvm::StringLiteral ggufLongFactors = "rope_factors_long.weight", ggufShortFactors = "rope_factors_short.weight";

struct Family {
  llvm::StringRef name;                            // of the module: llm.family
  llvm::ArrayRef<llvm::StringRef> modelTypes{};    // config.json: model_type
  llvm::ArrayRef<llvm::StringRef> architectures{}; // GGUF: general.architecture
  llvm::ArrayRef<TensorName> tensors{};
  llvm::ArrayRef<TensorName> ownTensors{}; // come before those of `tensors`
  llvm::StringRef prefix = "model.";       // of Hugging Face names; base-model checkpoints lack it
  llvm::StringRef ownPrefix = "";          // of the files' names, in place of `prefix`, where a family shares another's table
  llvm::ArrayRef<LayerSpec> layers{};
  LayerRule layerRule = LayerRule::Uniform;
  LayerChoice layerChoice{};
  LayerList layerList{};
  ExpertRule experts{};
  ExpertShape expertShape{};
  RecurrenceKeys ssm{};
  llm::NormKind norm = llm::NormKind::rms;
  double normOffset = 0;                                // Hugging Face only: GGUF stores offset + gain
  double finalNormEps = 0;                              // of the last norm, where it is a constant; 0: as the others
  bool learnedPositions = false;                        // else rotary (or AlibiRule)
  int64_t positionOffset = 0;                           // of the first position in the table of learned ones
  llm::RotaryStyle rotary = llm::RotaryStyle::half;     // Hugging Face
  Key rotaryDim{"", 0};                                 // channels of each head that turn; no name: by partialRotary
  llvm::StringRef rotarySwitch = "";                    // a key that is true or "rope" where the model is rotary
  llm::RotaryStyle ggufRotary = llm::RotaryStyle::half;
  bool ggufYarnTruncates = true;                        // to whole channels; GGUF does not say
  double ropeTheta = 10000;                             // when the configuration has none
  llvm::StringRef thetaKey = "rope_theta";
  llvm::StringRef localThetaKey = "";                   // base of sliding layers, if it differs
  double localTheta = 10000;
  double partialRotary = 1;             // part of each head that turns, when the configuration has none
  llvm::StringRef partialRotaryKey = "partial_rotary_factor";
  llvm::StringRef ropeFlags = "";       // key of a list that has 0 for layers whose q and k do not turn
  Key ropeInterval{"", 0};              // without that list, every so many-th layer; 0: none
  bool embeddingScaled = false;        // by sqrt(hidden)
  bool embeddingScaleInBf16 = false;   // which the reference keeps in bf16
  bool embeddingReachesLayers = false; // parts may ask for it: LayerBuilder::embedding
  bool wideHeadNorms = false; // norms of q and k are over all their heads at once
  bool unitNorms = false;     // norms have no gain
  BiasRule parallel{};        // the parts of a layer all read what the layer was given
  bool sharedNorm = false;    // … through the norm of the first; in GGUF where the file has no other
  AlibiRule alibi{};
  RelativeRule relative{};
  // Encoders: tokens attend to all of their sequence; a window is of as many tokens, half of them on each side. The vocabulary product is that
  // of masked tokens, behind a product, the activation and a norm of its own (roles head_dense, head_norm), where the file has one.
  bool looksAhead = false;
  bool padsMovePositions = false;       // padding before a text does not count as positions
  Key tokenTypes{"", 0};                // rows of role type_embed
  Key taskTypes{"", 0};                 // rows of role task_embed, whose first one is added to all
  llvm::StringRef taskSwitch = "";      // a boolean key: whether there are such
  bool embeddingWidenedLast = false;    // embeddingSize: sums and norm of embeddings come before the product
  const Family *encoder = nullptr;      // of an encoder-decoder: what it decodes
  bool tied = false;          // when tie_word_embeddings is absent
  BiasRule qkvBias{}, outputBias{}, mlpBias{}, headBias{};
  llm::Activation activation = llm::Activation::silu; // when the configuration has none, and in GGUF
  int64_t windowPattern = 6;                          // LayerRule::Pattern, when the configuration has none

  // Keys of config.json.
  Key hidden{"hidden_size"}, layerCount{"num_hidden_layers"}, heads{"num_attention_heads"};
  Key ffn{"intermediate_size"}, vocab{"vocab_size"}, context{"max_position_embeddings"}, eps{"rms_norm_eps", 1e-6};
  Key window{"sliding_window", 0};
  Key logitSoftcap{"final_logit_softcapping", 0}, attentionSoftcap{"", 0}; // null: none
  Key embeddingSize{"", 0}; // of the tables' rows, where a product goes from there to the hidden size, and back
  Key embeddingScale{"", 1}, residualScale{"", 1}, logitDivisor{"", 1}, logitFactor{"", 1}; // of what each part adds, the second
  llvm::StringRef normBeforeKey = ""; // a boolean key: false puts the norms behind the sums, and leaves out the last one
  llvm::StringRef kvHeadsKey = "num_key_value_heads";                   // absent: as many as heads
  Key headDim{"head_dim"};                            // absent and without fallback: hidden / heads
  bool ffnDefaultsToFourHidden = false;
  llvm::StringRef activationKey = "hidden_act";
  Key scaleBase{""};                // attention scale is 1/sqrt of it; no name: of head_dim
  llvm::StringRef scaleSwitch = ""; // a boolean key which turns the attention scale off
  llvm::StringRef scaleKey = "";    // the attention scale itself
  Key qkvClamp{"", 0};              // q, k and v stay within it; 0: any size
  llvm::ArrayRef<Refusal> refusals{};
  llvm::ArrayRef<llvm::StringRef> ignoredTensors{}; // endings of names that hold no weights (old buffers); or, with '*' at its end, how names begin

  // Numbers of config.json that follow from others in a way of the family's own; called once the rest has been read,
  // before anything is checked.
  void (*complete)(Model &, const Config &) = nullptr;

  bool latentAttention = false; // in GGUF its sizes have keys of their own

  // What a layer's type is, where that is not what the configuration lists.
  llvm::StringRef (*typeOf)(int64_t layer, llvm::StringRef listed, const Config &) = nullptr;

  // GGUF does not say what the attention scale derives from: the base of 1/sqrt, if not head_dim.
  double (*ggufScaleBase)(const Model &) = nullptr;
};

// All families: those of plug-ins, then ours, in no order.
llvm::ArrayRef<const Family *> families();
// Adds a family of a plug-in: a static object of it in the plug-in's library does so when that is loaded. The row must
// outlive the process's imports.
struct RegisterFamily {
  explicit RegisterFamily(const Family &family);
};
// Loads shared libraries that register families. Errors: InvalidInput. Not while another thread imports.
llvm::Error loadFamilies(llvm::ArrayRef<std::string> libraries);
// The row of a role; null if the family has no such tensor in that container. Of several, the first that `isThere`
// accepts, or else the first.
const TensorName *findTensor(const Family &family, llvm::StringRef role, bool gguf,
                             llvm::function_ref<bool(const TensorName &)> isThere = {});
const Family *findModelType(llvm::StringRef modelType);
// Of several (a Mixtral is a llama in GGUF), the one that has experts if `experts`.
const Family *findArchitecture(llvm::StringRef architecture, bool experts);
bool hasExperts(const Family &family);

} // namespace llmc::frontends
