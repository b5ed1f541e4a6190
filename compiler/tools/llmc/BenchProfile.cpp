#include "compiler/tools/llmc/BenchProfile.h"

#include <algorithm>
#include <cstdio>

using namespace llmc;
using namespace llmc::tools;

static double number(const Json &value, const char *name) { return jsonFloat(value, name).value_or(0); }

absl::Status tools::beginProfile(Context &context) {
  llmc_error *error = nullptr;
  return context.model().status(context.model().api().profile_set(context.handle(), 1, &error), error);
}

absl::StatusOr<Json> tools::readProfile(Context &context) {
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
  std::stable_sort(longest["sites"].begin(), longest["sites"].end(), [&](const Json &a, const Json &b) { return byTime(b, a); });
  for (Json &site : longest["sites"])
    site["share"] = number(site, "ns") / std::max(number(longest, "ns"), 1.0);
  return longest;
}

// How often each row was counted: the spread is what matters, and the rows that lead.
static void printCounters(const Json &profile) {
  for (const Json &counter : profile["counters"]) {
    std::vector<int64_t> counts = counter["counts"].get<std::vector<int64_t>>();
    if (counts.empty())
      continue;
    auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    double sum = 0;
    for (int64_t count : counts)
      sum += double(count);
    printf("%s: %.0f in all, %.1f on average, least %lld, most %lld\n ", std::string(jsonString(counter, "name").value_or("")).c_str(), sum,
           sum / double(counts.size()), static_cast<long long>(*least), static_cast<long long>(*most));
    for (int64_t count : counts)
      printf(" %lld", static_cast<long long>(count));
    printf("\n");
  }
}

void tools::printProfile(const Json &profile) {
  double steps = std::max(number(profile, "steps"), 1.0), all = number(profile, "ns");
  printf("  a step of up to %.0f tokens: %.1f us, mean of %.0f\n", number(profile, "max_tokens"), all / steps / 1e3, steps);
  printf("  %6s %11s %7s %7s %9s %8s  %s\n", "share", "us a step", "waits", "loops", "MB a step", "GB/s", "what");
  for (const Json &site : profile["sites"]) {
    double ns = number(site, "ns"), bytes = number(site, "bytes");
    double waits = ns > 0 ? std::max(0.0, 1 - number(site, "busy_ns") / ns) : 0;
    printf("  %5.1f%% %11.1f %6.1f%% %7.0f %9.2f %8.2f  %s\n", 100 * number(site, "share"), ns / steps / 1e3, 100 * waits,
           number(site, "runs") / steps, bytes / steps / 1e6, ns > 0 ? bytes / ns : 0, std::string(jsonString(site, "name").value_or("")).c_str());
  }
  printCounters(profile);
}
