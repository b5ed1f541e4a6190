// What a configuration says, in one shape for both containers: the numbers that the builder needs.
#pragma once

#include "frontends/Family.h"
#include "frontends/Report.h"

#include <memory>
#include <string>
#include <vector>

namespace llmc {
class Gguf;
}

namespace llmc::frontends {

enum class Container { HuggingFace, Gguf };

struct RopeTable {
  int64_t dim = 0;
  double theta = 0;
  llm::RopeScalingAttr scaling; // null: none
  bool fileFactors = false;     // divided by the tensor of role "rope_factors"
  bool operator==(const RopeTable &) const = default;
};

// A kind of layer that the model has: one function of the module.
struct LayerKind {
  const LayerSpec *spec;
  std::string symbol;
  int64_t window = 0;          // 0: none
  int64_t rope = -1;           // index of its table; -1: none
  bool turns = true;           // LayerType's
  std::vector<int64_t> layers; // where it occurs, ascending
};

// What a layer is, by its configuration: a LayerSpec has the same first two.
struct LayerType {
  std::string type;
  bool experts = false;
  bool turns = true; // q and k, where the type has a rope table
};

// Convolutions, scans and gates over channels of their own (Mamba and its kin).
struct Recurrence {
  bool used = false;                            // else all of it means nothing
  int64_t channels = 0, convChannels = 0;       // that the recurrence, and the convolution before it, run over
  int64_t heads = 1, groups = 1;                // of channels; groups of heads share what goes in and comes out
  int64_t stateSize = 0;                        // of a channel, or of a head's channel
  int64_t taps = 0;                             // tokens that the convolution sees
  int64_t rank = 0;                             // of the product that gives the time step
  int64_t keyHeads = 0, keyDim = 0;             // of a delta rule
  double minStep = 0, maxStep = 0;              // bounds of the time step; no largest: infinite
  double normEps = 0;                           // of the norm within
  double selectedEps = 0;                       // of norms without gain of what a Mamba mixer selects; 0: none
  bool convBias = false, projectionBias = false; // Hugging Face only
};

// Routed experts, and the one that all tokens share.
struct Experts {
  int64_t count = 0, top = 0, ffn = 0; // none: 0
  int64_t sharedFfn = 0;               // 0: no shared expert
  llm::RouterScores scores = llm::RouterScores::softmax;
  llm::RouterNormalize normalize = llm::RouterNormalize::none;
  llm::GroupScore groupScore = llm::GroupScore::max;
  int64_t groups = 1, topGroups = 1;
  double epsilon = 0, scale = 1;
  double limit = 0, alpha = 1, offset = 0; // of clamped gated units; limit 0: not clamped
};

// Latent attention: keys and values as products of a latent, and part of each key that turns and is shared by all heads.
struct Latent {
  int64_t queryRank = 0, rank = 0; // of the products that make queries (0: one product) and the latent (0: no such attention)
  int64_t still = 0, value = 0;    // channels of a head's key that do not turn, and of its value
  double normEps = 1e-6;           // of the latents' norms, whatever the others have
  bool interleaved = true;         // which channels turn together
};

struct Model {
  const Family *family = nullptr;
  Container container = Container::HuggingFace;
  int64_t hidden = 0, layers = 0, heads = 0, kvHeads = 0, headDim = 0, ffn = 0, vocab = 0, context = 0;
  double eps = 0;
  llm::Activation activation = llm::Activation::silu;
  double attentionScale = 1, attentionSoftcap = 0, logitSoftcap = 0;
  double embeddingScale = 1, residualScale = 1, logitScale = 1;
  int64_t attentionInput = 0;                                              // channels that q, k and v are made of; 0: hidden
  int64_t embeddingSize = 0;                                               // Family's; 0: hidden
  bool tied = false;
  bool qkvBias = false, outputBias = false, mlpBias = false, headBias = false; // Hugging Face only
  bool parallel = false, sharedNorm = false, normAfter = false;            // Family's
  int64_t tokenTypes = 0, taskTypes = 0;                                   // rows of the tables; 0: none
  int64_t buckets = 0, maxDistance = 0;                                    // of Family's RelativeRule; 0: none
  int64_t start = -1;                                                      // that an encoder-decoder's decoder begins with
  std::shared_ptr<Model> encoder;                                          // what an encoder-decoder decodes; null: none
  std::vector<float> slopes;                                               // of ALiBi, one for each head; none: no such bias
  Recurrence ssm;
  Experts moe;
  Latent mla; // the part that turns is headDim
  double qkvClamp = 0; // 0: none
  int64_t sharedBlocks = 1; // TensorName::shared
  int64_t adapterRank = 0;  // of the adapters that linear parts have beside their weights; 0: none
  bool attentionAdapters = false; // have q, k and v one, too?
  std::vector<LayerKind> kinds;
  std::vector<RopeTable> ropes;
  std::vector<int64_t> eos;
  int64_t bos = -1;

  // Rows of the [out, in] weight (and length of the bias) of a role that linear ops use.
  int64_t rowsOf(llvm::StringRef role) const;
  bool hasBias(llvm::StringRef role) const; // in Hugging Face
  bool sharesNorm(const Sublayer &sublayer) const; // reads what the norm of the layer's first part gives
  int64_t outputSize() const { return embeddingSize ? embeddingSize : hidden; } // channels of what the head reads
  int64_t hiddenSize() const { return family->looksAhead ? hidden : outputSize(); } // of the hidden states that leave
  bool hasAdapter(llvm::StringRef role) const;
};

// Limits of what a file may say. Within them no product of two overflows.
constexpr int64_t maxLayers = 10000, maxHeads = 65536, maxSize = int64_t(1) << 24, maxContext = int64_t(1) << 30;
// Dynamic rope scaling stretches to any length; this many times the trained one is where we end.
constexpr int64_t dynamicReach = 32;

// Checks what both containers have in common, and fills in the attention scale from `scaleBase`. Reports to `report`.
void checkModel(const Model &model, Report &report);

// Groups layers by the kind that `types` names for each; reports names that the family does not have.
// `ropeOf` returns the table of a layer type, or -1.
void assignKinds(Model &model, llvm::ArrayRef<LayerType> types, int64_t window,
                 llvm::function_ref<int64_t(const LayerSpec &)> ropeOf, Report &report);

// Adds a table unless an equal one is there; its index.
int64_t addRope(Model &model, const RopeTable &table);

} // namespace llmc::frontends
