// The road of compile(): passes that no target matters to, then for each target schedule, lower and generate code; pack, describe, link.
#include "compiler/driver/Compile.h"

#include "compiler/Registration.h"
#include "compiler/artifact/Assets.h"
#include "compiler/artifact/Descriptor.h"
#include "compiler/artifact/Embed.h"
#include "compiler/artifact/WeightWriter.h"
#include "compiler/codegen/DeviceCode.h"
#include "compiler/codegen/Link.h"
#include "compiler/codegen/ObjectCode.h"
#include "compiler/halide/LinkKernels.h"
#include "compiler/pipeline/DisablePasses.h"
#include "compiler/pipeline/Pipeline.h"
#include "compiler/support/ModelFiles.h"
#include "compiler/support/ModelMoments.h"
#include "compiler/support/ModelWeights.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/CacheLayout.h"
#include "dialects/llm/StoredFormat.h"
#include "dialects/tile/Tile.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/quantization/Schemes.h"
#include "passes/quantization/Uses.h"
#include "passes/schedule/Passes.h"
#include "passes/support/Statistic.h"
#include "runtime/artifact/Artifact.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/GlobPattern.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <mutex>

using namespace mlir;

namespace llmc {
namespace {

using Directory = llvm::SmallString<256>;

class Telling : public PassInstrumentation {
public:
  explicit Telling(AfterPass afterPass) : afterPass(std::move(afterPass)) {}
  void runAfterPass(Pass *pass, Operation *on) override { afterPass(pass, on); }

private:
  AfterPass afterPass;
};

class Compilation {
public:
  Compilation(ModuleOp module, std::string directory, const CompileOptions &options)
      : module(module), directory(std::move(directory)), options(options) {}

  llvm::Error run() {
    auto parsed = codegen::parseTargets(options.targets);
    if (!parsed)
      return parsed.takeError();
    targets = std::move(*parsed);
    if (llvm::Error error = checkOptions())
      return error;
    if (llvm::Error error = checkStart())
      return error;
    if (llvm::Error error = checkDevice())
      return error;
    if (llvm::Error error = checkQuantize())
      return error;
    if (llvm::Error error = checkCacheType())
      return error;
    registerEverything();
    if (llvm::Error error = loadPlugins())
      return error;
    if (llvm::Error error = checkPassNames())
      return error;
    auto atEnd = llvm::scope_exit([&] {
      if (options.statistics)
        printStatistics(llvm::errs());
    });
    if (llvm::Error error = runCommonPhases())
      return error;
    if (stopsAfter("specialize") || options.emit == Emit::Llm)
      return writeModule(module);
    if (options.emit != Emit::SharedLibrary || !options.compileTo.empty())
      return emitText();
    return writeArtifact();
  }

  llvm::Error runToQuantize() {
    if (llvm::Error error = checkQuantize())
      return error;
    registerEverything();
    if (llvm::Error error = loadPlugins())
      return error;
    nameCalibration();
    return runPhases(module, "simplify", "quantize", nullptr);
  }

  llvm::Error runOne(StringRef phase, AfterPass told) {
    afterPass = std::move(told);
    registerEverything();
    if (llvm::Error error = loadPlugins())
      return error;
    if (llvm::Error error = checkPassNames())
      return error;
    return runPhases(module, phase, phase, nullptr);
  }

private:
  //===--- passes ---===//

  static llvm::Error checkPhase(const std::string &option, const std::string &name) {
    if (name.empty() || findPhase(name))
      return llvm::Error::success();
    std::string known;
    for (const Phase &phase : phases())
      known += (known.empty() ? "" : ", ") + phase.name.str();
    return makeError(ErrorCode::InvalidInput, option + " " + name + ": unknown phase; phases are " + known);
  }

  // Both name phases, or are empty.
  bool stopsBeforeStart() const {
    return !options.compileFrom.empty() && !options.compileTo.empty() && findPhase(options.compileTo) < findPhase(options.compileFrom);
  }

  llvm::Error checkOptions() {
    if (llvm::Error error = checkPhase("--compile-to", options.compileTo))
      return error;
    if (llvm::Error error = checkPhase("--compile-from", options.compileFrom))
      return error;
    if (stopsBeforeStart())
      return makeError(ErrorCode::InvalidInput, "--compile-to " + options.compileTo + ": comes before --compile-from " + options.compileFrom);
    for (size_t i = 0; i < options.stepTokens.size(); ++i)
      if (options.stepTokens[i] < 1 || (i && options.stepTokens[i] <= options.stepTokens[i - 1]))
        return makeError(ErrorCode::InvalidInput, "--step-tokens: want ascending numbers such as 1,512, got " + Twine(options.stepTokens[i]));
    if (writesLibrary() && !options.embedWeights && weightPath() == options.output)
      return makeError(ErrorCode::InvalidInput, "-o " + options.output + ": that is the name of its weight file; want a name such as model.so");
    if (options.kernels != "auto" && options.kernels != "mlir" && options.kernels != "halide")
      return makeError(ErrorCode::InvalidInput, "--kernels " + options.kernels + ": want mlir, halide or auto");
    if (options.kernels == "halide")
      return halide::checkAvailable();
    return llvm::Error::success();
  }

