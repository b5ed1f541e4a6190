#include "compiler/tools/llmc/Options.h"

#include "llmc/llmc.h"
#include "runtime/support/Files.h"
#include "runtime/support/Json.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sys/stat.h>

using namespace llmc;
using namespace llmc::tools;

void tools::addFamilyPlugins(CLI::App &verb, std::vector<std::string> &plugins) {
  verb.add_option("--family-plugin", plugins, "A shared library that knows further model families")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group("Compiling");
}

void tools::addQuantizeOptions(CLI::App &verb, ModelOptions &options) {
  const char *group = "Compiling";
  verb.add_option("--calibrate", options.calibrate, "With --quantize: texts, a,b, that the source reads first, so that weights are rounded for what it computes; "
                                                    "a few thousand tokens of the kind that it will see")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  verb.add_option("--quantize-keep", options.quantizeKeep, "With --quantize: tensors, named as in the source, that stay as they are; patterns such as *ffn_down*, a,b")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
}

absl::Status tools::checkQuantize(const ModelOptions &options) {
  const char *given = !options.calibrate.empty() ? "--calibrate" : !options.quantizeKeep.empty() ? "--quantize-keep" : nullptr;
  if (given && options.quantize.empty())
    return invalidArgument(std::string(given) + ": belongs to --quantize SCHEME");
  for (const std::string &path : options.calibrate) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      return invalidArgument("--calibrate: " + path + ": no such file");
  }
  return absl::OkStatus();
}

absl::Status tools::checkCacheType(const ModelOptions &options) {
  if (options.exact && !options.cacheType.empty() && options.cacheType != "f32")
    return invalidArgument("--cache-type " + options.cacheType + ": --exact keeps caches in f32; leave one of the two out");
  return absl::OkStatus();
}

void tools::addCompilerOptions(CLI::App &verb, ModelOptions &options) {
  const char *group = "Compiling";
  verb.add_flag("--exact", options.exact, "float32 throughout, the same for every step size")->group(group);
  verb.add_option("--quantize", options.quantize, "Round float weights: q8, q6, q5, q4 (symmetric) or q4a (asymmetric)")
      ->check(CLI::IsMember({"q8", "q6", "q5", "q4", "q4a"}))
      ->group(group);
  addQuantizeOptions(verb, options);
  verb.add_option("--cache-type", options.cacheType, "Attention caches: f32, f16 or q8_0 (half the memory of f16); default: f16, or f32 with --exact and for float32 weights. "
                                                     "Caches of latent attention (DeepSeek) are f16 at least")
      ->check(CLI::IsMember({"f32", "f16", "q8_0"}))
      ->group(group);
  verb.add_option("--kernels", options.kernels, "Where kernels come from: mlir, halide where it has them, auto: halide where it was measured to be faster")
      ->check(CLI::IsMember({"mlir", "halide", "auto"}))
      ->group(group);
  verb.add_option("--target", options.targets, "cpu (this machine), cpu:x86-64-v4-amx, cpu:x86-64-v4-bf16, cpu:x86-64-v4, cpu:x86-64-v3, cpu:generic; cuda:sm_80, sm_86, sm_89, sm_90, sm_100, code for NVIDIA GPUs beside it; several: a,b")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  verb.add_option("--pass-plugin", options.passPlugins, "A shared library of passes, for --pipeline to name")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  addFamilyPlugins(verb, options.familyPlugins);
  verb.add_option("--pipeline", options.pipeline, "Passes to run before the schedule phase, instead of the default")->group(group);
  verb.add_option("--disable-pass", options.disabledPasses, "Passes to leave out, a,b; any other name lists those that can be")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  verb.add_flag("--allow-outside", options.allowOutside, "A .mlir may name files outside of its directory")->group(group);
}

void tools::addModelOptions(CLI::App &verb, ModelOptions &options) {
  verb.add_option("MODEL", options.model, "A compiled .so, or a source (Hugging Face directory, .gguf, .mlir), compiled just in time")
      ->required();
  addCompilerOptions(verb, options);
  verb.add_option("--huge-pages", options.hugePages, "Weights in huge pages once the first step is done: auto (where it pays and memory is plenty), on, off")
      ->transform(CLI::CheckedTransformer(std::map<std::string, int32_t>{
          {"auto", LLMC_HUGE_PAGES_AUTO}, {"on", LLMC_HUGE_PAGES_ON}, {"off", LLMC_HUGE_PAGES_OFF}}).description(""))
      ->type_name("auto|on|off");
  verb.add_option("--device", options.device, "Where it runs: auto (a GPU if MODEL has code for one that is there), cpu, cuda, cuda:N; cuda/graph or "
                                              "cuda/persistent choose how a step is launched");
  verb.add_flag("--no-cache", options.noCache, "Compile anew, and keep nothing")->group("Compiling");
}

