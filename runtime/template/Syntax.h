// The tree that a template is read into. Nodes belong to the Syntax that holds them.
#pragma once

#include "runtime/template/Value.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace llmc::jinja {

struct Node {
  virtual ~Node() = default;
  uint32_t offset = 0; // into the template's text
};

// --- expressions ---

enum class ExpressionKind : uint8_t {
  Constant, Name, Collection, DictLiteral, Conditional, Unary, Binary, Logic, Compare, Concat, Attribute, Subscript, Slice, Call, Filter, Test,
};
struct Expression : Node {
  explicit Expression(ExpressionKind kind) : kind(kind) {}
  ExpressionKind kind;
};
using ExpressionRef = const Expression *; // null where one is left out

struct Constant : Expression {
  explicit Constant(Value value) : Expression(ExpressionKind::Constant), value(std::move(value)) {}
  Value value;
};
struct Name : Expression {
  explicit Name(std::string name) : Expression(ExpressionKind::Name), name(std::move(name)) {}
  std::string name;
};
struct Collection : Expression { // a list or a tuple
  explicit Collection(bool isTuple) : Expression(ExpressionKind::Collection), isTuple(isTuple) {}
  bool isTuple;
  std::vector<ExpressionRef> items;
};
struct DictLiteral : Expression {
  DictLiteral() : Expression(ExpressionKind::DictLiteral) {}
  std::vector<std::pair<ExpressionRef, ExpressionRef>> items;
};
struct Conditional : Expression { // yes if test else no
  Conditional(ExpressionRef test, ExpressionRef yes, ExpressionRef no)
      : Expression(ExpressionKind::Conditional), test(test), yes(yes), no(no) {}
  ExpressionRef test, yes, no;
};
enum class UnaryOp : uint8_t { Not, Negative, Positive };
struct Unary : Expression {
  Unary(UnaryOp op, ExpressionRef operand) : Expression(ExpressionKind::Unary), op(op), operand(operand) {}
  UnaryOp op;
  ExpressionRef operand;
};
enum class BinaryOp : uint8_t { Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power };
struct Binary : Expression {
  Binary(BinaryOp op, ExpressionRef left, ExpressionRef right)
      : Expression(ExpressionKind::Binary), op(op), left(left), right(right) {}
  BinaryOp op;
  ExpressionRef left, right;
};
struct Logic : Expression { // `and` or `or` of two or more
  explicit Logic(bool isAnd) : Expression(ExpressionKind::Logic), isAnd(isAnd) {}
  bool isAnd;
  std::vector<ExpressionRef> operands;
};
enum class CompareOp : uint8_t { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In, NotIn };
struct Compare : Expression { // a < b < c
  explicit Compare(ExpressionRef first) : Expression(ExpressionKind::Compare), first(first) {}
  ExpressionRef first;
  std::vector<std::pair<CompareOp, ExpressionRef>> rest;
};
struct Concat : Expression { // a ~ b ~ c
  Concat() : Expression(ExpressionKind::Concat) {}
  std::vector<ExpressionRef> parts;
};
struct Attribute : Expression {
  Attribute(ExpressionRef object, std::string name)
      : Expression(ExpressionKind::Attribute), object(object), name(std::move(name)) {}
  ExpressionRef object;
  std::string name;
};
struct Subscript : Expression {
  Subscript(ExpressionRef object, ExpressionRef index)
      : Expression(ExpressionKind::Subscript), object(object), index(index) {}
  ExpressionRef object, index; // the index may be a Slice
};
struct Slice : Expression {
  Slice() : Expression(ExpressionKind::Slice) {}
  ExpressionRef start = nullptr, stop = nullptr, step = nullptr;
};
constexpr size_t maxArguments = 250; // of a call, and parameters of a macro

