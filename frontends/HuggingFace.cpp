// Keys and defaults follow transformers' configuration classes.
#include "frontends/HuggingFace.h"

#include "frontends/Alibi.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace llmc;
using namespace llmc::frontends;

//===----------------------------------------------------------------------===//
// Access
//===----------------------------------------------------------------------===//

static std::string shown(const Json &value) {
  return quoteText(value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace));
}

const Json *Config::memberAt(llvm::StringRef path) const {
  const Json *at = &json;
  while (at && !path.empty()) {
    auto [name, rest] = path.split('.');
    at = at->is_object() ? jsonMember(*at, view(name)) : nullptr;
    path = rest;
  }
  return at;
}

const Json *Config::member(llvm::StringRef key) const {
  while (!key.empty()) {
    auto [name, rest] = key.split('|');
    if (const Json *value = memberAt(name))
      return value;
    key = rest;
  }
  return nullptr;
}

double Config::cap(const Key &key) const {
  auto at = json.find(key.name.str());
  return at != json.end() && at->is_null() ? 0 : number(key);
}

double Config::number(const Key &key) const {
  const Json *value = member(key.name);
  if (!value && !key.fallback)
    report.invalid("config.json: '" + key.name + "' is missing");
  if (!value)
    return key.fallback.value_or(0);
  std::optional<double> number = jsonFloat(*value);
  if (number && std::isfinite(*number))
    return *number;
  report.invalid("config.json: '" + key.name + "': want a number, got " + shown(*value));
  return 0;
}

int64_t Config::integer(const Key &key) const {
  const Json *value = member(key.name);
  if (!value && !key.fallback)
    report.invalid("config.json: '" + key.name + "' is missing");
  if (!value)
    return static_cast<int64_t>(key.fallback.value_or(0));
  if (std::optional<int64_t> integer = jsonInt(*value))
    return *integer;
  report.invalid("config.json: '" + key.name + "': want an integer, got " + shown(*value));
  return 0;
}

bool Config::flag(llvm::StringRef key, bool fallback) const {
  const Json *value = member(key);
  if (!value)
    return fallback;
  if (std::optional<bool> flag = jsonBool(*value))
    return *flag;
  report.invalid("config.json: '" + key + "': want true or false, got " + shown(*value));
  return fallback;
}

std::optional<std::string> Config::text(llvm::StringRef key) const {
  const Json *value = member(key);
  if (!value)
    return std::nullopt;
  if (std::optional<std::string_view> text = jsonString(*value))
    return std::string(*text);
  report.invalid("config.json: '" + key + "': want a string, got " + shown(*value));
  return std::nullopt;
}

std::vector<int64_t> frontends::readTokenIds(const Json &json, llvm::StringRef key) {
  const Json *value = jsonMember(json, std::string_view(key.data(), key.size()));
  std::vector<int64_t> ids;
  if (!value)
    return ids;
  auto add = [&](const Json &entry) {
    std::optional<int64_t> id = jsonInt(entry);
    if (id && *id >= 0 && *id < maxSize && ids.size() < 256)
      ids.push_back(*id);
  };
  if (value->is_array())
    for (const Json &entry : *value)
      add(entry);
  else
    add(*value);
  return ids;
}

//===----------------------------------------------------------------------===//
// Sizes and switches
//===----------------------------------------------------------------------===//

static void readSizes(Model &model, const Config &config) {
  const Family &family = *model.family;
  model.hidden = config.integer(family.hidden);
  std::optional<int64_t> listed = config.has(family.layerCount.name) ? std::nullopt : listedLayers(family, config);
  model.layers = listed ? *listed : config.integer(family.layerCount);
  model.heads = config.integer(family.heads);
  model.kvHeads = config.integer({family.kvHeadsKey, model.heads});
  bool derived = !family.headDim.fallback && !config.has(family.headDim.name);
  model.headDim = !derived ? config.integer(family.headDim) : model.heads > 0 ? model.hidden / model.heads : 0;
  bool small = model.hidden >= 1 && model.hidden <= maxSize;
  model.ffn = family.ffnDefaultsToFourHidden && !config.has(family.ffn.name) ? (small ? 4 * model.hidden : 0)
                                                                             : config.integer(family.ffn);
  model.vocab = config.integer(family.vocab);
  model.context = config.integer(family.context);
  model.eps = config.number(family.eps);
  int64_t rows = config.integer(family.embeddingSize);
  model.embeddingSize = rows == model.hidden ? 0 : rows;
}

