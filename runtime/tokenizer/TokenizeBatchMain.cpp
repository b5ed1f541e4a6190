// TokenizeBatchMain TOKENIZER < request > ids: tokenizeBatch on a tokenizer.json or a GGUF file, for comparisons with
// reference tokenizers. With --decode, the request is a list of id lists and the answer a list of texts.
#include "runtime/formats/Gguf.h"
#include "runtime/support/Json.h"
#include "runtime/tokenizer/TokenizeBatch.h"

#include <iostream>
#include <iterator>

namespace llmc {
namespace {

Expected<Tokenizer> open(const std::string &path) {
  if (!path.ends_with(".gguf"))
    return Tokenizer::fromHuggingFace(path);
  LLMC_TRY(file, Gguf::open(path));
  return Tokenizer::fromGguf(*file);
}

Expected<std::string> decodeBatch(const Tokenizer &tokenizer, std::string_view request) {
  LLMC_TRY(lists, parseJson(request, "request"));
  Json texts = Json::array();
  for (const Json &list : lists) {
    std::vector<TokenId> ids;
    for (const Json &id : list)
      ids.push_back(TokenId(jsonInt(id).value_or(-1)));
    LLMC_TRY(text, tokenizer.decode(ids, true));
    texts.push_back(std::move(text));
  }
  return texts.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Expected<std::string> run(const std::string &path, bool decodes) {
  LLMC_TRY(tokenizer, open(path));
  std::string request(std::istreambuf_iterator<char>(std::cin), {});
  return decodes ? decodeBatch(tokenizer, request) : tokenizeBatch(tokenizer, request);
}

} // namespace
} // namespace llmc

int main(int argc, char **argv) {
  bool decodes = argc > 2 && std::string_view(argv[1]) == "--decode";
  if (argc != (decodes ? 3 : 2)) {
    std::cerr << "usage: TokenizeBatchMain [--decode] TOKENIZER < request\n";
    return 1;
  }
  auto result = llmc::run(argv[argc - 1], decodes);
  if (!result) {
    std::cerr << result.error().message << "\n";
    return int(result.error().code);
  }
  std::cout << *result << "\n";
}
