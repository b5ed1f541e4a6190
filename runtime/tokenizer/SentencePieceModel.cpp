#include "runtime/tokenizer/SentencePieceModel.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/Protobuf.h"

#include <bit>
#include <cmath>
#include <string>

namespace llmc {
namespace {

using Field = ProtobufField;

std::unexpected<Error> bad(std::string what) { return invalidInput("SentencePiece model: " + std::move(what)); }

// Calls `use(field)` for each field of a message; later ones replace earlier ones, as the format says.
template <class Use> Expected<void> forEachField(std::string_view message, std::string_view name, Use use) {
  ProtobufReader reader(message);
  while (!reader.atEnd()) {
    size_t at = reader.position();
    auto field = reader.next();
    if (!field)
      return bad(std::string(name) + ": byte " + std::to_string(at) + ": want a protocol buffer's field");
    LLMC_CHECK(use(*field));
  }
  return {};
}

// Each sets its target if the field is of the wanted form; else it is damaged.
Expected<void> wrongForm(const Field &field, std::string_view name) {
  return bad(std::string(name) + ": field " + std::to_string(field.number) + " has another form than it should");
}
Expected<void> read(const Field &field, std::string_view name, bool &to) {
  to = field.value != 0;
  return field.wire == Field::Wire::Varint ? Expected<void>() : wrongForm(field, name);
}
Expected<void> read(const Field &field, std::string_view name, int64_t &to) {
  to = int32_t(field.value);
  return field.wire == Field::Wire::Varint ? Expected<void>() : wrongForm(field, name);
}
Expected<void> read(const Field &field, std::string_view name, float &to) {
  to = std::bit_cast<float>(uint32_t(field.value));
  return field.wire == Field::Wire::Fixed32 ? Expected<void>() : wrongForm(field, name);
}
Expected<void> read(const Field &field, std::string_view name, std::string_view &to) {
  to = field.bytes;
  return field.wire == Field::Wire::Bytes ? Expected<void>() : wrongForm(field, name);
}

Expected<SentencePieceModel::Piece> readPiece(std::string_view message, size_t index) {
  std::string name = "piece " + std::to_string(index);
  SentencePieceModel::Piece piece;
  int64_t type = 1;
  LLMC_CHECK(forEachField(message, name, [&](const Field &field) -> Expected<void> {
    switch (field.number) {
    case 1:
      return read(field, name, piece.text);
    case 2:
      return read(field, name, piece.score);
    case 3:
      return read(field, name, type);
    }
    return {};
  }));
  if (piece.text.empty() || !isUtf8(piece.text))
    return bad(name + ": want UTF-8 text");
  if (std::isnan(piece.score))
    return bad(name + ": its score is NaN");
  if (type < 1 || type > 6)
    return bad(name + ": want a type of 1 to 6, got " + std::to_string(type));
  piece.type = SentencePieceModel::PieceType(type);
  return piece;
}

Expected<void> readTrainer(std::string_view message, SentencePieceModel &model) {
  constexpr std::string_view name = "trainer_spec";
  int64_t type = int64_t(model.type);
  LLMC_CHECK(forEachField(message, name, [&](const Field &field) -> Expected<void> {
    switch (field.number) {
    case 3:
      return read(field, name, type);
    case 24:
      return read(field, name, model.treatsSpaceAsSuffix);
    case 35:
      return read(field, name, model.fallsBackToBytes);
    case 41:
      return read(field, name, model.bosId);
    case 42:
      return read(field, name, model.eosId);
    case 44:
      return read(field, name, model.unknownSurface);
    }
    return {};
  }));
  if (type < 1 || type > 4)
    return unsupported("SentencePiece model: model_type " + std::to_string(type) +
                       " is not supported; want unigram, bpe, word or char");
  model.type = SentencePieceModel::Type(type);
  return {};
}

Expected<void> readNormalizer(std::string_view message, SentencePieceModel::Normalization &normalization) {
  constexpr std::string_view name = "normalizer_spec";
  return forEachField(message, name, [&](const Field &field) -> Expected<void> {
    switch (field.number) {
    case 2:
      return read(field, name, normalization.charsMap);
    case 3:
      return read(field, name, normalization.addsDummyPrefix);
    case 4:
      return read(field, name, normalization.removesExtraSpaces);
    case 5:
      return read(field, name, normalization.escapesSpaces);
    }
    return {};
  });
}

} // namespace

Expected<SentencePieceModel> parseSentencePieceModel(std::string_view bytes) {
  SentencePieceModel model;
  LLMC_CHECK(forEachField(bytes, "file", [&](const Field &field) -> Expected<void> {
    if (field.number < 1 || field.number > 5)
      return {};
    std::string_view message;
    LLMC_CHECK(read(field, "file", message));
    if (field.number == 1) {
      LLMC_TRY(piece, readPiece(message, model.pieces.size()));
      model.pieces.push_back(piece);
    } else if (field.number == 2) {
      return readTrainer(message, model);
    } else if (field.number == 3) {
      return readNormalizer(message, model.normalization);
    } else if (field.number == 5) {
      SentencePieceModel::Normalization denormalization;
      LLMC_CHECK(readNormalizer(message, denormalization));
      model.denormalizer = denormalization.charsMap;
    }
    return {};
  }));
  if (model.pieces.empty())
    return bad("want at least one piece");
  return model;
}

} // namespace llmc
