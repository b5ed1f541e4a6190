#include "runtime/template/Operators.h"

#include "runtime/template/Methods.h"
#include "runtime/template/Print.h"
#include "runtime/template/PythonText.h"

#include <algorithm>
#include <cmath>

namespace llmc::jinja {
namespace {

constexpr std::string_view names[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

std::unexpected<Error> wrongOperands(BinaryOp op, const Value &left, const Value &right) {
  for (const Value *side : {&left, &right})
    if (side->is(Kind::Undefined))
      return undefinedError(*side);
  return invalidInput("unsupported operand type(s) for " + std::string(names[size_t(op)]) + ": '" + typeName(left) + "' and '" +
                      typeName(right) + "'");
}

std::unexpected<Error> overflow() { return unsupported("an integer beyond 64 bits is not supported"); }
std::unexpected<Error> divisionByZero() { return invalidInput("division by zero"); }

Expected<Value> floorDivide(int64_t a, int64_t b) {
  if (b == 0)
    return divisionByZero();
  if (a == INT64_MIN && b == -1)
    return overflow();
  return Value::of(a / b - int64_t(a % b != 0 && (a < 0) != (b < 0)));
}

Expected<Value> modulo(int64_t a, int64_t b) {
  if (b == 0)
    return divisionByZero();
  if (b == -1)
    return Value::of(int64_t(0));
  int64_t rest = a % b;
  return Value::of(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

Expected<Value> power(int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0)
      return divisionByZero();
    return Value::of(std::pow(double(base), double(exponent)));
  }
  int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
      return overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base))
      return overflow();
  }
  return Value::of(result);
}

Expected<Value> integerOp(BinaryOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
  case BinaryOp::Add: return __builtin_add_overflow(a, b, &result) ? overflow() : Expected<Value>(Value::of(result));
  case BinaryOp::Subtract: return __builtin_sub_overflow(a, b, &result) ? overflow() : Expected<Value>(Value::of(result));
  case BinaryOp::Multiply: return __builtin_mul_overflow(a, b, &result) ? overflow() : Expected<Value>(Value::of(result));
  case BinaryOp::Divide: return b == 0 ? divisionByZero() : Expected<Value>(Value::of(double(a) / double(b)));
  case BinaryOp::FloorDivide: return floorDivide(a, b);
  case BinaryOp::Modulo: return modulo(a, b);
  case BinaryOp::Power: return power(a, b);
  }
  return internalError("an operator that is none");
}

double floatModulo(double a, double b) {
  double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest == 0 ? std::copysign(0.0, b) : rest;
}

Expected<Value> floatOp(BinaryOp op, double a, double b) {
  bool divides = op == BinaryOp::Divide || op == BinaryOp::FloorDivide || op == BinaryOp::Modulo;
  if (divides && b == 0)
    return divisionByZero();
  switch (op) {
  case BinaryOp::Add: return Value::of(a + b);
  case BinaryOp::Subtract: return Value::of(a - b);
  case BinaryOp::Multiply: return Value::of(a * b);
  case BinaryOp::Divide: return Value::of(a / b);
  case BinaryOp::FloorDivide: return Value::of(std::floor(a / b));
  case BinaryOp::Modulo: return Value::of(floatModulo(a, b));
  case BinaryOp::Power: return Value::of(std::pow(a, b));
  }
  return internalError("an operator that is none");
}

Expected<Value> joinTexts(Rendering &rendering, const Value &left, const Value &right) {
  bool isSafe = left.isSafe() || right.isSafe();
  auto part = [&](const Value &value) { return isSafe && !value.isSafe() ? escapeHtml(value.text()) : value.text(); };
  return rendering.heap.text(part(left) + part(right), isSafe);
}

Expected<Value> joinLists(Rendering &rendering, const Value &left, const Value &right) {
  std::vector<Value> items = left.sequence().items;
  const auto &more = right.sequence().items;
  items.insert(items.end(), more.begin(), more.end());
  return rendering.heap.sequence(left.kind(), std::move(items));
}

// A text or list `count` times.
Expected<Value> repeat(Rendering &rendering, const Value &value, int64_t count) {
  size_t times = size_t(std::max<int64_t>(count, 0));
  bool isText = value.is(Kind::String);
  size_t one = isText ? value.text().size() : value.sequence().items.size() * sizeof(Value);
  size_t total = 0;
  if (__builtin_mul_overflow(one, times, &total))
    total = SIZE_MAX;
  LLMC_CHECK(rendering.budget.bytes(total));
  if (one == 0)
    times = 0;
  if (isText) {
    std::string text;
    for (size_t i = 0; i < times; ++i)
      text += value.text();
    return Value::of(std::move(text), value.isSafe());
  }
  std::vector<Value> items;
  for (size_t i = 0; i < times; ++i)
    items.insert(items.end(), value.sequence().items.begin(), value.sequence().items.end());
  return rendering.heap.sequence(value.kind(), std::move(items));
}

