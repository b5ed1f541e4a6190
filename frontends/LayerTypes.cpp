// Which layer of a Hugging Face model is of which type: by a list in config.json, or by rule.
#include "frontends/HuggingFace.h"
#include "runtime/support/Text.h"

using namespace llmc;
using namespace llmc::frontends;

//===----------------------------------------------------------------------===//
// Lists
//===----------------------------------------------------------------------===//

static const Json *findList(const Family &family, const Config &config) {
  if (family.layerRule == LayerRule::Uniform || family.layerRule == LayerRule::Windowed)
    return nullptr;
  for (llvm::StringRef key : family.layerList.keys)
    if (const Json *list = config.member(key))
      return list;
  return nullptr;
}

// Names that repeat a number of times: [["global", "local"], 12].
static void addRepeated(std::vector<std::string> &names, const Json &entry) {
  int64_t times = entry.size() == 2 ? jsonInt(entry[1]).value_or(0) : 0;
  if (times < 1 || !entry[0].is_array())
    return names.emplace_back(), void();
  for (int64_t i = 0; i < times && names.size() <= maxLayers; ++i)
    for (const Json &name : entry[0])
      names.emplace_back(jsonString(name).value_or(""));
}

// Names as the file has them; letters of a string are names too.
static std::vector<std::string> namesOf(const Json &list) {
  std::vector<std::string> names;
  if (std::optional<std::string_view> letters = jsonString(list))
    for (char letter : *letters)
      names.emplace_back(1, letter);
  if (list.is_array())
    for (const Json &entry : list)
      if (entry.is_array())
        addRepeated(names, entry);
      else
        names.emplace_back(jsonString(entry).value_or(""));
  return names;
}

std::optional<int64_t> frontends::listedLayers(const Family &family, const Config &config) {
  const Json *list = findList(family, config);
  if (!list || family.layerList.repeats)
    return std::nullopt;
  return namesOf(*list).size();
}

static std::string spelled(const LayerList &list, llvm::StringRef name) {
  for (const LayerList::Spelling &spelling : list.spellings)
    if (spelling.written == name)
      return spelling.type.str();
  return name.str();
}

static std::optional<std::vector<std::string>> listedTypes(const Model &model, const Config &config, Report &report) {
  const LayerList &how = model.family->layerList;
  const Json *list = findList(*model.family, config);
  if (!list)
    return std::nullopt;
  std::vector<std::string> names = namesOf(*list), types;
  bool fits = how.repeats ? !names.empty() : static_cast<int64_t>(names.size()) == model.layers;
  if (!fits) {
    report.invalid("config.json: '" + how.keys.front() + "': want a list of " + llvm::Twine(model.layers) +
                   " names, got " + llvm::Twine(names.size()));
    return types;
  }
  for (int64_t layer = 0; layer < model.layers; ++layer)
    types.push_back(spelled(how, names[layer % names.size()]));
  return types;
}

//===----------------------------------------------------------------------===//
// Rules
//===----------------------------------------------------------------------===//

int64_t frontends::readWindow(const Family &family, const Config &config) {
  if (family.layerRule == LayerRule::MaxWindow && !config.flag("use_sliding_window", false))
    return 0;
  return config.integer(family.window);
}

// A rule by number: every `period`-th layer from `offset`, the last of each period where that is -1.
static bool isPeriodic(int64_t layer, int64_t period, int64_t offset) {
  return period >= 1 && layer % period == (offset < 0 ? period - 1 : offset);
}

// A list of layer numbers; nullopt if absent.
static std::optional<std::vector<int64_t>> readNumbers(const Config &config, llvm::StringRef key, Report &report) {
  const Json *list = config.member(key);
  if (!list)
    return std::nullopt;
  std::vector<int64_t> numbers;
  if (list->is_array())
    for (const Json &entry : *list)
      numbers.push_back(jsonInt(entry).value_or(-1));
  if (!list->is_array() || llvm::is_contained(numbers, -1))
    report.invalid("config.json: '" + key + "': want a list of layer numbers");
  return numbers;
}

