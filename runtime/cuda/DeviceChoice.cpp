#include "runtime/cuda/DeviceChoice.h"

#include <charconv>

namespace llmc {
namespace {

// The rest of `text` after `prefix`; nullopt if it begins otherwise.
std::optional<std::string_view> after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix))
    return std::nullopt;
  return text.substr(prefix.size());
}

std::optional<int> readIndex(std::string_view text) {
  int index = -1;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), index);
  bool whole = failure == std::errc() && end == text.data() + text.size();
  return whole && index >= 0 ? std::optional(index) : std::nullopt;
}

// "", ":1", "/graph", ":1/graph"
std::optional<DeviceChoice> readCuda(std::string_view text) {
  DeviceChoice choice{.kind = DeviceChoice::Kind::Cuda};
  size_t slash = text.find('/');
  std::string_view number = text.substr(0, slash);
  if (slash != text.npos) {
    std::string_view way = text.substr(slash + 1);
    if (way != "graph" && way != "persistent")
      return std::nullopt;
    choice.way = way == "graph" ? LaunchWay::Graph : LaunchWay::Persistent;
  }
  if (number.empty())
    return choice;
  if (auto digits = after(number, ":"))
    choice.index = readIndex(*digits);
  return choice.index ? std::optional(choice) : std::nullopt;
}

} // namespace

Expected<DeviceChoice> parseDevice(std::string_view text) {
  if (text.empty() || text == "auto")
    return DeviceChoice{};
  if (text == "cpu")
    return DeviceChoice{.kind = DeviceChoice::Kind::Cpu};
  auto rest = after(text, "cuda");
  if (auto choice = rest ? readCuda(*rest) : std::nullopt)
    return *choice;
  return invalidInput("device: want auto, cpu, cuda or cuda:N, the last two also with /graph or /persistent, got '" + std::string(text) + "'");
}

} // namespace llmc
