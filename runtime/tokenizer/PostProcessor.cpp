#include "runtime/tokenizer/PostProcessor.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/Vocabulary.h"

#include <limits>

namespace llmc {
namespace {

constexpr int kMaxNesting = 16;
constexpr size_t kMaxFrame = 4096;

std::unexpected<Error> bad(std::string_view type, std::string_view what) {
  return invalidInput("tokenizer.json: post-processor '" + std::string(type) + "': " + std::string(what));
}

Expected<TokenId> readId(const Json &value, std::string_view type) {
  auto id = jsonInt(value);
  if (!id || *id < 0 || *id > std::numeric_limits<TokenId>::max())
    return bad(type, "want token ids");
  return TokenId(*id);
}

Expected<std::vector<TokenId>> compileTemplate(const Json &spec, std::string_view type) {
  const Json *pieces = jsonMember(spec, "single"), *tokens = jsonMember(spec, "special_tokens");
  if (!pieces || !pieces->is_array())
    return bad(type, "'single': want an array");
  std::vector<TokenId> frame;
  for (const Json &piece : *pieces) {
    if (const Json *sequence = jsonMember(piece, "Sequence")) {
      if (jsonString(*sequence, "id") != "A")
        return bad(type, "'single': want the sequence A only");
      frame.push_back(kFrameText);
      continue;
    }
    const Json *special = jsonMember(piece, "SpecialToken");
    auto name = special ? jsonString(*special, "id") : std::nullopt;
    if (!name)
      return bad(type, "'single': want 'Sequence' or 'SpecialToken'");
    const Json *token = tokens ? jsonMember(*tokens, *name) : nullptr;
    const Json *ids = token ? jsonMember(*token, "ids") : nullptr;
    if (!ids || !ids->is_array())
      return bad(type, "'special_tokens': no ids for " + quoteText(*name));
    for (const Json &value : *ids) {
      LLMC_TRY(id, readId(value, type));
      frame.push_back(id);
    }
  }
  return frame;
}

// [["[SEP]", 102], ["[CLS]", 101]]: the class token before the text and the separator after it.
Expected<std::vector<TokenId>> compileBert(const Json &spec, std::string_view type) {
  std::vector<TokenId> frame = {0, kFrameText, 0};
  for (auto [key, at] : {std::pair("cls", 0), std::pair("sep", 2)}) {
    const Json *pair = jsonMember(spec, key);
    if (!pair || !pair->is_array() || pair->size() != 2)
      return bad(type, std::string("'") + key + "': want [token, id]");
    LLMC_TRY(id, readId(*std::next(pair->begin()), type));
    frame[size_t(at)] = id;
  }
  return frame;
}

Expected<std::vector<TokenId>> compile(const Json &spec, int depth) {
  if (spec.is_null())
    return std::vector<TokenId>{kFrameText};
  auto type = jsonString(spec, "type");
  if (!type)
    return invalidInput("tokenizer.json: 'post_processor': want an object with a string 'type'");
  if (*type == "ByteLevel") // moves offsets only
    return std::vector<TokenId>{kFrameText};
  if (*type == "TemplateProcessing")
    return compileTemplate(spec, *type);
  if (*type == "BertProcessing" || *type == "RobertaProcessing")
    return compileBert(spec, *type);
  if (*type != "Sequence")
    return unsupported("tokenizer.json: post-processor " + quoteText(*type) + " is not supported");
  const Json *parts = jsonMember(spec, "processors");
  if (!parts || !parts->is_array())
    return bad(*type, "'processors': want an array");
  if (depth >= kMaxNesting)
    return bad(*type, "want less nesting");
  std::vector<TokenId> frame = {kFrameText};
  for (const Json &part : *parts) {
    LLMC_TRY(outer, compile(part, depth + 1));
    std::vector<TokenId> nested;
    for (TokenId id : outer)
      if (id == kFrameText)
        nested.insert(nested.end(), frame.begin(), frame.end());
      else
        nested.push_back(id);
    if (nested.size() > kMaxFrame)
      return bad(*type, "want at most " + std::to_string(kMaxFrame) + " special tokens");
    frame = std::move(nested);
  }
  return frame;
}

} // namespace

Expected<std::vector<TokenId>> compilePostProcessor(const Json &spec) { return compile(spec, 0); }

} // namespace llmc
