#include "runtime/formats/Gguf.h"
#include "runtime/formats/TouchTensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto file = llmc::Gguf::parse(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!file)
    return 0;
  llmc::test::touchTensors(**file);
  for (std::string_view key : (*file)->keys()) {
    (void)(*file)->getInt(key);
    (void)(*file)->getFloat(key);
    (void)(*file)->getBool(key);
    (void)(*file)->getString(key);
    (void)(*file)->getInts(key);
    (void)(*file)->getFloats(key);
    if (auto strings = (*file)->getStrings(key))
      for (std::string_view text : *strings)
        llmc::test::touchBytes(std::as_bytes(std::span(text)));
  }
  return 0;
}