static std::vector<std::string> chosenTypes(const Model &model, const Config &config, Report &report) {
  const LayerChoice &choice = model.family->layerChoice;
  int64_t period = config.integer(choice.period), offset = config.integer(choice.offset);
  std::optional<std::vector<int64_t>> numbers = readNumbers(config, choice.numbers, report);
  std::vector<std::string> types;
  for (int64_t layer = 0; layer < model.layers; ++layer) {
    bool chosen = numbers ? llvm::is_contained(*numbers, layer) : choice.orAll || isPeriodic(layer, period, offset);
    types.push_back((chosen ? choice.chosen : choice.other).str());
  }
  return types;
}

static std::vector<std::string> slidingTypes(const Model &model, const Config &config, int64_t window, Report &report) {
  int64_t pattern = config.integer({"sliding_window_pattern", static_cast<double>(model.family->windowPattern)});
  int64_t maxWindow = config.integer({"max_window_layers", 28});
  if (pattern < 1)
    report.invalid("config.json: 'sliding_window_pattern': want at least 1, got " + llvm::Twine(pattern));
  auto slides = [&](int64_t layer) {
    switch (model.family->layerRule) {
    case LayerRule::Uniform:
    case LayerRule::Chosen:
      return false;
    case LayerRule::Windowed:
      return window != 0;
    case LayerRule::Pattern:
      return pattern >= 1 && (layer + 1) % pattern != 0;
    case LayerRule::MaxWindow:
      return window != 0 && layer >= maxWindow;
    }
    llvm_unreachable("every rule is listed");
  };
  std::vector<std::string> types;
  for (int64_t layer = 0; layer < model.layers; ++layer)
    types.emplace_back(slides(layer) ? "sliding_attention" : "full_attention");
  return types;
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

static void markExperts(std::vector<LayerType> &types, const Model &model, const Config &config, Report &report) {
  const ExpertRule &rule = model.family->experts;
  if (config.integer(rule.count) < rule.least)
    return;
  int64_t period = config.integer(rule.period), offset = config.integer(rule.offset), first = config.integer(rule.first);
  std::vector<int64_t> dense = readNumbers(config, rule.dense, report).value_or(std::vector<int64_t>());
  if (period < 1)
    report.invalid("config.json: '" + rule.period.name + "': want at least 1, got " + llvm::Twine(period));
  auto hasKind = [&](llvm::StringRef type) {
    return llvm::any_of(model.family->layers, [&](const LayerSpec &spec) { return spec.experts && spec.type == type; });
  };
  for (auto [layer, type] : llvm::enumerate(types))
    type.experts = hasKind(type.type) && static_cast<int64_t>(layer) >= first && isPeriodic(layer, period, offset) &&
                   !llvm::is_contained(dense, static_cast<int64_t>(layer));
}

//===----------------------------------------------------------------------===//
// Rope
//===----------------------------------------------------------------------===//

static void markStill(std::vector<LayerType> &types, const Model &model, const Config &config, Report &report) {
  const Family &family = *model.family;
  if (family.ropeFlags.empty())
    return;
  std::optional<std::vector<int64_t>> flags = readNumbers(config, family.ropeFlags, report);
  int64_t interval = config.integer(family.ropeInterval);
  if (flags && flags->size() != types.size())
    return report.invalid("config.json: '" + family.ropeFlags + "': want " + llvm::Twine(types.size()) + " numbers, got " +
                          llvm::Twine(flags->size()));
  for (auto [layer, type] : llvm::enumerate(types))
    type.turns = flags ? (*flags)[layer] != 0 : !isPeriodic(static_cast<int64_t>(layer), interval, -1);
}

std::vector<LayerType> frontends::readLayerTypes(const Model &model, const Config &config, int64_t window,
                                                 Report &report) {
  std::optional<std::vector<std::string>> names = listedTypes(model, config, report);
  if (!names && model.family->layerRule == LayerRule::Chosen)
    names = chosenTypes(model, config, report);
  if (!names)
    names = slidingTypes(model, config, window, report);
  std::vector<LayerType> types;
  for (std::string &name : *names)
    types.push_back({std::move(name)});
  if (model.family->typeOf)
    for (auto [layer, type] : llvm::enumerate(types))
      type.type = model.family->typeOf(static_cast<int64_t>(layer), type.type, config).str();
  markExperts(types, model, config, report);
  markStill(types, model, config, report);
  return types;
}