  bool writesLibrary() const { return options.emit == Emit::SharedLibrary && options.compileTo.empty(); }

  // What --emit and --compile-to write code for: a GPU, if there is one among the targets; else the best CPU.
  const codegen::Target &emitted() const {
    auto device = llvm::find_if(targets, [](const codegen::Target &target) { return target.isDevice(); });
    return device == targets.end() ? targets.front() : *device;
  }

  llvm::Error checkDevice() {
    bool isDevice = emitted().isDevice();
    if (options.emit == Emit::Ptx && !isDevice)
      return makeError(ErrorCode::InvalidInput, "--emit ptx: want a GPU beside it, such as --target cuda:sm_90");
    if (isDevice && (options.emit == Emit::Asm || options.emit == Emit::Object))
      return makeError(ErrorCode::InvalidInput, "--emit: code for " + emitted().fullName() + " is written as --emit ptx");
    bool hasDevice = llvm::any_of(targets, [](const codegen::Target &target) { return target.isDevice(); });
    if (hasDevice && module.lookupSymbol<func::FuncOp>("encode"))
      return makeError(ErrorCode::Unsupported, "--target: encoder-decoders are not supported on GPUs yet; compile for cpu");
    return llvm::Error::success();
  }

  // With --compile-from: whether the module has been through the phases before.
  llvm::Error checkStart() {
    auto wrong = [&](const Twine &what) {
      return makeError(ErrorCode::InvalidInput, "--compile-from " + options.compileFrom + ": " + what);
    };
    auto steps = llvm::make_filter_range(module.getOps<func::FuncOp>(), [](func::FuncOp f) { return f->hasAttr("llm.max_tokens"); });
    auto lacks = [&](StringRef attribute) {
      return steps.empty() || llvm::any_of(steps, [&](func::FuncOp f) { return !f->getAttrOfType<IntegerAttr>(attribute); });
    };
    if (!skips("specialize") && !steps.empty())
      return makeError(ErrorCode::InvalidInput, "the module has been through a later phase: start there, such as with --compile-from schedule");
    if (skips("specialize") && lacks("llm.max_tokens"))
      return wrong("the module has no versions of the step; want what --compile-to specialize writes");
    if (!skips("schedule"))
      return llvm::Error::success();
    if (lacks("tile.arena_bytes") || lacks("tile.scratch_bytes"))
      return wrong("the module is not scheduled; want what --compile-to schedule writes");
    auto attr = module->getAttrOfType<tile::TargetAttr>("tile.target");
    if (!attr)
      return wrong("the module names no tile.target");
    if (options.targets.empty()) {
      auto named = codegen::parseTarget((attr.isDevice() ? "cuda:" : "cpu:") + attr.getName().str());
      if (!named)
        return named.takeError();
      targets = {*named};
    }
    // With a GPU's code a CPU's is made too, but for text only the GPU's counts.
    if (attr != targetAttr(emitted()) || (!attr.isDevice() && targets.size() != 1))
      return wrong("the module is scheduled for " + Twine(attr.isDevice() ? "cuda:" : "cpu:") + attr.getName() + " alone, not for " +
                   targets.front().name);
    if (attr.isDevice() && writesLibrary())
      return wrong("a library holds code for CPUs too, which can't be made from what is scheduled for " + emitted().fullName() +
                   "; start at an earlier phase");
    return llvm::Error::success();
  }

  llvm::Error checkQuantize() {
    if (options.quantize.empty())
      return llvm::Error::success();
    auto wrong = [&](const Twine &what) { return makeError(ErrorCode::InvalidInput, "--quantize " + options.quantize + ": " + what); };
    if (!findScheme(options.quantize))
      return wrong("want q8, q6, q5, q4 or q4a");
    if (skips("quantize"))
      return wrong("--compile-from " + options.compileFrom + " starts after that phase");
    auto weights = module.getOps<llm::WeightOp>();
    auto quantised = llvm::make_filter_range(weights, [](llm::WeightOp weight) { return isa<llm::QuantType>(weight.getWeights().getElement()); });
    if (llvm::none_of(weights, isFloatMatrix))
      return wrong(quantised.empty() ? Twine("the source has no matrices")
                                     : "@" + (*quantised.begin()).getSymName() + " is " + llm::stringifyFormat((*quantised.begin()).formatOf(0)) +
                                           " already, as all matrices are; want a source in f32, f16 or bf16");
    if (!quantised.empty() && options.note)
      options.note(("--quantize " + options.quantize + ": @" + (*quantised.begin()).getSymName() + " and " +
                    Twine(std::distance(quantised.begin(), quantised.end()) - 1) + " more are quantised already and stay as they are").str());
    for (const std::string &pattern : options.quantizeKeep)
      if (llvm::Error error = checkKept(pattern))
        return error;
    return llvm::Error::success();
  }

