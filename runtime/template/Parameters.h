// Arguments of a function, filter or test, matched to its parameters.
//
//   LLMC_TRY(given, Parameters::bind("indent", std::move(arguments), {"width", "first", "blank"}));
//   LLMC_TRY(width, given.integer(0, 4));
#pragma once

#include "runtime/template/Value.h"

#include <initializer_list>

namespace llmc::jinja {

class Parameters {
public:
  // The first `required` must be given. Errors name the function and the parameter.
  static Expected<Parameters> bind(std::string_view function, Arguments given, std::initializer_list<std::string_view> names,
                                   size_t required = 0);

  bool has(size_t i) const { return values[i].has_value(); }
  // None if it is not given.
  Value at(size_t i) const { return values[i].value_or(Value::none()); }
  bool truth(size_t i, bool otherwise) const { return has(i) ? isTrue(*values[i]) : otherwise; }
  // None counts as not given. Errors: another type.
  Expected<int64_t> integer(size_t i, int64_t otherwise) const;
  Expected<std::optional<std::string>> text(size_t i) const;

private:
  std::unexpected<Error> wrongType(size_t i, const char *wanted) const;

  std::string function;
  std::vector<std::string_view> names;
  std::vector<std::optional<Value>> values;
};

} // namespace llmc::jinja
