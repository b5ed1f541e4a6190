#include "compiler/support/ModelFiles.h"

#include "compiler/support/StatusBridge.h"
#include "runtime/support/Text.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

#include <filesystem>

using namespace llvm;

static Error refuse(StringRef path, const Twine &why) {
  return llmc::makeError(llmc::ErrorCode::InvalidInput, "asset " + llmc::quoteText(path.str()) + ": " + why);
}

static bool climbs(StringRef path) {
  return is_contained(make_range(sys::path::begin(path), sys::path::end(path)), "..");
}

// Whether the real path `file` lies below the real path `directory`.
static bool isBelow(StringRef file, StringRef directory) {
  if (!file.consume_front(directory))
    return false;
  return directory.ends_with("/") || file.starts_with("/");
}

Expected<std::string> llmc::resolveAsset(StringRef moduleDirectory, StringRef path, bool allowOutside) {
  if (path.empty() || path.contains('\0'))
    return refuse(path, "want a file name");
  if (!allowOutside && (sys::path::is_absolute(path) || climbs(path)))
    return refuse(path, "leads out of the model's directory; if you trust this model, give --allow-outside");
  SmallString<256> directory, joined(moduleDirectory.empty() ? StringRef(".") : moduleDirectory), file;
  if (std::error_code error = sys::fs::real_path(joined, directory))
    return refuse(path, "no directory " + llmc::quoteText(joined.str().str()) + ": " + error.message());
  if (sys::path::is_absolute(path))
    joined = path;
  else
    sys::path::append(joined, path);
  if (std::error_code error = sys::fs::real_path(joined, file))
    return refuse(path, "can't open " + llmc::quoteText(joined.str().str()) + ": " + error.message());
  if (!allowOutside && !isBelow(file, directory))
    return refuse(path, "a link leads out of the model's directory; if you trust this model, give --allow-outside");
  return file.str().str();
}

std::string llmc::movedPath(StringRef path, StringRef from, StringRef to) {
  namespace fs = std::filesystem;
  if (sys::path::is_absolute(path))
    return path.str();
  auto directory = [](StringRef name) { return fs::absolute(name.empty() ? "." : name.str()).lexically_normal(); };
  return (directory(from) / path.str()).lexically_normal().lexically_relative(directory(to)).string();
}