  llvm::Error checkCacheType() {
    const std::string &type = options.cacheType;
    if (type.empty())
      return llvm::Error::success();
    auto wrong = [&](const Twine &what) { return makeError(ErrorCode::InvalidInput, "--cache-type " + type + ": " + what); };
    if (type != "f32" && type != "f16" && type != "q8_0")
      return wrong("want f32, f16 or q8_0");
    if (options.exact && type != "f32")
      return wrong("--exact keeps caches in f32; leave one of the two out");
    if (skips("specialize"))
      return wrong("--compile-from " + options.compileFrom + " starts after the phase that settles caches");
    if (type == "q8_0" && options.note)
      noteOtherCaches();
    return llvm::Error::success();
  }

  void noteOtherCaches() {
    bool any = false;
    for (auto state : module.getOps<llm::StateOp>()) {
      auto cache = dyn_cast<llm::KVCacheType>(state.getType());
      any |= static_cast<bool>(cache);
      if (cache && cache.getValueDim())
        options.note(("--cache-type q8_0: @" + state.getSymName() + " is the cache of latent attention, which is kept in f16").str());
    }
    if (!any)
      options.note("--cache-type q8_0: the model has no attention caches");
  }

  static std::string elementName(Type element) {
    return llm::isQ8Cache(element) ? "q8_0" : element.isF16() ? "f16" : "f32";
  }

  // A pattern must name some tensor, and all layers of a weight or none: they have one format.
  llvm::Error checkKept(const std::string &pattern) {
    auto wrong = [&](ErrorCode code, const Twine &what) { return makeError(code, "--quantize-keep " + pattern + ": " + what); };
    llvm::Expected<llvm::GlobPattern> glob = llvm::GlobPattern::create(pattern);
    if (!glob)
      return wrong(ErrorCode::InvalidInput, llvm::toString(glob.takeError()));
    bool found = false;
    for (auto weight : module.getOps<llm::WeightOp>()) {
      int64_t count = 0, all = weight.getWeights().getLayers() * weight.getExperts();
      for (int64_t i = 0; i < all; ++i)
        count += glob->match(weight.sourceName(i / weight.getExperts(), i % weight.getExperts()));
      if (count != 0 && count != all)
        return wrong(ErrorCode::Unsupported, "names " + Twine(count) + " of " + Twine(all) + " tensors of @" + weight.getSymName() + " (" +
                                                 weight.sourceName(0) + " …), which share a format; keeping some of them is not supported yet");
      found |= count != 0;
    }
    return found ? llvm::Error::success() : wrong(ErrorCode::InvalidInput, "no tensor of the source has such a name; llmc inspect lists them");
  }

  tile::TargetAttr targetAttr(const codegen::Target &target) {
    return tile::TargetAttr::get(module.getContext(), target.name, target.vectorBits, target.dot, target.bf16, target.tiles, target.threads);
  }

  // Whether --compile-from starts after this phase.
  bool skips(StringRef phase) const {
    return !options.compileFrom.empty() && findPhase(phase) < findPhase(options.compileFrom);
  }

  void registerEverything() {
    static std::once_flag once;
    std::call_once(once, [] { registerAllPasses(); });
    DialectRegistry registry;
    registerAllDialects(registry);
    module.getContext()->appendDialectRegistry(registry);
    module.getContext()->loadDialect<tile::TileDialect>();
  }

  llvm::Error loadPlugins() {
    for (const std::string &path : options.passPlugins) {
      llvm::Expected<PassPlugin> plugin = PassPlugin::load(path);
      if (!plugin)
        return makeError(ErrorCode::InvalidInput, path + ": " + llvm::toString(plugin.takeError()));
      plugin->registerPassRegistryCallbacks();
    }
    return llvm::Error::success();
  }

  llvm::Error checkPassNames() {
    if (!options.printAfter.empty() && !PassInfo::lookup(options.printAfter))
      return makeError(ErrorCode::InvalidInput, "--print-ir-after " + options.printAfter + ": no pass has that name; see --print-pipeline");
    return checkDisabled(options.disabledPasses, options.pipeline);
  }

