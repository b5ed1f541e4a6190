// Runs a template's tree.
#include "runtime/template/Filters.h"
#include "runtime/template/Globals.h"
#include "runtime/template/Loop.h"
#include "runtime/template/Operators.h"
#include "runtime/template/Print.h"
#include "runtime/template/PythonText.h"
#include "runtime/template/Template.h"

#include <algorithm>

namespace llmc::jinja {

// Variables of a block. A name is looked up here, then around it; what is stored is stored here.
struct Scope : Object {
  Scope *parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> variables;
  std::unordered_map<std::string_view, size_t> index; // filled beyond a few variables

  Value *find(std::string_view name) {
    if (variables.size() > smallScope) {
      auto found = index.find(name);
      return found == index.end() ? nullptr : &variables[found->second].second;
    }
    auto found = std::ranges::find(variables, name, &std::pair<std::string_view, Value>::first);
    return found == variables.end() ? nullptr : &found->second;
  }
  void set(std::string_view name, Value value) {
    if (Value *there = find(name)) {
      *there = std::move(value);
      return;
    }
    variables.emplace_back(name, std::move(value));
    if (variables.size() == smallScope + 1)
      for (size_t i = 0; i < smallScope; ++i)
        index.emplace(variables[i].first, i);
    if (variables.size() > smallScope)
      index.emplace(name, variables.size() - 1);
  }

  static constexpr size_t smallScope = 16;
};

namespace {

enum class Flow : uint8_t { Next, Break, Continue };

class Interpreter {
public:
  Interpreter(Rendering &rendering, const Syntax &syntax) : rendering(rendering), syntax(syntax) {}

  Expected<std::string> run(const Variables &variables) {
    auto text = render(variables);
    if (!text && failedAt)
      text.error().message = describeOffset(syntax.source, *failedAt) + ": " + text.error().message;
    return text;
  }

private:
  Expected<std::string> render(const Variables &variables) {
    LLMC_TRY(made, makeGlobals(rendering));
    LLMC_TRY(globals, pushScope());
    for (const auto &[name, value] : made)
      globals->set(name, value);
    for (const auto &[name, value] : variables)
      globals->set(name, value);
    LLMC_CHECK(pushScope());
    std::string text;
    out = &text;
    isWhole = true;
    LLMC_CHECK(runBody(syntax.body));
    return text;
  }

  // --- state ---

  Expected<Scope *> pushScope() { return pushScope(scope); }
  Expected<Scope *> pushScope(Scope *parent) {
    LLMC_TRY(made, rendering.heap.make<Scope>());
    made->parent = parent;
    scope = made;
    return made;
  }

  // Puts scope and output back when it goes.
  struct Restore {
    Interpreter &self;
    Scope *scope = self.scope;
    std::string *out = self.out;
    bool isWhole = self.isWhole;
    ~Restore() { self.scope = scope, self.out = out, self.isWhole = isWhole; }
  };

  // The innermost place is the one to name.
  void noteFailure(const Node &node) {
    if (!failedAt)
      failedAt = node.offset;
  }

  Expected<void> write(std::string_view text) {
    LLMC_CHECK(rendering.budget.bytes(text.size()));
    *out += text;
    return isWhole ? rendering.budget.output(out->size()) : Expected<void>();
  }

  // What a body writes, in a scope of its own within `parent`.
  Expected<Value> capture(const Body &body, Scope *parent) {
    Restore restore{*this};
    std::string text;
    out = &text;
    isWhole = false;
    LLMC_CHECK(pushScope(parent));
    LLMC_CHECK(runBody(body));
    return rendering.heap.text(std::move(text));
  }

  // --- statements ---

  Expected<Flow> runBody(const Body &body) {
    for (const Statement *statement : body) {
      LLMC_TRY(flow, runStatement(*statement));
      if (flow != Flow::Next)
        return flow;
    }
    return Flow::Next;
  }

  Expected<Flow> runStatement(const Statement &node) {
    Expected<Flow> flow = runNested(node);
    if (!flow)
      noteFailure(node);
    return flow;
  }

