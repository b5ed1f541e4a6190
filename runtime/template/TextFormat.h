// Texts made from texts and values: formatting, padding, replacing.
#pragma once

#include "runtime/template/Value.h"

namespace llmc::jinja {

// Python's str.format. Errors: attributes and indices within braces are Unsupported.
Expected<std::string> formatWithBraces(Rendering &rendering, const std::string &format, const Arguments &arguments);
// `alignment` -1: the text at the left; 0: in the middle, as str.center; 1: at the right.
Expected<Value> padText(Rendering &rendering, const Value &text, int64_t width, int alignment, std::string_view fill);
Expected<Value> replaceIn(Rendering &rendering, const Value &text, const std::string &from, const std::string &to, int64_t limit);
// Whether a text has characters of the one case and none of the other.
bool hasCase(std::string_view text, bool (*isOne)(uint32_t), bool (*isOther)(uint32_t));

} // namespace llmc::jinja