  PipelineOptions pipelineOptions(const codegen::Target *target) const {
    PipelineOptions pipeline;
    pipeline.exact = options.exact;
    pipeline.quantize = options.quantize;
    pipeline.quantizeKeep = options.quantizeKeep;
    pipeline.cacheType = options.cacheType;
    pipeline.stepTokens = options.stepTokens;
    pipeline.fewOfHalves = llvm::any_of(targets, [](const codegen::Target &target) { return target.isDevice(); });
    if (pipeline.fewOfHalves || llvm::any_of(targets, [](const codegen::Target &target) { return target.tiles != tile::Tiles::none; }))
      pipeline.fewTokens = schedule::kFewTokens;
    pipeline.device = target && target->isDevice();
    pipeline.kernels = pipeline.device ? "mlir" : options.kernels; // Halide's are for CPUs
    pipeline.profile = options.profile;
    pipeline.disabled = options.disabledPasses;
    if (target) {
      pipeline.stepPrefix = target->name + "_";
      llvm::replace(pipeline.stepPrefix, '-', '_');
    }
    return pipeline;
  }

  // Runs the phases [first, last] on `on`, or up to --compile-to.
  llvm::Error runPhases(ModuleOp on, StringRef first, StringRef last, const codegen::Target *target) {
    PassManager pm(on.getContext(), ModuleOp::getOperationName());
    configure(pm);
    skipPasses(*on.getContext(), options.disabledPasses);
    bool inside = false;
    for (const Phase &phase : phases()) {
      inside |= phase.name == first;
      bool runs = inside && !skips(phase.name), replaced = !options.pipeline.empty() && phase.name == "fuse";
      if (runs && replaced) {
        std::string said;
        llvm::raw_string_ostream out(said);
        if (failed(parsePassPipeline(modulePasses(options.pipeline), pm, out)))
          return makeError(ErrorCode::InvalidInput, "--pipeline: " + StringRef(said).split('\n').first);
      } else if (runs) {
        phase.build(pm, pipelineOptions(target));
      }
      if (phase.name == last || phase.name == options.compileTo)
        break;
    }
    return pm.empty() ? llvm::Error::success() : runManager(pm, on);
  }

  // mlir-opt's spelling, builtin.module(…), means what stands inside: the parser would look for a module within the module, find none,
  // and silently run nothing.
  static StringRef modulePasses(StringRef pipeline) {
    StringRef inside = pipeline.trim();
    return inside.consume_front("builtin.module(") && inside.consume_back(")") ? inside : pipeline;
  }

  void configure(PassManager &pm) {
    pm.enableVerifier(true);
    if (afterPass)
      pm.addInstrumentation(std::make_unique<Telling>(afterPass));
    if (options.timing)
      pm.enableTiming();
    if (!options.reproducer.empty())
      pm.enableCrashReproducerGeneration(options.reproducer);
    bool one = !options.printAfter.empty();
    if (options.printAfterAll || options.printAfterChange || one) {
      module.getContext()->disableMultithreading();
      auto wanted = [name = options.printAfter, one](Pass *pass, Operation *) { return !one || pass->getArgument() == name; };
      pm.enableIRPrinting([](Pass *, Operation *) { return false; }, wanted, /*printModuleScope=*/true, options.printAfterChange);
    }
  }

  // What the passes complain of becomes the error's one line.
  llvm::Error runManager(PassManager &pm, ModuleOp on) {
    std::string first;
    ScopedDiagnosticHandler handler(on.getContext(), [&](Diagnostic &diagnostic) {
      if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
        return failure();
      if (first.empty())
        first = diagnostic.str();
      return success();
    });
    if (succeeded(pm.run(on)))
      return llvm::Error::success();
    ErrorCode whose = options.sourceIsModule && !first.empty() ? ErrorCode::InvalidInput : ErrorCode::Internal;
    return makeError(whose, "a pass failed: " + (first.empty() ? std::string("no reason given") : first));
  }

  bool stopsAfter(StringRef last) const {
    for (const Phase &phase : phases()) {
      if (phase.name == options.compileTo)
        return true;
      if (phase.name == last)
        return false;
    }
    return false;
  }

  void nameCalibration() {
    if (!options.calibration.empty())
      module->setAttr(llm::kCalibration, StringAttr::get(module.getContext(), options.calibration));
  }

  llvm::Error runCommonPhases() {
    report("running passes", 0);
    nameCalibration();
    bool atFuse = options.emit == Emit::Llm && options.compileTo.empty();
    if (llvm::Error error = runPhases(module, "simplify", atFuse ? "quantize" : "specialize", nullptr))
      return error;
    // Later phases no longer show them.
    if (std::optional<int64_t> limit = embeddingRows(llm::IndexSource::positions))
      noteNumber("llm.position_limit", *limit);
    if (std::optional<int64_t> types = embeddingRows(llm::IndexSource::token_types))
      noteNumber("llm.token_types", *types);
    return llvm::Error::success();
  }

