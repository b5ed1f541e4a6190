// Tokens to a tree, by the reference's grammar and precedence.
#include "runtime/support/Text.h"
#include "runtime/template/Lexer.h"
#include "runtime/template/Syntax.h"

#include <algorithm>
#include <initializer_list>

namespace llmc::jinja {
namespace {

constexpr size_t maxNesting = 100;
constexpr size_t maxSourceBytes = size_t(4) << 20;

using Words = std::initializer_list<std::string_view>;

class Parser {
public:
  Parser(Syntax &syntax, std::vector<Token> tokens) : syntax(syntax), tokens(std::move(tokens)) {}

  Expected<void> run() {
    LLMC_TRY(body, parseBody({}));
    syntax.body = std::move(body);
    return {};
  }

private:
  // --- tokens ---

  const Token &current() const { return tokens[position]; }
  const Token &following() const { return tokens[std::min(position + 1, tokens.size() - 1)]; }
  const Token &advance() {
    const Token &token = current();
    if (position + 1 < tokens.size())
      ++position;
    return token;
  }
  bool isName(std::string_view word) const { return current().kind == TokenKind::Name && current().text == word; }
  bool isOperator(std::string_view text) const { return current().kind == TokenKind::Operator && current().text == text; }
  bool isOneOf(Words words) const { return std::ranges::any_of(words, [&](auto word) { return isName(word); }); }
  bool skipName(std::string_view word) { return isName(word) && (advance(), true); }
  bool skipOperator(std::string_view text) { return isOperator(text) && (advance(), true); }

  std::unexpected<Error> fail(uint32_t offset, const std::string &what, ErrorCode code = ErrorCode::InvalidInput) const {
    return std::unexpected(Error{code, describeOffset(syntax.source, offset) + ": " + what});
  }
  static std::string describe(const Token &token) {
    switch (token.kind) {
    case TokenKind::Text: return "text";
    case TokenKind::BlockBegin: return "'{%'";
    case TokenKind::BlockEnd: return "'%}'";
    case TokenKind::VariableBegin: return "'{{'";
    case TokenKind::VariableEnd: return "'}}'";
    case TokenKind::End: return "the end of the template";
    case TokenKind::Integer:
    case TokenKind::Float: return "a number";
    default: return quoteText(token.text, 40);
    }
  }
  std::unexpected<Error> wanted(const std::string &what) const {
    return fail(current().offset, "want " + what + ", got " + describe(current()));
  }
  Expected<void> expect(TokenKind kind, const char *what) {
    if (current().kind != kind)
      return wanted(what);
    advance();
    return {};
  }
  Expected<void> expectOperator(std::string_view text) {
    if (!skipOperator(text))
      return wanted("'" + std::string(text) + "'");
    return {};
  }
  Expected<std::string> expectName() {
    if (current().kind != TokenKind::Name)
      return wanted("a name");
    return advance().text;
  }

  // --- nodes ---

  template <class T, class... Arguments> T *make(uint32_t offset, Arguments &&...arguments) {
    auto node = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    node->offset = offset;
    T *raw = node.get();
    syntax.nodes.push_back(std::move(node));
    return raw;
  }

  Expected<void> enter() {
    if (nesting == maxNesting)
      return fail(current().offset, "nested deeper than " + std::to_string(maxNesting) + " levels");
    ++nesting;
    return {};
  }
  // Ends a level when it goes out of scope.
  struct Leave {
    size_t &nesting;
    ~Leave() { --nesting; }
  };

  // --- statements ---

  // Up to a tag that is one of `ends`, whose name becomes the current token.
  Expected<Body> parseBody(Words ends) {
    uint32_t start = lastTag;
    LLMC_CHECK(enter());
    Leave leave{nesting};
    Body body;
    while (current().kind != TokenKind::End) {
      if (current().kind == TokenKind::Text) {
        const Token &token = advance();
        body.push_back(make<TextStatement>(token.offset, token.text));
      } else if (current().kind == TokenKind::VariableBegin) {
        LLMC_TRY(output, parseOutput());
        body.push_back(output);
      } else {
        advance(); // {%
        if (isOneOf(ends))
          return body;
        LLMC_TRY(statement, parseStatement());
        body.push_back(statement);
        LLMC_CHECK(expect(TokenKind::BlockEnd, "'%}'"));
      }
    }
    if (ends.size())
      return fail(start, "this block has no end: want '{% " + std::string(*(ends.end() - 1)) + " %}'");
    return body;
  }