// Names of transformers' activations that we have.
static std::optional<llm::Activation> activationOf(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<llm::Activation>>(name)
      .Cases({"silu", "swish"}, llm::Activation::silu)
      .Cases({"gelu", "gelu_python"}, llm::Activation::gelu)
      .Cases({"gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh"},
             llm::Activation::gelu_tanh)
      .Case("relu", llm::Activation::relu)
      .Case("relu2", llm::Activation::relu2)
      .Case("sigmoid", llm::Activation::sigmoid)
      .Case("tanh", llm::Activation::tanh)
      .Default(std::nullopt);
}

static void readActivation(Model &model, const Config &config, Report &report) {
  model.activation = model.family->activation;
  std::optional<std::string> name = config.text(model.family->activationKey);
  if (!name)
    return;
  if (std::optional<llm::Activation> activation = activationOf(*name))
    model.activation = *activation;
  else
    report.unsupported("config.json: " + model.family->activationKey + " " + quoteText(*name));
}

static void readScale(Model &model, const Config &config) {
  const Family &family = *model.family;
  double base = family.scaleBase.name.empty() ? static_cast<double>(model.headDim) : config.number(family.scaleBase);
  model.attentionScale = 1 / std::sqrt(base);
  if (!family.scaleSwitch.empty() && !config.flag(family.scaleSwitch, true))
    model.attentionScale = 1;
  if (config.has(family.scaleKey))
    model.attentionScale = config.number({family.scaleKey});
}

static bool readBias(const BiasRule &rule, const Config &config) {
  return rule.when == BiasRule::Always || (rule.when == BiasRule::ByKey && config.flag(rule.key, rule.byDefault));
}

static void readBlocks(Model &model, const Config &config) {
  const Family &family = *model.family;
  model.qkvBias = readBias(family.qkvBias, config);
  model.outputBias = readBias(family.outputBias, config);
  model.mlpBias = readBias(family.mlpBias, config);
  model.headBias = readBias(family.headBias, config);
  model.parallel = readBias(family.parallel, config);
  model.sharedNorm = family.sharedNorm;
  model.normAfter = !family.normBeforeKey.empty() && !config.flag(family.normBeforeKey, true);
}

// A number of a list; infinity as transformers writes it ({"__float__": "Infinity"}, Import.cpp).
static double listedNumber(const Json &list, size_t place) {
  if (!list.is_array() || list.size() <= place)
    return -1;
  if (jsonString(list[place], "__float__") == "Infinity")
    return std::numeric_limits<double>::infinity();
  return jsonFloat(list[place]).value_or(-1);
}

static void readStepBounds(Recurrence &ssm, const RecurrenceKeys &keys, const Config &config) {
  ssm.minStep = config.number(keys.minStep);
  ssm.maxStep = std::numeric_limits<double>::infinity();
  if (const Json *limit = config.member(keys.stepLimit))
    ssm.minStep = listedNumber(*limit, 0), ssm.maxStep = listedNumber(*limit, 1);
}

static void readRecurrence(Model &model, const Config &config) {
  const RecurrenceKeys &keys = model.family->ssm;
  Recurrence &ssm = model.ssm;
  ssm.used = keys.used;
  if (!keys.used)
    return;
  auto product = [](int64_t a, int64_t b) { return checkedMul(a, b).value_or(-1); };
  ssm.heads = config.integer(keys.heads);
  int64_t headDim = config.integer(keys.headDim);
  ssm.channels = headDim ? product(ssm.heads, headDim) : config.integer(keys.channels);
  if (!headDim && !config.has(keys.channels.name))
    ssm.channels = keys.expand.name.empty() ? model.hidden : product(config.integer(keys.expand), model.hidden);
  ssm.groups = config.integer(keys.groups);
  ssm.stateSize = config.integer(keys.stateSize);
  ssm.taps = config.integer(keys.taps);
  ssm.rank = config.integer(keys.rank);
  ssm.keyHeads = config.integer(keys.keyHeads);
  ssm.keyDim = config.integer(keys.keyDim);
  int64_t beside = keys.mixesInputs ? product(ssm.groups, ssm.stateSize) : product(ssm.keyHeads, ssm.keyDim);
  ssm.convChannels = checkedAdd(ssm.channels, product(2, beside)).value_or(-1);
  readStepBounds(ssm, keys, config);
  ssm.normEps = keys.normEps ? keys.normEps : model.eps;
  ssm.convBias = readBias(keys.convBias, config);
  ssm.projectionBias = readBias(keys.projectionBias, config);
}

