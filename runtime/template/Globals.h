// Functions that every template can call.
#pragma once

#include "runtime/template/Value.h"

namespace llmc::jinja {

// range, dict, namespace, raise_exception, strftime_now.
Expected<std::vector<std::pair<std::string, Value>>> makeGlobals(Rendering &rendering);

} // namespace llmc::jinja
