#include "runtime/tokenizer/Tokenizer.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/ByteLevel.h"
#include "runtime/tokenizer/TokenizerImpl.h"
#include "runtime/tokenizer/Unicode.h"

#include <cstring>

namespace llmc {
namespace {

constexpr size_t kMaxTextBytes = size_t(1) << 28;
constexpr std::string_view kSpacePiece = "\xE2\x96\x81";

std::string withSpacesEscaped(std::string_view text, bool hasPrefix) {
  std::string out;
  out.reserve(text.size() + text.size() / 2 + 4);
  if (hasPrefix)
    out += kSpacePiece;
  for (char c : text)
    if (c == ' ')
      out += kSpacePiece;
    else
      out += c;
  return out;
}

std::string withSpacesUnescaped(std::string_view piece) {
  std::string out;
  size_t done = 0;
  for (size_t at = piece.find(kSpacePiece); at != piece.npos; at = piece.find(kSpacePiece, done)) {
    out.append(piece.substr(done, at - done)) += ' ';
    done = at + kSpacePiece.size();
  }
  return out.append(piece.substr(done));
}

// Encodes words as they come from the pre-tokenizer.
class WordEncoder final : public WordSink {
public:
  WordEncoder(const Model &model, const WordSplitter *splitter, bool writesBytes, EncodeScratch &scratch,
              std::vector<TokenId> &ids)
      : model(model), splitter(splitter), writesBytes(writesBytes), scratch(scratch), ids(ids) {}

  bool word(Word word) override {
    if (!splitter)
      return encode(word.text);
    for (std::string_view rest = word.text; !rest.empty();) {
      size_t bytes = splitter->firstWord(rest);
      if (!encode(rest.substr(0, bytes)))
        return false;
      rest.remove_prefix(bytes);
    }
    return true;
  }
  std::optional<Error> failure;

private:
  bool encode(std::string_view word) {
    if (auto known = scratch.cache.find(word)) {
      ids.insert(ids.end(), known->begin(), known->end());
      return true;
    }
    size_t before = ids.size();
    std::string_view text = word;
    if (writesBytes) {
      scratch.written.clear();
      appendByteLevel(scratch.written, word);
      text = scratch.written;
    }
    if (auto done = model.encode(text, scratch, ids); !done) {
      failure = done.error();
      return false;
    }
    scratch.cache.put(word, std::span(ids).subspan(before));
    return true;
  }

