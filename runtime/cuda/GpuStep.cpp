#include "runtime/cuda/GpuStep.h"

#include <cstring>

namespace llmc {
namespace {

constexpr int64_t teamBytes = 128; // llmc_gpu_entry
constexpr int64_t panelTokens = 16;

int64_t aligned(int64_t bytes) { return (bytes + 15) / 16 * 16; }

// Puts arrays one behind the other into a block of memory, and says where the GPU will find them.
class Packer {
public:
  Packer(uint8_t *host, const uint8_t *device, int64_t used) : host(host), device(device), used(aligned(used)) {}
  template <class T> const T *add(const T *values, int64_t count) {
    int64_t bytes = count * int64_t(sizeof(T)), at = used;
    if (bytes)
      std::memcpy(host + at, values, size_t(bytes));
    used = aligned(at + bytes);
    return reinterpret_cast<const T *>(device + at);
  }
  int64_t bytes() const { return used; }

private:
  uint8_t *host;
  const uint8_t *device;
  int64_t used;
};

int64_t blockBytes(const GpuStep::Sizes &sizes) {
  return aligned(sizeof(llmc_step)) + 7 * aligned(sizes.tokens * int64_t(sizeof(int32_t))) + 3 * aligned(sizes.states * int64_t(sizeof(int64_t)));
}

} // namespace

Expected<std::unique_ptr<GpuStep>> GpuStep::create(const GpuModel &model, const Sizes &sizes) {
  std::unique_ptr<GpuStep> step(new GpuStep(model, sizes));
  LLMC_CHECK(step->allocate());
  return step;
}

Expected<void> GpuStep::allocate() {
  constexpr GpuMemoryKind device = GpuMemoryKind::Device, pinned = GpuMemoryKind::Pinned;
  int64_t bestWords = sizes.bestRows * sizes.best;
  struct {
    GpuMemory &memory;
    GpuMemoryKind kind;
    int64_t bytes;
    const char *what;
  } wanted[] = {{arena, device, sizes.arenaBytes, "arena"},
                {scratch, device, sizes.scratchBytes, "scratch"},
                {team, device, teamBytes, "barrier"},
                {logits, device, sizes.rows * sizes.vocab * int64_t(sizeof(float)), "logits"},
                {hidden, device, sizes.tokens * sizes.hidden * int64_t(sizeof(float)), "hidden rows"},
                {given, pinned, blockBytes(sizes), "arguments"},
                {taken, device, blockBytes(sizes), "arguments"},
                {panels, pinned, bestWords * int64_t(sizeof(int32_t)), "best tokens"},
                {panelLogits, pinned, bestWords * panelTokens * int64_t(sizeof(float)), "logits of the best tokens"}};
  for (auto &[memory, kind, bytes, what] : wanted) {
    LLMC_TRY(made, GpuMemory::take(model.device(), kind, bytes, what));
    memory = std::move(made);
  }
  LLMC_TRY(ownStream, GpuStream::create(model.device()));
  stream = std::move(ownStream);
  const Driver &driver = model.device().driver();
  GpuDevice::Use use(model.device());
  LLMC_CHECK(driver.check("cuMemsetD8Async", driver.memsetD8Async(team.address(), 0, size_t(teamBytes), stream)));
  return stream.finish();
}

GpuStep::~GpuStep() {
  GpuDevice::Use use(model.device());
  for (auto &[key, graph] : graphs)
    model.device().driver().graphExecDestroy(graph);
  for (cuda::Event event : events)
    model.device().driver().eventDestroy(event);
}

Expected<void> GpuStep::run(const llmc_step &step, int64_t entry, const PhaseTimes &times) {
  std::lock_guard turn(model.turn());
  const Driver &driver = model.device().driver();
  GpuDevice::Use use(model.device());
  int64_t bytes = fill(step);
  LLMC_CHECK(driver.check("cuMemcpyHtoDAsync", driver.memcpyHtoDAsync(taken.address(), given.host(), size_t(bytes), stream)));
  std::vector<int64_t> phases;
  if (times) {
    LLMC_TRY(launched, launchTimed(step, entry));
    phases = std::move(launched);
  } else {
    LLMC_CHECK(launch(step, entry));
  }
  LLMC_CHECK(fetch(step));
  LLMC_CHECK(stream.finish());
  LLMC_CHECK(tell(phases, times));
  int64_t bestWords = step.best ? step.rows * step.best : 0;
  if (bestWords) {
    std::memcpy(step.best_panels, panels.host(), size_t(bestWords) * sizeof(int32_t));
    std::memcpy(step.best_logits, panelLogits.host(), size_t(bestWords * panelTokens) * sizeof(float));
  }
  return {};
}

// The step as the GPU sees it, in `given`; how many bytes it takes.
int64_t GpuStep::fill(const llmc_step &step) {
  Packer packer(given.host(), taken.pointer<const uint8_t>(), sizeof(llmc_step));
  llmc_step ours = step;
  ours.token_ids = packer.add(step.token_ids, step.tokens);
  ours.positions = packer.add(step.positions, step.tokens);
  ours.slots = packer.add(step.slots, step.tokens);
  ours.lengths = packer.add(step.lengths, step.tokens);
  ours.position_ids = packer.add(step.position_ids, step.tokens);
  ours.token_types = packer.add(step.token_types, step.tokens);
  ours.row_tokens = packer.add(step.row_tokens, step.rows);
  ours.states = packer.add(step.states, sizes.states);
  ours.state_slot_bytes = packer.add(step.state_slot_bytes, sizes.states);
  ours.state_layer_bytes = packer.add(step.state_layer_bytes, sizes.states);
  ours.weights = model.weightTable();
  ours.logits = logits.pointer<float>();
  ours.hidden = hidden.pointer<float>();
  ours.arena = arena.pointer<uint8_t>();
  ours.scratch = scratch.pointer<uint8_t>();
  ours.team = team.pointer<llmc_team>();
  ours.profile = nullptr; // code for GPUs never calls it
  ours.best_panels = panels.pointer<int32_t>();
  ours.best_logits = panelLogits.pointer<float>();
  std::memcpy(given.host(), &ours, sizeof ours);
  return packer.bytes();
}

Expected<void> GpuStep::fetch(const llmc_step &step) {
  const Driver &driver = model.device().driver();
  if (step.logits && step.rows && !step.best)
    LLMC_CHECK(driver.check("cuMemcpyDtoHAsync", driver.memcpyDtoHAsync(step.logits, logits.address(),
                                                                       size_t(step.rows * sizes.vocab) * sizeof(float), stream)));
  if (step.hidden && step.rows)
    LLMC_CHECK(driver.check("cuMemcpyDtoHAsync", driver.memcpyDtoHAsync(step.hidden, hidden.address(),
                                                                       size_t(step.rows * sizes.hidden) * sizeof(float), stream)));
  return {};
}

// ---- Launches -------------------------------------------------------------------------------------------------------

Expected<void> GpuStep::launch(const llmc_step &step, int64_t entry) {
  if (model.way() == LaunchWay::Graph)
    return launchGraph(step, entry);
  const Driver &driver = model.device().driver();
  cuda::Address argument = taken.address();
  void *arguments[] = {&argument};
  return driver.check("cuLaunchCooperativeKernel",
                      driver.launchCooperativeKernel(model.kernels(entry).step, unsigned(model.blocks()), 1, 1, unsigned(model.code().threads), 1, 1,
                                                     unsigned(model.code().entries[entry].shared_bytes), stream, arguments));
}

Expected<void> GpuStep::launchGraph(const llmc_step &step, int64_t entry) {
  cuda::GraphExec &graph = graphs[{entry, step.best > 0}];
  if (!graph) {
    LLMC_TRY(made, capture(step, entry));
    graph = made;
  }
  const Driver &driver = model.device().driver();
  return driver.check("cuGraphLaunch", driver.graphLaunch(graph, stream));
}

// What the artifact's function that launches all phases calls back.
struct GpuStep::Launches {
  GpuStep &owner;
  int64_t entry;
  std::vector<int64_t> *timed = nullptr; // the phases, in order: an event follows each
  Expected<void> done = {};