struct CallArguments {
  std::vector<ExpressionRef> positional;
  std::vector<std::pair<std::string, ExpressionRef>> keywords;
  ExpressionRef list = nullptr, dict = nullptr; // *list, **dict
};
struct Call : Expression {
  explicit Call(ExpressionRef callee) : Expression(ExpressionKind::Call), callee(callee) {}
  ExpressionRef callee;
  CallArguments arguments;
};
struct Filter : Expression {
  Filter(ExpressionRef input, std::string name)
      : Expression(ExpressionKind::Filter), input(input), name(std::move(name)) {}
  ExpressionRef input; // null: what a block wrote
  std::string name;
  CallArguments arguments;
};
struct Test : Expression {
  Test(ExpressionRef input, std::string name) : Expression(ExpressionKind::Test), input(input), name(std::move(name)) {}
  ExpressionRef input;
  std::string name;
  CallArguments arguments;
};

// --- statements ---

enum class StatementKind : uint8_t { Text, Output, If, For, Set, SetBlock, Macro, CallBlock, FilterBlock, With, Scope, Break, Continue };
struct Statement : Node {
  explicit Statement(StatementKind kind) : kind(kind) {}
  StatementKind kind;
};
using Body = std::vector<const Statement *>;

struct TextStatement : Statement {
  explicit TextStatement(std::string text) : Statement(StatementKind::Text), text(std::move(text)) {}
  std::string text;
};
struct Output : Statement {
  Output() : Statement(StatementKind::Output) {}
  std::vector<ExpressionRef> values;
};
struct If : Statement {
  If() : Statement(StatementKind::If) {}
  std::vector<std::pair<ExpressionRef, Body>> branches; // the last one's test is null if it is an else
};
// What `set` and `for` store to: a name, a member of a namespace, or several of them.
struct Target : Node {
  enum class Kind : uint8_t { Name, Member, Several } kind = Kind::Name;
  std::string name, member;
  std::vector<const Target *> parts;
};
struct For : Statement {
  For() : Statement(StatementKind::For) {}
  const Target *target = nullptr;
  ExpressionRef over = nullptr, condition = nullptr;
  bool isRecursive = false;
  Body body, otherwise;
};
struct Set : Statement {
  Set() : Statement(StatementKind::Set) {}
  const Target *target = nullptr;
  ExpressionRef value = nullptr;
};
struct SetBlock : Statement {
  SetBlock() : Statement(StatementKind::SetBlock) {}
  const Target *target = nullptr;
  ExpressionRef filter = nullptr; // a chain of Filters whose innermost has no input
  Body body;
};
struct Signature {
  std::vector<std::pair<std::string, ExpressionRef>> parameters; // with their defaults
  bool usesCaller = false, usesKeywords = false, usesRest = false; // what the body names: caller, kwargs, varargs
};
struct Macro : Statement {
  Macro() : Statement(StatementKind::Macro) {}
  std::string name;
  Signature signature;
  Body body;
};
struct CallBlock : Statement {
  CallBlock() : Statement(StatementKind::CallBlock) {}
  const Call *call = nullptr;
  Signature signature;
  Body body;
};
struct FilterBlock : Statement {
  FilterBlock() : Statement(StatementKind::FilterBlock) {}
  ExpressionRef filter = nullptr;
  Body body;
};
struct With : Statement {
  With() : Statement(StatementKind::With) {}
  std::vector<std::pair<const Target *, ExpressionRef>> values;
  Body body;
};
struct ScopeBlock : Statement { // {% generation %}
  ScopeBlock() : Statement(StatementKind::Scope) {}
  Body body;
};
struct Jump : Statement { // break, continue
  using Statement::Statement;
};

struct Syntax {
  std::string source; // lines end with \n
  Body body;
  std::vector<std::unique_ptr<Node>> nodes;
};

// "line 3, column 7" of an offset.
std::string describeOffset(std::string_view source, size_t offset);

// Errors: InvalidInput with line and column; Unsupported for tags that need other templates.
Expected<Syntax> parseTemplate(std::string source);

} // namespace llmc::jinja