  const Model &model;
  const WordSplitter *splitter;
  bool writesBytes;
  EncodeScratch &scratch;
  std::vector<TokenId> &ids;
};

} // namespace

// --- opening ---

Expected<std::unique_ptr<Tokenizer::Impl>> Tokenizer::Impl::open(std::span<const std::byte> blob, std::string owned) {
  auto impl = std::make_unique<Impl>();
  impl->owned = std::move(owned);
  bool isAligned = reinterpret_cast<uintptr_t>(blob.data()) % 8 == 0;
  if (impl->owned.empty() && !isAligned)
    impl->owned.assign(reinterpret_cast<const char *>(blob.data()), blob.size());
  if (!impl->owned.empty())
    blob = std::as_bytes(std::span(impl->owned));
  impl->blob = blob;
  LLMC_TRY(reader, BlobReader::open(blob));
  LLMC_TRY(vocabulary, Vocabulary::open(reader));
  impl->vocabulary = vocabulary;
  LLMC_TRY(added, AddedTokens::open(reader, vocabulary.size()));
  impl->added = added;
  LLMC_CHECK(impl->readConfig(reader));
  return impl;
}

Expected<Tokenizer> Tokenizer::Impl::fromParts(TokenizerParts parts) {
  LLMC_TRY(blob, buildBlob(std::move(parts)));
  LLMC_TRY(impl, open({}, std::move(blob)));
  return Tokenizer(std::move(impl));
}

Expected<void> Tokenizer::Impl::readConfig(const BlobReader &reader) {
  JsonLimits limits;
  limits.maxBytes = size_t(1) << 30;
  LLMC_TRY(config, parseJson(reader.text(BlobSection::Config), "tokenizer of the artifact", limits));
  auto part = [&](std::string_view key) -> const Json & {
    static const Json kNull;
    const Json *value = jsonMember(config, key);
    return value ? *value : kNull;
  };
  auto isSet = [&](std::string_view key) { return jsonBool(config, key).value_or(false); };
  isGguf = isSet("gguf");
  addsSpacePrefix = isSet("add_space_prefix");
  escapesSpaces = isSet("escape_spaces");
  decodesByteLevel = isSet("decode_byte_level");
  LLMC_TRY(theNormalizer, Normalizer::fromJson(part("normalizer")));
  normalizer = std::move(theNormalizer);
  LLMC_TRY(thePreTokenizer, PreTokenizer::fromJson(part("pre_tokenizer")));
  preTokenizer = std::move(thePreTokenizer);
  LLMC_TRY(theDecoder, Decoder::fromJson(part("decoder")));
  decoder = std::move(theDecoder);
  LLMC_TRY(theModel, Model::open(part("model"), vocabulary, reader));
  model = std::move(theModel);
  LLMC_TRY(joined, reader.array<uint32_t>(BlobSection::Boundaries));
  if (!std::is_sorted(joined.begin(), joined.end()))
    return BlobReader::damaged();
  splitter = WordSplitter(joined);
  if (const Json *forms = jsonMember(config, "decoded_forms"))
    for (const Json &form : *forms)
      if (auto id = jsonInt(form, "id"); id && vocabulary.contains(TokenId(*id)))
        decodedForms.emplace_back(TokenId(*id), jsonString(form, "text").value_or(""));
  std::sort(decodedForms.begin(), decodedForms.end());
  return readIds(config);
}

Expected<void> Tokenizer::Impl::readIds(const Json &config) {
  auto pieces = jsonInt(config, "real_pieces").value_or(int64_t(vocabulary.size()));
  if (pieces < 0 || size_t(pieces) > vocabulary.size())
    return BlobReader::damaged();
  realPieces = size_t(pieces);
  auto readList = [&](std::string_view key, int64_t least, std::vector<TokenId> &list) {
    const Json *values = jsonMember(config, key);
    if (!values || !values->is_array())
      return false;
    for (const Json &value : *values) {
      auto id = jsonInt(value);
      if (!id || *id < least || *id > INT32_MAX)
        return false;
      list.push_back(TokenId(*id));
    }
    return true;
  };
  if (!readList("frame", kFrameText, frame) || !readList("stop", 0, stop))
    return BlobReader::damaged();
  LLMC_TRY(theBos, configId(config, "bos", vocabulary));
  LLMC_TRY(theEos, configId(config, "eos", vocabulary));
  bos = theBos < 0 ? std::nullopt : std::optional(theBos);
  eos = theEos < 0 ? std::nullopt : std::optional(theEos);
  return {};
}

// --- encoding ---

std::unique_ptr<EncodeScratch> Tokenizer::Impl::takeScratch() {
  {
    std::lock_guard lock(mutex);
    if (!scratches.empty()) {
      auto scratch = std::move(scratches.back());
      scratches.pop_back();
      return scratch;
    }
  }
  return std::make_unique<EncodeScratch>();
}

void Tokenizer::Impl::giveBack(std::unique_ptr<EncodeScratch> scratch) {
  constexpr size_t kKeptSymbols = 1 << 14, kKeptScratches = 16;
  if (scratch->merging.symbols.capacity() > kKeptSymbols)
    scratch->merging = {};
  if (scratch->path.nodes.capacity() > kKeptSymbols)
    scratch->path = {};
  if (scratch->floatPath.nodes.capacity() > kKeptSymbols)
    scratch->floatPath = {};
  if (scratch->regex.hasStack())
    scratch->regex = RegexScratch();
  std::lock_guard lock(mutex);
  if (scratches.size() < kKeptScratches)
    scratches.push_back(std::move(scratch));
}

Expected<std::vector<TokenId>> Tokenizer::Impl::encode(std::string_view text, EncodeOptions options) {
  if (text.size() > kMaxTextBytes)
    return invalidInput("text: want at most " + std::to_string(kMaxTextBytes) + " bytes, got " +
                        std::to_string(text.size()));
  bool takesBytes = isGguf && preTokenizer.empty() && normalizer.empty();
  if (!takesBytes && !isUtf8(text))
    return invalidInput("text: want UTF-8");
  auto scratch = takeScratch();
  std::vector<TokenId> ids;
  auto done = encodeText(text, options.parseSpecial, *scratch, ids);
  giveBack(std::move(scratch));
  if (!done)
    return std::unexpected(done.error());
  if (!options.addSpecial)
    return ids;
  std::vector<TokenId> framed;
  framed.reserve(ids.size() + frame.size());
  for (TokenId id : frame)
    if (id == kFrameText)
      framed.insert(framed.end(), ids.begin(), ids.end());
    else
      framed.push_back(id);
  return framed;
}

Expected<void> Tokenizer::Impl::encodeText(std::string_view text, bool parseSpecial, EncodeScratch &scratch,
                                           std::vector<TokenId> &ids) const {
  if (isGguf)
    return encodeGguf(text, parseSpecial, scratch, ids);
  for (const TextPart &part : added.splitLeftmost(text, false, parseSpecial))
    if (part.id >= 0)
      ids.push_back(part.id);
    else
      LLMC_CHECK(
          encodeSegment(text.substr(part.start, part.end - part.start), part.start == 0, parseSpecial, scratch, ids));
  return {};
}

Expected<void> Tokenizer::Impl::encodeSegment(std::string_view text, bool isAtStart, bool parseSpecial,
                                              EncodeScratch &scratch, std::vector<TokenId> &ids) const {
  NormalizedText normalized(normalizer.empty() ? std::string_view() : text, isAtStart);
  if (!normalizer.empty()) {
    LLMC_CHECK(normalizer.apply(normalized, scratch.regex));
    text = normalized.text;
  }
  for (const TextPart &part : added.splitLeftmost(text, true, parseSpecial))
    if (part.id >= 0)
      ids.push_back(part.id);
    else
      LLMC_CHECK(encodeWords(text.substr(part.start, part.end - part.start), normalized.isAtStart && part.start == 0,
                             scratch, ids));
  return {};
}

Expected<void> Tokenizer::Impl::encodeGguf(std::string_view text, bool parseSpecial, EncodeScratch &scratch,
                                           std::vector<TokenId> &ids) const {
  bool isBehindToken = true;
  for (const TextPart &part : added.splitLongest(text, parseSpecial)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      isBehindToken = true;
      continue;
    }
    std::string_view stretch = text.substr(part.start, part.end - part.start);
    std::string escaped;
    if (escapesSpaces) {
      escaped = withSpacesEscaped(stretch, addsSpacePrefix && isBehindToken);
      stretch = escaped;
    }
    isBehindToken = false;
    LLMC_CHECK(encodeWords(stretch, part.start == 0, scratch, ids));
  }
  return {};
}