  //===--- code ---===//

  struct TargetCode {
    OwningOpRef<ModuleOp> module;
    artifact::TargetSteps steps;
  };

  llvm::Expected<TargetCode> schedule(const codegen::Target &target) {
    TargetCode code{module.clone(), {target, {}}};
    (*code.module)->setAttr("tile.target", targetAttr(target));
    if (llvm::Error error = runPhases(*code.module, "schedule", "schedule", &target))
      return std::move(error);
    auto number = [](func::FuncOp function, StringRef name) { return function->getAttrOfType<IntegerAttr>(name).getInt(); };
    for (auto function : code.module->getOps<func::FuncOp>())
      if (function->hasAttr("llm.max_tokens")) {
        noteSites(target, function);
        auto bestRows = function->getAttrOfType<IntegerAttr>("tile.best_rows");
        auto &versions = function->hasAttr(llm::kEncoderAttr) ? code.steps.encoders : code.steps.steps;
        versions.push_back({pipelineOptions(&target).stepPrefix + function.getName().str(), number(function, "llm.max_tokens"),
                                    number(function, "tile.arena_bytes"), number(function, "tile.scratch_bytes"), bestRows ? bestRows.getInt() : 0});
      }
    return code;
  }

  // What --tile-profile wrote on a step, for the metadata: lists of dictionaries of strings and integers.
  void noteSites(const codegen::Target &target, func::FuncOp step) {
    auto toJson = [&](StringRef name) {
      llvm::json::Array list;
      if (auto attr = step->getAttrOfType<ArrayAttr>(name))
        for (auto described : attr.getAsRange<DictionaryAttr>()) {
          llvm::json::Object object;
          for (NamedAttribute member : described)
            if (auto text = dyn_cast<StringAttr>(member.getValue()))
              object[member.getName().strref()] = text.getValue();
            else
              object[member.getName().strref()] = cast<IntegerAttr>(member.getValue()).getInt();
          list.push_back(std::move(object));
        }
      return list;
    };
    if (!step->hasAttr("tile.sites"))
      return;
    if (!profiled[target.name].getAsArray())
      profiled[target.name] = llvm::json::Array();
    profiled[target.name].getAsArray()->push_back(llvm::json::Object{
        {"max_tokens", step->getAttrOfType<IntegerAttr>("llm.max_tokens").getInt()}, {"sites", toJson("tile.sites")}, {"counters", toJson("tile.counters")}});
  }

  llvm::Expected<std::unique_ptr<llvm::Module>> lower(TargetCode &code, llvm::LLVMContext &context) {
    if (code.steps.target.isDevice())
      takeLaunches(code);
    if (llvm::Error error = runPhases(*code.module, "lower", "lower", &code.steps.target))
      return std::move(error);
    noteHalideKernels(code);
    for (Operation &op : llvm::make_early_inc_range(*code.module->getBody()))
      if (isa<llm::LLMDialect>(op.getDialect())) // declarations: code no longer needs them
        op.erase();
    report("generating code for " + code.steps.target.name, 0.5);
    return codegen::translate(*code.module, context, code.steps.target, options.optimize);
  }

  // The functions by which the host launches phases, in a module of their own, under the names that the descriptor knows.
  OwningOpRef<ModuleOp> takeLaunches(TargetCode &code) {
    OwningOpRef<ModuleOp> host = ModuleOp::create(code.module->getLoc());
    (*host)->setAttr("tile.target", targetAttr(codegen::knownTargets().back()));
    for (auto function : llvm::make_early_inc_range(code.module->getOps<func::FuncOp>()))
      if (function->hasAttr("tile.host")) {
        function.setName(pipelineOptions(&code.steps.target).stepPrefix + function.getName().str());
        function->moveBefore(host->getBody(), host->getBody()->end());
      }
    return host;
  }

  // For the metadata: which kernels Halide makes.
  void noteHalideKernels(TargetCode &code) {
    llvm::json::Array list;
    for (std::string &kernel : halide::declaredKernels(*code.module))
      list.push_back(std::move(kernel));
    if (!list.empty())
      byHalide[code.steps.target.name] = std::move(list);
  }