  Expected<const Statement *> parseOutput() {
    auto *output = make<Output>(advance().offset);
    LLMC_TRY(value, parseTuple());
    output->values.push_back(value);
    LLMC_CHECK(expect(TokenKind::VariableEnd, "'}}'"));
    return output;
  }

  // What lies between a tag's end and a tag that is one of `ends`; the last of them ends the block.
  Expected<Body> parseInner(Words ends) {
    skipOperator(":");
    LLMC_CHECK(expect(TokenKind::BlockEnd, "'%}'"));
    return parseBody(ends);
  }
  Expected<Body> parseLastInner(std::string_view end) {
    LLMC_TRY(body, parseInner({end}));
    advance();
    return std::move(body);
  }

  Expected<const Statement *> parseStatement() {
    if (current().kind != TokenKind::Name)
      return wanted("the name of a tag");
    uint32_t offset = lastTag = current().offset;
    std::string tag = advance().text;
    if (tag == "if")
      return parseIf(offset);
    if (tag == "for")
      return parseFor(offset);
    if (tag == "set")
      return parseSet(offset);
    if (tag == "macro")
      return parseMacro(offset);
    if (tag == "call")
      return parseCallBlock(offset);
    if (tag == "filter")
      return parseFilterBlock(offset);
    if (tag == "with")
      return parseWith(offset);
    if (tag == "print")
      return parsePrint(offset);
    if (tag == "generation")
      return parseGeneration(offset);
    if (tag == "break" || tag == "continue")
      return parseJump(offset, tag);
    for (std::string_view known : {"include", "import", "from", "extends", "block", "autoescape"})
      if (tag == known)
        return fail(offset, "the tag '" + tag + "' is not supported in chat templates", ErrorCode::Unsupported);
    return fail(offset, "unknown tag " + quoteText(tag, 40));
  }

  Expected<const Statement *> parseIf(uint32_t offset) {
    auto *node = make<If>(offset);
    for (;;) {
      LLMC_TRY(test, parseTuple(false));
      LLMC_TRY(body, parseInner({"elif", "else", "endif"}));
      node->branches.emplace_back(test, std::move(body));
      std::string end = advance().text;
      if (end == "elif")
        continue;
      if (end == "else") {
        LLMC_TRY(otherwise, parseLastInner("endif"));
        node->branches.emplace_back(nullptr, std::move(otherwise));
      }
      return node;
    }
  }

  Expected<const Statement *> parseFor(uint32_t offset) {
    auto *node = make<For>(offset);
    LLMC_TRY(target, parseTarget(false));
    node->target = target;
    if (!skipName("in"))
      return wanted("'in'");
    LLMC_TRY(over, parseTuple(false));
    node->over = over;
    if (skipName("if")) {
      LLMC_TRY(condition, parseExpression());
      node->condition = condition;
    }
    node->isRecursive = skipName("recursive");
    ++loops;
    auto body = parseInner({"else", "endfor"});
    --loops;
    LLMC_CHECK(body);
    node->body = std::move(*body);
    if (advance().text == "else") {
      LLMC_TRY(otherwise, parseLastInner("endfor"));
      node->otherwise = std::move(otherwise);
    }
    return node;
  }

  Expected<const Statement *> parseSet(uint32_t offset) {
    LLMC_TRY(target, parseTarget(true));
    if (skipOperator("=")) {
      auto *node = make<Set>(offset);
      node->target = target;
      LLMC_TRY(value, parseTuple());
      node->value = value;
      return node;
    }
    auto *node = make<SetBlock>(offset);
    node->target = target;
    LLMC_TRY(filter, parseFilters(nullptr));
    node->filter = filter;
    LLMC_TRY(body, parseLastInner("endset"));
    node->body = std::move(body);
    return node;
  }

  // A body that runs as a function of its own: no loop around it can be left from within.
  Expected<Body> parseFunctionBody(Signature &signature, std::string_view end) {
    functions.push_back(&signature);
    size_t outer = std::exchange(loops, 0);
    auto body = parseLastInner(end);
    loops = outer;
    functions.pop_back();
    return body;
  }

