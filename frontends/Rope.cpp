// Rope parameters of config.json. Source: transformers 5.23, modeling_rope_utils.py.
#include "frontends/HuggingFace.h"
#include "runtime/support/Text.h"

#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace llmc;
using namespace llmc::frontends;
using llm::Real;
using llm::RopeScalingKind;

namespace {

// The parameters of one table, wherever the configuration keeps them.
class RopeReader {
public:
  RopeReader(const Json *own, const Config &config, const Model &model, Report &report)
      : own(own), config(config), model(model), report(report) {}

  RopeScalingKind kind() const;
  double factor() const { return positive("factor", {}); }
  double theta(double fallback) const { return positive("rope_theta", fallback); }
  int64_t dim() const;
  int64_t originalPositions() const;
  llm::RopeScalingAttr scaling(mlir::MLIRContext &context) const;

private:
  std::optional<double> number(llvm::StringRef key) const;
  double positive(llvm::StringRef key, std::optional<double> fallback) const;
  llvm::SmallVector<Real> factors(llvm::StringRef key) const;
  double stretch() const; // factor, or what the context lengths say
  double yarnAttention() const;
  double longropeAttention() const;

  const Json *own; // null: none
  const Config &config;
  const Model &model;
  Report &report;
};

} // namespace

std::optional<double> RopeReader::number(llvm::StringRef key) const {
  const Json *value = own ? jsonMember(*own, std::string_view(key.data(), key.size())) : nullptr;
  if (!value)
    return std::nullopt;
  std::optional<double> number = jsonFloat(*value);
  if (number && std::isfinite(*number))
    return number;
  report.invalid("config.json: rope parameter '" + key + "': want a number");
  return 1;
}

double RopeReader::positive(llvm::StringRef key, std::optional<double> fallback) const {
  std::optional<double> value = number(key);
  if (!value)
    value = fallback;
  if (value && *value > 0 && *value <= 1e12)
    return *value;
  report.invalid("config.json: rope parameter '" + key + "': want a positive number" +
                 (value ? ", got " + std::to_string(*value) : std::string(", it is missing")));
  return 1;
}

RopeScalingKind RopeReader::kind() const {
  std::optional<std::string_view> name;
  for (std::string_view key : {"rope_type", "type"})
    if (own && !name)
      name = jsonString(*own, key);
  llvm::StringRef text = name ? llvm::StringRef(*name) : "default";
  if (text == "yarn" && own && jsonMember(*own, "short_factor")) // Phi 3 before longrope had a name
    text = "longrope";
  auto kind = llvm::StringSwitch<std::optional<RopeScalingKind>>(text)
                  .Case("default", RopeScalingKind::none)
                  .Case("linear", RopeScalingKind::linear)
                  .Case("dynamic", RopeScalingKind::dynamic)
                  .Case("llama3", RopeScalingKind::llama3)
                  .Case("yarn", RopeScalingKind::yarn)
                  .Cases({"longrope", "su"}, RopeScalingKind::longrope)
                  .Default(std::nullopt);
  if (!kind)
    report.unsupported("config.json: rope_type " + quoteText(text));
  return kind.value_or(RopeScalingKind::none);
}

int64_t RopeReader::dim() const {
  const Family &family = *model.family;
  std::optional<double> part = number("partial_rotary_factor");
  if (!part)
    part = config.number({family.partialRotaryKey, family.partialRotary});
  double dim = std::floor(static_cast<double>(model.headDim) * *part);
  if (!family.rotaryDim.name.empty())
    dim = config.number(family.rotaryDim);
  if (dim >= 2 && dim <= model.headDim && std::fmod(dim, 2) == 0)
    return static_cast<int64_t>(dim);
  report.invalid("config.json: rotary size: want an even number from 2 to " + llvm::Twine(model.headDim) + ", got " +
                 std::to_string(dim));
  return 2;
}

int64_t RopeReader::originalPositions() const {
  Key key{"original_max_position_embeddings", static_cast<double>(model.context)};
  std::optional<double> value = config.has(key.name) ? config.number(key) : number(key.name);
  double positions = value.value_or(*key.fallback);
  if (positions >= 2 && positions <= maxContext)
    return static_cast<int64_t>(positions);
  report.invalid("config.json: '" + key.name + "': want 2 to " + llvm::Twine(maxContext) + ", got " +
                 std::to_string(positions));
  return 2;
}

