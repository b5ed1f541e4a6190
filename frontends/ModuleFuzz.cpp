// The reader of model.mlir: our look at the text, MLIR's parser, and the parsers and verifiers of the `llm` dialect.
#include "dialects/llm/LLM.h"
#include "frontends/ModuleText.h"

// Types and attributes stay in a context for ever: a new one now and then keeps the memory bounded.
static mlir::MLIRContext &freshContext() {
  static std::unique_ptr<mlir::MLIRContext> context;
  static int uses = 0;
  if (!context || ++uses % 4096 == 0) {
    context = std::make_unique<mlir::MLIRContext>(mlir::MLIRContext::Threading::DISABLED);
    context->loadDialect<llmc::llm::LLMDialect, mlir::func::FuncDialect>();
  }
  return *context;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  if (auto module = llmc::frontends::parseModule(freshContext(), text, "fuzz.mlir"); !module)
    llvm::consumeError(module.takeError());
  return 0;
}
