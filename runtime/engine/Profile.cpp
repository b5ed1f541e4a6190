#include "runtime/engine/Profile.h"

#include <algorithm>
#include <chrono>

namespace llmc {
namespace {

constexpr int64_t maxSites = 1 << 16, maxCounterRows = 1 << 24;

int64_t nowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double number(const Json &described, std::string_view name) { return double(jsonInt(described, name).value_or(0)); }

const Json &listOf(const Json &value, std::string_view name) {
  static const Json empty = Json::array();
  const Json *list = jsonMember(value, name);
  return list && list->is_array() ? *list : empty;
}

// How many rows of a table of counters belong to one layer: all, unless it says so.
int64_t layerRows(const Json &counter) { return jsonInt(counter, "layer_rows").value_or(std::max<int64_t>(jsonInt(counter, "rows").value_or(1), 1)); }

std::unexpected<Error> damaged() { return internalError("metadata: its profile is inconsistent"); }

} // namespace

Expected<Profile::Version> Profile::readVersion(const Json &described, int workers) {
  Version version;
  version.described = described;
  size_t sites = listOf(described, "sites").size();
  if (int64_t(sites) > maxSites)
    return damaged();
  version.workers.resize(size_t(workers));
  for (Worker &worker : version.workers)
    worker.sites.resize(sites);
  for (const Json &counter : listOf(described, "counters")) {
    int64_t rows = jsonInt(counter, "rows").value_or(-1);
    if (rows < 0 || rows > maxCounterRows || layerRows(counter) < 1 || rows % layerRows(counter) != 0)
      return damaged();
    version.counters.emplace_back(size_t(rows));
  }
  for (const Json &site : listOf(described, "sites")) {
    version.read[jsonInt(site, "window").value_or(0)] = 0;
    int64_t counter = jsonInt(site, "weight_counter").value_or(0);
    if (jsonInt(site, "weight_calls").value_or(0) > 0 &&
        (counter < 0 || counter >= int64_t(version.counters.size()) || version.counters[size_t(counter)].empty()))
      return damaged();
  }
  return version;
}

Expected<std::unique_ptr<Profile>> Profile::create(const LoadedModel &model, int workers) {
  LLMC_TRY(metadata, parseJson(model.artifact().metadata, "metadata"));
  const Json *levels = jsonMember(metadata, "profile");
  if (!levels)
    return unsupported("the model was compiled without a profile: compile it with --profile");
  std::unique_ptr<Profile> profile(new Profile);
  const Json &described = listOf(*levels, model.isa().name);
  if (int64_t(described.size()) != model.isa().entry_count)
    return damaged();
  for (const Json &each : described) {
    LLMC_TRY(version, readVersion(each, workers));
    profile->versions.push_back(std::move(version));
  }
  profile->hooks = {mark, count, profile.get()};
  return profile;
}

llmc_profile *Profile::none() {
  static llmc_profile nothing{[](llmc_profile *, int64_t, int64_t, int64_t) {}, [](llmc_profile *, int64_t, int64_t, int64_t) {}, nullptr};
  return &nothing;
}

llmc_profile *Profile::begin(int64_t entry, std::span<const int32_t> positions, int64_t wanted) {
  current = &versions[size_t(entry)];
  ++current->steps;
  current->tokens += int64_t(positions.size());
  current->wanted += wanted;
  for (int32_t position : positions)
    current->seen += position + 1;
  countRead(*current, positions);
  return &hooks;
}

// Tokens of one sequence stand one after the other: a run of them reads what its first one may look back on, and its own positions.
void Profile::countRead(Version &version, std::span<const int32_t> positions) {
  for (size_t begin = 0, end = 0; begin < positions.size(); begin = end) {
    for (end = begin + 1; end < positions.size() && positions[end] == positions[end - 1] + 1;)
      ++end;
    double all = double(positions[end - 1]) + 1, tokens = double(end - begin);
    for (auto &[window, sum] : version.read)
      sum += window ? std::min(all, tokens - 1 + double(window)) : all;
  }
}

void Profile::mark(llmc_profile *profile, int64_t worker, int64_t site, int64_t moment) {
  Worker &own = static_cast<Profile *>(profile->engine)->current->workers[size_t(worker)];
  int64_t now = nowNs(), passed = now - own.last;
  own.last = now;
  if (moment == LLMC_PROFILE_BEGIN)
    return;
  Site &at = own.sites[size_t(site)];
  (moment == LLMC_PROFILE_WORKED ? at.busyNs : at.waitNs) += passed;
  at.runs += moment == LLMC_PROFILE_PASSED;
}

void Profile::record(int64_t site, int64_t ns) {
  std::vector<Site> &sites = current->workers.front().sites;
  if (site < 0 || site >= int64_t(sites.size()))
    return; // a damaged artifact's
  sites[size_t(site)].busyNs += ns;
  ++sites[size_t(site)].runs;
}

void Profile::count(llmc_profile *profile, int64_t counter, int64_t row, int64_t amount) {
  auto &table = static_cast<Profile *>(profile->engine)->current->counters[size_t(counter)];
  table[size_t(row)].fetch_add(amount, std::memory_order_relaxed);
}

// The part of a site's weights that its runs read, as runs of the whole: counted where it varies.
// On a GPU nobody counts: the most that it can be, each choice of a step another matrix.
double Profile::weightRuns(const Version &version, const Json &described, double runs) {
  if (double matrices = number(described, "matrices"); matrices > 0)
    return runs * std::min(1.0, double(version.tokens) / double(version.steps) * number(described, "choices") / matrices);
  double calls = number(described, "weight_calls");
  if (calls <= 0)
    return runs;
  return double(version.counters[size_t(jsonInt(described, "weight_counter").value_or(0))].front().load(std::memory_order_relaxed)) / calls;
}

// Bytes and operations as the cost model has them: weights once a run, rows for each token, positions of caches once a
// step, recurrent states once a run; operations of caches for each token and position.
Json Profile::siteJson(const Version &version, size_t site) {
  const Json &described = listOf(version.described, "sites")[site];
  const Site &first = version.workers.front().sites[site];
  double busy = 0;
  for (const Worker &worker : version.workers)
    busy += double(worker.sites[site].busyNs) / double(version.workers.size());
  double runsPerStep = double(first.runs) / double(version.steps), tokens = double(version.tokens);
  double rows = number(described, "wanted") ? double(version.wanted) : tokens;
  double seen = version.seen;
  if (double window = number(described, "window"))
    seen = std::min(seen, tokens * window);
  double read = version.read.at(jsonInt(described, "window").value_or(0));
  double bytes = weightRuns(version, described, double(first.runs)) * number(described, "weight_bytes") +
                 double(first.runs) * number(described, "fixed_bytes") +
                 runsPerStep * (tokens * (number(described, "row_bytes") + number(described, "append_bytes")) +
                                read * number(described, "position_bytes"));
  double operations = runsPerStep * (rows * number(described, "row_operations") + seen * number(described, "position_operations"));
  return {{"name", std::string(jsonString(described, "name").value_or("loop"))},
          {"runs", first.runs},
          {"ns", first.busyNs + first.waitNs},
          {"busy_ns", int64_t(busy)},
          {"bytes", int64_t(bytes)},
          {"operations", int64_t(operations)},
          {"arithmetic", std::string(jsonString(described, "arithmetic").value_or(""))}};
}

std::string Profile::json() const {
  Json list = Json::array();
  for (const Version &version : versions) {
    if (version.steps == 0)
      continue;
    Json sites = Json::array(), counters = Json::array();
    int64_t ns = 0;
    for (size_t site = 0; site < version.workers.front().sites.size(); ++site) {
      sites.push_back(siteJson(version, site));
      ns += jsonInt(sites.back(), "ns").value_or(0);
    }
    for (size_t i = 0; i < version.counters.size(); ++i) {
      const Json &described = listOf(version.described, "counters")[i];
      Json counts = Json::array();
      for (const auto &value : version.counters[i])
        counts.push_back(value.load(std::memory_order_relaxed));
      counters.push_back({{"name", std::string(jsonString(described, "name").value_or(""))},
                          {"layer_rows", layerRows(described)},
                          {"counts", std::move(counts)}});
    }
    list.push_back({{"max_tokens", jsonInt(version.described, "max_tokens").value_or(0)},
                    {"steps", version.steps},
                    {"tokens", version.tokens},
                    {"ns", ns},
                    {"sites", std::move(sites)},
                    {"counters", std::move(counters)}});
  }
  Json all{{"versions", std::move(list)}};
  if (!bounds.is_null())
    all["limits"] = bounds;
  return all.dump();
}

} // namespace llmc
