#include "runtime/tokenizer/TokenizerJson.h"

#include "runtime/support/Text.h"

#include <limits>

namespace llmc {
namespace {

// Builds a tree from events, within a budget of memory.
class TreeBuilder {
public:
  explicit TreeBuilder(size_t budget) : budget(budget) {}

  Json root;

  bool add(Json value, size_t bytes) {
    bool isContainer = value.is_structured();
    Json *place = insert(std::move(value), bytes);
    if (place && isContainer)
      open.push_back(place);
    return place != nullptr;
  }
  bool key(std::string name) {
    lastKey = std::move(name);
    return spend(lastKey.size() + kKeyBytes);
  }
  void close() { open.pop_back(); }
  size_t depth() const { return open.size(); }
  const std::string &currentKey() const { return lastKey; }

private:
  static constexpr size_t kValueBytes = 3 * sizeof(Json), kKeyBytes = 96;

  bool spend(size_t bytes) {
    if (bytes > budget)
      return false;
    budget -= bytes;
    return true;
  }
  Json *insert(Json value, size_t bytes) {
    if (!spend(kValueBytes + bytes))
      return nullptr;
    if (open.empty()) {
      root = std::move(value);
      return &root;
    }
    Json &parent = *open.back();
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &*parent.emplace(std::move(lastKey), std::move(value)).first;
  }

  size_t budget;
  std::vector<Json *> open; // valid: a container does not move while something in it is open
  std::string lastKey;
};

class Reader final : public JsonHandler {
public:
  explicit Reader(size_t jsonBytes) : tree(6 * jsonBytes + (size_t(24) << 20)) {}

  TokenizerJson result;
  Json takeTree() { return std::move(tree.root); }

  bool onNull() override { return atom(Json(nullptr), 0); }
  bool onBool(bool value) override { return atom(Json(value), 0); }
  bool onInt(int64_t value) override { return table != Table::None ? number(value) : atom(Json(value), 0); }
  bool onFloat(double value) override { return table != Table::None ? score(value) : atom(Json(value), 0); }
  bool onString(std::string &value) override {
    if (table != Table::None)
      return string(value);
    size_t bytes = value.size() + 32;
    return atom(Json(std::move(value)), bytes);
  }
  bool onObjectBegin() override { return begin(true); }
  bool onArrayBegin() override { return begin(false); }
  bool onObjectEnd() override { return end(); }
  bool onArrayEnd() override { return end(); }
  bool onKey(std::string &key) override;

private:
  enum class Table { None, VocabObject, VocabList, Merges };

  bool tooLarge() { return fail("want fewer values outside of the vocabulary and the merges"); }
  bool atom(Json value, size_t bytes) {
    if (table != Table::None)
      return wrongEntry();
    return tree.add(std::move(value), bytes) || tooLarge();
  }
  bool wrongEntry() {
    switch (table) {
    case Table::VocabObject:
      return fail("'vocab': want {piece: id}");
    case Table::VocabList:
      return fail("'vocab': want [[piece, score], …]");
    default:
      return fail("'merges': want [\"left right\", …] or [[left, right], …]");
    }
  }
  bool begin(bool isObject);
  bool end();
  bool number(int64_t value);
  bool score(double value);
  bool string(std::string &value);
  bool mergeLine(std::string_view line);
  bool addPiece(std::string_view text, int32_t id) {
    if (result.pieces.size() >= size_t(std::numeric_limits<int32_t>::max()) / 4)
      return fail("'vocab': want fewer pieces");
    result.pieces.push_back({result.text.size(), uint32_t(text.size()), id});
    result.text += text;
    return true;
  }

  TreeBuilder tree;
  Table table = Table::None;
  bool isModel = false;     // the object that is open at depth 1 is "model"
  bool isVocabNext = false; // the key before was one of the model's tables
  bool areMergesNext = false;
  std::string pieceKey;
  int pairSize = -1; // elements seen of the pair that is open; -1: none is
};

bool Reader::onKey(std::string &key) {
  if (table == Table::VocabObject) {
    pieceKey = std::move(key);
    return true;
  }
  if (tree.depth() == 1)
    isModel = key == "model";
  isVocabNext = isModel && tree.depth() == 2 && key == "vocab";
  areMergesNext = isModel && tree.depth() == 2 && key == "merges";
  if (isVocabNext || areMergesNext)
    return true;
  return tree.key(std::move(key)) || tooLarge();
}

bool Reader::begin(bool isObject) {
  if (table != Table::None) {
    bool opensPair = !isObject && table != Table::VocabObject && pairSize < 0;
    pairSize = 0;
    return opensPair || wrongEntry();
  }
  if (std::exchange(isVocabNext, false)) {
    table = isObject ? Table::VocabObject : Table::VocabList;
    return true;
  }
  if (std::exchange(areMergesNext, false)) {
    table = Table::Merges;
    return !isObject || wrongEntry();
  }
  return tree.add(isObject ? Json::object() : Json::array(), 32) || tooLarge();
}

bool Reader::end() {
  if (table == Table::None) {
    tree.close();
    return true;
  }
  if (pairSize < 0) {
    table = Table::None;
    return true;
  }
  return std::exchange(pairSize, -1) == 2 || wrongEntry();
}

bool Reader::number(int64_t value) {
  if (table == Table::VocabList)
    return score(double(value));
  if (table != Table::VocabObject)
    return wrongEntry();
  if (value < 0 || value > std::numeric_limits<int32_t>::max() - 1)
    return fail("'vocab': " + quoteText(pieceKey) + ": want an id of 0 to 2147483646, got " + std::to_string(value));
  return addPiece(pieceKey, int32_t(value));
}

bool Reader::score(double value) {
  if (table != Table::VocabList || pairSize != 1)
    return wrongEntry();
  ++pairSize;
  result.scores.push_back(value);
  return true;
}

bool Reader::string(std::string &value) {
  if (table == Table::VocabList && pairSize == 0) {
    ++pairSize;
    return addPiece(value, int32_t(result.pieces.size()));
  }
  if (table != Table::Merges)
    return wrongEntry();
  if (pairSize < 0)
    return mergeLine(value);
  if (pairSize == 0)
    result.merges.push_back({result.text.size(), uint32_t(value.size()), 0});
  else if (pairSize == 1)
    result.merges.back().rightBytes = uint32_t(value.size());
  else
    return wrongEntry();
  ++pairSize;
  result.text += value;
  return true;
}

bool Reader::mergeLine(std::string_view line) {
  if (line.starts_with("#version"))
    return true;
  size_t space = line.find(' ');
  if (space == line.npos || line.find(' ', space + 1) != line.npos)
    return wrongEntry();
  result.merges.push_back({result.text.size(), uint32_t(space), uint32_t(line.size() - space - 1)});
  result.text.append(line.substr(0, space)).append(line.substr(space + 1));
  return true;
}

} // namespace

Expected<TokenizerJson> parseTokenizerJson(std::string_view json) {
  Reader reader(json.size());
  LLMC_CHECK(scanJson(json, "tokenizer.json", reader));
  reader.result.rest = reader.takeTree();
  return std::move(reader.result);
}

} // namespace llmc