  // --emit tiles, llvm, asm, obj, ptx and --compile-to schedule, lower.
  llvm::Error emitText() {
    const codegen::Target &target = emitted();
    auto code = schedule(target);
    if (!code)
      return code.takeError();
    if (options.emit == Emit::Tiles || stopsAfter("schedule"))
      return writeModule(*code->module);
    if (options.compileTo == "lower") {
      takeLaunches(*code);
      if (llvm::Error error = runPhases(*code->module, "lower", "lower", &target))
        return error;
      return writeModule(*code->module);
    }
    llvm::LLVMContext context;
    auto lowered = lower(*code, context);
    if (!lowered)
      return lowered.takeError();
    std::string text;
    if (options.emit == Emit::Llvm) {
      llvm::raw_string_ostream out(text);
      (*lowered)->print(out, nullptr);
      return writeText(text);
    }
    auto kind = options.emit == Emit::Object ? codegen::CodeKind::Object : codegen::CodeKind::Assembly;
    auto machineCode = codegen::emitCode(**lowered, target, kind);
    return machineCode ? writeText(*machineCode) : machineCode.takeError();
  }

  // The files that it names, as seen from where it is written.
  void moveAssets(ModuleOp what) {
    StringRef to = options.output == "-" || options.output.empty() ? StringRef(directory) : llvm::sys::path::parent_path(options.output);
    for (auto asset : what.getOps<llm::AssetOp>())
      asset.setPath(movedPath(asset.getPath(), directory, to));
  }

  llvm::Error writeModule(ModuleOp what) {
    moveAssets(what);
    std::string text;
    llvm::raw_string_ostream out(text);
    what.print(out);
    out << '\n';
    return writeText(text);
  }

  llvm::Error writeText(StringRef text) {
    std::error_code problem;
    llvm::raw_fd_ostream out(options.output.empty() ? "-" : options.output, problem);
    if (!problem) {
      out << text;
      out.flush();
      problem = out.error();
      out.clear_error(); // else its destructor ends the process
    }
    if (problem)
      return makeError(ErrorCode::InvalidInput, options.output + ": can't be written: " + problem.message());
    return llvm::Error::success();
  }

  //===--- the artifact ---===//

  llvm::Error writeArtifact() {
    Directory work;
    if (std::error_code problem = llvm::sys::fs::createUniqueDirectory("llmc", work))
      return makeError(ErrorCode::InvalidInput, "no temporary directory: " + problem.message());
    auto cleanUp = llvm::scope_exit([&] { llvm::sys::fs::remove_directories(work); });

    auto description = describeModule();
    if (!description)
      return description.takeError();
    std::vector<std::string> objects;
    for (const codegen::Target &target : targets)
      if (llvm::Error error = target.isDevice() ? compileDevice(target, work, *description, objects) : compileTarget(target, work, *description, objects))
        return error;
    description->metadata = metadata(*description);
    std::string weightFile = weightPath() + ".part";
    auto dropPart = llvm::scope_exit([&] { llvm::sys::fs::remove(weightFile); });
    if (llvm::Error error = packWeights(weightFile, *description))
      return error;
    if (llvm::Error error = compileDescriptor(*description, work, objects))
      return error;
    report("linking", 0.95);
    std::string library = options.output + ".part";
    auto dropLibrary = llvm::scope_exit([&] { llvm::sys::fs::remove(library); });
    if (llvm::Error error = codegen::linkModel(objects, library, llvm::sys::path::filename(options.output)))
      return error;
    if (options.embedWeights)
      if (llvm::Error error = artifact::embedWeights(library, weightFile))
        return error;
    return publish(weightFile, library);
  }

  // Both files appear whole: first the weights, then the library that names them.
  llvm::Error publish(const std::string &weightFile, const std::string &library) {
    std::error_code problem;
    if (!options.embedWeights)
      problem = llvm::sys::fs::rename(weightFile, weightPath());
    if (!problem)
      problem = llvm::sys::fs::rename(library, options.output);
    if (problem)
      return makeError(ErrorCode::InvalidInput, options.output + ": can't be written: " + problem.message());
    return llvm::Error::success();
  }

  std::string weightPath() const {
    llvm::SmallString<256> path(options.output);
    llvm::sys::path::replace_extension(path, ".weights");
    return path.str().str();
  }

  llvm::Expected<artifact::Description> describeModule() {
    artifact::Description description;
    auto number = [&](StringRef name) -> int64_t {
      auto attr = module->getAttrOfType<IntegerAttr>(name);
      return attr ? attr.getInt() : 0;
    };
    description.vocab = number("llm.vocab"), description.hidden = number("llm.hidden"), description.context = number("llm.context");
    if (description.vocab < 1 || description.hidden < 1)
      return makeError(ErrorCode::InvalidInput, "the module lacks llm.vocab or llm.hidden; was it written by `llmc import`?");
    description.traits = (module->hasAttr("llm.looks_ahead") ? LLMC_TRAIT_LOOKS_AHEAD : 0) | (module->hasAttr("llm.no_logits") ? LLMC_TRAIT_NO_LOGITS : 0);
    for (auto state : module.getOps<llm::StateOp>()) {
      auto type = cast<llm::StateTypeInterface>(state.getType());
      description.states.push_back({state.getSymName().str(), type.getStateLayers(), type.getPositionBytes(), type.getFixedBytes()});
    }
    auto assets = artifact::readAssets(module, directory, options.allowOutside);
    if (!assets)
      return assets.takeError();
    description.assets = std::move(*assets);
    if (!options.embedWeights)
      description.weightFile = llvm::sys::path::filename(weightPath()).str();
    return description;
  }