  Expected<const Statement *> parseMacro(uint32_t offset) {
    auto *node = make<Macro>(offset);
    LLMC_TRY(name, expectName());
    node->name = name;
    LLMC_CHECK(parseSignature(node->signature));
    LLMC_TRY(body, parseFunctionBody(node->signature, "endmacro"));
    node->body = std::move(body);
    return node;
  }

  Expected<void> parseSignature(Signature &signature) {
    LLMC_CHECK(expectOperator("("));
    while (!isOperator(")")) {
      if (!signature.parameters.empty())
        LLMC_CHECK(expectOperator(","));
      uint32_t offset = current().offset;
      if (signature.parameters.size() == maxArguments)
        return fail(offset, "want at most " + std::to_string(maxArguments) + " parameters");
      LLMC_TRY(name, expectName());
      ExpressionRef standard = nullptr;
      if (skipOperator("=")) {
        LLMC_TRY(value, parseExpression());
        standard = value;
      } else if (!signature.parameters.empty() && signature.parameters.back().second) {
        return fail(offset, "a parameter without a default follows one with a default");
      }
      signature.parameters.emplace_back(name, standard);
    }
    return expectOperator(")");
  }

  Expected<const Statement *> parseCallBlock(uint32_t offset) {
    auto *node = make<CallBlock>(offset);
    if (isOperator("("))
      LLMC_CHECK(parseSignature(node->signature));
    uint32_t callOffset = current().offset;
    LLMC_TRY(call, parseExpression());
    if (call->kind != ExpressionKind::Call)
      return fail(callOffset, "want a call of a macro");
    node->call = static_cast<const Call *>(call);
    LLMC_TRY(body, parseFunctionBody(node->signature, "endcall"));
    node->body = std::move(body);
    return node;
  }

  Expected<const Statement *> parseFilterBlock(uint32_t offset) {
    auto *node = make<FilterBlock>(offset);
    LLMC_TRY(first, parseFilter(nullptr));
    LLMC_TRY(filter, parseFilters(first));
    node->filter = filter;
    LLMC_TRY(body, parseLastInner("endfilter"));
    node->body = std::move(body);
    return node;
  }

  Expected<const Statement *> parseWith(uint32_t offset) {
    auto *node = make<With>(offset);
    while (current().kind != TokenKind::BlockEnd) {
      if (!node->values.empty())
        LLMC_CHECK(expectOperator(","));
      LLMC_TRY(target, parseTarget(false));
      LLMC_CHECK(expectOperator("="));
      LLMC_TRY(value, parseExpression());
      node->values.emplace_back(target, value);
    }
    LLMC_TRY(body, parseLastInner("endwith"));
    node->body = std::move(body);
    return node;
  }

  Expected<const Statement *> parsePrint(uint32_t offset) {
    auto *node = make<Output>(offset);
    while (current().kind != TokenKind::BlockEnd) {
      if (!node->values.empty())
        LLMC_CHECK(expectOperator(","));
      LLMC_TRY(value, parseExpression());
      node->values.push_back(value);
    }
    return node;
  }

  Expected<const Statement *> parseGeneration(uint32_t offset) {
    auto *node = make<ScopeBlock>(offset);
    Signature none;
    LLMC_TRY(body, parseFunctionBody(none, "endgeneration"));
    node->body = std::move(body);
    return node;
  }

  Expected<const Statement *> parseJump(uint32_t offset, const std::string &tag) {
    if (loops == 0)
      return fail(offset, "'" + tag + "' outside of a loop");
    return make<Jump>(offset, tag == "break" ? StatementKind::Break : StatementKind::Continue);
  }

  // A name, a member of a namespace, or several with commas between.
  Expected<const Target *> parseTarget(bool allowsMember) {
    LLMC_CHECK(enter());
    Leave leave{nesting};
    uint32_t offset = current().offset;
    std::vector<const Target *> parts;
    bool isTuple = false;
    while (!isTuple || !isTupleEnd()) {
      LLMC_TRY(part, parseTargetPart(allowsMember));
      parts.push_back(part);
      if (!skipOperator(","))
        break;
      isTuple = true;
    }
    if (!isTuple)
      return parts[0];
    auto *several = make<Target>(offset);
    several->kind = Target::Kind::Several;
    several->parts = std::move(parts);
    return several;
  }

