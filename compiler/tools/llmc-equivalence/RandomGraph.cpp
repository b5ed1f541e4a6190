#include "compiler/tools/llmc-equivalence/RandomGraph.h"

#include "llvm/Support/FormatVariadic.h"

#include <random>
#include <vector>

namespace {

constexpr int64_t kHeadDim = 4, kHeads = 2, kRotaryDim = 4;

// A value of the graph: [T, channels].
struct Node {
  std::string name;
  int64_t channels;
};

class Writer {
public:
  explicit Writer(uint64_t seed) : random(seed) {}

  std::string module() {
    nodes.push_back(embedding(width()));
    int64_t ops = between(4, 14);
    while (ops-- > 0)
      addOp();
    Node first = recent(), second = any();
    std::string head = "llm.state @kv : !llm.kv_cache<layers = 2, kv_heads = 1, head_dim = 4, f32>\n\nfunc.func @step(%batch: !llm.batch) -> (" + type(first) + ", " +
                       type(second) + ") {\n";
    return head + body + "  return " + first.name + ", " + second.name + " : " + type(first) + ", " + type(second) + "\n}\n";
  }

private:
  //===--- choices ---===//

  // Not std::uniform_int_distribution: its numbers differ between libraries.
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1)); }
  bool maybe(int64_t oneIn = 2) { return between(1, oneIn) == 1; }
  double number() { return static_cast<double>(between(-16, 16)) / 16; }
  int64_t width() { return kHeadDim * between(1, 3); }
  const Node &any() { return nodes[static_cast<size_t>(between(0, static_cast<int64_t>(nodes.size()) - 1))]; }
  // Mostly the last one, so that chains form; sometimes another, so that values have several readers.
  Node recent() { return maybe(4) ? any() : nodes.back(); }
  std::string oneOf(std::initializer_list<const char *> names) { return names.begin()[between(0, static_cast<int64_t>(names.size()) - 1)]; }
  std::string eps() { return oneOf({"1.0e-5", "1.0e-2", "0.5"}); }
  std::string activationName() { return oneOf({"relu", "silu", "gelu", "gelu_tanh", "sigmoid", "tanh"}); }

  //===--- text ---===//

  static std::string type(const Node &node) { return "tensor<?x" + std::to_string(node.channels) + "xf32>"; }
  static std::string vectorType(int64_t size) { return "tensor<" + std::to_string(size) + "xf32>"; }
  static std::string matrixType(int64_t rows, int64_t columns) { return "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf32>"; }
  std::string fresh() { return "%v" + std::to_string(count++); }
  void line(const std::string &text) { body += "  " + text + "\n"; }

  std::string numbers(int64_t size) {
    std::string text = "[";
    for (int64_t i = 0; i < size; ++i)
      text += (i ? ", " : "") + llvm::formatv("{0:f4}", number()).str();
    return text + "]";
  }
  std::string vector(int64_t size) {
    std::string name = fresh();
    line(name + " = arith.constant dense<" + numbers(size) + "> : " + vectorType(size));
    return name;
  }
  std::string matrix(int64_t rows, int64_t columns) {
    std::string name = fresh(), text = "[";
    for (int64_t i = 0; i < rows; ++i)
      text += (i ? ", " : "") + numbers(columns);
    line(name + " = arith.constant dense<" + text + "]> : " + matrixType(rows, columns));
    return name;
  }
  Node node(int64_t channels, const std::string &text) {
    Node result{fresh(), channels};
    line(result.name + " = " + text);
    return result;
  }

  //===--- ops ---===//

  Node embedding(int64_t channels) {
    std::string table = matrix(llmc::randomGraphVocab, channels);
    return node(channels, "llm.embedding %batch, " + table + " tokens : " + matrixType(llmc::randomGraphVocab, channels) + " -> " + type({"", channels}));
  }

  Node linear(const Node &x, int64_t rows) {
    std::string weight = matrix(rows, x.channels), types = type(x) + ", " + matrixType(rows, x.channels), operands = x.name + "[" + weight + "]";
    if (maybe()) {
      operands += " bias[" + vector(rows) + "]";
      types += ", " + vectorType(rows);
    }
    return node(rows, "llm.linear " + operands + " : (" + types + ") -> " + type({"", rows}));
  }

  Node norm(const Node &x) {
    if (maybe(3)) {
      std::string gain = vector(x.channels), bias = maybe() ? vector(x.channels) : "", biasType = bias.empty() ? "" : ", " + vectorType(x.channels);
      return node(x.channels, "llm.layer_norm " + x.name + ", " + gain + (bias.empty() ? "" : ", " + bias) + " {eps = " + eps() + " : f64} : " + type(x) + ", " +
                                  vectorType(x.channels) + biasType);
    }
    return rmsNorm(x, maybe(4) ? kHeadDim : x.channels);
  }
  Node rmsNorm(const Node &x, int64_t group) { return rmsNormAs(x, group, eps(), maybe() ? ", offset = 1.0 : f64" : ""); }
  Node rmsNormAs(const Node &x, int64_t group, const std::string &epsilon, const std::string &offset) {
    return node(x.channels, "llm.rms_norm " + x.name + ", " + vector(group) + " {eps = " + epsilon + " : f64" + offset + "} : " + type(x) + ", " + vectorType(group));
  }

  Node unary(const Node &x) {
    switch (between(0, 3)) {
    case 0:
      return node(x.channels, "llm.activation " + activationName() + " " + x.name + " : " + type(x));
    case 1:
      return node(x.channels, "llm.scale " + x.name + " by " + oneOf({"0.5", "-1.5", "1.0", "3.0"}) + " : " + type(x));
    case 2:
      return node(x.channels, "llm.softcap " + x.name + " cap " + oneOf({"0.5", "2.0", "30.0"}) + " : " + type(x));
    default:
      return node(x.channels, "llm.clamp " + x.name + " to " + oneOf({"0.5", "2.0"}) + " : " + type(x));
    }
  }

  // Another value of the same size: one that is there, or a product that makes one.
  Node mate(const Node &x) {
    for (int64_t tries = 0; tries < 3; ++tries)
      if (const Node &other = any(); other.channels == x.channels && maybe())
        return other;
    return linear(recent(), x.channels);
  }

  Node attention(const Node &x) {
    int64_t heads = kHeads;
    Node q = linear(x, heads * kHeadDim), k = linear(x, kHeadDim), v = linear(x, kHeadDim);
    if (maybe()) { // alike, as models have them; or not
      std::string epsilon = eps(), offset = maybe() ? ", offset = 1.0 : f64" : "";
      q = rmsNormAs(q, kHeadDim, epsilon, offset);
      k = rmsNormAs(k, kHeadDim, maybe(4) ? eps() : epsilon, offset);
    }
    if (maybe()) {
      std::string style = oneOf({"half", "interleaved"});
      Node table = node(kRotaryDim, "llm.rope_table %batch theta " + oneOf({"100.0", "10.0"}) + " -> " + type({"", kRotaryDim}));
      auto turned = [&](const Node &y, const std::string &how) {
        return node(y.channels, "llm.rope " + y.name + ", " + table.name + " <" + how + ", dim = 4> head_dim 4 : " + type(y) + ", " + type(table));
      };
      q = turned(q, style);
      k = turned(k, maybe(6) ? oneOf({"half", "interleaved"}) : style);
    }
    std::string layer = fresh(), attributes;
    line(layer + " = arith.constant " + std::to_string(attentions % 2) + " : index");
    if (maybe(3))
      attributes += "window = 2 : i64";
    if (maybe(3))
      attributes += std::string(attributes.empty() ? "" : ", ") + "softcap = 0.5 : f64";
    if (!attributes.empty())
      attributes = " {" + attributes + "}";
    ++attentions;
    return node(q.channels, "llm.attention " + q.name + ", " + k.name + ", " + v.name + ", @kv[" + layer + "], %batch scale 0.7" + attributes + " : (" + type(q) + ", " +
                                type(k) + ", " + type(v) + ", index, !llm.batch) -> " + type(q));
  }

  void addOp() {
    Node x = recent();
    switch (between(0, 8)) {
    case 0:
    case 1:
      return nodes.push_back(linear(maybe() ? norm(x) : x, width()));
    case 2:
      return nodes.push_back(norm(x));
    case 3:
      return nodes.push_back(unary(maybe() ? linear(x, width()) : x));
    case 4: { // products of one input, then a gated unit
      Node input = maybe() ? norm(x) : x;
      int64_t rows = width();
      Node gate = linear(input, rows), up = linear(input, rows);
      return nodes.push_back(node(rows, "llm.glu " + activationName() + " " + gate.name + ", " + up.name + " : " + type(gate)));
    }
    case 5:
    case 6: { // a residual, mostly of a product
      Node y = maybe(3) ? mate(x) : linear(x, x.channels);
      bool swapped = maybe();
      return nodes.push_back(node(x.channels, "llm.add " + (swapped ? x : y).name + ", " + (swapped ? y : x).name + " : " + type(x)));
    }
    case 7:
      if (attentions < 2) // a layer of the cache each
        return nodes.push_back(attention(x));
      return nodes.push_back(unary(x));
    default: // readers that keep a value alive
      return nodes.push_back(node(x.channels, "llm.mul " + x.name + ", " + mate(x).name + " : " + type(x) + ", " + type(x)));
    }
  }

  std::mt19937_64 random;
  std::string body;
  std::vector<Node> nodes;
  int64_t count = 0, attentions = 0;
};

} // namespace

std::string llmc::randomGraph(uint64_t seed) { return Writer(seed).module(); }
