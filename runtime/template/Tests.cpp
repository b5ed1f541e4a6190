#include "runtime/template/Filters.h"

#include "runtime/support/Text.h"
#include "runtime/template/Operators.h"
#include "runtime/template/Parameters.h"
#include "runtime/template/Print.h"
#include "runtime/template/PythonText.h"
#include "runtime/template/TextFormat.h"

#include <algorithm>

namespace llmc::jinja {
namespace {

using Test = Expected<bool> (*)(Rendering &, const Value &input, Arguments);
struct TestRow {
  std::string_view name;
  Test test;
};

// Tests of the value alone.
template <bool (*Holds)(const Value &)> Expected<bool> plain(Rendering &, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("this test", std::move(given), {}));
  return Holds(input);
}
template <Kind kind> bool isKind(const Value &value) { return value.is(kind); }
bool isDefined(const Value &value) { return !value.is(Kind::Undefined); }
bool isTrueItself(const Value &value) { return value.is(Kind::Bool) && value.boolean(); }
bool isFalseItself(const Value &value) { return value.is(Kind::Bool) && !value.boolean(); }
bool isNumber(const Value &value) { return value.isNumber(); }
bool isEscaped(const Value &value) { return value.isSafe(); }
bool isCallable(const Value &value) {
  return value.is(Kind::Function) || value.is(Kind::Loop) || value.is(Kind::Undefined); // the reference's has a __call__ too
}
// As Python has it: what has a length and can be indexed, a dictionary too.
bool isSequence(const Value &value) {
  bool isRange = value.is(Kind::View) && value.sequence().type == "range";
  return value.is(Kind::String) || value.isSequence() || value.is(Kind::Dict) || value.is(Kind::Undefined) || isRange;
}
bool isIterable(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
  case Kind::String:
  case Kind::List:
  case Kind::Tuple:
  case Kind::Dict:
  case Kind::View:
  case Kind::Generator:
  case Kind::Loop: return true;
  default: return false;
  }
}

template <CompareOp op> Expected<bool> compareWith(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("this test", std::move(given), {"other"}, 1));
  return applyCompare(rendering, op, input, bound.at(0));
}

Expected<bool> isSame(Rendering &, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("sameas", std::move(given), {"other"}, 1));
  Value other = bound.at(0);
  // Equal texts and small integers are mostly one object in the reference, too.
  if (input.is(Kind::String) && other.is(Kind::String))
    return input.text() == other.text();
  return input.same(other);
}

Expected<int64_t> remainder(Rendering &rendering, const Value &input, int64_t by) {
  LLMC_TRY(rest, applyBinary(rendering, BinaryOp::Modulo, input, Value::of(by)));
  return rest.is(Kind::Float) ? (rest.number() == double(int64_t(rest.number())) ? int64_t(rest.number()) : -1) : rest.integer();
}
template <int64_t rest> Expected<bool> leavesOfTwo(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("odd or even", std::move(given), {}));
  if (input.is(Kind::String))
    return invalidInput("want a number, got str");
  LLMC_TRY(left, remainder(rendering, input, 2));
  return left == rest;
}
Expected<bool> isDivisible(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("divisibleby", std::move(given), {"num"}, 1));
  LLMC_TRY(by, bound.integer(0, 0));
  if (input.is(Kind::String))
    return invalidInput("divisibleby: want a number, got str");
  LLMC_TRY(left, remainder(rendering, input, by));
  return left == 0;
}

template <bool (*IsOne)(uint32_t), bool (*IsOther)(uint32_t)>
Expected<bool> isInCase(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("lower or upper", std::move(given), {}));
  LLMC_TRY(text, toText(rendering, input));
  return hasCase(text, IsOne, IsOther);
}

template <bool (*Exists)(std::string_view)> Expected<bool> namesOne(Rendering &, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("filter or test", std::move(given), {}));
  return input.is(Kind::String) && Exists(input.text());
}

constexpr TestRow tests[] = {
    {"!=", compareWith<CompareOp::NotEqual>},
    {"<", compareWith<CompareOp::Less>},
    {"<=", compareWith<CompareOp::LessEqual>},
    {"==", compareWith<CompareOp::Equal>},
    {">", compareWith<CompareOp::Greater>},
    {">=", compareWith<CompareOp::GreaterEqual>},
    {"boolean", plain<isKind<Kind::Bool>>},
    {"callable", plain<isCallable>},
    {"defined", plain<isDefined>},
    {"divisibleby", isDivisible},
    {"eq", compareWith<CompareOp::Equal>},
    {"equalto", compareWith<CompareOp::Equal>},
    {"escaped", plain<isEscaped>},
    {"even", leavesOfTwo<0>},
    {"false", plain<isFalseItself>},
    {"filter", namesOne<isFilter>},
    {"float", plain<isKind<Kind::Float>>},
    {"ge", compareWith<CompareOp::GreaterEqual>},
    {"greaterthan", compareWith<CompareOp::Greater>},
    {"gt", compareWith<CompareOp::Greater>},
    {"in", compareWith<CompareOp::In>},
    {"integer", plain<isKind<Kind::Int>>},
    {"iterable", plain<isIterable>},
    {"le", compareWith<CompareOp::LessEqual>},
    {"lessthan", compareWith<CompareOp::Less>},
    {"lower", isInCase<isLower, isUpper>},
    {"lt", compareWith<CompareOp::Less>},
    {"mapping", plain<isKind<Kind::Dict>>},
    {"ne", compareWith<CompareOp::NotEqual>},
    {"none", plain<isKind<Kind::None>>},
    {"number", plain<isNumber>},
    {"odd", leavesOfTwo<1>},
    {"sameas", isSame},
    {"sequence", plain<isSequence>},
    {"string", plain<isKind<Kind::String>>},
    {"test", namesOne<isTest>},
    {"true", plain<isTrueItself>},
    {"undefined", plain<isKind<Kind::Undefined>>},
    {"upper", isInCase<isUpper, isLower>},
};

} // namespace

bool isTest(std::string_view name) { return std::ranges::find(tests, name, &TestRow::name) != std::end(tests); }

Expected<bool> applyTest(Rendering &rendering, const std::string &name, const Value &input, Arguments given) {
  LLMC_CHECK(rendering.budget.step(1 + given.positional.size() + given.keywords.size()));
  auto found = std::ranges::find(tests, std::string_view(name), &TestRow::name);
  if (found == std::end(tests))
    return invalidInput("no test is called " + quoteText(name, 40));
  return found->test(rendering, input, std::move(given));
}

} // namespace llmc::jinja