static void checkRefusals(const Family &family, const Config &config, Report &report) {
  static constexpr Refusal everywhere[] = {{"quantization_config"},
                                           {"use_bidirectional_attention"},
                                           {"add_cross_attention"},
                                           {"alibi"},
                                           {"num_local_experts"},
                                           {"num_experts"}};
  auto check = [&](const Refusal &refusal) {
    const Json *value = config.member(refusal.key);
    llvm::SmallVector<llvm::StringRef, 2> counts;
    family.experts.count.name.split(counts, '|');
    bool isKnown = llvm::is_contained(counts, refusal.key) || refusal.key == family.alibi.when.key;
    if (!value || isKnown || jsonBool(*value) == false ||
        jsonFloat(*value) == refusal.neutral)
      return;
    report.unsupported("config.json: " + refusal.key + " " + shown(*value));
  };
  llvm::for_each(everywhere, check);
  if (!family.encoder)
    check({family.looksAhead ? "is_decoder" : "is_encoder_decoder"});
  llvm::for_each(family.refusals, check);
}

//===----------------------------------------------------------------------===//
// The model
//===----------------------------------------------------------------------===//

static double readEmbeddingScale(const Model &model, const Config &config) {
  const Family &family = *model.family;
  if (!family.embeddingScaled)
    return config.number(family.embeddingScale);
  // As a float32 run has it; a bf16 run of the same model would round the scale to bf16, as some keep it anyway.
  llvm::APFloat scale(std::sqrt(static_cast<float>(model.hidden)));
  bool inexact = false;
  if (family.embeddingScaleInBf16)
    scale.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  scale.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return scale.convertToFloat();
}

static void readFactors(Model &model, const Config &config, Report &report) {
  const Family &family = *model.family;
  model.embeddingScale = readEmbeddingScale(model, config);
  model.residualScale = config.number(family.residualScale);
  double divisor = config.number(family.logitDivisor);
  if (!(std::abs(divisor) > 0))
    report.invalid("config.json: '" + family.logitDivisor.name + "': want a number other than 0");
  else
    model.logitScale = config.number(family.logitFactor) / divisor;
  if (!(std::abs(model.logitScale) > 0))
    report.invalid("config.json: '" + family.logitFactor.name + "': want a number other than 0");
  model.logitSoftcap = config.cap(family.logitSoftcap);
  model.attentionSoftcap = config.cap(family.attentionSoftcap);
}

static bool isRotary(const Model &model, const Config &config) {
  const Family &family = *model.family;
  if (family.learnedPositions || model.buckets || !model.slopes.empty())
    return false;
  if (family.rotarySwitch.empty())
    return true;
  const Json *value = config.member(family.rotarySwitch);
  return value && (jsonBool(*value) == true || jsonString(*value) == "rope");
}

static void readAlibi(Model &model, const Config &config) {
  const AlibiRule &rule = model.family->alibi;
  if (!readBias(rule.when, config))
    return;
  double mostBias = config.number(rule.mostBias);
  if (mostBias > 0 && mostBias <= maxAlibiBias)
    model.slopes = alibiSlopes(model.heads, mostBias, rule, model.attentionScale);
  else
    config.invalid("'" + rule.mostBias.name + "': want a positive number up to " + llvm::Twine(maxAlibiBias) + ", got " + std::to_string(mostBias));
}

static void readRelative(Model &model, const Config &config) {
  const RelativeRule &rule = model.family->relative;
  model.buckets = config.integer(rule.buckets), model.maxDistance = config.integer(rule.maxDistance);
  if (rule.buckets.name.empty())
    return;
  constexpr int64_t kMost = 4096, kMostDistance = 65536;
  if (model.buckets < 4 || model.buckets % 4 || model.buckets > kMost)
    config.invalid("'" + rule.buckets.name + "': want a multiple of 4 up to " + llvm::Twine(kMost) + ", got " + llvm::Twine(model.buckets));
  else if (model.maxDistance <= model.buckets / 2 || model.maxDistance > kMostDistance)
    config.invalid("'" + rule.maxDistance.name + "': want " + llvm::Twine(model.buckets / 2 + 1) + " to " + llvm::Twine(kMostDistance) + ", got " +
                   llvm::Twine(model.maxDistance));
}

