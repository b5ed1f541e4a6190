// JSON text to values. The runtime's parsed documents sort the members of objects; a template sees their order.
#include "runtime/support/Json.h"
#include "runtime/template/Print.h"

namespace llmc::jinja {
namespace {

class ValueBuilder final : public JsonHandler {
public:
  explicit ValueBuilder(Rendering &rendering) : rendering(rendering) {}

  Value take() { return std::move(root); }

  bool onNull() override { return place(Value::none()); }
  bool onBool(bool value) override { return place(Value::of(value)); }
  bool onInt(int64_t value) override { return place(Value::of(value)); }
  bool onFloat(double value) override { return place(Value::of(value)); }
  bool onString(std::string &value) override {
    // Not moved: the parser's buffer may be far larger.
    auto text = rendering.heap.text(value);
    return text ? place(std::move(*text)) : fail(text.error().message);
  }
  bool onObjectBegin() override {
    auto made = rendering.heap.make<Dict>();
    return made ? open(Value::object(Kind::Dict, *made)) : fail(made.error().message);
  }
  bool onKey(std::string &key) override {
    keys.back() = key;
    return true;
  }
  bool onObjectEnd() override { return close(); }
  bool onArrayBegin() override {
    auto made = rendering.heap.list({});
    return made ? open(std::move(*made)) : fail(made.error().message);
  }
  bool onArrayEnd() override { return close(); }

private:
  bool place(Value value) {
    if (auto charged = rendering.budget.bytes(sizeof(Value)); !charged)
      return fail(charged.error().message);
    if (containers.empty())
      root = std::move(value);
    else if (containers.back().is(Kind::Dict))
      containers.back().dict().set(Value::of(keys.back()), std::move(value));
    else
      containers.back().sequence().items.push_back(std::move(value));
    return true;
  }
  bool open(Value container) {
    if (!place(container))
      return false;
    containers.push_back(std::move(container));
    keys.emplace_back();
    return true;
  }
  bool close() {
    containers.pop_back();
    keys.pop_back();
    return true;
  }

  Rendering &rendering;
  Value root;
  std::vector<Value> containers;      // containers that have not ended
  std::vector<std::string> keys; // of each, the last one
};

} // namespace

Expected<Value> fromJson(Rendering &rendering, std::string_view text, std::string_view what) {
  ValueBuilder builder(rendering);
  LLMC_CHECK(scanJson(text, what, builder));
  return builder.take();
}

} // namespace llmc::jinja
