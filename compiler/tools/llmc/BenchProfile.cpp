#include "compiler/tools/llmc/BenchProfile.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

using namespace llmc;
using namespace llmc::tools;

static double number(const Json &value, const char *name) { return jsonFloat(value, name).value_or(0); }

// The experts of one layer. `share`: of the layer's choices; `imbalance`: the most chosen expert's choices over their mean.
static Json expertLoad(int64_t layer, double tokens, std::vector<int64_t> counts) {
  Json load{{"layer", layer}, {"tokens", int64_t(tokens)}, {"experts", counts.size()}, {"counts", counts}};
  std::sort(counts.begin(), counts.end());
  double choices = std::accumulate(counts.begin(), counts.end(), 0.0);
  size_t n = counts.size();
  load["min_share"] = double(counts.front()) / choices;
  load["median_share"] = (double(counts[(n - 1) / 2]) + double(counts[n / 2])) / 2 / choices;
  load["max_share"] = double(counts.back()) / choices;
  load["imbalance"] = double(counts.back()) * double(n) / choices;
  return load;
}

// Of each layer that has experts: a layer where nothing was chosen has none in this table.
static Json expertLoads(const Json &version) {
  std::vector<Json> loads;
  for (const Json &counter : version["counters"]) {
    int64_t length = jsonInt(counter, "layer_rows").value_or(0);
    std::vector<int64_t> counts = counter["counts"].get<std::vector<int64_t>>();
    if (length < 1 || jsonString(counter, "name").value_or("") != "experts")
      continue;
    for (int64_t begin = 0; begin + length <= int64_t(counts.size()); begin += length) {
      std::vector<int64_t> layer(counts.begin() + begin, counts.begin() + begin + length);
      if (std::any_of(layer.begin(), layer.end(), [](int64_t count) { return count > 0; }))
        loads.push_back(expertLoad(begin / length, number(version, "tokens"), std::move(layer)));
    }
  }
  std::stable_sort(loads.begin(), loads.end(), [](const Json &a, const Json &b) { return number(a, "layer") < number(b, "layer"); });
  return loads;
}

// What bounds a loop: the fastest reads, and the fastest instruction of each kind of arithmetic.
static Json boundsOf(const Limits &limits) {
  return {{"threads", limits.threads}, {"read_bytes_per_second", limits.fastestRead()}, {"operations_per_second", limits.byArithmetic()}};
}

// A kind of arithmetic without a measured peak leaves the bound of the bytes.
static void addBound(Json &site, const Json &bounds) {
  double seconds = number(site, "ns") / 1e9, bandwidth = number(bounds, "read_bytes_per_second");
  double peak = number(bounds["operations_per_second"], std::string(jsonString(site, "arithmetic").value_or("")).c_str());
  double memory = bandwidth > 0 ? number(site, "bytes") / bandwidth : 0, arithmetic = peak > 0 ? number(site, "operations") / peak : 0;
  site["bound"] = seconds > 0 ? std::max(memory, arithmetic) / seconds : 0;
  site["bound_by"] = arithmetic > memory ? "arithmetic" : memory > 0 ? "memory" : "";
}

absl::Status tools::beginProfile(Context &context) {
  llmc_error *error = nullptr;
  return context.model().status(context.model().api().profile_set(context.handle(), 1, &error), error);
}

absl::StatusOr<Json> tools::readProfile(Context &context, const Limits &limits) {
  const Model &model = context.model();
  llmc_error *error = nullptr;
  char *text = nullptr;
  LLMC_RETURN_IF_ERROR(model.status(model.api().profile_read(context.handle(), &text, &error), error));
  Expected<Json> read = parseJson(text, "profile");
  model.api().free(text);
  LLMC_ASSIGN(profile, toStatus(std::move(read)));
  Json &versions = profile["versions"];
  if (versions.empty())
    return invalidArgument("--profile: no step ran");
  auto byTime = [](const Json &a, const Json &b) { return number(a, "ns") < number(b, "ns"); };
  Json longest = *std::max_element(versions.begin(), versions.end(), byTime);
  int64_t order = 0;
  for (Json &site : longest["sites"])
    site["order"] = order++;
  std::stable_sort(longest["sites"].begin(), longest["sites"].end(), [&](const Json &a, const Json &b) { return byTime(b, a); });
  Json bounds = profile.contains("limits") ? profile["limits"] : boundsOf(limits);
  for (Json &site : longest["sites"]) {
    site["share"] = number(site, "ns") / std::max(number(longest, "ns"), 1.0);
    addBound(site, bounds);
  }
  longest["limits"] = std::move(bounds);
  longest["experts"] = expertLoads(longest);
  longest.erase("counters");
  return longest;
}

static void printExperts(const Json &loads) {
  if (loads.empty())
    return;
  printf("  %6s %8s %8s %8s %8s %8s %10s\n", "layer", "experts", "tokens", "least", "median", "most", "most/mean");
  for (const Json &load : loads)
    printf("  %6.0f %8.0f %8.0f %7.2f%% %7.2f%% %7.2f%% %10.2f\n", number(load, "layer"), number(load, "experts"), number(load, "tokens"),
           100 * number(load, "min_share"), 100 * number(load, "median_share"), 100 * number(load, "max_share"), number(load, "imbalance"));
}

static void printLimits(const Json &limits) {
  std::string threads = std::to_string(jsonInt(limits, "threads").value_or(0)) + " threads", whose(jsonString(limits, "name").value_or(threads)); // or a GPU
  printf("  limits of %s: read %.1f GB/s", whose.c_str(), number(limits, "read_bytes_per_second") / 1e9);
  for (const auto &[kind, peak] : limits["operations_per_second"].items())
    printf(", %s %.0f Gop/s", kind.c_str(), peak.get<double>() / 1e9);
  printf(" (bytes: unique ones of weights, caches and states)\n");
}

void tools::printProfile(const Json &profile) {
  double steps = std::max(number(profile, "steps"), 1.0), all = number(profile, "ns");
  printf("  a step of up to %.0f tokens: %.1f us, mean of %.0f\n", number(profile, "max_tokens"), all / steps / 1e3, steps);
  printLimits(profile["limits"]);
  printf("  %6s %11s %7s %7s %9s %8s %11s %9s %5s %8s %-4s %s\n", "share", "us a step", "waits", "loops", "MB a step", "GB/s", "Mop a step", "Gop/s",
         "kind", "of bound", "by", "what");
  for (const Json &site : profile["sites"]) {
    double ns = number(site, "ns"), bytes = number(site, "bytes"), operations = number(site, "operations");
    double waits = ns > 0 ? std::max(0.0, 1 - number(site, "busy_ns") / ns) : 0;
    std::string kind(jsonString(site, "arithmetic").value_or("")), by(jsonString(site, "bound_by").value_or(""));
    printf("  %5.1f%% %11.1f %6.1f%% %7.0f %9.2f %8.2f %11.2f %9.2f %5s %7.1f%% %-4s %s\n", 100 * number(site, "share"), ns / steps / 1e3, 100 * waits,
           number(site, "runs") / steps, bytes / steps / 1e6, ns > 0 ? bytes / ns : 0, operations / steps / 1e6, ns > 0 ? operations / ns : 0,
           kind.c_str(), 100 * number(site, "bound"), by.substr(0, 3).c_str(), std::string(jsonString(site, "name").value_or("")).c_str());
  }
  printExperts(profile["experts"]);
}
