#include "runtime/template/ItemFilters.h"

#include "runtime/template/Filters.h"
#include "runtime/template/Operators.h"
#include "runtime/template/Parameters.h"
#include "runtime/template/Print.h"
#include "runtime/template/PythonText.h"

#include <algorithm>
#include <cctype>
#include <span>

namespace llmc::jinja {
namespace {

Expected<Value> generator(Rendering &rendering, std::vector<Value> items) {
  return rendering.heap.sequence(Kind::Generator, std::move(items), "generator");
}

// --- "a.b.0": members of members ---

Expected<std::vector<Value>> pathOf(const Value &attribute) {
  std::vector<Value> path;
  if (attribute.is(Kind::None))
    return path;
  if (!attribute.is(Kind::String))
    return std::vector<Value>{attribute};
  for (std::string_view part : split(attribute.text(), ".", -1)) {
    bool isIndex = !part.empty() && std::ranges::all_of(part, [](char c) { return std::isdigit(uint8_t(c)) != 0; });
    auto index = isIndex ? parseInt(part, 10) : std::nullopt;
    path.push_back(index ? Value::of(*index) : Value::of(std::string(part)));
  }
  return path;
}

Expected<Value> follow(Rendering &rendering, Value item, const std::vector<Value> &path, const Value &otherwise = Value::none()) {
  for (const Value &part : path) {
    LLMC_TRY(member, getItem(rendering, item, part));
    item = member.is(Kind::Undefined) && !otherwise.is(Kind::None) ? otherwise : member;
  }
  return item;
}

// What items are ordered by: a member, in lower case unless case counts.
struct SortKey {
  std::vector<std::vector<Value>> paths; // one, or several for "a,b"
  bool caseCounts = false;