  std::string metadata(const artifact::Description &description) {
    llvm::json::Object json{{"vocab", description.vocab}, {"hidden", description.hidden}, {"context", description.context},
                            {"mode", module->hasAttr("llm.exact") ? "exact" : "default"}, {"kernels", options.kernels}};
    if (!options.quantize.empty())
      json["quantize"] = options.quantize;
    if (!options.calibration.empty())
      json["calibrated"] = true;
    llvm::json::Object caches; // elements by state
    for (auto state : module.getOps<llm::StateOp>())
      if (auto cache = dyn_cast<llm::KVCacheType>(state.getType()))
        caches[state.getSymName()] = elementName(cache.getElement());
    if (!caches.empty())
      json["caches"] = std::move(caches);
    if (auto accuracy = llvm::json::parse(options.accuracy))
      json["accuracy"] = std::move(*accuracy);
    else
      llvm::consumeError(accuracy.takeError());
    if (auto family = module->getAttrOfType<StringAttr>("llm.family"))
      json["family"] = family.getValue();
    if (auto layers = module->getAttrOfType<IntegerAttr>("llm.layers"))
      json["layers"] = layers.getInt();
    llvm::json::Array names;
    for (const codegen::Target &target : targets)
      names.push_back(target.fullName());
    json["targets"] = std::move(names);
    llvm::json::Object formats; // matrices by format
    for (auto weight : module.getOps<llm::WeightOp>())
      for (int64_t i = 0; weight.getWeights().getShape().size() >= 2 && i < weight.getWeights().getLayers(); ++i) {
        llvm::json::Value &count = formats[llm::stringifyFormat(weight.formatOf(i))];
        count = count.getAsInteger().value_or(0) + 1;
      }
    json["formats"] = std::move(formats);
    if (auto pooling = module->getAttrOfType<StringAttr>("llm.pooling")) {
      llvm::json::Object embedding{{"pooling", pooling.getValue()}, {"normalize", module->hasAttr("llm.normalize")}};
      if (auto most = module->getAttrOfType<IntegerAttr>("llm.max_text"))
        embedding["max_tokens"] = most.getInt();
      json["embedding"] = std::move(embedding);
    }
    if (module->hasAttr("llm.pads_move_positions"))
      json["pads_move_positions"] = true;
    for (StringRef name : {"position_limit", "token_types", "decoder_start"})
      if (auto known = module->getAttrOfType<IntegerAttr>(("llm." + name).str()))
        json[name] = known.getInt();
    if (!byHalide.empty())
      json["halide"] = llvm::json::Object(byHalide);
    if (!profiled.empty())
      json["profile"] = llvm::json::Object(profiled);
    return llvm::formatv("{0}", llvm::json::Value(std::move(json))).str();
  }

  // Rows of the tables that are looked up by positions, or by token types, the fewest of them.
  std::optional<int64_t> embeddingRows(llm::IndexSource source) {
    std::optional<int64_t> fewest;
    module.walk([&](llm::EmbeddingOp op) {
      if (op.getIndex() != source)
        return;
      int64_t rows = cast<RankedTensorType>(op.getTable().getType()).getShape()[0] - op.getOffset();
      fewest = std::min(fewest.value_or(rows), rows);
    });
    return fewest;
  }

  void noteNumber(StringRef name, int64_t value) { module->setAttr(name, IntegerAttr::get(IntegerType::get(module.getContext(), 64), value)); }

  llvm::Error compileTarget(const codegen::Target &target, const Directory &work, artifact::Description &description,
                            std::vector<std::string> &objects) {
    auto code = schedule(target);
    if (!code)
      return code.takeError();
    llvm::LLVMContext context;
    auto lowered = lower(*code, context);
    if (!lowered)
      return lowered.takeError();
    description.targets.push_back(code->steps);
    return writeObject(**lowered, target, (work + "/" + target.name + ".o").str(), objects);
  }

