#include "frontends/Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llmc::frontends;

char ImportError::ID = 0;

// More findings than this do not help; their number does.
static constexpr size_t maxListed = 12;

void Report::add(std::vector<std::string> &list, const llvm::Twine &what) {
  std::string text = what.str();
  if (!llvm::is_contained(llvm::ArrayRef(list).take_front(maxListed), text))
    list.push_back(std::move(text));
}

static std::string joined(llvm::ArrayRef<std::string> list) {
  std::string text = llvm::join(list.take_front(maxListed), "; ");
  if (list.size() > maxListed)
    text += "; and " + std::to_string(list.size() - maxListed) + " more";
  return text;
}

llvm::Error Report::take(llvm::StringRef source) const {
  if (!missing.empty())
    return llvm::make_error<ImportError>(3, (source + ": not supported: " + joined(missing)).str());
  if (!wrong.empty())
    return llvm::make_error<ImportError>(1, (source + ": " + joined(wrong)).str());
  return llvm::Error::success();
}