  static void launch(llmc_launcher *launcher, int64_t phase, int64_t layer) { static_cast<Launches *>(launcher->engine)->launch(phase, layer); }
  void launch(int64_t phase, int64_t layer) {
    const auto &phases = owner.model.kernels(entry).phases;
    if (done && (phase < 0 || phase >= int64_t(phases.size())))
      done = internalError("a step launches phase " + std::to_string(phase) + " of " + std::to_string(phases.size()));
    if (!done)
      return;
    const Driver &driver = owner.model.device().driver();
    cuda::Address argument = owner.taken.address();
    void *arguments[] = {&argument, &layer};
    const llmc_gpu &code = owner.model.code();
    done = driver.check("cuLaunchKernel", driver.launchKernel(phases[size_t(phase)], unsigned(owner.model.blocks()), 1, 1, unsigned(code.threads), 1, 1,
                                                              unsigned(code.entries[entry].shared_bytes), owner.stream, arguments, nullptr));
    if (!done || !timed)
      return;
    timed->push_back(phase);
    done = owner.recordEvent(timed->size());
  }
};

// Events count what a launch takes as well: a microsecond or two, where a graph would have none.
Expected<std::vector<int64_t>> GpuStep::launchTimed(const llmc_step &step, int64_t entry) {
  std::vector<int64_t> phases;
  LLMC_CHECK(recordEvent(0));
  Launches launches{*this, entry, &phases};
  llmc_launcher launcher{Launches::launch, &launches};
  model.code().entries[entry].launches(&step, &launcher);
  LLMC_CHECK(launches.done);
  return phases;
}

Expected<void> GpuStep::recordEvent(size_t number) {
  const Driver &driver = model.device().driver();
  while (events.size() <= number) {
    cuda::Event event = nullptr;
    LLMC_CHECK(driver.check("cuEventCreate", driver.eventCreate(&event, 0)));
    events.push_back(event);
  }
  return driver.check("cuEventRecord", driver.eventRecord(events[number], stream));
}

Expected<void> GpuStep::tell(const std::vector<int64_t> &phases, const PhaseTimes &times) {
  const Driver &driver = model.device().driver();
  for (size_t i = 0; i < phases.size(); ++i) {
    float milliseconds = 0;
    LLMC_CHECK(driver.check("cuEventElapsedTime", driver.eventElapsedTime(&milliseconds, events[i], events[i + 1])));
    times(phases[i], int64_t(double(milliseconds) * 1e6));
  }
  return {};
}

Expected<cuda::GraphExec> GpuStep::capture(const llmc_step &step, int64_t entry) {
  const Driver &driver = model.device().driver();
  LLMC_CHECK(driver.check("cuStreamBeginCapture", driver.streamBeginCapture(stream, cuda::kCaptureThreadLocal)));
  Launches capture{*this, entry};
  llmc_launcher launcher{Launches::launch, &capture};
  model.code().entries[entry].launches(&step, &launcher);
  cuda::Graph graph = nullptr; // a capture that was begun is ended, whatever came of it
  auto done = driver.check("cuStreamEndCapture", driver.streamEndCapture(stream, &graph));
  if (!capture.done)
    done = capture.done;
  cuda::GraphExec made = nullptr;
  if (done)
    done = driver.check("cuGraphInstantiate", driver.graphInstantiate(&made, graph, 0));
  if (graph)
    driver.graphDestroy(graph);
  LLMC_CHECK(done);
  return made;
}

} // namespace llmc