  Expected<const Target *> parseTargetPart(bool allowsMember) {
    uint32_t offset = current().offset;
    if (skipOperator("(")) {
      LLMC_TRY(inner, parseTarget(allowsMember));
      LLMC_CHECK(expectOperator(")"));
      return inner;
    }
    LLMC_TRY(name, expectName());
    for (std::string_view constant : {"true", "false", "none", "True", "False", "None"})
      if (name == constant)
        return fail(offset, "can't assign to '" + name + "'");
    auto *target = make<Target>(offset);
    target->name = name;
    if (!allowsMember || !skipOperator("."))
      return target;
    LLMC_TRY(member, expectName());
    target->kind = Target::Kind::Member;
    target->member = member;
    noteUse(name);
    return target;
  }

  // --- expressions, from the loosest to the tightest ---

  bool isTupleEnd() const {
    return current().kind == TokenKind::VariableEnd || current().kind == TokenKind::BlockEnd || isOperator(")");
  }

  // One expression, or several with commas between.
  Expected<ExpressionRef> parseTuple(bool allowsCondition = true, bool allowsEmpty = false) {
    uint32_t offset = current().offset;
    std::vector<ExpressionRef> items;
    bool isTuple = false;
    while (!isTupleEnd()) {
      LLMC_TRY(item, allowsCondition ? parseExpression() : parseOr());
      items.push_back(item);
      if (!skipOperator(","))
        break;
      isTuple = true;
    }
    if (!isTuple && !items.empty())
      return items[0];
    if (!isTuple && !allowsEmpty)
      return wanted("an expression");
    auto *tuple = make<Collection>(offset, true);
    tuple->items = std::move(items);
    return tuple;
  }

  Expected<ExpressionRef> parseExpression() {
    LLMC_CHECK(enter());
    Leave leave{nesting};
    uint32_t offset = current().offset;
    LLMC_TRY(value, parseOr());
    while (skipName("if")) {
      LLMC_TRY(test, parseOr());
      ExpressionRef otherwise = nullptr;
      if (skipName("else")) {
        LLMC_TRY(no, parseExpression());
        otherwise = no;
      }
      value = make<Conditional>(offset, test, value, otherwise);
    }
    return value;
  }

  Expected<ExpressionRef> parseOr() { return parseLogic("or", &Parser::parseAnd); }
  Expected<ExpressionRef> parseAnd() { return parseLogic("and", &Parser::parseNot); }

  Expected<ExpressionRef> parseLogic(std::string_view word, Expected<ExpressionRef> (Parser::*parseOperand)()) {
    uint32_t offset = current().offset;
    LLMC_TRY(first, (this->*parseOperand)());
    if (!isName(word))
      return first;
    auto *node = make<Logic>(offset, word == "and");
    node->operands.push_back(first);
    while (skipName(word)) {
      LLMC_TRY(operand, (this->*parseOperand)());
      node->operands.push_back(operand);
    }
    return node;
  }

  Expected<ExpressionRef> parseNot() {
    uint32_t offset = current().offset;
    if (!skipName("not"))
      return parseCompare();
    LLMC_CHECK(enter());
    Leave leave{nesting};
    LLMC_TRY(operand, parseNot());
    return make<Unary>(offset, UnaryOp::Not, operand);
  }

  std::optional<CompareOp> skipCompareOp() {
    static constexpr std::pair<std::string_view, CompareOp> table[] = {
        {"==", CompareOp::Equal},     {"!=", CompareOp::NotEqual}, {"<", CompareOp::Less},
        {"<=", CompareOp::LessEqual}, {">", CompareOp::Greater},   {">=", CompareOp::GreaterEqual}};
    for (auto [text, op] : table)
      if (skipOperator(text))
        return op;
    if (skipName("in"))
      return CompareOp::In;
    if (isName("not") && following().kind == TokenKind::Name && following().text == "in") {
      advance(), advance();
      return CompareOp::NotIn;
    }
    return std::nullopt;
  }