Expected<void> Tokenizer::Impl::encodeWords(std::string_view text, bool isAtStart, EncodeScratch &scratch,
                                            std::vector<TokenId> &ids) const {
  bool writesBytes = preTokenizer.endsInByteLevel();
  bool splits = !writesBytes && model->allowsBoundaries();
  WordEncoder encoder(*model, splits ? &splitter : nullptr, writesBytes, scratch, ids);
  LLMC_CHECK(preTokenizer.cut({text, isAtStart}, scratch.regex, encoder));
  if (encoder.failure)
    return std::unexpected(*encoder.failure);
  return {};
}

// --- decoding ---

Expected<std::string> Tokenizer::Impl::decode(std::span<const TokenId> ids, bool special) const {
  for (TokenId id : ids)
    if (id < 0 || size_t(id) >= realPieces)
      return invalidInput("token id " + std::to_string(id) + ": want 0 to " + std::to_string(realPieces - 1));
  if (isGguf)
    return decodeGguf(ids, special);
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (TokenId id : ids) {
    if (!special && (vocabulary.flagsOf(id) & kPieceSpecial))
      continue;
    auto form = std::lower_bound(decodedForms.begin(), decodedForms.end(), id,
                                 [](const auto &entry, TokenId wanted) { return entry.first < wanted; });
    bool hasForm = form != decodedForms.end() && form->first == id;
    pieces.emplace_back(hasForm ? form->second : vocabulary.piece(id));
  }
  return decoder.decode(std::move(pieces));
}

