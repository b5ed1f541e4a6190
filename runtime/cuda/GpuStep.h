// The buffers of a context on a GPU, and how a step runs there.
//
//   LLMC_TRY(step, GpuStep::create(model, sizes));
//   LLMC_CHECK(step->run(arguments, entry, {.logits = logits}));
//
// What a step gets goes over the bus as one block; of what it gives, what is wanted. Thread-compatible; the calling thread waits for the step.
#pragma once

#include "runtime/cuda/GpuModel.h"

#include <functional>
#include <map>
#include <vector>

namespace llmc {

class GpuStep {
public:
  struct Sizes {
    int64_t tokens, rows; // most of a step
    int64_t bestRows, best; // most rows with panels, most panels of each
    int64_t vocab, hidden;
    int64_t states;
    int64_t arenaBytes, scratchBytes;
  };
  // `model` outlives the object. Errors: InvalidInput if the GPU has not so much memory.
  static Expected<std::unique_ptr<GpuStep>> create(const GpuModel &model, const Sizes &sizes);
  ~GpuStep();

  // Gets what each run of a phase took.
  using PhaseTimes = std::function<void(int64_t phase, int64_t ns)>;

  // Runs a step; with `times`, as a launch for each phase whatever the model's way, and events between them. Of `step`, the arrays of tokens, rows and states, `best_panels` and `best_logits` are the CPU's; `weights`, `arena`, `scratch`
  // and `team` are not looked at. `logits` and `hidden` null: not wanted. Errors: what the driver says; the states are then unknown.
  Expected<void> run(const llmc_step &step, int64_t entry, const PhaseTimes &times = {});

private:
  struct Launches;
  explicit GpuStep(const GpuModel &model, const Sizes &sizes) : model(model), sizes(sizes) {}
  Expected<void> allocate();
  int64_t fill(const llmc_step &step);
  Expected<void> launch(const llmc_step &step, int64_t entry);
  Expected<std::vector<int64_t>> launchTimed(const llmc_step &step, int64_t entry);
  Expected<void> recordEvent(size_t number);
  Expected<void> tell(const std::vector<int64_t> &phases, const PhaseTimes &times);
  Expected<void> launchGraph(const llmc_step &step, int64_t entry);
  Expected<cuda::GraphExec> capture(const llmc_step &step, int64_t entry);
  Expected<void> fetch(const llmc_step &step);

  const GpuModel &model;
  Sizes sizes;
  GpuStream stream;
  GpuMemory arena, scratch, team, logits, hidden; // Device
  GpuMemory given, taken;                         // the block of arguments: Pinned, Device
  GpuMemory panels, panelLogits;                  // Pinned: few bytes, written once
  std::map<std::pair<int64_t, bool>, cuda::GraphExec> graphs; // of an entry, with and without `best`
  std::vector<cuda::Event> events;                            // of a step that is timed: before its first phase, after each
};

} // namespace llmc
