#include "compiler/pipeline/DisablePasses.h"

#include "compiler/support/StatusBridge.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using Names = std::vector<std::string>;

namespace llmc {
namespace {

// Decisions of passes that must run, which an option of theirs turns off (see the phases in Pipeline.cpp).
constexpr StringLiteral kDecisions[] = {"tile-schedule.merge-rows",  "tile-schedule.group-heads", "tile-schedule.panel-turns",
                                        "tile-schedule.large-tiles", "tile-schedule.streams", "tile-schedule.int8-rows",   "tile-schedule.bf16-rows",
                                        "tile-schedule.bf16-attention", "tile-schedule.split-positions",
                                        "tile-plan-memory.share", "tile-form-blocks.ahead"};
// Passes of the phases that make code which only make it better.
constexpr StringLiteral kBetterCode[] = {"cse"};

// "a,func.func(b{x=1 y=2},c)" has a, b, c: names are what stands before a comma, a brace or the end; anchors stand before a parenthesis.
void collectNames(StringRef pipeline, Names &names) {
  size_t begin = 0;
  for (size_t i = 0; i <= pipeline.size(); ++i) {
    char at = i < pipeline.size() ? pipeline[i] : ',';
    if (!StringRef("(),{").contains(at))
      continue;
    StringRef name = pipeline.slice(begin, i).trim();
    if (at != '(' && !name.empty() && !llvm::is_contained(names, name))
      names.push_back(name.str());
    if (at == '{') // options
      i = std::min(pipeline.find('}', i), pipeline.size());
    begin = i + 1;
  }
}

Names passesOf(bool (*belongs)(const Phase &)) {
  Names names;
  for (const Phase &phase : llvm::make_filter_range(phases(), belongs)) {
    OpPassManager passes(ModuleOp::getOperationName());
    phase.build(passes, {});
    std::string text;
    llvm::raw_string_ostream os(text);
    passes.printAsTextualPipeline(os);
    collectNames(text, names);
  }
  return names;
}

bool isOptional(const Phase &phase) { return phase.name == "simplify" || phase.name == "fuse"; }

} // namespace

std::vector<std::string> passesToLeaveOut() {
  Names names = passesOf(isOptional);
  for (StringRef name : kBetterCode)
    if (!llvm::is_contained(names, name))
      names.push_back(name.str());
  for (StringRef name : kDecisions)
    names.push_back(name.str());
  return names;
}

llvm::Error checkDisabled(ArrayRef<std::string> names, StringRef pipeline) {
  if (names.empty())
    return llvm::Error::success();
  Names given;
  collectNames(pipeline, given);
  std::vector<std::string> known = passesToLeaveOut();
  Names required = passesOf([](const Phase &phase) { return !isOptional(phase); });
  for (const std::string &name : names) {
    if (llvm::is_contained(known, name) || llvm::is_contained(given, name))
      continue;
    if (llvm::is_contained(required, name))
      return makeError(ErrorCode::InvalidInput, "--disable-pass " + name + ": must run: no code can be made of what comes before it");
    return makeError(ErrorCode::InvalidInput, "--disable-pass " + name + ": no pass of the pipeline that can be left out; those are " +
                                                  llvm::join(known, ", "));
  }
  return llvm::Error::success();
}

void skipPasses(MLIRContext &context, const std::vector<std::string> &names) {
  if (names.empty())
    return;
  llvm::StringSet<> skipped;
  for (const std::string &name : names)
    skipped.insert(name);
  context.registerActionHandler([skipped = std::move(skipped)](llvm::function_ref<void()> run, const tracing::Action &action) {
    auto *execution = dyn_cast<PassExecutionAction>(&action);
    if (!execution || !skipped.contains(execution->getPass().getArgument()))
      run();
  });
}

} // namespace llmc
