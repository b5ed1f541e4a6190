#include "runtime/tokenizer/Decoder.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/ByteLevel.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <charconv>

namespace llmc {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr int kMaxNesting = 16;
constexpr size_t kMaxTextBytes = size_t(1) << 30;

using Pieces = std::vector<std::string>;

void replaceAll(std::string &text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == text.npos)
    return;
  std::string out;
  size_t done = 0;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, done)) {
    out.append(text, done, at - done).append(to);
    done = at + from.size();
  }
  text = out.append(text, done);
}

// English spacing, as WordPiece models want it undone.
void cleanUp(std::string &text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (auto [from, to] : kRules)
    replaceAll(text, from, to);
}

void fuse(Pieces &pieces) {
  std::string all;
  for (const std::string &piece : pieces)
    all += piece;
  pieces.assign(1, std::move(all));
}

struct ByteLevelStep final : Decoder::Step {
  Expected<void> decode(Pieces &pieces) const override {
    std::string all;
    for (const std::string &piece : pieces)
      if (!appendByteLevelBytes(all, piece))
        all += piece;
    pieces.assign(1, std::move(all));
    return {};
  }
};

struct MetaspaceStep final : Decoder::Step {
  std::string replacement;
  bool dropsFirst;
  MetaspaceStep(std::string replacement, bool dropsFirst)
      : replacement(std::move(replacement)), dropsFirst(dropsFirst) {}
  Expected<void> decode(Pieces &pieces) const override {
    for (size_t i = 0; i < pieces.size(); ++i)
      replaceAll(pieces[i], replacement, i == 0 && dropsFirst ? "" : " ");
    return {};
  }
};

struct ByteFallbackStep final : Decoder::Step {
  Expected<void> decode(Pieces &pieces) const override {
    for (std::string &piece : pieces)
      if (auto byte = byteOfPiece(piece))
        piece.assign(1, char(*byte));
    return {};
  }
};

struct FuseStep final : Decoder::Step {
  Expected<void> decode(Pieces &pieces) const override {
    fuse(pieces);
    return {};
  }
};

struct StripStep final : Decoder::Step {
  std::string content;
  size_t start, stop;
  StripStep(std::string content, size_t start, size_t stop) : content(std::move(content)), start(start), stop(stop) {}
  Expected<void> decode(Pieces &pieces) const override {
    for (std::string &piece : pieces) {
      std::string_view text = piece;
      for (size_t i = 0; i < start && text.starts_with(content); ++i)
        text.remove_prefix(content.size());
      for (size_t i = 0; i < stop && text.ends_with(content); ++i)
        text.remove_suffix(content.size());
      piece = std::string(text);
    }
    return {};
  }
};

// SentencePiece's own: U+2581 is a space, but not at the front of a text.
// Source: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_processor.cc
struct SentencePieceStep final : Decoder::Step {
  bool dropsFirst, dropsAll; // spaces at the front
  SentencePieceStep(bool dropsFirst, bool dropsAll) : dropsFirst(dropsFirst), dropsAll(dropsAll) {}
  Expected<void> decode(Pieces &pieces) const override {
    constexpr std::string_view kSpace = "\xE2\x96\x81";
    std::string out;
    bool isAtFront = true;
    for (std::string &piece : pieces) {
      if (auto byte = byteOfPiece(piece)) {
        out += char(*byte);
        continue;
      }
      isAtFront = isAtFront && out.empty();
      if (isAtFront && (dropsFirst || dropsAll) && piece.starts_with(kSpace)) {
        piece.erase(0, kSpace.size());
        isAtFront = dropsAll;
      }
      replaceAll(piece, kSpace, " ");
      out += piece;
    }
    pieces.assign(1, std::move(out));
    return {};
  }
};

struct ReplaceStep final : Decoder::Step {
  TextPattern pattern;
  std::string content;
  ReplaceStep(TextPattern pattern, std::string content) : pattern(std::move(pattern)), content(std::move(content)) {}
  Expected<void> decode(Pieces &pieces) const override {
    RegexScratch scratch;
    MatchFailure failure;
    size_t total = 0;
    for (std::string &piece : pieces) {
      if (!isUtf8(piece)) // bytes of a byte fallback that came earlier
        continue;
      std::string out;
      std::string_view text = piece;
      size_t done = 0;
      bool isFine = pattern.forEachMatch(text, scratch, failure, [&](size_t from, size_t to) {
        out.append(text.substr(done, from - done)).append(content);
        done = to;
        return total + out.size() <= kMaxTextBytes;
      });
      if (failure.error)
        return std::unexpected(*failure.error);
      if (!isFine)
        return invalidInput("tokenizer: decoded text: want at most " + std::to_string(kMaxTextBytes) + " bytes");
      piece = out.append(text.substr(done));
      total += piece.size();
    }
    return {};
  }
};

struct WordPieceStep final : Decoder::Step {
  std::string prefix;
  bool cleansUp;
  WordPieceStep(std::string prefix, bool cleansUp) : prefix(std::move(prefix)), cleansUp(cleansUp) {}
  Expected<void> decode(Pieces &pieces) const override {
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (i > 0 && pieces[i].starts_with(prefix))
        pieces[i].erase(0, prefix.size());
      else if (i > 0)
        pieces[i].insert(0, " ");
      if (cleansUp)
        cleanUp(pieces[i]);
    }
    return {};
  }
};