llvm::SmallVector<Real> RopeReader::factors(llvm::StringRef key) const {
  const Json *list = own ? jsonMember(*own, std::string_view(key.data(), key.size())) : nullptr;
  llvm::SmallVector<Real> factors;
  if (list && list->is_array())
    for (const Json &entry : *list)
      if (std::optional<double> value = jsonFloat(entry); value && *value > 0 && *value <= 1e12)
        factors.push_back(*value);
  int64_t want = dim() / 2;
  if (static_cast<int64_t>(factors.size()) != want || !list || static_cast<int64_t>(list->size()) != want)
    report.invalid("config.json: rope parameter '" + key + "': want " + llvm::Twine(want) + " positive numbers, got " +
                   llvm::Twine(factors.size()));
  return factors;
}

double RopeReader::stretch() const {
  double byLength = static_cast<double>(model.context) / static_cast<double>(originalPositions());
  return positive("factor", byLength);
}

// arXiv:2309.00071, and DeepSeek's variant with two factors.
double RopeReader::yarnAttention() const {
  if (number("attention_factor"))
    return positive("attention_factor", 1);
  double factor = stretch(), mscale = number("mscale").value_or(0), all = number("mscale_all_dim").value_or(0);
  auto temperature = [&](double scale) { return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0; };
  return mscale != 0 && all != 0 ? temperature(mscale) / temperature(all) : temperature(1);
}

// arXiv:2402.13753.
double RopeReader::longropeAttention() const {
  if (number("attention_factor"))
    return positive("attention_factor", 1);
  double factor = stretch();
  return factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(originalPositions())));
}

llm::RopeScalingAttr RopeReader::scaling(mlir::MLIRContext &context) const {
  RopeScalingKind which = kind();
  auto make = [&](double factor, double low, double high, int64_t original, double fast, double slow, double attention,
                  bool truncate, llvm::ArrayRef<Real> shortFactors, llvm::ArrayRef<Real> longFactors) {
    return llm::RopeScalingAttr::get(&context, which, factor, low, high, original, fast, slow, attention, truncate,
                                     shortFactors, longFactors);
  };
  switch (which) {
  case RopeScalingKind::none:
    return {};
  case RopeScalingKind::linear:
    return make(factor(), 0, 0, 0, 32, 1, 1, true, {}, {});
  case RopeScalingKind::dynamic:
    if (dim() <= 2)
      report.invalid("config.json: dynamic rope scaling needs a rotary size above 2");
    return make(factor(), 0, 0, model.context, 32, 1, 1, true, {}, {});
  case RopeScalingKind::llama3: {
    double low = positive("low_freq_factor", {}), high = positive("high_freq_factor", {});
    if (low >= high)
      report.invalid("config.json: rope parameter 'high_freq_factor': want more than low_freq_factor");
    return make(factor(), low, high, originalPositions(), 32, 1, 1, true, {}, {});
  }
  case RopeScalingKind::yarn: {
    auto orDefault = [&](llvm::StringRef key, double fallback) {
      return number(key).value_or(0) ? positive(key, fallback) : fallback;
    };
    bool truncate = own ? jsonBool(*own, "truncate").value_or(true) : true;
    return make(stretch(), 0, 0, originalPositions(), orDefault("beta_fast", 32), orDefault("beta_slow", 1),
                yarnAttention(), truncate, {}, {});
  }
  case RopeScalingKind::longrope:
    return make(1, 0, 0, originalPositions(), 32, 1, longropeAttention(), true, factors("short_factor"),
                factors("long_factor"));
  }
  llvm_unreachable("every kind is listed");
}

static const Json *objectMember(const Json &json, llvm::StringRef key) {
  const Json *member = jsonMember(json, std::string_view(key.data(), key.size()));
  return member && member->is_object() && !member->empty() ? member : nullptr;
}

RopeTable frontends::readRope(mlir::MLIRContext &context, const Model &model, const LayerSpec &type,
                              const Config &config, const Json &json, Report &report) {
  const Family &family = *model.family;
  bool local = type.windowed && !family.localThetaKey.empty();
  const Json *parameters = objectMember(json, "rope_parameters");
  const Json *nested = parameters ? objectMember(*parameters, type.type) : nullptr;
  if (nested)
    parameters = nested;
  // The older style has one scaling, which is not for layers with a base of their own; where both are given, it wins.
  const Json *scaling = local ? nullptr : objectMember(json, "rope_scaling");
  if (scaling && !nested)
    parameters = scaling;
  if (local && !nested)
    parameters = nullptr;
  RopeReader reader(parameters, config, model, report);
  llvm::StringRef key = local ? family.localThetaKey : family.thetaKey;
  double fallback = config.number({key, local ? family.localTheta : family.ropeTheta});
  RopeTable table;
  table.dim = reader.dim();
  table.theta = reader.theta(fallback);
  table.scaling = reader.scaling(context);
  return table;
}
