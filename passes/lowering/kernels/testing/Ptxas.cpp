#include "passes/lowering/kernels/testing/Ptxas.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace llmc::kernels::testing {

// "… Function properties for NAME", then "N bytes stack frame, N bytes spill stores, N bytes spill loads".
static void readProperties(StringRef report, Assembled &result) {
  SmallVector<StringRef> lines;
  report.split(lines, '\n');
  std::string function;
  for (StringRef line : lines) {
    if (size_t at = line.find("Function properties for "); at != StringRef::npos)
      function = line.drop_front(at + strlen("Function properties for ")).trim().str();
    SmallVector<StringRef> parts;
    line.split(parts, ',');
    for (StringRef part : parts) {
      int64_t bytes;
      if (part.contains("bytes spill") && !part.trim().consumeInteger(10, bytes))
        result.spilledBytes[function] += bytes;
    }
  }
}

Assembled assemble(const std::string &ptxas, const std::string &ptx, const std::string &cpu) {
  SmallString<64> source, report;
  Assembled result;
  if (sys::fs::createTemporaryFile("llmc", "ptx", source) || sys::fs::createTemporaryFile("llmc", "txt", report))
    return {"no temporary file", {}};
  FileRemover removeSource(source), removeReport(report);
  std::error_code error;
  raw_fd_ostream(source, error) << ptx;
  std::string arch = "-arch=" + cpu;
  std::optional<StringRef> redirects[] = {std::nullopt, StringRef(report), StringRef(report)};
  int status = sys::ExecuteAndWait(ptxas, {ptxas, "-v", arch, source, "-o", "/dev/null"}, std::nullopt, redirects);
  auto text = MemoryBuffer::getFile(report);
  StringRef said = text ? (*text)->getBuffer() : StringRef();
  if (status != 0)
    result.errors = "ptxas " + arch + ": " + said.str();
  readProperties(said, result);
  return result;
}

} // namespace llmc::kernels::testing