  Expected<ExpressionRef> parseCompare() {
    uint32_t offset = current().offset;
    LLMC_TRY(first, parseSum());
    auto op = skipCompareOp();
    if (!op)
      return first;
    auto *node = make<Compare>(offset, first);
    for (; op; op = skipCompareOp()) {
      LLMC_TRY(operand, parseSum());
      node->rest.emplace_back(*op, operand);
    }
    return node;
  }

  struct OperatorName {
    std::string_view text;
    BinaryOp op;
  };

  // Operators of one level, from left to right.
  Expected<ExpressionRef> parseBinary(std::initializer_list<OperatorName> table, Expected<ExpressionRef> (Parser::*parseOperand)()) {
    LLMC_TRY(left, (this->*parseOperand)());
    for (;;) {
      auto found = std::ranges::find_if(table, [&](const OperatorName &name) { return isOperator(name.text); });
      if (found == table.end())
        return left;
      uint32_t offset = advance().offset;
      LLMC_TRY(right, (this->*parseOperand)());
      left = make<Binary>(offset, found->op, left, right);
    }
  }

  Expected<ExpressionRef> parseSum() {
    return parseBinary({{"+", BinaryOp::Add}, {"-", BinaryOp::Subtract}}, &Parser::parseConcat);
  }

  Expected<ExpressionRef> parseConcat() {
    uint32_t offset = current().offset;
    LLMC_TRY(first, parseProduct());
    if (!isOperator("~"))
      return first;
    auto *node = make<Concat>(offset);
    node->parts.push_back(first);
    while (skipOperator("~")) {
      LLMC_TRY(part, parseProduct());
      node->parts.push_back(part);
    }
    return node;
  }

  Expected<ExpressionRef> parseProduct() {
    return parseBinary({{"*", BinaryOp::Multiply}, {"/", BinaryOp::Divide}, {"//", BinaryOp::FloorDivide}, {"%", BinaryOp::Modulo}},
                       &Parser::parsePower);
  }
  Expected<ExpressionRef> parsePower() { return parseBinary({{"**", BinaryOp::Power}}, &Parser::parseSigned); }
  Expected<ExpressionRef> parseSigned() { return parseUnary(true); }

  Expected<ExpressionRef> parseUnary(bool allowsFilter) {
    uint32_t offset = current().offset;
    ExpressionRef node = nullptr;
    if (isOperator("-") || isOperator("+")) {
      LLMC_CHECK(enter());
      Leave leave{nesting};
      UnaryOp op = advance().text == "-" ? UnaryOp::Negative : UnaryOp::Positive;
      LLMC_TRY(operand, parseUnary(false));
      node = make<Unary>(offset, op, operand);
    } else {
      LLMC_TRY(primary, parsePrimary());
      node = primary;
    }
    LLMC_TRY(whole, parsePostfix(node));
    return allowsFilter ? parseFilters(whole, true) : Expected<ExpressionRef>(whole);
  }

  Expected<ExpressionRef> parsePrimary() {
    const Token &token = current();
    switch (token.kind) {
    case TokenKind::Name:
      return parseNameOrConstant();
    case TokenKind::String:
      return parseText();
    case TokenKind::Integer:
    case TokenKind::Float:
      advance();
      return make<Constant>(token.offset, token.number);
    default:
      break;
    }
    if (skipOperator("(")) {
      LLMC_TRY(inner, parseTuple(true, true));
      LLMC_CHECK(expectOperator(")"));
      return inner;
    }
    if (isOperator("["))
      return parseList();
    if (isOperator("{"))
      return parseDict();
    return wanted("an expression");
  }

  Expected<ExpressionRef> parseNameOrConstant() {
    const Token &token = advance();
    const std::string &text = token.text;
    if (text == "true" || text == "True" || text == "false" || text == "False")
      return make<Constant>(token.offset, Value::of(text == "true" || text == "True"));
    if (text == "none" || text == "None")
      return make<Constant>(token.offset, Value::none());
    noteUse(text);
    return make<Name>(token.offset, text);
  }

  // Only what a macro's body names is passed to it beside its parameters.
  void noteUse(std::string_view name) {
    for (Signature *signature : functions) {
      signature->usesCaller |= name == "caller";
      signature->usesKeywords |= name == "kwargs";
      signature->usesRest |= name == "varargs";
    }
  }

