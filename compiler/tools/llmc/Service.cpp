// llmc-service.so: the compile side of the command line.
#include "compiler/tools/llmc/Service.h"

#include "compiler/Registration.h"
#include "compiler/driver/Bisect.h"
#include "compiler/driver/Calibrate.h"
#include "compiler/driver/ComparePhases.h"
#include "compiler/driver/Compile.h"
#include "compiler/driver/QuantizeFile.h"
#include "compiler/pipeline/Pipeline.h"
#include "compiler/support/ModelFiles.h"
#include "compiler/support/StatusBridge.h"
#include "compiler/tools/llmc/ServiceDescribe.h"
#include "compiler/tools/llmc/ServiceImport.h"
#include "dialects/llm/LLM.h"
#include "frontends/Family.h"
#include "frontends/Import.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace llmc;
using namespace llmc::tools;
using Module = mlir::OwningOpRef<mlir::ModuleOp>;

// `FOLDER/model.mlir` keeps its files in `FOLDER/model.files`.
static llvm::Error writeModule(mlir::ModuleOp module, const ImportRequest &request) {
  if (request.copyFiles && request.output != "-")
    if (llvm::Error error = gatherFiles(module, frontends::moduleDirectory(request.output),
                                        (llvm::sys::path::stem(request.output) + ".files").str()))
      return error;
  return llvm::writeToOutput(request.output, [&](llvm::raw_ostream &os) {
    module.print(os);
    return llvm::Error::success();
  });
}

static Expected<Verification> verifyModule(mlir::ModuleOp module, const std::string &directory, const std::vector<int32_t> &tokens,
                                           double tolerance, const CompileOptions &options) {
  if (module.lookupSymbol("encode"))
    return unsupported("llmc verify of encoder-decoders is not supported yet; llmc bisect compares their passes");
  auto weights = FileWeightSource::open(module, directory, options.allowOutside);
  if (!weights)
    return std::unexpected(importFailure(weights.takeError()));
  auto comparison = comparePhases(module, **weights, tokens, tolerance, options);
  if (!comparison)
    return std::unexpected(importFailure(comparison.takeError()));
  Verification result;
  for (PhaseComparison &phase : comparison->phases)
    result.phases.push_back({phase.phase, phase.compared, phase.worst, phase.worstAt, phase.firstWrong});
  result.vocab = comparison->logits.columns;
  result.logits = std::move(comparison->logits.data);
  return result;
}

static Expected<PassSearch> bisectModule(mlir::ModuleOp module, const std::string &directory, const std::vector<int32_t> &tokens, double tolerance,
                                         const CompileOptions &options) {
  auto weights = FileWeightSource::open(module, directory, options.allowOutside);
  if (!weights)
    return std::unexpected(importFailure(weights.takeError()));
  auto found = llmc::bisect(module, **weights, tokens, tolerance, options);
  if (!found)
    return std::unexpected(importFailure(found.takeError()));
  PassSearch result{.steps = {}, .broken = found->broken.value_or(""), .differs = found->differs};
  for (BisectStep &step : found->steps)
    result.steps.push_back({step.phase, step.pass, step.on, step.difference});
  return result;
}

namespace {

class CompileSide final : public Service {
public:
  CompileSide() { registerAllDialects(registry); }

  Expected<void> import(const ImportRequest &request) override {
    mlir::MLIRContext context(registry);
    if (!isTrusted(request.source))
      return invalidInput(request.source + ": is imported already");
    if (llvm::Error error = frontends::loadFamilies(request.familyPlugins))
      return std::unexpected(importFailure(std::move(error)));
    std::string directory = request.output == "-" ? "." : frontends::moduleDirectory(request.output);
    LLMC_TRY(module, importSource(context, request.source, directory));
    if (llvm::Error error = writeModule(*module, request))
      return std::unexpected(outputFailure(std::move(error), request.output));
    return {};
  }

  Expected<void> compile(const std::string &source, const CompileOptions &options) override {
    return withModule(source, options, [&](mlir::ModuleOp module, const CompileOptions &own) {
      return llmc::compile(module, frontends::moduleDirectory(source), own);
    });
  }

  Expected<void> calibrate(const std::string &source, const std::vector<std::string> &texts, const CompileOptions &options,
                           const std::string &output) override {
    return withModule(source, options, [&](mlir::ModuleOp module, const CompileOptions &own) {
      return llmc::calibrate(module, frontends::moduleDirectory(source), texts, own, output);
    });
  }