Value noElement(const Value &object, const Value &index) {
  if (object.is(Kind::Undefined))
    return object;
  std::string of = object.is(Kind::None) ? "None" : typeName(object) + " object";
  if (index.is(Kind::String))
    return Value::undefined("'" + of + "' has no attribute " + quote(index.text()));
  return Value::undefined(of + " has no element " + (index.isInteger() ? std::to_string(index.integer()) : "of this kind"));
}

// The position that a Python index means; nullopt if there is none.
std::optional<size_t> positionOf(int64_t index, size_t size) {
  if (index < 0)
    index += int64_t(size);
  return index >= 0 && index < int64_t(size) ? std::optional(size_t(index)) : std::nullopt;
}

// Without falling back to attributes; nullopt if it is not there.
Expected<std::optional<Value>> findItem(Rendering &rendering, const Value &object, const Value &index) {
  if (object.is(Kind::Dict)) {
    if (auto hashable = checkHashable(rendering, index); !hashable)
      return std::nullopt;
    const Value *found = object.dict().find(index);
    return found ? std::optional(*found) : std::nullopt;
  }
  bool isRange = object.is(Kind::View) && object.sequence().type == "range";
  if (index.isInteger() && (object.isSequence() || isRange)) {
    const auto &items = object.sequence().items;
    auto at = positionOf(index.integer(), items.size());
    return at ? std::optional(items[*at]) : std::nullopt;
  }
  if (index.isInteger() && object.is(Kind::String)) {
    const std::string &text = object.text();
    LLMC_CHECK(rendering.budget.step(1 + text.size() / 64));
    auto at = positionOf(index.integer(), countCodePoints(text));
    if (!at)
      return std::nullopt;
    std::string_view rest = std::string_view(text).substr(byteOffset(text, *at));
    return Value::of(std::string(*CodePoints(rest).begin()), object.isSafe());
  }
  return std::nullopt;
}

Expected<std::optional<int64_t>> boundOf(const Value &bound) {
  if (bound.is(Kind::None))
    return std::nullopt;
  if (bound.isInteger())
    return bound.integer();
  if (bound.is(Kind::Undefined))
    return undefinedError(bound);
  return invalidInput("slice indices must be integers or None, not " + typeName(bound));
}

struct SlicePositions {
  int64_t start, stop, step;
};

// As Python's slice.indices().
Expected<SlicePositions> slicePositions(const SliceBounds &bounds, int64_t size) {
  LLMC_TRY(stepGiven, boundOf(bounds.step));
  LLMC_TRY(startGiven, boundOf(bounds.start));
  LLMC_TRY(stopGiven, boundOf(bounds.stop));
  int64_t step = stepGiven.value_or(1);
  if (step == 0)
    return invalidInput("slice step cannot be zero");
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
  auto clamp = [&](int64_t bound) { return std::clamp(bound < 0 ? bound + size : bound, low, high); };
  int64_t start = startGiven ? clamp(*startGiven) : step > 0 ? low : high;
  int64_t stop = stopGiven ? clamp(*stopGiven) : step > 0 ? high : low;
  return SlicePositions{start, stop, std::clamp(step, -(size + 1), size + 1)};
}

template <class Add> void goOver(const SlicePositions &at, Add add) {
  for (int64_t i = at.start; at.step > 0 ? i < at.stop : i > at.stop; i += at.step)
    add(size_t(i));
}

Expected<Value> sliceText(Rendering &rendering, const Value &object, const SliceBounds &bounds) {
  const std::string &text = object.text();
  LLMC_CHECK(rendering.budget.step(1 + text.size() / 8));
  LLMC_TRY(at, slicePositions(bounds, int64_t(countCodePoints(text))));
  if (at.step == 1) {
    if (at.start >= at.stop)
      return Value::of(std::string(), object.isSafe());
    size_t first = byteOffset(text, size_t(at.start));
    size_t length = byteOffset(std::string_view(text).substr(first), size_t(at.stop - at.start));
    return rendering.heap.text(text.substr(first, length), object.isSafe());
  }
  LLMC_CHECK(rendering.budget.bytes(text.size() * sizeof(std::string_view)));
  std::vector<std::string_view> characters;
  for (std::string_view character : CodePoints(text))
    characters.push_back(character);
  std::string out;
  goOver(at, [&](size_t i) { out += characters[i]; });
  return rendering.heap.text(std::move(out), object.isSafe());
}

} // namespace