  Expected<ExpressionRef> parseText() {
    uint32_t offset = current().offset;
    std::string text;
    while (current().kind == TokenKind::String)
      text += advance().text;
    return make<Constant>(offset, Value::of(std::move(text)));
  }

  Expected<ExpressionRef> parseList() {
    auto *list = make<Collection>(advance().offset, false);
    while (!isOperator("]")) {
      LLMC_TRY(item, parseExpression());
      list->items.push_back(item);
      if (!skipOperator(","))
        break;
    }
    LLMC_CHECK(expectOperator("]"));
    return list;
  }

  Expected<ExpressionRef> parseDict() {
    auto *dict = make<DictLiteral>(advance().offset);
    while (!isOperator("}")) {
      LLMC_TRY(key, parseExpression());
      LLMC_CHECK(expectOperator(":"));
      LLMC_TRY(value, parseExpression());
      dict->items.emplace_back(key, value);
      if (!skipOperator(","))
        break;
    }
    LLMC_CHECK(expectOperator("}"));
    return dict;
  }

  Expected<ExpressionRef> parsePostfix(ExpressionRef node) {
    for (;;) {
      Expected<ExpressionRef> next = isOperator(".")   ? parseMember(node)
                                     : isOperator("[") ? parseSubscript(node)
                                     : isOperator("(") ? parseCall(node)
                                                       : Expected<ExpressionRef>(nullptr);
      LLMC_CHECK(next);
      if (!*next)
        return node;
      node = *next;
    }
  }

  Expected<ExpressionRef> parseMember(ExpressionRef object) {
    uint32_t offset = advance().offset;
    const Token &token = current();
    if (token.kind == TokenKind::Integer) {
      advance();
      return make<Subscript>(offset, object, make<Constant>(token.offset, token.number));
    }
    LLMC_TRY(name, expectName());
    return make<Attribute>(offset, object, name);
  }

  Expected<ExpressionRef> parseSubscript(ExpressionRef object) {
    uint32_t offset = advance().offset;
    std::vector<ExpressionRef> indices;
    while (!isOperator("]")) {
      if (!indices.empty())
        LLMC_CHECK(expectOperator(","));
      LLMC_TRY(index, parseIndex());
      indices.push_back(index);
    }
    LLMC_CHECK(expectOperator("]"));
    if (indices.size() == 1)
      return make<Subscript>(offset, object, indices[0]);
    auto *tuple = make<Collection>(offset, true);
    tuple->items = std::move(indices);
    return make<Subscript>(offset, object, tuple);
  }

  Expected<ExpressionRef> parseIndex() {
    uint32_t offset = current().offset;
    ExpressionRef parts[3] = {};
    bool isSlice = false;
    for (size_t i = 0; i < 3; ++i) {
      if (!isOperator(":") && !isOperator("]") && !isOperator(",")) {
        LLMC_TRY(part, parseExpression());
        parts[i] = part;
      }
      if (i == 2 || !skipOperator(":"))
        break;
      isSlice = true;
    }
    if (!isSlice)
      return parts[0] ? Expected<ExpressionRef>(parts[0]) : wanted("an index");
    auto *slice = make<Slice>(offset);
    slice->start = parts[0], slice->stop = parts[1], slice->step = parts[2];
    return slice;
  }

  Expected<ExpressionRef> parseCall(ExpressionRef callee) {
    auto *call = make<Call>(current().offset, callee);
    LLMC_CHECK(parseArguments(call->arguments));
    return call;
  }

  Expected<void> parseArguments(CallArguments &arguments) {
    LLMC_CHECK(expectOperator("("));
    while (!isOperator(")")) {
      LLMC_CHECK(parseArgument(arguments));
      if (!skipOperator(","))
        break;
    }
    return expectOperator(")");
  }

