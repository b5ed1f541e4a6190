#include "runtime/template/Parameters.h"

#include <algorithm>

namespace llmc::jinja {

Expected<Parameters> Parameters::bind(std::string_view function, Arguments given, std::initializer_list<std::string_view> names,
                                      size_t required) {
  Parameters bound;
  bound.function = function;
  bound.names = names;
  bound.values.resize(names.size());
  if (given.positional.size() > names.size())
    return invalidInput(bound.function + ": want at most " + std::to_string(names.size()) + " arguments, got " +
                        std::to_string(given.positional.size()));
  for (size_t i = 0; i < given.positional.size(); ++i)
    bound.values[i] = std::move(given.positional[i]);
  for (auto &[keyword, value] : given.keywords) {
    auto found = std::ranges::find(bound.names, std::string_view(keyword));
    if (found == bound.names.end())
      return invalidInput(bound.function + ": no parameter is called '" + keyword + "'");
    auto &slot = bound.values[size_t(found - bound.names.begin())];
    if (slot)
      return invalidInput(bound.function + ": '" + keyword + "' is given twice");
    slot = std::move(value);
  }
  for (size_t i = 0; i < required; ++i)
    if (!bound.values[i])
      return invalidInput(bound.function + ": the argument '" + std::string(bound.names[i]) + "' is missing");
  return bound;
}

std::unexpected<Error> Parameters::wrongType(size_t i, const char *wanted) const {
  if (at(i).is(Kind::Undefined))
    return undefinedError(at(i));
  return invalidInput(function + ": '" + std::string(names[i]) + "': want " + wanted + ", got " + typeName(at(i)));
}

Expected<int64_t> Parameters::integer(size_t i, int64_t otherwise) const {
  Value value = at(i);
  if (value.is(Kind::None))
    return otherwise;
  return value.isInteger() ? Expected<int64_t>(value.integer()) : wrongType(i, "an integer");
}

Expected<std::optional<std::string>> Parameters::text(size_t i) const {
  Value value = at(i);
  if (value.is(Kind::None))
    return std::nullopt;
  return value.is(Kind::String) ? Expected<std::optional<std::string>>(value.text()) : wrongType(i, "a text");
}

} // namespace llmc::jinja
