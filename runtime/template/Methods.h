// Methods and members of values: what `message.items` or `text.strip` are.
#pragma once

#include "runtime/template/Value.h"

namespace llmc::jinja {

// nullopt if the type has no such member. Members that Python has and this engine has not are an error; those that would
// change a list or dictionary are Undefined, as in the reference's sandbox.
Expected<std::optional<Value>> findMethod(Rendering &rendering, const Value &object, const std::string &name);

// "%s and %d" % arguments: a tuple, a dictionary, or one value.
Expected<Value> formatPercent(Rendering &rendering, const std::string &format, const Value &arguments);

} // namespace llmc::jinja
