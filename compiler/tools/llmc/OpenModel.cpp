#include "compiler/tools/llmc/OpenModel.h"

#include "compiler/driver/JitCache.h"
#include "compiler/driver/SourceKey.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Service.h"

#include <cstdio>
#include <sys/stat.h>

using namespace llmc;
using namespace llmc::tools;

bool tools::isLibrary(const std::string &path) {
  if (path.ends_with(".so"))
    return true;
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
    return false;
  FILE *file = fopen(path.c_str(), "rbe");
  char magic[4] = {};
  bool isElf = file && fread(magic, 1, sizeof magic, file) == sizeof magic && std::string_view(magic, 4) == "\x7f" "ELF";
  if (file)
    fclose(file);
  return isElf;
}

absl::Status tools::compileSource(const std::string &source, CompileOptions options) {
  LLMC_ASSIGN(service, toStatus(loadService()));
  Progress progress;
  options.progress = [&](const std::string &what, double fraction) { progress.update(what, fraction); };
  return toStatus(service->compile(source, options));
}

static CompileOptions compileOptions(const ModelOptions &options, const std::string &directory) {
  CompileOptions result;
  result.output = directory + "/model.so";
  result.targets = options.targets;
  result.exact = options.exact;
  result.quantize = options.quantize;
  result.allowOutside = options.allowOutside;
  result.kernels = options.kernels;
  result.profile = options.profile;
  result.pipeline = options.pipeline;
  result.disabledPasses = options.disabledPasses;
  result.passPlugins = options.passPlugins;
  result.familyPlugins = options.familyPlugins;
  return result;
}

// Everything that the compiled code depends on.
static Expected<std::string> cacheKey(const ModelOptions &options) {
  LLMC_TRY(source, sourceKey(options.model));
  std::string key = "llmc just-in-time 1\n" + source + compilerKey(libraryDirectory()) + machineKey();
  key += std::string("exact ") + (options.exact ? "yes" : "no") + "\nkernels " + options.kernels + "\npipeline " + options.pipeline +
         "\noutside " + (options.allowOutside ? "yes" : "no") + "\n";
  if (!options.quantize.empty())
    key += "quantize " + options.quantize + "\n";
  if (options.profile)
    key += "profile\n";
  for (const std::string &pass : options.disabledPasses)
    key += "without " + pass + "\n";
  for (const std::string &target : options.targets)
    key += "target " + target + "\n";
  for (const std::string &plugin : options.familyPlugins)
    key += "family " + fileKey(plugin);
  for (const std::string &plugin : options.passPlugins)
    key += "plug-in " + fileKey(plugin);
  return key;
}

static absl::StatusOr<std::unique_ptr<Model>> openUncached(const ModelOptions &options) {
  LLMC_ASSIGN(made, toStatus(ScratchDirectory::make()));
  auto scratch = std::make_shared<ScratchDirectory>(std::move(made));
  CompileOptions compile = compileOptions(options, scratch->directory());
  LLMC_RETURN_IF_ERROR(compileSource(options.model, compile));
  return Model::open(compile.output, scratch, options.hugePages);
}

static absl::StatusOr<std::unique_ptr<Model>> openCached(const ModelOptions &options) {
  LLMC_ASSIGN(key, toStatus(cacheKey(options)));
  LLMC_ASSIGN(settings, toStatus(JitCache::settingsFromEnvironment()));
  LLMC_ASSIGN(cache, toStatus(JitCache::open(settings)));
  absl::Status compiled; // keeps the kind of an error, which an Expected<Entry> would lose
  auto make = [&](const std::string &directory) -> Expected<void> {
    compiled = compileSource(options.model, compileOptions(options, directory));
    if (!compiled.ok())
      return internalError(std::string(compiled.message()));
    return {};
  };
  auto waiting = [&] { fprintf(stderr, "%s: another process compiles it; waiting\n", options.model.c_str()); };
  Expected<JitCache::Entry> entry = cache.findOrMake(key, make, waiting);
  LLMC_RETURN_IF_ERROR(compiled);
  if (!entry)
    return toStatus(entry.error());
  auto kept = std::make_shared<JitCache::Entry>(std::move(*entry));
  return Model::open(kept->directory + "/model.so", kept, options.hugePages);
}

static absl::StatusOr<std::unique_ptr<Model>> openLibrary(const ModelOptions &options) {
  const char *given = !options.targets.empty()       ? "--target"
                      : !options.passPlugins.empty() ? "--pass-plugin"
                      : !options.familyPlugins.empty() ? "--family-plugin"
                      : !options.pipeline.empty()    ? "--pipeline"
                      : !options.disabledPasses.empty() ? "--disable-pass"
                      : !options.quantize.empty()    ? "--quantize"
                      : options.kernels != "mlir"    ? "--kernels"
                                                     : nullptr;
  if (given)
    return invalidArgument(std::string(given) + ": " + options.model + " is compiled already; give it to llmc compile");
  LLMC_ASSIGN(model, Model::open(options.model, nullptr, options.hugePages));
  if (options.exact && !model->isExact())
    return invalidArgument("--exact: " + options.model + " was compiled without it; compile it anew: llmc compile SRC --exact -o " +
                           options.model);
  return std::move(model);
}

absl::StatusOr<std::unique_ptr<Model>> tools::openModel(const ModelOptions &options) {
  LLMC_RETURN_IF_ERROR(checkTargets(options.targets));
  struct stat info;
  if (stat(options.model.c_str(), &info) != 0)
    return invalidArgument(options.model + ": no such file or directory");
  if (isLibrary(options.model))
    return openLibrary(options);
  return options.noCache ? openUncached(options) : openCached(options);
}