  Expected<Flow> runNested(const Statement &node) {
    LLMC_NEST(rendering.budget);
    LLMC_CHECK(rendering.budget.step());
    switch (node.kind) {
    case StatementKind::If: return runIf(static_cast<const If &>(node));
    case StatementKind::For: return runFor(static_cast<const For &>(node));
    case StatementKind::Break: return Flow::Break;
    case StatementKind::Continue: return Flow::Continue;
    default: break;
    }
    LLMC_CHECK(runSimple(node));
    return Flow::Next;
  }

  Expected<void> runSimple(const Statement &node) {
    switch (node.kind) {
    case StatementKind::Text: return write(static_cast<const TextStatement &>(node).text);
    case StatementKind::Output: return runOutput(static_cast<const Output &>(node));
    case StatementKind::Set: return runSet(static_cast<const Set &>(node));
    case StatementKind::SetBlock: return runSetBlock(static_cast<const SetBlock &>(node));
    case StatementKind::Macro: return runMacro(static_cast<const Macro &>(node));
    case StatementKind::CallBlock: return runCallBlock(static_cast<const CallBlock &>(node));
    case StatementKind::FilterBlock: return runFilterBlock(static_cast<const FilterBlock &>(node));
    case StatementKind::With: return runWith(static_cast<const With &>(node));
    case StatementKind::Scope: return runScope(static_cast<const ScopeBlock &>(node));
    default: return internalError("a statement that is none");
    }
  }

  Expected<void> runOutput(const Output &node) {
    for (ExpressionRef expression : node.values) {
      LLMC_TRY(value, evaluate(*expression));
      auto text = toText(rendering, value);
      if (!text)
        noteFailure(*expression);
      LLMC_CHECK(text);
      LLMC_CHECK(write(*text));
    }
    return {};
  }

  Expected<Flow> runIf(const If &node) {
    for (const auto &[test, body] : node.branches) {
      if (test) {
        LLMC_TRY(value, evaluate(*test));
        if (!isTrue(value))
          continue;
      }
      return runBody(body);
    }
    return Flow::Next;
  }

  Expected<Flow> runFor(const For &node) {
    LLMC_TRY(over, evaluate(*node.over));
    LLMC_CHECK(runLoop(node, over, scope, 0));
    return Flow::Next;
  }

  Expected<void> runLoop(const For &node, const Value &over, Scope *outer, int64_t depth) {
    Restore restore{*this};
    LLMC_TRY(items, iterate(rendering, over));
    LLMC_TRY(loop, rendering.heap.make<LoopState>());
    loop->node = &node;
    loop->outer = outer;
    loop->depth = depth;
    loop->items = std::move(items);
    loop->rendering = &rendering;
    if (node.condition)
      loop->keeps = [this, &node, outer](const Value &item) { return keeps(node, outer, item); };
    LLMC_TRY(some, runIterations(node, *loop));
    if (some)
      return {};
    LLMC_CHECK(pushScope(outer));
    LLMC_CHECK(runBody(node.otherwise));
    return {};
  }

  Expected<bool> keeps(const For &node, Scope *outer, const Value &item) {
    Restore restore{*this};
    LLMC_CHECK(pushScope(outer));
    LLMC_CHECK(store(*node.target, item));
    LLMC_TRY(kept, evaluate(*node.condition));
    return isTrue(kept);
  }

  // Whether some item's body ran to its end: as in the reference, a loop that is always left early has its `else` too.
  Expected<bool> runIterations(const For &node, LoopState &loop) {
    for (bool some = false;;) {
      LLMC_CHECK(rendering.budget.step());
      LLMC_TRY(item, loop.advance());
      if (!item)
        return some;
      LLMC_CHECK(pushScope(loop.outer));
      scope->set("loop", Value::object(Kind::Loop, &loop));
      LLMC_CHECK(store(*node.target, *item));
      LLMC_TRY(flow, runBody(node.body));
      if (flow == Flow::Break)
        return some;
      some |= flow == Flow::Next;
    }
  }

  Expected<void> store(const Target &target, Value value) {
    switch (target.kind) {
    case Target::Kind::Name:
      scope->set(target.name, std::move(value));
      return {};
    case Target::Kind::Member:
      return storeMember(target, std::move(value));
    case Target::Kind::Several:
      return storeSeveral(target, value);
    }
    return internalError("a target that is none");
  }