  Expected<void> quantizeFile(const std::string &source, const CompileOptions &options, const std::string &output) override {
    return withModule(source, options, [&](mlir::ModuleOp module, const CompileOptions &own) {
      return llmc::quantizeFile(module, frontends::moduleDirectory(source), source, own, output);
    });
  }

  std::string describePipeline(bool exact, const std::string &kernels) override {
    PipelineOptions options;
    options.exact = exact;
    options.kernels = kernels;
    std::string text;
    llvm::raw_string_ostream os(text);
    for (const Phase &phase : phases()) {
      mlir::OpPassManager passes(mlir::ModuleOp::getOperationName());
      phase.build(passes, options);
      os << phase.name << ": " << phase.does << "\n  ";
      passes.printAsTextualPipeline(os);
      os << '\n';
    }
    return text;
  }

  Expected<std::string> describe(const std::string &source) override {
    mlir::MLIRContext context(registry);
    LLMC_TRY(module, importSource(context, source, ""));
    return describeModule(*module);
  }

  Expected<std::string> tokenizerOf(const std::string &source, bool allowOutside) override {
    LLMC_TRY(path, assetOf(source, llm::AssetKind::tokenizer, allowOutside));
    if (path.empty())
      return invalidInput(source + ": names no tokenizer (llm.asset @… tokenizer \"…\")");
    return std::move(path);
  }

  Expected<std::string> chatTemplateOf(const std::string &source, bool allowOutside) override {
    return assetOf(source, llm::AssetKind::chat_template, allowOutside);
  }

  Expected<Verification> verify(const std::string &source, const std::vector<int32_t> &tokens, double tolerance,
                                const CompileOptions &options) override {
    mlir::MLIRContext context(registry);
    LLMC_TRY(module, importSource(context, source, ""));
    CompileOptions own = options;
    own.allowOutside |= isTrusted(source);
    own.sourceIsModule = !isTrusted(source);
    return verifyModule(*module, frontends::moduleDirectory(source), tokens, tolerance, own);
  }

  Expected<PassSearch> bisect(const std::string &source, const std::vector<int32_t> &tokens, double tolerance, const CompileOptions &options) override {
    if (llvm::Error error = frontends::loadFamilies(options.familyPlugins))
      return std::unexpected(importFailure(std::move(error)));
    mlir::MLIRContext context(registry);
    LLMC_TRY(module, importSource(context, source, ""));
    CompileOptions own = options;
    own.allowOutside |= isTrusted(source);
    own.sourceIsModule = !isTrusted(source);
    return bisectModule(*module, frontends::moduleDirectory(source), tokens, tolerance, own);
  }

private:
  // Real path of the file; empty if the module names none of this kind.
  Expected<std::string> assetOf(const std::string &source, llm::AssetKind kind, bool allowOutside) {
    mlir::MLIRContext context(registry);
    LLMC_TRY(module, importSource(context, source, ""));
    for (auto asset : module->getOps<llm::AssetOp>())
      if (asset.getKind() == kind) {
        auto path = resolveAsset(frontends::moduleDirectory(source), asset.getPath(), allowOutside);
        if (!path)
          return std::unexpected(importFailure(path.takeError()));
        return *path;
      }
    return std::string();
  }

  using Work = llvm::function_ref<llvm::Error(mlir::ModuleOp, const CompileOptions &)>;
  Expected<void> withModule(const std::string &source, const CompileOptions &options, Work work) {
    mlir::MLIRContext context(registry);
    if (llvm::Error error = frontends::loadFamilies(options.familyPlugins))
      return std::unexpected(importFailure(std::move(error)));
    LLMC_TRY(module, importSource(context, source, ""));
    CompileOptions own = options;
    own.allowOutside |= isTrusted(source);
    own.sourceIsModule = !isTrusted(source);
    if (llvm::Error error = work(*module, own))
      return std::unexpected(importFailure(std::move(error)));
    return {};
  }

  // What the operating system says of an output file is for the user to mend.
  static Error outputFailure(llvm::Error error, const std::string &path) {
    if (error.isA<CodedError>())
      return fromLlvm(std::move(error));
    return {ErrorCode::InvalidInput, path + ": can't be written: " + llvm::toString(std::move(error))};
  }

  mlir::DialectRegistry registry;
};

} // namespace

extern "C" __attribute__((visibility("default"))) Service *llmc_tools_service() {
  static CompileSide service;
  return &service;
}
