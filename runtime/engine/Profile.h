// Where the time of steps goes, loop by loop: what a library compiled with --profile tells while it runs.
//
//   LLMC_TRY(profile, Profile::create(model, workers));
//   step.profile = profile->begin(entry, tokens, positions);   // else Profile::none()
//   … profile->json()
//
// Workers write to tables of their own. Thread-compatible.
#pragma once

#include "runtime/engine/LoadedModel.h"
#include "runtime/support/Json.h"

#include <atomic>
#include <map>

namespace llmc {

class Profile {
public:
  // Errors: Unsupported if the level in use was compiled without a profile.
  static Expected<std::unique_ptr<Profile>> create(const LoadedModel &model, int workers);
  // For steps that nobody asks: a profile that keeps nothing.
  static llmc_profile *none();

  // What a step of this entry gets; `positions`: of its tokens; `wanted`: rows whose logits are.
  llmc_profile *begin(int64_t entry, std::span<const int32_t> positions, int64_t wanted);
  // What a GPU took for a run of a site, of the step that began last.
  void record(int64_t site, int64_t ns);
  // What bounds the steps where they run, as llmc bench has it: {"name", "read_bytes_per_second", "operations_per_second"}.
  void setLimits(Json limits) { bounds = std::move(limits); }
  // {"limits": as they were set, "versions": [{"max_tokens", "steps", "tokens", "ns", "sites": [{"name", "runs", "ns", "busy_ns", "bytes", "operations", "arithmetic"}], "counters":
  // [{"name", "layer_rows", "counts"}]}]}: of the versions that ran. `ns` as the first worker saw it; `busy_ns`: the mean worker's without its waiting.
  std::string json() const;

private:
  struct Site {
    int64_t busyNs = 0, waitNs = 0, runs = 0;
  };
  // What one worker writes, away from the others'.
  struct alignas(64) Worker {
    int64_t last = 0;
    std::vector<Site> sites;
  };
  struct Version {
    Json described; // as in the metadata
    int64_t steps = 0, tokens = 0, wanted = 0;
    double seen = 0; // positions that the tokens could look back on, their own among them
    std::map<int64_t, double> read; // by window of a site (0: none): positions that a step reads, once however many of its tokens see them
    std::vector<Worker> workers;
    std::vector<std::vector<std::atomic<int64_t>>> counters;
  };

  static void mark(llmc_profile *profile, int64_t worker, int64_t site, int64_t moment);
  static void count(llmc_profile *profile, int64_t counter, int64_t row, int64_t amount);
  static Expected<Version> readVersion(const Json &described, int workers);
  static void countRead(Version &version, std::span<const int32_t> positions);
  static double weightRuns(const Version &version, const Json &described, double runs);
  static Json siteJson(const Version &version, size_t site);

  llmc_profile hooks{};
  Json bounds; // null: not known here
  std::vector<Version> versions; // as the level's entries
  Version *current = nullptr;
};

} // namespace llmc