  Expected<void> storeMember(const Target &target, Value value) {
    Value owner = lookUp(target.name);
    if (owner.is(Kind::Undefined))
      return undefinedError(owner);
    if (!owner.is(Kind::Namespace))
      return invalidInput("cannot assign attribute on non-namespace object: want " + target.name + " = namespace(…) before");
    if (target.member.starts_with("_"))
      return invalidInput("a namespace's member must not begin with '_': rename '" + target.member + "'");
    LLMC_CHECK(rendering.budget.bytes(sizeof(Value)));
    owner.names().attributes.set(Value::of(target.member), std::move(value));
    return {};
  }

  Expected<void> storeSeveral(const Target &target, const Value &value) {
    LLMC_TRY(items, iterate(rendering, value));
    if (items.size() != target.parts.size())
      return invalidInput("want " + std::to_string(target.parts.size()) + " values to unpack, got " + std::to_string(items.size()));
    for (size_t i = 0; i < items.size(); ++i)
      LLMC_CHECK(store(*target.parts[i], items[i]));
    return {};
  }

  Expected<void> runSet(const Set &node) {
    LLMC_TRY(value, evaluate(*node.value));
    return store(*node.target, value);
  }

  Expected<void> runSetBlock(const SetBlock &node) {
    LLMC_TRY(text, capture(node.body, scope));
    LLMC_TRY(value, filtered(node.filter, text));
    return store(*node.target, value);
  }

  Expected<void> runFilterBlock(const FilterBlock &node) {
    LLMC_TRY(text, capture(node.body, scope));
    LLMC_TRY(value, filtered(node.filter, text));
    LLMC_TRY(printed, toText(rendering, value));
    return write(printed);
  }

  // A chain of filters whose innermost reads `text`.
  Expected<Value> filtered(ExpressionRef filter, const Value &text) {
    if (!filter)
      return text;
    Value outer = std::exchange(blockText, text);
    auto value = evaluate(*filter);
    blockText = outer;
    return value;
  }

  Expected<void> runWith(const With &node) {
    Restore restore{*this};
    std::vector<Value> values;
    for (const auto &[target, expression] : node.values) {
      LLMC_TRY(value, evaluate(*expression));
      values.push_back(value);
    }
    LLMC_CHECK(pushScope());
    for (size_t i = 0; i < values.size(); ++i)
      LLMC_CHECK(store(*node.values[i].first, values[i]));
    return runInner(node.body);
  }

  Expected<void> runScope(const ScopeBlock &node) {
    Restore restore{*this};
    LLMC_CHECK(pushScope());
    return runInner(node.body);
  }

  // A body that no break or continue leaves.
  Expected<void> runInner(const Body &body) {
    LLMC_CHECK(runBody(body));
    return {};
  }

  // --- macros ---

  Expected<Value> makeMacro(const std::string &name, const Signature &signature, const Body &body) {
    Scope *around = scope;
    LLMC_TRY(macro, rendering.heap.function(name, [this, &signature, &body, name, around](Arguments given) {
      return callMacro(name, signature, body, around, std::move(given));
    }));
    macro.function().type = "Macro";
    return std::move(macro);
  }

  Expected<void> runMacro(const Macro &node) {
    LLMC_TRY(macro, makeMacro(node.name, node.signature, node.body));
    scope->set(node.name, macro);
    return {};
  }

  Expected<void> runCallBlock(const CallBlock &node) {
    LLMC_TRY(caller, makeMacro("caller", node.signature, node.body));
    LLMC_TRY(callee, evaluate(*node.call->callee));
    LLMC_TRY(arguments, evaluateArguments(node.call->arguments));
    arguments.keywords.emplace_back("caller", caller);
    LLMC_TRY(value, call(callee, std::move(arguments)));
    LLMC_TRY(text, toText(rendering, value));
    return write(text);
  }

  Expected<Value> callMacro(const std::string &name, const Signature &signature, const Body &body, Scope *around, Arguments given) {
    LLMC_NEST(rendering.budget);
    Restore restore{*this};
    LLMC_TRY(parameters, pushScope(around));
    LLMC_CHECK(bindParameters(name, signature, *parameters, given));
    return capture(body, parameters);
  }