static void readEncoding(Model &model, const Config &config) {
  const Family &family = *model.family;
  model.tokenTypes = config.integer(family.tokenTypes);
  if (!family.taskSwitch.empty() && config.flag(family.taskSwitch, false))
    model.taskTypes = config.integer(family.taskTypes);
  for (auto [key, count] : {std::pair(family.tokenTypes, model.tokenTypes), std::pair(family.taskTypes, model.taskTypes)})
    if (count < 0 || count > maxSize)
      config.invalid("'" + key.name + "': want 0 to " + llvm::Twine(maxSize) + ", got " + llvm::Twine(count));
  readRelative(model, config);
}

static void readExperts(Model &model, const Config &config) {
  const Family &family = *model.family;
  const ExpertShape &shape = family.expertShape;
  Experts &moe = model.moe;
  moe.count = config.integer(family.experts.count);
  if (moe.count < family.experts.least) {
    moe.count = 0;
    return;
  }
  moe.top = config.integer(shape.top);
  moe.ffn = config.integer(shape.ffn);
  int64_t copies = config.integer(shape.sharedCount);
  moe.sharedFfn = copies > 0 && copies <= maxSize && moe.ffn > 0 && moe.ffn <= maxSize ? copies * moe.ffn
                                                                                       : config.integer(shape.sharedFfn);
  bool normalizes = shape.normalizeSwitch.empty() || config.flag(shape.normalizeSwitch, shape.normalizeByDefault);
  moe.normalize = normalizes ? shape.normalize : llm::RouterNormalize::none;
  moe.scores = shape.scores;
  moe.groupScore = shape.groupScore;
  moe.epsilon = shape.epsilon;
  moe.scale = config.number(shape.scale);
  moe.groups = config.integer(shape.groups);
  moe.topGroups = config.integer(shape.topGroups);
}

// Of an encoder-decoder: the encoder, from the same configuration, and what the decoder begins with.
static void readSource(mlir::MLIRContext &context, Model &model, const Json &json, Report &report) {
  model.encoder = std::make_shared<Model>(frontends::readConfig(context, *model.family->encoder, json, report));
  std::vector<int64_t> start = readTokenIds(json, "decoder_start_token_id");
  if (start.size() == 1 && start[0] < model.vocab)
    model.start = start[0];
  else
    report.invalid("config.json: 'decoder_start_token_id': want one token id");
}

Model frontends::readConfig(mlir::MLIRContext &context, const Family &family, const Json &json, Report &report) {
  Config config(json, report);
  Model model;
  model.family = &family;
  readSizes(model, config);
  readActivation(model, config, report);
  readScale(model, config);
  model.tied = config.flag("tie_word_embeddings", family.tied);
  readBlocks(model, config);
  readFactors(model, config, report);
  model.eos = readTokenIds(json, "eos_token_id");
  if (std::vector<int64_t> bos = readTokenIds(json, "bos_token_id"); !bos.empty())
    model.bos = bos.front();
  model.qkvClamp = config.number(family.qkvClamp);
  if (hasExperts(family))
    readExperts(model, config);
  readRecurrence(model, config);
  readEncoding(model, config);
  if (family.complete)
    family.complete(model, config);
  checkRefusals(family, config, report);
  checkModel(model, report);
  if (!report.ok())
    return model;
  readAlibi(model, config);
  int64_t window = readWindow(family, config);
  if (family.looksAhead && window > 0)
    window = window / 2 + 1; // a token, and half of it on each side
  bool rotary = isRotary(model, config);
  auto ropeOf = [&](const LayerSpec &spec) -> int64_t {
    return rotary ? addRope(model, readRope(context, model, spec, config, json, report)) : -1;
  };
  assignKinds(model, readLayerTypes(model, config, window, report), window, ropeOf, report);
  for (const RopeTable &table : model.ropes)
    if (table.scaling && table.scaling.getKind() == llm::RopeScalingKind::dynamic)
      model.context = std::min(model.context * dynamicReach, maxContext);
  if (family.encoder)
    readSource(context, model, json, report);
  return model;
}
