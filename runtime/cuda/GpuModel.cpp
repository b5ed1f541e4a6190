#include "runtime/cuda/GpuModel.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace llmc {
namespace {

// Blocks of one multiprocessor that may run at once: more hide no more, and wait longer for one another.
constexpr int64_t mostBlocks = 2;
constexpr int64_t chunkBytes = int64_t(16) << 20;
// What is left for buffers and the driver's own.
constexpr int64_t reserveBytes = int64_t(256) << 20;
constexpr size_t logBytes = 8192;

std::string capability(int64_t compute) { return std::to_string(compute / 10) + "." + std::to_string(compute % 10); }

std::span<const llmc_gpu> levels(const llmc_artifact &artifact) { return {artifact.gpus, size_t(artifact.gpu_count)}; }

// The best code that a GPU can run.
Expected<const llmc_gpu *> codeFor(const llmc_artifact &artifact, const GpuFacts &facts) {
  int64_t least = 0;
  for (const llmc_gpu &level : levels(artifact)) {
    if (level.compute <= facts.compute)
      return &level;
    least = least ? std::min(least, level.compute) : level.compute;
  }
  return unsupported(facts.title() + " has compute capability " + capability(facts.compute) + ": the model holds code for " +
                     capability(least) + " and later");
}

Expected<void> checkMemory(const GpuDevice &device, int64_t weightBytes) {
  LLMC_TRY(available, device.freeBytes());
  if (available >= weightBytes + reserveBytes)
    return {};
  return invalidInput(device.facts().title() + " has " + formatBytes(available) + " of memory free, the model needs " +
                      formatBytes(weightBytes + reserveBytes) + " and its context");
}

// Says every second how much has been uploaded; nothing in the first.
class UploadProgress {
public:
  UploadProgress(const GpuDevice &device, int64_t total) : device(device), total(total) {}
  void at(int64_t done) {
    auto now = std::chrono::steady_clock::now();
    if (now - last < std::chrono::seconds(1))
      return;
    last = now;
    std::fprintf(stderr, "weights to %s: %s of %s\n", device.facts().title().c_str(), formatBytes(done).c_str(), formatBytes(total).c_str());
  }

private:
  const GpuDevice &device;
  int64_t total;
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

// What an assembler in the driver says, made one line.
std::string oneLine(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

} // namespace

Expected<std::unique_ptr<GpuModel>> GpuModel::open(const llmc_artifact &artifact, std::span<const std::byte> weights,
                                                   const DeviceChoice &choice) {
  if (artifact.gpu_count == 0)
    return invalidInput("the model holds no code for GPUs: compile it with --target cuda");
  LLMC_TRY(driver, Driver::open());
  LLMC_TRY(gpus, listGpus(*driver));
  if (choice.index && size_t(*choice.index) >= gpus.size())
    return invalidInput("cuda:" + std::to_string(*choice.index) + ": there are GPUs 0 … " + std::to_string(gpus.size() - 1));
  std::optional<Error> refusal;
  for (const GpuFacts &facts : gpus) {
    if (choice.index && facts.index != *choice.index)
      continue;
    auto model = openOn(*driver, facts, artifact, weights, choice);
    if (model)
      return model;
    if (refusal)
      refusal->message += "; " + model.error().message;
    else
      refusal = model.error();
  }
  return std::unexpected(*refusal);
}

Expected<std::unique_ptr<GpuModel>> GpuModel::openOn(const Driver &driver, const GpuFacts &facts, const llmc_artifact &artifact,
                                                     std::span<const std::byte> weights, const DeviceChoice &choice) {
  std::unique_ptr<GpuModel> model(new GpuModel);
  LLMC_TRY(level, codeFor(artifact, facts));
  model->level = level;
  if (!facts.sharesMemory)
    return unsupported(facts.title() + " can't share memory with the CPU while it works (virtual GPUs and WSL can't)");
  LLMC_TRY(device, GpuDevice::open(driver, facts));
  model->gpu = std::move(device);
  LLMC_CHECK(checkMemory(*model->gpu, int64_t(weights.size())));
  LLMC_CHECK(model->chooseWay(choice));
  LLMC_CHECK(model->load());
  LLMC_CHECK(model->upload(weights));
  LLMC_CHECK(model->writeTable({artifact.weights, size_t(artifact.weight_count)}));
  return model;
}

GpuModel::~GpuModel() {
  if (!module)
    return;
  GpuDevice::Use use(*gpu);
  gpu->driver().moduleUnload(module);
}

std::string GpuModel::name() const {
  return "cuda:" + std::to_string(gpu->facts().index) + (launches == LaunchWay::Graph ? "/graph" : "/persistent");
}

Expected<void> GpuModel::chooseWay(const DeviceChoice &choice) {
  bool can = gpu->facts().cooperative;
  launches = choice.way.value_or(can ? LaunchWay::Persistent : LaunchWay::Graph);
  if (launches == LaunchWay::Persistent && !can)
    return unsupported(gpu->facts().title() + " has no cooperative launches: leave out /persistent");
  return {};
}

// ---- Weights --------------------------------------------------------------------------------------------------------

// Through two pinned buffers: while one is on its way, the other is filled.
Expected<void> GpuModel::upload(std::span<const std::byte> weights) {
  int64_t total = int64_t(weights.size());
  LLMC_TRY(memory, GpuMemory::take(*gpu, GpuMemoryKind::Device, total, "weights"));
  packed = std::move(memory);
  GpuDevice::Use use(*gpu);
  struct Lane {
    GpuStream stream;
    GpuMemory buffer;
  } lanes[2];
  for (Lane &lane : lanes) {
    LLMC_TRY(stream, GpuStream::create(*gpu));
    LLMC_TRY(buffer, GpuMemory::take(*gpu, GpuMemoryKind::Pinned, std::min(chunkBytes, total), "a buffer for weights"));
    lane.stream = std::move(stream);
    lane.buffer = std::move(buffer);
  }
  UploadProgress progress(*gpu, total);
  const Driver &driver = gpu->driver();
  for (int64_t done = 0, turn = 0; done < total; done += chunkBytes, ++turn) {
    Lane &lane = lanes[turn % 2];
    int64_t bytes = std::min(chunkBytes, total - done);
    LLMC_CHECK(lane.stream.finish());
    std::memcpy(lane.buffer.host(), weights.data() + done, size_t(bytes));
    LLMC_CHECK(driver.check("cuMemcpyHtoDAsync", driver.memcpyHtoDAsync(packed.address() + cuda::Address(done), lane.buffer.host(),
                                                                       size_t(bytes), lane.stream)));
    progress.at(done);
  }
  for (Lane &lane : lanes)
    LLMC_CHECK(lane.stream.finish());
  return {};
}

Expected<void> GpuModel::writeTable(std::span<const llmc_weight> weights) {
  std::vector<const uint8_t *> starts;
  for (const llmc_weight &weight : weights)
    starts.push_back(packed.pointer<const uint8_t>(weight.offset));
  int64_t bytes = int64_t(starts.size() * sizeof starts[0]);
  LLMC_TRY(memory, GpuMemory::take(*gpu, GpuMemoryKind::Device, bytes, "the table of weights"));
  table = std::move(memory);
  if (starts.empty())
    return {};
  GpuDevice::Use use(*gpu);
  LLMC_TRY(stream, GpuStream::create(*gpu));
  const Driver &driver = gpu->driver();
  LLMC_CHECK(driver.check("cuMemcpyHtoDAsync", driver.memcpyHtoDAsync(table.address(), starts.data(), size_t(bytes), stream)));
  return stream.finish();
}

// ---- Kernels --------------------------------------------------------------------------------------------------------

Expected<void> GpuModel::load() {
  const Driver &driver = gpu->driver();
  GpuDevice::Use use(*gpu);
  bool isReady = level->cubin && level->compute == gpu->facts().compute;
  std::string log(logBytes, '\0');
  int options[] = {cuda::kErrorLog, cuda::kErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(logBytes)};
  const void *image = isReady ? static_cast<const void *>(level->cubin) : level->ptx;
  auto loaded = driver.check("cuModuleLoadDataEx", driver.moduleLoadDataEx(&module, image, 2, options, values));
  if (!loaded) {
    module = nullptr;
    std::string said = oneLine(log.c_str());
    loaded.error().message = std::string(level->name) + " code on " + gpu->facts().title() + ": " + loaded.error().message +
                             (said.empty() ? "" : " [" + said + "]");
    return loaded;
  }
  blockCount = gpu->facts().processors * mostBlocks; // loadEntry lowers it to what can be resident where blocks wait for one another
  for (const llmc_gpu_entry &entry : std::span(level->entries, size_t(level->entry_count)))
    LLMC_CHECK(loadEntry(entry));
  return {};
}

Expected<void> GpuModel::loadEntry(const llmc_gpu_entry &entry) {
  Kernels kernels;
  if (launches == LaunchWay::Persistent) {
    LLMC_TRY(step, function(entry.step, entry.shared_bytes));
    kernels.step = step;
    int resident = 0;
    const Driver &driver = gpu->driver();
    LLMC_CHECK(driver.check("cuOccupancyMaxActiveBlocksPerMultiprocessor",
                            driver.occupancyMaxActiveBlocks(&resident, step, int(level->threads), size_t(entry.shared_bytes))));
    if (resident < 1)
      return unsupported(gpu->facts().title() + ": a block of " + entry.step + " does not fit a multiprocessor; run with --device cuda/graph");
    blockCount = std::min(blockCount, gpu->facts().processors * resident);
  }
  for (const char *name : std::span(entry.phases, size_t(entry.phase_count))) {
    LLMC_TRY(phase, function(name, entry.shared_bytes));
    kernels.phases.push_back(phase);
  }
  entries.push_back(std::move(kernels));
  return {};
}

Expected<cuda::Function> GpuModel::function(const char *name, int64_t sharedBytes) const {
  const Driver &driver = gpu->driver();
  cuda::Function found = nullptr;
  LLMC_CHECK(driver.check((std::string("cuModuleGetFunction ") + name).c_str(), driver.moduleGetFunction(&found, module, name)));
  LLMC_CHECK(driver.check((std::string("cuFuncSetAttribute ") + name).c_str(),
                          driver.funcSetAttribute(found, cuda::kMaxDynamicSharedBytes, int(sharedBytes))));
  return found;
}

} // namespace llmc