  static Expected<SortKey> of(const Value &attribute, bool caseCounts, bool allowsSeveral) {
    SortKey key{{}, caseCounts};
    std::vector<Value> attributes{attribute};
    if (allowsSeveral && attribute.is(Kind::String)) {
      attributes.clear();
      for (std::string_view part : split(attribute.text(), ",", -1))
        attributes.push_back(Value::of(std::string(part)));
    }
    for (const Value &one : attributes) {
      LLMC_TRY(path, pathOf(one));
      key.paths.push_back(std::move(path));
    }
    return key;
  }
  Expected<Value> part(Rendering &rendering, const Value &item, size_t i) const {
    LLMC_TRY(value, follow(rendering, item, paths[i]));
    if (caseCounts || !value.is(Kind::String))
      return std::move(value);
    return rendering.heap.text(lower(value.text()));
  }
  Expected<Value> operator()(Rendering &rendering, const Value &item) const {
    if (paths.size() == 1)
      return part(rendering, item, 0);
    std::vector<Value> parts;
    for (size_t i = 0; i < paths.size(); ++i) {
      LLMC_TRY(value, part(rendering, item, i));
      parts.push_back(value);
    }
    return rendering.heap.list(std::move(parts));
  }
};

using Keyed = std::pair<Value, Value>; // key, item

// Stable, and safe with keys that have no order: the first such pair ends it.
Expected<void> mergeSort(Rendering &rendering, std::span<Keyed> items, std::span<Keyed> room, bool descending) {
  if (items.size() < 2)
    return {};
  size_t half = items.size() / 2;
  LLMC_CHECK(mergeSort(rendering, items.first(half), room.first(half), descending));
  LLMC_CHECK(mergeSort(rendering, items.subspan(half), room.subspan(half), descending));
  size_t left = 0, right = half;
  for (Keyed &next : room) {
    bool takesRight = left == half;
    if (left < half && right < items.size()) {
      const Value &a = items[descending ? left : right].first, &b = items[descending ? right : left].first;
      LLMC_TRY(isBefore, isLess(rendering, a, b));
      takesRight = isBefore;
    }
    next = items[takesRight ? right++ : left++];
  }
  std::ranges::copy(room, items.begin());
  return {};
}

Expected<std::vector<Keyed>> sortedBy(Rendering &rendering, const std::vector<Value> &items, const SortKey &key, bool descending) {
  LLMC_CHECK(rendering.budget.bytes(items.size() * 2 * sizeof(Keyed)));
  std::vector<Keyed> keyed;
  for (const Value &item : items) {
    LLMC_TRY(by, key(rendering, item));
    keyed.emplace_back(by, item);
  }
  std::vector<Keyed> room(keyed.size());
  LLMC_CHECK(mergeSort(rendering, keyed, room, descending));
  return keyed;
}

std::vector<Value> itemsOf(const std::vector<Keyed> &keyed) {
  std::vector<Value> items;
  for (const Keyed &one : keyed)
    items.push_back(one.second);
  return items;
}

// --- map and select ---

Expected<Value> takeKeyword(Arguments &given, std::string_view name) {
  auto found = std::ranges::find(given.keywords, name, &std::pair<std::string, Value>::first);
  if (found == given.keywords.end())
    return Value::none();
  Value value = std::move(found->second);
  given.keywords.erase(found);
  return value;
}

// The first argument as a name; the rest stay.
Expected<std::string> takeName(Arguments &given) {
  Value name = given.positional.front();
  given.positional.erase(given.positional.begin());
  if (!name.is(Kind::String))
    return invalidInput("want the name of a filter or test, got " + typeName(name));
  return name.text();
}

Expected<Value> mapMember(Rendering &rendering, const std::vector<Value> &items, Arguments given) {
  LLMC_TRY(attribute, takeKeyword(given, "attribute"));
  LLMC_TRY(otherwise, takeKeyword(given, "default"));
  if (!given.keywords.empty())
    return invalidInput("map: unexpected keyword argument '" + given.keywords[0].first + "'");
  LLMC_TRY(path, pathOf(attribute));
  std::vector<Value> mapped;
  for (const Value &item : items) {
    LLMC_TRY(member, follow(rendering, item, path, otherwise));
    mapped.push_back(member);
  }
  return generator(rendering, std::move(mapped));
}

// Keeps the items for which a test, or their truth, is `wanted`. `byMember`: of a member, which the first argument names.
Expected<Value> selectItems(Rendering &rendering, const Value &input, Arguments given, bool wanted, bool byMember) {
  if (!isTrue(input))
    return generator(rendering, {});
  std::vector<Value> path;
  if (byMember) {
    if (given.positional.empty())
      return invalidInput("missing parameter for attribute name");
    LLMC_TRY(parts, pathOf(given.positional.front()));
    path = std::move(parts);
    given.positional.erase(given.positional.begin());
  }
  std::string test;
  if (!given.positional.empty()) {
    LLMC_TRY(name, takeName(given));
    test = std::move(name);
  }
  LLMC_TRY(items, iterate(rendering, input));
  std::vector<Value> kept;
  for (const Value &item : items) {
    LLMC_CHECK(rendering.budget.step());
    LLMC_TRY(tested, follow(rendering, item, path));
    LLMC_TRY(holds, test.empty() ? Expected<bool>(isTrue(tested)) : applyTest(rendering, test, tested, given));
    if (holds == wanted)
      kept.push_back(item);
  }
  return generator(rendering, std::move(kept));
}

Expected<Value> best(Rendering &rendering, const char *name, const Value &input, Arguments given, bool wantsLeast) {
  LLMC_TRY(bound, Parameters::bind(name, std::move(given), {"case_sensitive", "attribute"}));
  LLMC_TRY(key, SortKey::of(bound.at(1), bound.truth(0, false), false));
  LLMC_TRY(items, iterate(rendering, input));
  if (items.empty())
    return Value::undefined("No aggregated item, sequence was empty.");
  Value chosen = items[0];
  LLMC_TRY(chosenKey, key(rendering, chosen));
  for (size_t i = 1; i < items.size(); ++i) {
    LLMC_TRY(itemKey, key(rendering, items[i]));
    LLMC_TRY(isBetter, wantsLeast ? isLess(rendering, itemKey, chosenKey) : isLess(rendering, chosenKey, itemKey));
    if (isBetter)
      chosen = items[i], chosenKey = itemKey;
  }
  return chosen;
}

Expected<size_t> countArgument(const Parameters &bound, const char *what) {
  LLMC_TRY(count, bound.integer(0, 0));
  if (count < 1 || count > 100000)
    return invalidInput(std::string(what) + ": want a count of 1 to 100000, got " + std::to_string(count));
  return size_t(count);
}

} // namespace

Expected<Value> filterBatch(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("batch", std::move(given), {"linecount", "fill_with"}, 1));
  LLMC_TRY(count, countArgument(bound, "batch"));
  LLMC_TRY(items, iterate(rendering, input));
  std::vector<Value> batches;
  for (size_t i = 0; i < items.size(); i += count) {
    std::vector<Value> batch(items.begin() + std::ptrdiff_t(i), items.begin() + std::ptrdiff_t(std::min(items.size(), i + count)));
    if (!bound.at(1).is(Kind::None))
      batch.resize(count, bound.at(1));
    LLMC_TRY(list, rendering.heap.list(std::move(batch)));
    batches.push_back(list);
  }
  return generator(rendering, std::move(batches));
}

