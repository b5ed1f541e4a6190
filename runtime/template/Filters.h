// `value | filter(…)` and `value is test(…)`.
#pragma once

#include "runtime/template/Value.h"

namespace llmc::jinja {

// Errors: Unsupported for filters of the reference that this engine has not; InvalidInput for names that are none.
Expected<Value> applyFilter(Rendering &rendering, const std::string &name, const Value &input, Arguments given);
Expected<bool> applyTest(Rendering &rendering, const std::string &name, const Value &input, Arguments given);

bool isFilter(std::string_view name);
bool isTest(std::string_view name);

} // namespace llmc::jinja