  Expected<void> parseArgument(CallArguments &arguments) {
    uint32_t offset = current().offset;
    bool isList = skipOperator("*"), isDict = !isList && skipOperator("**");
    bool isKeyword = !isList && !isDict && current().kind == TokenKind::Name &&
                     following().kind == TokenKind::Operator && following().text == "=";
    bool isPlain = !isList && !isDict && !isKeyword;
    if (arguments.positional.size() + arguments.keywords.size() == maxArguments)
      return fail(offset, "want at most " + std::to_string(maxArguments) + " arguments");
    if (arguments.dict || (isList && arguments.list) || (isPlain && (arguments.list || !arguments.keywords.empty())))
      return fail(offset, "this argument can't follow those before it");
    std::string keyword = isKeyword ? advance().text : "";
    if (isKeyword)
      advance(); // =
    LLMC_TRY(value, parseExpression());
    if (isPlain)
      arguments.positional.push_back(value);
    else if (isKeyword)
      arguments.keywords.emplace_back(std::move(keyword), value);
    else
      (isList ? arguments.list : arguments.dict) = value;
    return {};
  }

  // Filters, and with `allowsTest` tests and calls, that follow a value.
  Expected<ExpressionRef> parseFilters(ExpressionRef node, bool allowsTest = false) {
    for (;;) {
      Expected<ExpressionRef> next = skipOperator("|")                ? parseFilter(node)
                                     : allowsTest && isName("is")     ? parseTest(node)
                                     : allowsTest && isOperator("(") ? parseCall(node)
                                                                      : Expected<ExpressionRef>(nullptr);
      LLMC_CHECK(next);
      if (!*next)
        return node;
      node = *next;
    }
  }

  Expected<ExpressionRef> parseFilter(ExpressionRef input) {
    uint32_t offset = current().offset;
    LLMC_TRY(name, parseDottedName());
    auto *filter = make<Filter>(offset, input, name);
    if (isOperator("("))
      LLMC_CHECK(parseArguments(filter->arguments));
    return filter;
  }

  Expected<std::string> parseDottedName() {
    LLMC_TRY(name, expectName());
    while (skipOperator(".")) {
      LLMC_TRY(part, expectName());
      name += "." + part;
    }
    return std::move(name);
  }

  Expected<ExpressionRef> parseTest(ExpressionRef input) {
    uint32_t offset = advance().offset;
    bool isNegated = skipName("not");
    LLMC_TRY(name, parseDottedName());
    auto *test = make<Test>(offset, input, name);
    if (isOperator("(")) {
      LLMC_CHECK(parseArguments(test->arguments));
    } else if (startsArgument()) {
      if (isName("is"))
        return fail(current().offset, "tests can't be chained with 'is'");
      LLMC_TRY(primary, parsePrimary());
      LLMC_TRY(argument, parsePostfix(primary));
      test->arguments.positional.push_back(argument);
    }
    return isNegated ? static_cast<ExpressionRef>(make<Unary>(offset, UnaryOp::Not, test)) : test;
  }

  bool startsArgument() const {
    switch (current().kind) {
    case TokenKind::Name:
      return !isOneOf({"else", "or", "and"});
    case TokenKind::String:
    case TokenKind::Integer:
    case TokenKind::Float:
      return true;
    default:
      return isOperator("[") || isOperator("{");
    }
  }

  Syntax &syntax;
  std::vector<Token> tokens;
  size_t position = 0, nesting = 0, loops = 0;
  uint32_t lastTag = 0;
  std::vector<Signature *> functions; // around the current token
};

// Lines end with \n, and the last line's end does not count.
std::string normalizeLines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r')
      out += source[i];
    else if (i + 1 == source.size() || source[i + 1] != '\n')
      out += '\n';
  }
  if (out.ends_with('\n'))
    out.pop_back();
  return out;
}

} // namespace

std::string describeOffset(std::string_view source, size_t offset) {
  std::string_view before = source.substr(0, offset);
  size_t line = 1 + size_t(std::ranges::count(before, '\n'));
  size_t lineStart = before.rfind('\n') + 1;
  size_t column = 1;
  for (char c : before.substr(lineStart))
    column += (uint8_t(c) & 0xc0) != 0x80;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

Expected<Syntax> parseTemplate(std::string source) {
  if (source.size() > maxSourceBytes)
    return invalidInput("want at most " + std::to_string(maxSourceBytes) + " bytes, got " + std::to_string(source.size()));
  if (!isUtf8(source))
    return invalidInput("it is not UTF-8");
  Syntax syntax;
  syntax.source = normalizeLines(source);
  LLMC_TRY(tokens, tokenize(syntax.source));
  LLMC_CHECK(Parser(syntax, std::move(tokens)).run());
  return std::move(syntax);
}

} // namespace llmc::jinja