Expected<Value> filterSlice(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("slice", std::move(given), {"slices", "fill_with"}, 1));
  LLMC_TRY(count, countArgument(bound, "slice"));
  LLMC_TRY(items, iterate(rendering, input));
  size_t each = items.size() / count, longer = items.size() % count;
  std::vector<Value> slices;
  auto at = items.begin();
  for (size_t i = 0; i < count; ++i) {
    auto end = at + std::ptrdiff_t(each + (i < longer));
    std::vector<Value> slice(at, end);
    if (!bound.at(1).is(Kind::None) && i >= longer)
      slice.push_back(bound.at(1));
    LLMC_TRY(list, rendering.heap.list(std::move(slice)));
    slices.push_back(list);
    at = end;
  }
  return generator(rendering, std::move(slices));
}

Expected<Value> filterDictSort(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("dictsort", std::move(given), {"case_sensitive", "by", "reverse"}));
  LLMC_TRY(by, bound.text(1));
  if (by && *by != "key" && *by != "value")
    return invalidInput("dictsort: you can only sort by either \"key\" or \"value\"");
  if (!input.is(Kind::Dict))
    return input.is(Kind::Undefined) ? undefinedError(input) : invalidInput("dictsort: want a dict, got " + typeName(input));
  std::vector<Value> items;
  for (const auto &[key, value] : input.dict().entries) {
    LLMC_TRY(pair, rendering.heap.tuple({key, value}));
    items.push_back(pair);
  }
  LLMC_TRY(key, SortKey::of(Value::of(int64_t(by && *by == "value")), bound.truth(0, false), false));
  LLMC_TRY(sorted, sortedBy(rendering, items, key, bound.truth(2, false)));
  return rendering.heap.list(itemsOf(sorted));
}

Expected<Value> filterSort(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("sort", std::move(given), {"reverse", "case_sensitive", "attribute"}));
  LLMC_TRY(key, SortKey::of(bound.at(2), bound.truth(1, false), true));
  LLMC_TRY(items, iterate(rendering, input));
  LLMC_TRY(sorted, sortedBy(rendering, items, key, bound.truth(0, false)));
  return rendering.heap.list(itemsOf(sorted));
}

Expected<Value> filterGroupBy(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("groupby", std::move(given), {"attribute", "default", "case_sensitive"}, 1));
  LLMC_TRY(key, SortKey::of(bound.at(0), bound.truth(2, false), false));
  if (bound.has(1))
    return unsupported("groupby: 'default' is not supported");
  LLMC_TRY(items, iterate(rendering, input));
  LLMC_TRY(sorted, sortedBy(rendering, items, key, false));
  std::vector<Value> groups;
  for (size_t i = 0; i < sorted.size();) {
    std::vector<Value> members;
    size_t first = i;
    for (bool same = true; same; same = i < sorted.size() && *equals(rendering, sorted[i].first, sorted[first].first)) {
      members.push_back(sorted[i++].second);
      LLMC_CHECK(i < sorted.size() ? equals(rendering, sorted[i].first, sorted[first].first) : Expected<bool>(true));
    }
    LLMC_TRY(grouper, follow(rendering, members[0], key.paths[0]));
    LLMC_TRY(list, rendering.heap.list(std::move(members)));
    LLMC_TRY(group, rendering.heap.tuple({grouper, list}));
    groups.push_back(group);
  }
  return rendering.heap.list(std::move(groups));
}

Expected<Value> filterUnique(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("unique", std::move(given), {"case_sensitive", "attribute"}));
  LLMC_TRY(key, SortKey::of(bound.at(1), bound.truth(0, false), false));
  LLMC_TRY(items, iterate(rendering, input));
  Dict seen;
  std::vector<Value> kept;
  for (const Value &item : items) {
    LLMC_TRY(by, key(rendering, item));
    LLMC_CHECK(checkHashable(rendering, by));
    if (seen.find(by))
      continue;
    seen.set(by, Value::none());
    kept.push_back(item);
  }
  return generator(rendering, std::move(kept));
}

Expected<Value> filterMin(Rendering &r, const Value &input, Arguments given) { return best(r, "min", input, std::move(given), true); }
Expected<Value> filterMax(Rendering &r, const Value &input, Arguments given) { return best(r, "max", input, std::move(given), false); }

