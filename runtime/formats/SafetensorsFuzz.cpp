#include "runtime/formats/Safetensors.h"
#include "runtime/formats/TouchTensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto file = llmc::Safetensors::parse(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
  if (file)
    llmc::test::touchTensors(**file);
  return 0;
}