Expected<Value> applyBinary(Rendering &rendering, BinaryOp op, const Value &left, const Value &right) {
  if (left.isNumber() && right.isNumber()) {
    bool integers = left.isInteger() && right.isInteger();
    return integers ? integerOp(op, left.integer(), right.integer()) : floatOp(op, left.number(), right.number());
  }
  auto isList = [](const Value &value) { return value.is(Kind::String) || value.isSequence(); };
  if (op == BinaryOp::Add && left.is(Kind::String) && right.is(Kind::String))
    return joinTexts(rendering, left, right);
  if (op == BinaryOp::Add && left.isSequence() && left.kind() == right.kind())
    return joinLists(rendering, left, right);
  if (op == BinaryOp::Multiply && isList(left) && right.isInteger())
    return repeat(rendering, left, right.integer());
  if (op == BinaryOp::Multiply && left.isInteger() && isList(right))
    return repeat(rendering, right, left.integer());
  if (op == BinaryOp::Modulo && left.is(Kind::String))
    return formatPercent(rendering, left.text(), right);
  if (op == BinaryOp::Add && left.is(Kind::String) && !right.is(Kind::Undefined))
    return invalidInput("can only concatenate str (not \"" + typeName(right) + "\") to str: use '~' or '| string'");
  return wrongOperands(op, left, right);
}

Expected<Value> applySign(UnaryOp op, const Value &operand) {
  if (operand.is(Kind::Undefined))
    return undefinedError(operand);
  if (!operand.isNumber())
    return invalidInput("bad operand type for unary sign: '" + typeName(operand) + "'");
  if (operand.is(Kind::Float))
    return Value::of(op == UnaryOp::Negative ? -operand.number() : operand.number());
  return integerOp(op == UnaryOp::Negative ? BinaryOp::Subtract : BinaryOp::Add, 0, operand.integer());
}

Expected<bool> applyCompare(Rendering &rendering, CompareOp op, const Value &left, const Value &right) {
  auto negate = [](Expected<bool> result) { return result ? Expected<bool>(!*result) : result; };
  bool anyNan = (left.is(Kind::Float) && std::isnan(left.number())) || (right.is(Kind::Float) && std::isnan(right.number()));
  switch (op) {
  case CompareOp::Equal: return equals(rendering, left, right);
  case CompareOp::NotEqual: return negate(equals(rendering, left, right));
  case CompareOp::Less: return isLess(rendering, left, right);
  case CompareOp::Greater: return isLess(rendering, right, left);
  case CompareOp::LessEqual: return anyNan ? Expected<bool>(false) : negate(isLess(rendering, right, left));
  case CompareOp::GreaterEqual: return anyNan ? Expected<bool>(false) : negate(isLess(rendering, left, right));
  case CompareOp::In: return contains(rendering, right, left);
  case CompareOp::NotIn: return negate(contains(rendering, right, left));
  }
  return internalError("a comparison that is none");
}

Expected<Value> getItem(Rendering &rendering, const Value &object, const Value &index) {
  if (object.is(Kind::Undefined))
    return undefinedError(object);
  LLMC_TRY(found, findItem(rendering, object, index));
  if (found)
    return std::move(*found);
  if (index.is(Kind::String)) {
    LLMC_TRY(method, findMethod(rendering, object, index.text()));
    if (method)
      return std::move(*method);
  }
  return noElement(object, index);
}

Expected<Value> getAttribute(Rendering &rendering, const Value &object, const std::string &name) {
  if (object.is(Kind::Undefined))
    return undefinedError(object);
  LLMC_TRY(method, findMethod(rendering, object, name));
  if (method)
    return std::move(*method);
  Value key = Value::of(name);
  LLMC_TRY(found, findItem(rendering, object, key));
  return found ? std::move(*found) : noElement(object, key);
}

Expected<Value> getSlice(Rendering &rendering, const Value &object, const SliceBounds &bounds) {
  if (object.is(Kind::Undefined))
    return undefinedError(object);
  if (object.is(Kind::String))
    return sliceText(rendering, object, bounds);
  bool isRange = object.is(Kind::View) && object.sequence().type == "range";
  if (!object.isSequence() && !isRange)
    return noElement(object, Value::none());
  const auto &items = object.sequence().items;
  LLMC_TRY(at, slicePositions(bounds, int64_t(items.size())));
  std::vector<Value> chosen;
  goOver(at, [&](size_t i) { chosen.push_back(items[i]); });
  return rendering.heap.sequence(object.kind(), std::move(chosen), object.sequence().type);
}

} // namespace llmc::jinja