  static std::optional<Value> takeKeyword(Arguments &given, std::string_view name) {
    auto found = std::ranges::find(given.keywords, name, &std::pair<std::string, Value>::first);
    if (found == given.keywords.end())
      return std::nullopt;
    Value value = std::move(found->second);
    given.keywords.erase(found);
    return value;
  }

  Expected<void> bindParameters(const std::string &name, const Signature &signature, Scope &into, Arguments &given) {
    size_t count = signature.parameters.size();
    bool namesCaller = std::ranges::find(signature.parameters, "caller", &std::pair<std::string, ExpressionRef>::first) !=
                       signature.parameters.end();
    for (size_t i = 0; i < count; ++i)
      LLMC_CHECK(bindParameter(signature.parameters[i], i, into, given));
    if (signature.usesCaller && !namesCaller)
      into.set("caller", takeKeyword(given, "caller").value_or(Value::undefined("No caller defined")));
    if (signature.usesKeywords) {
      LLMC_TRY(rest, rendering.heap.make<Dict>());
      for (auto &[keyword, value] : given.keywords)
        rest->set(Value::of(keyword), std::move(value));
      into.set("kwargs", Value::object(Kind::Dict, rest));
    } else if (!given.keywords.empty()) {
      return invalidInput("macro '" + name + "' takes no keyword argument '" + given.keywords[0].first + "'");
    }
    std::vector<Value> more;
    if (given.positional.size() > count)
      more.assign(given.positional.begin() + std::ptrdiff_t(count), given.positional.end());
    if (!signature.usesRest && !more.empty())
      return invalidInput("macro '" + name + "' takes not more than " + std::to_string(count) + " argument(s)");
    if (signature.usesRest) {
      LLMC_TRY(tuple, rendering.heap.tuple(std::move(more)));
      into.set("varargs", tuple);
    }
    return {};
  }

  // A default is evaluated within the macro: it sees the parameters before it.
  Expected<void> bindParameter(const std::pair<std::string, ExpressionRef> &parameter, size_t i, Scope &into, Arguments &given) {
    const auto &[name, standard] = parameter;
    if (i < given.positional.size()) {
      into.set(name, given.positional[i]);
    } else if (auto value = takeKeyword(given, name)) {
      into.set(name, *value);
    } else if (standard) {
      LLMC_TRY(made, evaluate(*standard));
      into.set(name, made);
    } else {
      into.set(name, Value::undefined("parameter '" + name + "' was not provided"));
    }
    return {};
  }

  // --- expressions ---

  Expected<Value> evaluate(const Expression &node) {
    Expected<Value> value = evaluateNested(node);
    if (!value)
      noteFailure(node);
    return value;
  }

  Expected<Value> evaluateNested(const Expression &node) {
    LLMC_NEST(rendering.budget);
    LLMC_CHECK(rendering.budget.step());
    switch (node.kind) {
    case ExpressionKind::Constant: return static_cast<const Constant &>(node).value;
    case ExpressionKind::Name: return lookUp(static_cast<const Name &>(node).name);
    case ExpressionKind::Collection: return evaluateCollection(static_cast<const Collection &>(node));
    case ExpressionKind::DictLiteral: return evaluateDict(static_cast<const DictLiteral &>(node));
    case ExpressionKind::Conditional: return evaluateConditional(static_cast<const Conditional &>(node));
    case ExpressionKind::Unary: return evaluateUnary(static_cast<const Unary &>(node));
    case ExpressionKind::Binary: return evaluateBinary(static_cast<const Binary &>(node));
    case ExpressionKind::Logic: return evaluateLogic(static_cast<const Logic &>(node));
    case ExpressionKind::Compare: return evaluateCompare(static_cast<const Compare &>(node));
    case ExpressionKind::Concat: return evaluateConcat(static_cast<const Concat &>(node));
    case ExpressionKind::Attribute: return evaluateAttribute(static_cast<const Attribute &>(node));
    case ExpressionKind::Subscript: return evaluateSubscript(static_cast<const Subscript &>(node));
    case ExpressionKind::Slice: return invalidInput("a slice can only stand alone in brackets");
    case ExpressionKind::Call: return evaluateCall(static_cast<const Call &>(node));
    case ExpressionKind::Filter: return evaluateFilter(static_cast<const Filter &>(node));
    case ExpressionKind::Test: return evaluateTest(static_cast<const Test &>(node));
    }
    return internalError("an expression that is none");
  }

