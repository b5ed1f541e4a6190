#include "runtime/tokenizer/AddedTokens.h"

#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <queue>

namespace llmc {

AddedTokenTable::AddedTokenTable(std::span<const AddedToken> sorted, std::string_view patterns)
    : tokens(sorted), patterns(patterns) {
  for (const AddedToken &token : tokens)
    ++range[uint8_t(pattern(token)[0]) + 1];
  for (size_t i = 1; i < range.size(); ++i)
    range[i] += range[i - 1];
}

template <class Accept> const AddedToken *AddedTokenTable::longestAt(std::string_view text, Accept accept) const {
  const AddedToken *first = tokens.data() + range[uint8_t(text[0])];
  const AddedToken *last = tokens.data() + range[uint8_t(text[0]) + 1];
  const AddedToken *best = nullptr;
  // All of [first, last) begin with text[0, depth).
  for (size_t depth = 1; first != last; ++depth) {
    for (; first != last && first->patternBytes == depth; ++first)
      if (accept(*first))
        best = first;
    if (first == last || depth == text.size())
      break;
    auto byteAt = [&](const AddedToken &token) { return uint8_t(patterns[token.patternOffset + depth]); };
    uint8_t wanted = uint8_t(text[depth]);
    if (byteAt(*first) != wanted || byteAt(last[-1]) != wanted) {
      first = std::partition_point(first, last, [&](const AddedToken &token) { return byteAt(token) < wanted; });
      last = std::partition_point(first, last, [&](const AddedToken &token) { return byteAt(token) == wanted; });
    }
  }
  return best;
}

Expected<AddedTokens> AddedTokens::open(const BlobReader &blob, size_t pieces) {
  LLMC_TRY(tokens, blob.array<AddedToken>(BlobSection::AddedTokens));
  std::string_view patterns = blob.text(BlobSection::AddedPatterns);
  auto isSound = [&](const AddedToken &token) {
    return token.patternBytes >= 1 && token.patternBytes <= kMaxPatternBytes &&
           token.patternOffset <= patterns.size() && token.patternBytes <= patterns.size() - token.patternOffset &&
           token.id >= 0 && size_t(token.id) < pieces;
  };
  if (!std::all_of(tokens.begin(), tokens.end(), isSound))
    return BlobReader::damaged();
  auto key = [&](const AddedToken &token) {
    return std::pair((token.flags & kAddedNormalized) != 0, patterns.substr(token.patternOffset, token.patternBytes));
  };
  if (!std::is_sorted(tokens.begin(), tokens.end(), [&](const auto &a, const auto &b) { return key(a) < key(b); }))
    return BlobReader::damaged();
  auto firstNormalized = std::partition_point(
      tokens.begin(), tokens.end(), [](const AddedToken &token) { return !(token.flags & kAddedNormalized); });
  size_t split = size_t(firstNormalized - tokens.begin());
  AddedTokens added;
  added.raw = AddedTokenTable(tokens.first(split), patterns);
  added.normalized = AddedTokenTable(tokens.subspan(split), patterns);
  return added;
}

namespace {

bool isSkipped(const AddedToken &token, bool parseSpecial) { return !parseSpecial && (token.flags & kAddedSpecial); }

bool isSingleWord(std::string_view text, size_t start, size_t end) {
  bool joinsLeft = start > 0 && isWordCharacter(decodeLast(text.substr(0, start)).codePoint);
  bool joinsRight = end < text.size() && isWordCharacter(decodeFirst(text.substr(end)).codePoint);
  return !joinsLeft && !joinsRight;
}

size_t spaceBefore(std::string_view text, size_t from, size_t at) {
  while (at > from) {
    auto [codePoint, bytes] = decodeLast(text.substr(from, at - from));
    if (!isWhiteSpace(codePoint))
      break;
    at -= bytes;
  }
  return at;
}

size_t spaceAfter(std::string_view text, size_t at) {
  while (at < text.size()) {
    auto [codePoint, bytes] = decodeFirst(text.substr(at));
    if (!isWhiteSpace(codePoint))
      break;
    at += bytes;
  }
  return at;
}

} // namespace

std::vector<TextPart> AddedTokens::splitLeftmost(std::string_view text, bool isNormalized, bool parseSpecial) const {
  const AddedTokenTable &table = isNormalized ? normalized : raw;
  std::vector<TextPart> parts;
  size_t done = 0, at = 0;
  while (!table.empty() && at < text.size()) {
    if (!table.mayStartWith(text[at])) {
      ++at;
      continue;
    }
    // A match that the flags forbid still hides what it covers: the search goes on behind it.
    const AddedToken *token = table.longestAt(text.substr(at), [](const AddedToken &) { return true; });
    if (!token) {
      ++at;
      continue;
    }
    size_t start = at, end = at + token->patternBytes;
    at = end;
    if (isSkipped(*token, parseSpecial) || ((token->flags & kAddedSingleWord) && !isSingleWord(text, start, end)))
      continue;
    if (token->flags & kAddedLeftStrip)
      start = std::min(start, std::max(done, spaceBefore(text, done, start)));
    if (token->flags & kAddedRightStrip)
      end = spaceAfter(text, end);
    if (done < start)
      parts.push_back({done, start, -1});
    parts.push_back({start, end, token->id});
    done = end;
  }
  if (done < text.size())
    parts.push_back({done, text.size(), -1});
  return parts;
}

namespace {

bool isAsciiSpace(char c) { return c == ' ' || (c >= 9 && c <= 13); }

// What is left to try: a token at a place. Longer tokens first, then smaller ids, then from the left.
struct Candidate {
  uint32_t bytes;
  TokenId id;
  uint32_t at;
  uint32_t flags;