  llvm::Error compileDevice(const codegen::Target &target, const Directory &work, artifact::Description &description,
                            std::vector<std::string> &objects) {
    auto code = schedule(target);
    if (!code)
      return code.takeError();
    artifact::GpuCode gpu{target, "", "", 0, code->steps.steps, {}};
    for (const artifact::StepVersion &step : gpu.steps)
      gpu.phases.push_back(phaseCount(*code->module, step));
    if (llvm::Error error = compileLaunches(*code, work, objects))
      return error;
    llvm::LLVMContext context;
    auto lowered = lower(*code, context);
    if (!lowered)
      return lowered.takeError();
    gpu.sharedBytes = (*code->module)->getAttrOfType<IntegerAttr>(kernels::kSharedBytesAttr).getInt();
    auto ptx = codegen::emitCode(**lowered, target, codegen::CodeKind::Assembly);
    if (!ptx)
      return ptx.takeError();
    gpu.ptx = std::move(*ptx);
    assembleDevice(gpu, work);
    description.gpus.push_back(std::move(gpu));
    return llvm::Error::success();
  }

  // Those of `step`, whose symbol has the target's prefix already.
  static int64_t phaseCount(ModuleOp module, const artifact::StepVersion &step) {
    return llvm::count_if(module.getOps<func::FuncOp>(), [&](func::FuncOp function) {
      StringRef name = function.getName();
      return function->hasAttr("tile.phase") && StringRef(step.symbol).ends_with(("_" + name.take_front(name.find("_phase_"))).str());
    });
  }

  llvm::Error compileLaunches(TargetCode &code, const Directory &work, std::vector<std::string> &objects) {
    const codegen::Target &plain = codegen::knownTargets().back();
    TargetCode launches{takeLaunches(code), {plain, {}}};
    llvm::LLVMContext context;
    auto lowered = lower(launches, context);
    return lowered ? writeObject(**lowered, plain, (work + "/" + code.steps.target.name + "_launches.o").str(), objects) : lowered.takeError();
  }

  // Without ptxas, or with one that is too old, the driver compiles the PTX when the model is opened.
  void assembleDevice(artifact::GpuCode &gpu, const Directory &work) {
    std::optional<std::string> ptxas = codegen::findPtxas();
    if (!ptxas)
      return;
    report("assembling " + gpu.target.name, 0.8);
    auto cubin = codegen::assemble(*ptxas, gpu.ptx, gpu.target, work);
    if (cubin)
      gpu.cubin = std::move(*cubin);
    else if (std::string why = llvm::toString(cubin.takeError()); options.note)
      options.note(why + "; the library holds PTX for " + gpu.target.name + " alone, which the driver compiles when it is opened");
  }

  llvm::Error compileDescriptor(const artifact::Description &description, const Directory &work, std::vector<std::string> &objects) {
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> descriptor = artifact::describe(description, context);
    const codegen::Target &plain = codegen::knownTargets().back();
    if (llvm::Error error = codegen::prepareModule(*descriptor, plain))
      return error;
    return writeObject(*descriptor, plain, (work + "/descriptor.o").str(), objects);
  }

  llvm::Error writeObject(llvm::Module &code, const codegen::Target &target, const std::string &path, std::vector<std::string> &objects) {
    auto object = codegen::emitCode(code, target, codegen::CodeKind::Object);
    if (!object)
      return object.takeError();
    std::error_code problem;
    llvm::raw_fd_ostream out(path, problem);
    if (!problem) {
      out << *object;
      out.flush();
      problem = out.error();
      out.clear_error(); // else its destructor ends the process
    }
    if (problem)
      return makeError(ErrorCode::InvalidInput, path + ": can't be written: " + problem.message());
    objects.push_back(path);
    return llvm::Error::success();
  }

  llvm::Error packWeights(const std::string &path, artifact::Description &description) {
    auto weights = ModelWeights::open(module, directory, options.allowOutside);
    if (!weights)
      return weights.takeError();
    auto moments = ModelMoments::openFor(module, directory, options.allowOutside || !options.calibration.empty());
    if (!moments)
      return moments.takeError();
    auto packed = artifact::writeWeights(module, **weights, moments->get(), path, [&](double done) { report("packing weights", done); });
    if (!packed)
      return packed.takeError();
    description.weights = std::move(*packed);
    return llvm::Error::success();
  }

  void report(const std::string &what, double fraction) {
    if (options.progress)
      options.progress(what, fraction);
  }

  ModuleOp module;
  std::string directory;
  AfterPass afterPass;
  const CompileOptions &options;
  std::vector<codegen::Target> targets;
  llvm::json::Object profiled; // by target: the steps and their sites
  llvm::json::Object byHalide; // by target: kernels
};

} // namespace

llvm::Error compile(ModuleOp module, const std::string &directory, const CompileOptions &options) {
  return Compilation(module, directory, options).run();
}

llvm::Error quantizeModule(ModuleOp module, const CompileOptions &options) { return Compilation(module, "", options).runToQuantize(); }

llvm::Error runPhase(ModuleOp module, StringRef phase, const CompileOptions &options, AfterPass afterPass) { return Compilation(module, "", options).runOne(phase, std::move(afterPass)); }

} // namespace llmc