  Value lookUp(std::string_view name) {
    for (Scope *at = scope; at; at = at->parent)
      if (Value *found = at->find(name))
        return *found;
    return Value::undefined("'" + std::string(name) + "' is undefined");
  }

  Expected<std::vector<Value>> evaluateAll(const std::vector<ExpressionRef> &expressions) {
    std::vector<Value> values;
    for (ExpressionRef expression : expressions) {
      LLMC_TRY(value, evaluate(*expression));
      values.push_back(value);
    }
    return values;
  }

  Expected<Value> evaluateCollection(const Collection &node) {
    LLMC_TRY(items, evaluateAll(node.items));
    return rendering.heap.sequence(node.isTuple ? Kind::Tuple : Kind::List, std::move(items));
  }

  Expected<Value> evaluateDict(const DictLiteral &node) {
    LLMC_TRY(dict, rendering.heap.make<Dict>());
    for (const auto &[keyNode, valueNode] : node.items) {
      LLMC_TRY(key, evaluate(*keyNode));
      LLMC_CHECK(checkHashable(rendering, key));
      LLMC_TRY(value, evaluate(*valueNode));
      LLMC_CHECK(rendering.budget.bytes(2 * sizeof(Value)));
      dict->set(key, value);
    }
    return Value::object(Kind::Dict, dict);
  }

  Expected<Value> evaluateConditional(const Conditional &node) {
    LLMC_TRY(test, evaluate(*node.test));
    if (isTrue(test))
      return evaluate(*node.yes);
    if (node.no)
      return evaluate(*node.no);
    return Value::undefined("the inline if-expression evaluated to false and no else section was defined");
  }

  Expected<Value> evaluateUnary(const Unary &node) {
    LLMC_TRY(operand, evaluate(*node.operand));
    return node.op == UnaryOp::Not ? Expected<Value>(Value::of(!isTrue(operand))) : applySign(node.op, operand);
  }

  Expected<Value> evaluateBinary(const Binary &node) {
    LLMC_TRY(left, evaluate(*node.left));
    LLMC_TRY(right, evaluate(*node.right));
    return applyBinary(rendering, node.op, left, right);
  }

  // The first operand that decides it, as Python has it.
  Expected<Value> evaluateLogic(const Logic &node) {
    Value value;
    for (ExpressionRef operand : node.operands) {
      LLMC_TRY(next, evaluate(*operand));
      value = next;
      if (isTrue(value) != node.isAnd)
        break;
    }
    return value;
  }

  Expected<Value> evaluateCompare(const Compare &node) {
    LLMC_TRY(left, evaluate(*node.first));
    for (const auto &[op, operand] : node.rest) {
      LLMC_TRY(right, evaluate(*operand));
      LLMC_TRY(holds, applyCompare(rendering, op, left, right));
      if (!holds)
        return Value::of(false);
      left = right;
    }
    return Value::of(true);
  }

  Expected<Value> evaluateConcat(const Concat &node) {
    std::string text;
    for (ExpressionRef part : node.parts) {
      LLMC_TRY(value, evaluate(*part));
      LLMC_TRY(printed, toText(rendering, value));
      text += printed;
    }
    return rendering.heap.text(std::move(text));
  }

  Expected<Value> evaluateAttribute(const Attribute &node) {
    LLMC_TRY(object, evaluate(*node.object));
    return getAttribute(rendering, object, node.name);
  }

  Expected<Value> evaluateOr(ExpressionRef node, Value otherwise) { return node ? evaluate(*node) : otherwise; }

  Expected<Value> evaluateSubscript(const Subscript &node) {
    LLMC_TRY(object, evaluate(*node.object));
    if (node.index->kind != ExpressionKind::Slice) {
      LLMC_TRY(index, evaluate(*node.index));
      return getItem(rendering, object, index);
    }
    const auto &slice = static_cast<const Slice &>(*node.index);
    LLMC_TRY(start, evaluateOr(slice.start, Value::none()));
    LLMC_TRY(stop, evaluateOr(slice.stop, Value::none()));
    LLMC_TRY(step, evaluateOr(slice.step, Value::none()));
    return getSlice(rendering, object, {start, stop, step});
  }

