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

absl::Status tools::checkSource(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return invalidArgument(path + ": no such file or directory");
  if (isLibrary(path))
    return invalidArgument(path + ": is compiled already; want a Hugging Face directory, a .gguf or a .mlir");
  return absl::OkStatus();
}

absl::Status tools::compileSource(const std::string &source, CompileOptions options) {
  LLMC_ASSIGN(service, toStatus(loadService()));
  Progress progress;
  options.progress = [&](const std::string &what, double fraction) { progress.update(what, fraction); };
  options.note = [&](const std::string &what) { progress.note(what); };
  return toStatus(service->compile(source, options));
}

CompileOptions tools::compileOptions(const ModelOptions &options, const std::string &output) {
  CompileOptions result;
  result.output = output;
  result.targets = options.targets;
  result.exact = options.exact;
  result.quantize = options.quantize;
  result.quantizeKeep = options.quantizeKeep;
  result.cacheType = options.cacheType;
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
  if (!options.cacheType.empty())
    key += "caches " + options.cacheType + "\n";
  for (const std::string &pattern : options.quantizeKeep)
    key += "keep " + pattern + "\n";
  for (const std::string &text : options.calibrate)
    key += "calibrate " + fileKey(text);
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

// The entry of `key`, made if there is none.
static absl::StatusOr<std::shared_ptr<JitCache::Entry>> findOrMake(const ModelOptions &options, const std::string &key,
                                                                   const std::function<absl::Status(const std::string &directory)> &maker) {
  LLMC_ASSIGN(settings, toStatus(JitCache::settingsFromEnvironment()));
  LLMC_ASSIGN(cache, toStatus(JitCache::open(settings)));
  absl::Status made; // keeps the kind of an error, which an Expected<Entry> would lose
  auto make = [&](const std::string &directory) -> Expected<void> {
    made = maker(directory);
    if (!made.ok())
      return internalError(std::string(made.message()));
    return {};
  };
  auto waiting = [&] { fprintf(stderr, "%s: another process compiles it; waiting\n", options.model.c_str()); };
  Expected<JitCache::Entry> entry = cache.findOrMake(key, make, waiting);
  LLMC_RETURN_IF_ERROR(made);
  if (!entry)
    return toStatus(entry.error());
  return std::make_shared<JitCache::Entry>(std::move(*entry));
}

static bool isKept(const std::string &key) {
  Expected<JitCache::Settings> settings = JitCache::settingsFromEnvironment();
  Expected<JitCache> cache = settings ? JitCache::open(*settings) : std::unexpected(settings.error());
  return cache && cache->find(key);
}

// ---- Calibration ----------------------------------------------------------------------------------------------------

// All that moments depend on: the source, the texts, and the passes before the phase `quantize`.
static Expected<std::string> calibrationKey(const ModelOptions &options) {
  LLMC_TRY(source, sourceKey(options.model));
  std::string key = "llmc calibration 1\n" + source + compilerKey(libraryDirectory()) + "pipeline " + options.pipeline + "\noutside " +
                    (options.allowOutside ? "yes" : "no") + "\n";
  for (const std::string &pass : options.disabledPasses)
    key += "without " + pass + "\n";
  for (const std::string &plugin : options.familyPlugins)
    key += "family " + fileKey(plugin);
  for (const std::string &plugin : options.passPlugins)
    key += "plug-in " + fileKey(plugin);
  for (const std::string &text : options.calibrate)
    key += "text " + fileKey(text);
  return key;
}

static absl::Status measure(const ModelOptions &options, const std::string &output) {
  LLMC_ASSIGN(service, toStatus(loadService()));
  Progress progress;
  CompileOptions compile = compileOptions(options, "");
  compile.progress = [&](const std::string &what, double fraction) { progress.update(what, fraction); };
  return toStatus(service->calibrate(options.model, options.calibrate, compile, output));
}

static constexpr const char *momentsFile = "/moments.safetensors";

absl::StatusOr<Calibration> tools::calibrated(const ModelOptions &options) {
  if (options.calibrate.empty())
    return Calibration{};
  LLMC_ASSIGN(key, toStatus(calibrationKey(options)));
  LLMC_ASSIGN(kept, findOrMake(options, key, [&](const std::string &directory) { return measure(options, directory + momentsFile); }));
  return Calibration{kept->directory + momentsFile, kept};
}

static absl::StatusOr<std::unique_ptr<Model>> openUncached(const ModelOptions &options) {
  LLMC_ASSIGN(made, toStatus(ScratchDirectory::make()));
  auto scratch = std::make_shared<ScratchDirectory>(std::move(made));
  CompileOptions compile = compileOptions(options, scratch->directory() + "/model.so");
  if (!options.calibrate.empty()) {
    compile.calibration = scratch->directory() + momentsFile;
    LLMC_RETURN_IF_ERROR(measure(options, compile.calibration));
  }
  LLMC_RETURN_IF_ERROR(compileSource(options.model, compile));
  return Model::open(compile.output, scratch, options.hugePages, options.device);
}

static absl::StatusOr<std::unique_ptr<Model>> openCached(const ModelOptions &options) {
  LLMC_ASSIGN(key, toStatus(cacheKey(options)));
  Calibration calibration;
  if (!options.calibrate.empty() && !isKept(key)) { // one entry is begun at a time
    LLMC_ASSIGN(measured, calibrated(options));
    calibration = measured;
  }
  LLMC_ASSIGN(kept, findOrMake(options, key, [&](const std::string &directory) -> absl::Status {
    if (!options.calibrate.empty() && calibration.path.empty()) { // the entry went between two looks
      LLMC_ASSIGN(measured, calibrated(options));
      calibration = measured;
    }
    CompileOptions compile = compileOptions(options, directory + "/model.so");
    compile.calibration = calibration.path;
    return compileSource(options.model, compile);
  }));
  return Model::open(kept->directory + "/model.so", kept, options.hugePages, options.device);
}

static absl::StatusOr<std::unique_ptr<Model>> openLibrary(const ModelOptions &options) {
  const char *given = !options.targets.empty()       ? "--target"
                      : !options.passPlugins.empty() ? "--pass-plugin"
                      : !options.familyPlugins.empty() ? "--family-plugin"
                      : !options.pipeline.empty()    ? "--pipeline"
                      : !options.disabledPasses.empty() ? "--disable-pass"
                      : !options.quantize.empty()    ? "--quantize"
                      : !options.cacheType.empty()   ? "--cache-type"
                      : options.kernels != "mlir"    ? "--kernels"
                                                     : nullptr;
  if (given)
    return invalidArgument(std::string(given) + ": " + options.model + " is compiled already; give it to llmc compile");
  LLMC_ASSIGN(model, Model::open(options.model, nullptr, options.hugePages, options.device));
  if (options.exact && !model->isExact())
    return invalidArgument("--exact: " + options.model + " was compiled without it; compile it anew: llmc compile SRC --exact -o " +
                           options.model);
  return std::move(model);
}

absl::StatusOr<std::unique_ptr<Model>> tools::openModel(const ModelOptions &options) {
  LLMC_RETURN_IF_ERROR(checkTargets(options.targets));
  LLMC_RETURN_IF_ERROR(checkQuantize(options));
  LLMC_RETURN_IF_ERROR(checkCacheType(options));
  struct stat info;
  if (stat(options.model.c_str(), &info) != 0)
    return invalidArgument(options.model + ": no such file or directory");
  if (isLibrary(options.model))
    return openLibrary(options);
  return options.noCache ? openUncached(options) : openCached(options);
}