  bool operator<(const Candidate &other) const {
    if (bytes != other.bytes)
      return bytes < other.bytes;
    return id != other.id ? id > other.id : at > other.at;
  }
};

} // namespace

std::vector<TextPart> AddedTokens::splitLongest(std::string_view text, bool parseSpecial) const {
  std::vector<Candidate> seeds;
  auto addCandidate = [&](size_t at, size_t room, auto push) {
    auto fits = [&](const AddedToken &token) { return !isSkipped(token, parseSpecial) && token.patternBytes <= room; };
    if (const AddedToken *token = raw.longestAt(text.substr(at), fits))
      push(Candidate{token->patternBytes, token->id, uint32_t(at), token->flags});
  };
  for (size_t at = 0; at < text.size(); ++at)
    if (raw.mayStartWith(text[at]))
      addCandidate(at, text.size() - at, [&](Candidate candidate) { seeds.push_back(candidate); });
  if (seeds.empty())
    return text.empty() ? std::vector<TextPart>() : std::vector<TextPart>{{0, text.size(), -1}};

  std::vector<bool> isTaken(text.size());
  std::vector<TextPart> tokens;
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(seeds));
  while (!queue.empty()) {
    Candidate next = queue.top();
    queue.pop();
    size_t start = next.at, end = start + next.bytes;
    if (isTaken[start])
      continue;
    // Accepted tokens are at least as long as this one, so they can't lie strictly inside of it.
    if (isTaken[end - 1]) {
      size_t room = 1;
      while (!isTaken[start + room])
        ++room;
      addCandidate(start, room, [&](Candidate candidate) { queue.push(candidate); });
      continue;
    }
    if (next.flags & kAddedLeftStrip)
      while (start > 0 && !isTaken[start - 1] && isAsciiSpace(text[start - 1]))
        --start;
    if (next.flags & kAddedRightStrip)
      while (end < text.size() && !isTaken[end] && isAsciiSpace(text[end]))
        ++end;
    std::fill(isTaken.begin() + ptrdiff_t(start), isTaken.begin() + ptrdiff_t(end), true);
    tokens.push_back({start, end, next.id});
  }
  std::sort(tokens.begin(), tokens.end(), [](const TextPart &a, const TextPart &b) { return a.start < b.start; });
  std::vector<TextPart> parts;
  size_t done = 0;
  for (const TextPart &token : tokens) {
    if (done < token.start)
      parts.push_back({done, token.start, -1});
    parts.push_back(token);
    done = token.end;
  }
  if (done < text.size())
    parts.push_back({done, text.size(), -1});
  return parts;
}

} // namespace llmc
