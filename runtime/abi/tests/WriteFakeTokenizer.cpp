// Prints the fake tokenizer's blob as the elements of a C array, for FakeModel.c.
#include "runtime/abi/tests/FakeModel.h"
#include "runtime/abi/tests/FakeTokenizer.h"

int main() {
  auto blob = llmc::fakeTokenizerBlob(FAKE_VOCAB);
  if (!blob) {
    std::fprintf(stderr, "%s\n", blob.error().message.c_str());
    return 1;
  }
  for (unsigned char byte : *blob)
    std::printf("%d,\n", byte);
  return 0;
}