absl::Status tools::checkTargets(const std::vector<std::string> &targets) {
  for (const std::string &target : targets) {
    bool isKnownKind = target == "cpu" || target.starts_with("cpu:") || target == "cuda" || target.starts_with("cuda:");
    if (!isKnownKind)
      return invalidArgument("--target: want cpu, cpu:LEVEL, cuda or cuda:sm_80, got '" + target + "'");
  }
  return absl::OkStatus();
}

void tools::addContextOptions(CLI::App &verb, ContextOptions &options) {
  verb.add_option("-t,--threads", options.threads, "Worker threads; default: the CPUs of this process")->check(CLI::Range(1, 4096));
  verb.add_option("-c,--ctx-size", options.context, "Positions of the context; default: what the model was trained for")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 31));
}

void tools::addTokenOptions(CLI::App &verb, TokenOptions &options) {
  auto *list = verb.add_option("--tokens", options.list, "Token ids: 1,2,3")
                   ->delimiter(',')
                   ->expected(1)
                   ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb.add_option("--tokens-file", options.file, "A file with a JSON list of token ids ('-': standard input)")->excludes(list);
}

static absl::StatusOr<std::vector<int32_t>> narrow(const std::vector<int64_t> &ids, std::string_view what) {
  std::vector<int32_t> tokens;
  for (int64_t id : ids) {
    if (id < 0 || id > INT32_MAX)
      return invalidArgument(std::string(what) + ": " + std::to_string(id) + " is no token id");
    tokens.push_back(int32_t(id));
  }
  if (tokens.empty())
    return invalidArgument(std::string(what) + ": want at least one token id");
  return tokens;
}

absl::StatusOr<std::vector<int32_t>> tools::readTokens(const TokenOptions &options) {
  if (options.file.empty())
    return narrow(options.list, "--tokens");
  LLMC_ASSIGN(text, readInput(options.file));
  LLMC_ASSIGN(json, toStatus(parseJson(text, options.file)));
  if (!json.is_array())
    return invalidArgument(options.file + ": want a JSON list of token ids");
  std::vector<int64_t> ids;
  for (const Json &element : json) {
    std::optional<int64_t> id = jsonInt(element);
    if (!id)
      return invalidArgument(options.file + ": entry " + std::to_string(ids.size()) + " is no token id");
    ids.push_back(*id);
  }
  return narrow(ids, options.file);
}

absl::StatusOr<std::vector<int32_t>> tools::parseTokens(std::string_view text, std::string_view what) {
  auto separates = [](char c) { return c == ',' || c == '[' || c == ']' || std::isspace(static_cast<unsigned char>(c)); };
  std::vector<int64_t> ids;
  for (size_t at = 0; at < text.size();) {
    if (separates(text[at])) {
      ++at;
      continue;
    }
    int64_t id = 0;
    auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), id);
    size_t next = size_t(end - text.data());
    if (error != std::errc() || (next < text.size() && !separates(text[next])))
      return invalidArgument(std::string(what) + ": want token ids such as 1,2,3, got " + quoteText(text.substr(at)));
    ids.push_back(id);
    at = next;
  }
  return narrow(ids, what);
}

Unsupported::Unsupported(CLI::App &verb, std::initializer_list<Option> list) {
  for (const Option &option : list) {
    CLI::Option *declared = option.isFlag ? verb.add_flag(option.name) : verb.add_option(option.name)->expected(0, 1);
    options.emplace_back(declared->group(""), std::string(option.name) + ": " + option.what);
  }
}

absl::Status Unsupported::check() const {
  for (const auto &[option, what] : options)
    if (option->count() > 0)
      return notSupported(what + " not supported yet");
  return absl::OkStatus();
}

std::string tools::readableText(std::string_view text) {
  constexpr size_t longest = 120;
  bool plain = text.size() <= longest && isUtf8(text) &&
               std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return plain ? std::string(text) : quoteText(text, longest);
}

std::string tools::bytesText(int64_t bytes) {
  const char *units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = double(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit)
    value /= 1000;
  char text[32];
  snprintf(text, sizeof text, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return text;
}

absl::StatusOr<std::string> tools::readInput(const std::string &path) {
  constexpr size_t maxInputBytes = size_t(1) << 30;
  return toStatus(readTextFile(path == "-" ? "/dev/stdin" : path, maxInputBytes));
}

std::string tools::joinIds(const std::vector<int32_t> &ids, const char *separator) {
  std::string text;
  for (int32_t id : ids)
    text += (text.empty() ? "" : separator) + std::to_string(id);
  return text;
}
