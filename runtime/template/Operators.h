// Arithmetic, comparison and indexing, with Python's meaning.
#pragma once

#include "runtime/template/Syntax.h"
#include "runtime/template/Value.h"

namespace llmc::jinja {

Expected<Value> applyBinary(Rendering &rendering, BinaryOp op, const Value &left, const Value &right);
Expected<Value> applySign(UnaryOp op, const Value &operand);
Expected<bool> applyCompare(Rendering &rendering, CompareOp op, const Value &left, const Value &right);

// object[index] and object.name as the reference's environment finds them: the one falls back to the other. What is not
// there is Undefined.
Expected<Value> getItem(Rendering &rendering, const Value &object, const Value &index);
Expected<Value> getAttribute(Rendering &rendering, const Value &object, const std::string &name);

// object[start:stop:step]; None where one is left out.
struct SliceBounds {
  Value start, stop, step;
};
Expected<Value> getSlice(Rendering &rendering, const Value &object, const SliceBounds &bounds);

} // namespace llmc::jinja