struct BpeStep final : Decoder::Step {
  std::string suffix;
  explicit BpeStep(std::string suffix) : suffix(std::move(suffix)) {}
  Expected<void> decode(Pieces &pieces) const override {
    for (size_t i = 0; i < pieces.size(); ++i)
      replaceAll(pieces[i], suffix, i + 1 == pieces.size() ? "" : " ");
    return {};
  }
};

struct CtcStep final : Decoder::Step {
  std::string pad, delimiter;
  bool cleansUp;
  CtcStep(std::string pad, std::string delimiter, bool cleansUp)
      : pad(std::move(pad)), delimiter(std::move(delimiter)), cleansUp(cleansUp) {}
  Expected<void> decode(Pieces &pieces) const override {
    pieces.erase(std::unique(pieces.begin(), pieces.end()), pieces.end());
    for (std::string &piece : pieces) {
      replaceAll(piece, pad, "");
      if (cleansUp) {
        cleanUp(piece);
        replaceAll(piece, delimiter, " ");
      }
    }
    std::erase_if(pieces, [](const std::string &piece) { return piece.empty(); });
    return {};
  }
};

} // namespace

std::optional<uint8_t> byteOfPiece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>')
    return std::nullopt;
  uint8_t byte = 0;
  auto [end, error] = std::from_chars(piece.data() + 3, piece.data() + 5, byte, 16);
  if (error != std::errc() || end != piece.data() + 5)
    return std::nullopt;
  return byte;
}

Expected<Decoder> Decoder::fromJson(const Json &spec) {
  Decoder decoder;
  decoder.joinsBySpace = spec.is_null();
  if (!spec.is_null())
    LLMC_CHECK(decoder.add(spec, 0));
  return decoder;
}

Expected<void> Decoder::add(const Json &spec, int depth) {
  auto type = jsonString(spec, "type");
  if (!type)
    return invalidInput("tokenizer.json: 'decoder': want an object with a string 'type'");
  if (depth > kMaxNesting || steps.size() >= kMaxSteps)
    return unsupported("tokenizer.json: 'decoder': want at most " + std::to_string(kMaxSteps) + " steps");
  if (*type != "Sequence")
    return addSimple(spec, *type);
  const Json *parts = jsonMember(spec, "decoders");
  if (!parts || !parts->is_array())
    return invalidInput("tokenizer.json: decoder 'Sequence': 'decoders': want an array");
  for (const Json &part : *parts)
    LLMC_CHECK(add(part, depth + 1));
  return {};
}

Expected<void> Decoder::addSimple(const Json &spec, std::string_view type) {
  auto push = [&](auto step) {
    steps.push_back(std::make_unique<decltype(step)>(std::move(step)));
    return Expected<void>();
  };
  auto text = [&](std::string_view key, std::string_view otherwise) {
    return std::string(jsonString(spec, key).value_or(otherwise));
  };
  if (type == "ByteLevel")
    return push(ByteLevelStep());
  if (type == "ByteFallback")
    return push(ByteFallbackStep());
  if (type == "Fuse")
    return push(FuseStep());
  if (type == "Metaspace") {
    bool isNever = jsonString(spec, "prepend_scheme") == "never" || jsonBool(spec, "add_prefix_space") == false;
    return push(MetaspaceStep(text("replacement", "\xE2\x96\x81"), !isNever));
  }
  if (type == "Strip") {
    auto start = jsonInt(spec, "start").value_or(0), stop = jsonInt(spec, "stop").value_or(0);
    std::string content = text("content", " ");
    if (start < 0 || stop < 0 || content.empty())
      return invalidInput("tokenizer.json: decoder 'Strip': want 'content', and 'start' and 'stop' of at least 0");
    return push(StripStep(std::move(content), size_t(start), size_t(stop)));
  }
  if (type == "Replace") {
    const Json *pattern = jsonMember(spec, "pattern");
    if (!pattern)
      return invalidInput("tokenizer.json: decoder 'Replace': want a 'pattern'");
    LLMC_TRY(compiled, TextPattern::fromJson(*pattern, "decoder 'Replace'"));
    return push(ReplaceStep(std::move(compiled), text("content", "")));
  }
  if (type == "SentencePiece") // of our blobs only
    return push(SentencePieceStep(jsonBool(spec, "drop_first_space").value_or(false),
                                  jsonBool(spec, "drop_leading_spaces").value_or(false)));
  if (type == "WordPiece")
    return push(WordPieceStep(text("prefix", "##"), jsonBool(spec, "cleanup").value_or(true)));
  if (type == "BPEDecoder")
    return push(BpeStep(text("suffix", "</w>")));
  if (type == "CTC")
    return push(CtcStep(text("pad_token", "<pad>"), text("word_delimiter_token", "|"),
                        jsonBool(spec, "cleanup").value_or(true)));
  return unsupported("tokenizer.json: decoder " + quoteText(type) + " is not supported");
}

Expected<std::string> Decoder::decode(std::vector<std::string> pieces) const {
  for (const auto &step : steps) {
    if (pieces.empty())
      break;
    LLMC_CHECK(step->decode(pieces));
  }
  std::string out;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (joinsBySpace && i > 0)
      out += ' ';
    out += pieces[i];
  }
  return out;
}

} // namespace llmc