  Expected<Arguments> evaluateArguments(const CallArguments &node) {
    Arguments arguments;
    LLMC_TRY(positional, evaluateAll(node.positional));
    arguments.positional = std::move(positional);
    for (const auto &[name, expression] : node.keywords) {
      LLMC_TRY(value, evaluate(*expression));
      arguments.keywords.emplace_back(name, value);
    }
    if (node.list) {
      LLMC_TRY(list, evaluate(*node.list));
      LLMC_TRY(items, iterate(rendering, list));
      arguments.positional.insert(arguments.positional.end(), items.begin(), items.end());
    }
    if (node.dict)
      LLMC_CHECK(addKeywords(arguments, *node.dict));
    return arguments;
  }

  Expected<void> addKeywords(Arguments &arguments, const Expression &node) {
    LLMC_TRY(dict, evaluate(node));
    if (!dict.is(Kind::Dict))
      return invalidInput("want a dictionary after **, got " + typeName(dict));
    if (dict.dict().entries.size() > maxArguments)
      return invalidInput("want at most " + std::to_string(maxArguments) + " arguments after **");
    for (const auto &[key, value] : dict.dict().entries) {
      if (!key.is(Kind::String))
        return invalidInput("keywords must be strings");
      arguments.keywords.emplace_back(key.text(), value);
    }
    return {};
  }

  Expected<Value> evaluateCall(const Call &node) {
    LLMC_TRY(callee, evaluate(*node.callee));
    LLMC_TRY(arguments, evaluateArguments(node.arguments));
    return call(callee, std::move(arguments));
  }

  Expected<Value> call(const Value &callee, Arguments arguments) {
    if (callee.is(Kind::Function))
      return callee.function().call(std::move(arguments));
    if (callee.is(Kind::Loop))
      return recurse(static_cast<LoopState &>(*callee.object()), std::move(arguments));
    if (callee.is(Kind::Undefined))
      return undefinedError(callee);
    return invalidInput("'" + typeName(callee) + "' object is not callable");
  }

  Expected<Value> recurse(LoopState &loop, Arguments arguments) {
    if (!loop.node->isRecursive)
      return invalidInput("the loop must have the 'recursive' marker to be called recursively");
    if (arguments.positional.size() != 1 || !arguments.keywords.empty())
      return invalidInput("loop: want one list to go over");
    LLMC_NEST(rendering.budget);
    Restore restore{*this};
    std::string text;
    out = &text;
    isWhole = false;
    LLMC_CHECK(runLoop(*loop.node, arguments.positional[0], loop.outer, loop.depth + 1));
    return rendering.heap.text(std::move(text));
  }

  Expected<Value> evaluateFilter(const Filter &node) {
    LLMC_TRY(input, evaluateOr(node.input, blockText));
    LLMC_TRY(arguments, evaluateArguments(node.arguments));
    return applyFilter(rendering, node.name, input, std::move(arguments));
  }

  Expected<Value> evaluateTest(const Test &node) {
    LLMC_TRY(input, evaluate(*node.input));
    LLMC_TRY(arguments, evaluateArguments(node.arguments));
    LLMC_TRY(holds, applyTest(rendering, node.name, input, std::move(arguments)));
    return Value::of(holds);
  }

  Rendering &rendering;
  const Syntax &syntax;
  Scope *scope = nullptr;
  std::string *out = nullptr;
  bool isWhole = false; // `out` is the result, not a part of it
  Value blockText;      // for filters of blocks
  std::optional<uint32_t> failedAt;
};

} // namespace

Template::Template(std::unique_ptr<const Syntax> syntax) : syntax(std::move(syntax)) {}
Template::Template(Template &&) noexcept = default;
Template::~Template() = default;

Expected<Template> Template::parse(std::string source) {
  LLMC_TRY(syntax, parseTemplate(std::move(source)));
  return Template(std::make_unique<const Syntax>(std::move(syntax)));
}

Expected<std::string> Template::render(Rendering &rendering, const Variables &variables) const {
  return Interpreter(rendering, *syntax).run(variables);
}

} // namespace llmc::jinja