Expected<Value> filterFirst(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("first", std::move(given), {}));
  if (input.is(Kind::Generator)) {
    Sequence &sequence = input.sequence();
    if (sequence.taken < sequence.items.size())
      return sequence.items[sequence.taken++];
    return Value::undefined("No first item, sequence was empty.");
  }
  LLMC_TRY(items, iterate(rendering, input));
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Expected<Value> filterLast(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("last", std::move(given), {}));
  if (input.is(Kind::Generator))
    return invalidInput("last: a generator is not reversible: use '| list' before it");
  LLMC_TRY(items, iterate(rendering, input));
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Expected<Value> filterItems(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("items", std::move(given), {}));
  if (input.is(Kind::Undefined))
    return generator(rendering, {});
  if (!input.is(Kind::Dict))
    return invalidInput("items: can only get item pairs from a mapping, got " + typeName(input));
  std::vector<Value> pairs;
  for (const auto &[key, value] : input.dict().entries) {
    LLMC_TRY(pair, rendering.heap.tuple({key, value}));
    pairs.push_back(pair);
  }
  return generator(rendering, std::move(pairs));
}

Expected<Value> filterJoin(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("join", std::move(given), {"d", "attribute"}));
  LLMC_TRY(path, pathOf(bound.at(1)));
  LLMC_TRY(separator, bound.has(0) ? toText(rendering, bound.at(0)) : Expected<std::string>(""));
  LLMC_TRY(items, iterate(rendering, input));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    LLMC_TRY(member, follow(rendering, items[i], path));
    LLMC_TRY(text, toText(rendering, member));
    LLMC_CHECK(rendering.budget.bytes(text.size() + separator.size()));
    if (i)
      out += separator;
    out += text;
  }
  return Value::of(std::move(out));
}

Expected<Value> filterLength(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("length", std::move(given), {}));
  LLMC_TRY(length, lengthOf(rendering, input));
  return Value::of(length);
}

Expected<Value> filterList(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("list", std::move(given), {}));
  LLMC_TRY(items, iterate(rendering, input));
  return rendering.heap.list(std::move(items));
}

Expected<Value> filterReverse(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("reverse", std::move(given), {}));
  LLMC_TRY(items, iterate(rendering, input));
  std::ranges::reverse(items);
  if (!input.is(Kind::String))
    return generator(rendering, std::move(items));
  std::string text;
  for (const Value &character : items)
    text += character.text();
  return rendering.heap.text(std::move(text));
}

Expected<Value> filterSum(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("sum", std::move(given), {"attribute", "start"}));
  LLMC_TRY(path, pathOf(bound.at(0)));
  LLMC_TRY(items, iterate(rendering, input));
  Value total = bound.has(1) ? bound.at(1) : Value::of(int64_t(0));
  if (total.is(Kind::String))
    return invalidInput("sum: can't sum texts: use '| join'");
  for (const Value &item : items) {
    LLMC_TRY(member, follow(rendering, item, path));
    LLMC_TRY(next, applyBinary(rendering, BinaryOp::Add, total, member));
    total = next;
  }
  return total;
}

Expected<Value> filterMap(Rendering &rendering, const Value &input, Arguments given) {
  if (!isTrue(input))
    return generator(rendering, {});
  LLMC_TRY(items, iterate(rendering, input));
  bool byMember = given.positional.empty() &&
                  std::ranges::find(given.keywords, "attribute", &std::pair<std::string, Value>::first) != given.keywords.end();
  if (byMember)
    return mapMember(rendering, items, std::move(given));
  if (given.positional.empty())
    return invalidInput("map requires a filter argument");
  LLMC_TRY(name, takeName(given));
  LLMC_NEST(rendering.budget);
  std::vector<Value> mapped;
  for (const Value &item : items) {
    LLMC_TRY(one, applyFilter(rendering, name, item, given));
    mapped.push_back(one);
  }
  return generator(rendering, std::move(mapped));
}

Expected<Value> filterSelect(Rendering &r, const Value &input, Arguments given) { return selectItems(r, input, std::move(given), true, false); }
Expected<Value> filterReject(Rendering &r, const Value &input, Arguments given) { return selectItems(r, input, std::move(given), false, false); }
Expected<Value> filterSelectAttr(Rendering &r, const Value &input, Arguments given) { return selectItems(r, input, std::move(given), true, true); }
Expected<Value> filterRejectAttr(Rendering &r, const Value &input, Arguments given) { return selectItems(r, input, std::move(given), false, true); }

} // namespace llmc::jinja
