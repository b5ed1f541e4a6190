#include "frontends/ModuleText.h"

#include "runtime/support/Text.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"

using namespace llmc::frontends;

// Modules of ours nest about ten deep. The parser takes some hundred bytes of stack for each level.
static constexpr int64_t maxDepth = 256, maxSigns = 64;

// Position after the string that begins at `at`, or after the comment; `at` itself if neither begins there.
static size_t skipOpaque(llvm::StringRef text, size_t at) {
  if (text.substr(at).starts_with("//"))
    return std::min(text.find('\n', at), text.size());
  if (text[at] != '"')
    return at;
  for (++at; at < text.size() && text[at] != '"' && text[at] != '\n'; ++at)
    if (text[at] == '\\')
      ++at;
  return std::min(at + 1, text.size());
}

std::optional<std::string> llmc::frontends::findDangerousNesting(llvm::StringRef text) {
  int64_t depth = 0, signs = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    if (size_t after = skipOpaque(text, at); after != at) {
      at = after - 1;
      continue;
    }
    char c = text[at];
    bool arrow = c == '>' && at && text[at - 1] == '-';
    if (llvm::StringRef("([{<").contains(c))
      ++depth;
    else if (llvm::StringRef(")]}>").contains(c) && !arrow)
      depth = std::max<int64_t>(depth - 1, 0); // a stray one is the parser's to report
    if (!llvm::isSpace(c))
      signs = c == '-' ? signs + 1 : 0;
    if (depth > maxDepth)
      return "brackets are nested more than " + std::to_string(maxDepth) + " deep";
    if (signs > maxSigns)
      return "more than " + std::to_string(maxSigns) + " signs in a row";
  }
  return std::nullopt;
}

llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> llmc::frontends::parseModule(mlir::MLIRContext &context, llvm::StringRef text,
                                                                               const std::string &path) {
  auto failure = [&](const std::string &what) { return llvm::make_error<ImportError>(1, path + what); };
  if (!isUtf8(std::string_view(text.data(), text.size()))) // binary IR has had less scrutiny than text
    return failure(": want a module in text form");
  if (std::optional<std::string> danger = findDangerousNesting(text))
    return failure(": " + *danger);
  std::string first;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (first.empty()) {
      llvm::raw_string_ostream os(first);
      if (auto at = llvm::dyn_cast<mlir::FileLineColLoc>(diagnostic.getLocation()))
        os << ":" << at.getLine() << ":" << at.getColumn();
      os << ": " << diagnostic;
    }
    return mlir::success();
  });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context), path);
  if (!module)
    return failure(first.empty() ? ": is no module" : first);
  return module;
}
