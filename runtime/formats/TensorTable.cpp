#include "runtime/formats/TensorTable.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <numeric>

namespace llmc {
namespace {

std::vector<uint32_t> sortedIndices(size_t count, auto key) {
  std::vector<uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  std::sort(indices.begin(), indices.end(), [&](uint32_t a, uint32_t b) { return key(a) < key(b); });
  return indices;
}

Expected<void> refuseOverlaps(std::string_view file, const std::vector<TensorView> &tensors) {
  auto begin = [&](uint32_t i) { return std::pair(tensors[i].data.data(), tensors[i].data.size()); };
  const TensorView *before = nullptr;
  for (uint32_t i : sortedIndices(tensors.size(), begin)) {
    const TensorView &tensor = tensors[i];
    if (tensor.data.empty())
      continue;
    if (before && tensor.data.data() < before->data.data() + before->data.size())
      return invalidInput(tensorContext(file, tensor.name) + "shares bytes with tensor " + quoteText(before->name));
    before = &tensor;
  }
  return {};
}

} // namespace

std::string tensorContext(std::string_view file, std::string_view tensor) {
  return std::string(file) + ": tensor " + quoteText(tensor) + ": ";
}

Expected<void> checkTensorName(std::string_view file, std::string_view name) {
  if (!name.empty() && name.size() <= maxTensorNameBytes && isUtf8(name))
    return {};
  return invalidInput(tensorContext(file, name) + "want a name of 1 to " + std::to_string(maxTensorNameBytes) +
                      " bytes of UTF-8, got " + std::to_string(name.size()) + " bytes" +
                      (isUtf8(name) ? "" : " that are no UTF-8"));
}

Expected<TensorTable> TensorTable::make(std::string_view file, std::vector<TensorView> tensors) {
  TensorTable table;
  table.all = std::move(tensors);
  table.byName = sortedIndices(table.all.size(),
                               [&](uint32_t i) { return std::pair<std::string_view, uint32_t>(table.all[i].name, i); });
  for (size_t i = 1; i < table.byName.size(); ++i)
    if (table.all[table.byName[i]].name == table.all[table.byName[i - 1]].name)
      return invalidInput(tensorContext(file, table.all[table.byName[i]].name) + "the name occurs twice");
  LLMC_CHECK(refuseOverlaps(file, table.all));
  return table;
}

const TensorView *TensorTable::find(std::string_view name) const {
  auto at = std::lower_bound(byName.begin(), byName.end(), name,
                             [&](uint32_t i, std::string_view wanted) { return all[i].name < wanted; });
  return at != byName.end() && all[*at].name == name ? &all[*at] : nullptr;
}

} // namespace llmc
