#include "runtime/support/Json.h"

#include <cstdlib>

// Whatever was accepted must print and parse again to the same document.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto parsed = llmc::parseJson({reinterpret_cast<const char *>(data), size}, "fuzz.json");
  if (!parsed)
    return 0;
  for (const char *key : {"a", "b", "e"}) {
    (void)llmc::jsonInt(*parsed, key);
    (void)llmc::jsonFloat(*parsed, key);
    (void)llmc::jsonString(*parsed, key);
  }
  auto again = llmc::parseJson(parsed->dump(), "again.json");
  if (!again || *again != *parsed)
    std::abort();
  return 0;
}
