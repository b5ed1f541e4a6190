// Cuts a text into the pieces with the best sum of scores (Viterbi), in time of text times longest piece.
#pragma once

#include "runtime/tokenizer/PieceTrie.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>

namespace llmc {

struct Segment {
  uint32_t start, end; // bytes
  TokenId id;
};

// `Score`: in which the reference adds up, since that decides ties.
template <class Score> struct BestPath {
  struct Node { // the best way to a place
    Score score;
    uint32_t start; // of its last segment
    TokenId id;     // kUnreached: no way yet
  };
  static constexpr TokenId kUnreached = -2;

  std::vector<Node> nodes;
  std::vector<Segment> segments; // the result, in order

  // A character that is no piece is `unknown`, at the price of `unknownScore`. `scoreOf(id, bytes)`: a piece's score.
  // False: there is such a character, and `unknown` is -1.
  template <class ScoreOf>
  bool find(const PieceTrie &trie, std::string_view text, TokenId unknown, Score unknownScore, ScoreOf scoreOf);

private:
  void relax(size_t end, Score score, size_t start, TokenId id) {
    Node &node = nodes[end];
    if (node.id == kUnreached || score > node.score)
      node = {score, uint32_t(start), id};
  }
};

template <class Score>
template <class ScoreOf>
bool BestPath<Score>::find(const PieceTrie &trie, std::string_view text, TokenId unknown, Score unknownScore,
                           ScoreOf scoreOf) {
  nodes.assign(text.size() + 1, {0, 0, kUnreached});
  for (size_t at = 0; at < text.size();) {
    size_t length = decodeFirst(text.substr(at)).bytes;
    Score soFar = nodes[at].score;
    bool hasSingle = false;
    trie.forEachPrefix(text.substr(at), [&](size_t bytes, TokenId id) {
      relax(at + bytes, Score(scoreOf(id, bytes) + soFar), at, id);
      hasSingle |= bytes == length;
    });
    if (!hasSingle) {
      if (unknown < 0)
        return false;
      relax(at + length, unknownScore + soFar, at, unknown);
    }
    at += length;
  }
  segments.clear();
  for (auto end = uint32_t(text.size()); end > 0; end = segments.back().start)
    segments.push_back({nodes[end].start, end, nodes[end].id});
  std::reverse(segments.begin(), segments.end());
  return true;
}

} // namespace llmc