Expected<std::string> Tokenizer::Impl::decodeGguf(std::span<const TokenId> ids, bool special) const {
  std::string out;
  bool dropsSpace = addsSpacePrefix;
  for (TokenId id : ids) {
    uint8_t flags = vocabulary.flagsOf(id);
    std::string_view piece = vocabulary.piece(id);
    std::string text;
    if (flags & kPieceSpecial) {
      if (!special)
        continue;
      text = piece;
    } else if (flags & kPieceUserDefined) {
      text = piece;
    } else if (flags & kPieceByte) {
      if (auto byte = byteOfPiece(piece))
        text.assign(1, char(*byte));
    } else if (flags & kPieceNormal) {
      if (!decodesByteLevel)
        text = withSpacesUnescaped(piece);
      else if (!isUtf8(piece) || !appendByteLevelBytes(text, piece))
        text = piece;
    }
    if (std::exchange(dropsSpace, false) && text.starts_with(' '))
      text.erase(0, 1);
    out += text;
  }
  return out;
}

// --- the public face ---

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer &&) noexcept = default;
Tokenizer &Tokenizer::operator=(Tokenizer &&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Expected<Tokenizer> Tokenizer::fromBlob(std::span<const std::byte> blob) {
  LLMC_TRY(impl, Impl::open(blob, {}));
  return Tokenizer(std::move(impl));
}

std::string Tokenizer::toBlob() const { return {reinterpret_cast<const char *>(impl->blob.data()), impl->blob.size()}; }

Expected<std::vector<TokenId>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  return impl->encode(text, options);
}

Expected<std::string> Tokenizer::decode(std::span<const TokenId> ids, bool special) const {
  return impl->decode(ids, special);
}

size_t Tokenizer::size() const { return impl->realPieces; }

std::optional<TokenId> Tokenizer::find(std::string_view piece) const {
  TokenId id = impl->vocabulary.find(piece);
  return id >= 0 && size_t(id) < size() ? std::optional(id) : std::nullopt;
}

std::string_view Tokenizer::piece(TokenId id) const {
  return id >= 0 && size_t(id) < size() ? impl->vocabulary.piece(id) : std::string_view();
}

bool Tokenizer::isSpecial(TokenId id) const {
  return id >= 0 && size_t(id) < size() && (impl->vocabulary.flagsOf(id) & kPieceSpecial);
}

std::optional<TokenId> Tokenizer::bos() const { return impl->bos; }
std::optional<TokenId> Tokenizer::eos() const { return impl->eos; }
const std::vector<TokenId> &Tokenizer::stopTokens() const { return impl->stop; }

// --- streaming ---

std::string StreamDecoder::push(TokenId id) {
  if (tokenizer.isSpecial(id))
    return {};
  constexpr size_t kMaxWindow = 8; // of tokens that decode to nothing by themselves
  if (window.size() >= kMaxWindow) {
    window.erase(window.begin());
    windowText = tokenizer.decode(window).value_or("");
  }
  window.push_back(id);
  auto text = tokenizer.decode(window);
  if (!text) {
    window.pop_back();
    return {};
  }
  if (text->size() > windowText.size())
    pending += std::string_view(*text).substr(windowText.size());
  windowText = std::move(*text);
  // Once the last token shows by itself, it is enough context for the next.
  TokenId last[] = {id};
  if (auto alone = tokenizer.decode(last); alone && !alone->empty()) {
    window.assign(1, id);
    windowText = std::move(*alone);
  }
  size_t whole = pending.size() - incompleteTail(pending);
  std::string out = replaceIllFormed(std::string_view(pending).substr(0, whole));
  pending.erase(0, whole);
  return out;
}

std::string StreamDecoder::flush() {
  window.clear();
  windowText.clear();
  return replaceIllFormed(std::exchange(pending, {}));
}

} // namespace llmc
