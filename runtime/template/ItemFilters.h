// Filters over the items of a value. Internal to Filters.cpp's table.
#pragma once

#include "runtime/template/Value.h"

namespace llmc::jinja {

Expected<Value> filterBatch(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterDictSort(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterFirst(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterGroupBy(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterItems(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterJoin(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterLast(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterLength(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterList(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterMap(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterMax(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterMin(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterReject(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterRejectAttr(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterReverse(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterSelect(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterSelectAttr(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterSlice(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterSort(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterSum(Rendering &rendering, const Value &input, Arguments given);
Expected<Value> filterUnique(Rendering &rendering, const Value &input, Arguments given);

} // namespace llmc::jinja
