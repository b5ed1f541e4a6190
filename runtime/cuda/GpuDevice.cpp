#include "runtime/cuda/GpuDevice.h"

#include "runtime/support/Text.h"

namespace llmc {
namespace {

Expected<GpuFacts> readFacts(const Driver &driver, int index) {
  GpuFacts facts{.index = index};
  LLMC_CHECK(driver.check("cuDeviceGet", driver.deviceGet(&facts.handle, index)));
  char name[256] = {};
  LLMC_CHECK(driver.check("cuDeviceGetName", driver.deviceGetName(name, sizeof name - 1, facts.handle)));
  facts.name = name;
  size_t bytes = 0;
  LLMC_CHECK(driver.check("cuDeviceTotalMem", driver.deviceTotalMem(&bytes, facts.handle)));
  facts.memoryBytes = int64_t(bytes);
  int major = 0, minor = 0, processors = 0, cooperative = 0, shares = 0, clock = 0, memoryClock = 0, busBits = 0;
  struct {
    int attribute;
    int *value;
  } wanted[] = {{cuda::kComputeMajor, &major},
                {cuda::kComputeMinor, &minor},
                {cuda::kMultiprocessors, &processors},
                {cuda::kCooperativeLaunch, &cooperative},
                {cuda::kConcurrentManagedAccess, &shares},
                {cuda::kClockKhz, &clock},
                {cuda::kMemoryClockKhz, &memoryClock},
                {cuda::kMemoryBusBits, &busBits}};
  for (auto [attribute, value] : wanted)
    LLMC_CHECK(driver.check("cuDeviceGetAttribute", driver.deviceGetAttribute(value, attribute, facts.handle)));
  facts.compute = 10 * int64_t(major) + minor;
  facts.processors = processors;
  facts.cooperative = cooperative != 0;
  facts.sharesMemory = shares != 0;
  facts.clockKhz = clock, facts.memoryClockKhz = memoryClock, facts.memoryBusBits = busBits;
  return facts;
}

} // namespace

Expected<std::vector<GpuFacts>> listGpus(const Driver &driver) {
  int count = 0;
  LLMC_CHECK(driver.check("cuDeviceGetCount", driver.deviceGetCount(&count)));
  if (count < 1)
    return invalidInput("the driver finds none (CUDA_VISIBLE_DEVICES hides those it does not name)");
  std::vector<GpuFacts> all;
  for (int index = 0; index < count; ++index) {
    LLMC_TRY(facts, readFacts(driver, index));
    all.push_back(std::move(facts));
  }
  return all;
}

// ---- GpuDevice ------------------------------------------------------------------------------------------------------

Expected<std::unique_ptr<GpuDevice>> GpuDevice::open(const Driver &driver, const GpuFacts &facts) {
  std::unique_ptr<GpuDevice> device(new GpuDevice(driver, facts));
  LLMC_CHECK(driver.check("cuDevicePrimaryCtxRetain", driver.primaryCtxRetain(&device->context, facts.handle)));
  return device;
}

GpuDevice::~GpuDevice() {
  if (context)
    functions->primaryCtxRelease(known.handle);
}

Expected<int64_t> GpuDevice::freeBytes() const {
  Use use(*this);
  size_t available = 0, total = 0;
  LLMC_CHECK(functions->check("cuMemGetInfo", functions->memGetInfo(&available, &total)));
  return int64_t(available);
}

GpuDevice::Use::Use(const GpuDevice &device) : driver(*device.functions) { driver.ctxPushCurrent(device.context); }

GpuDevice::Use::~Use() {
  cuda::Context context = nullptr;
  driver.ctxPopCurrent(&context);
}

// ---- GpuMemory ------------------------------------------------------------------------------------------------------

// Memory that is shared is touched by the GPU first, so that it lies there.
static Expected<void> settle(const GpuDevice &device, cuda::Address address, int64_t bytes) {
  const Driver &driver = device.driver();
  LLMC_CHECK(driver.check("cuMemAdvise", driver.memAdvise(address, size_t(bytes), cuda::kPreferredLocation, device.facts().handle)));
  LLMC_CHECK(driver.check("cuMemsetD8Async", driver.memsetD8Async(address, 0, size_t(bytes), nullptr)));
  return driver.check("cuStreamSynchronize", driver.streamSynchronize(nullptr));
}

Expected<GpuMemory> GpuMemory::take(const GpuDevice &device, GpuMemoryKind kind, int64_t bytes, const char *what) {
  GpuMemory memory;
  if (bytes == 0)
    return memory;
  const Driver &driver = device.driver();
  GpuDevice::Use use(device);
  std::string prefix = std::string(what) + " of " + formatBytes(bytes) + " on " + device.facts().title() + ": ";
  auto check = [&](const char *call, cuda::Result result) { return driver.check((prefix + call).c_str(), result); };
  void *host = nullptr;
  if (kind == GpuMemoryKind::Device)
    LLMC_CHECK(check("cuMemAlloc", driver.memAlloc(&memory.onDevice, size_t(bytes))));
  if (kind == GpuMemoryKind::Shared)
    LLMC_CHECK(check("cuMemAllocManaged", driver.memAllocManaged(&memory.onDevice, size_t(bytes), cuda::kAttachGlobal)));
  if (kind == GpuMemoryKind::Pinned)
    LLMC_CHECK(check("cuMemHostAlloc", driver.memHostAlloc(&host, size_t(bytes), cuda::kHostPortable | cuda::kHostMapped)));
  memory.device = &device;
  memory.kind = kind;
  memory.length = bytes;
  memory.onHost = kind == GpuMemoryKind::Shared ? memory.pointer<uint8_t>() : static_cast<uint8_t *>(host);
  if (kind == GpuMemoryKind::Pinned)
    LLMC_CHECK(check("cuMemHostGetDevicePointer", driver.memHostGetDevicePointer(&memory.onDevice, host, 0)));
  if (kind == GpuMemoryKind::Shared)
    LLMC_CHECK(settle(device, memory.onDevice, bytes));
  return memory;
}

GpuMemory::~GpuMemory() {
  if (!device)
    return;
  GpuDevice::Use use(*device);
  if (kind == GpuMemoryKind::Pinned)
    device->driver().memFreeHost(onHost);
  else
    device->driver().memFree(onDevice);
}

void GpuMemory::swap(GpuMemory &other) noexcept {
  std::swap(device, other.device);
  std::swap(kind, other.kind);
  std::swap(onDevice, other.onDevice);
  std::swap(onHost, other.onHost);
  std::swap(length, other.length);
}

// ---- GpuStream ------------------------------------------------------------------------------------------------------

Expected<GpuStream> GpuStream::create(const GpuDevice &device) {
  GpuDevice::Use use(device);
  GpuStream stream;
  LLMC_CHECK(device.driver().check("cuStreamCreate", device.driver().streamCreate(&stream.handle, cuda::kStreamNonBlocking)));
  stream.device = &device;
  return stream;
}

GpuStream::~GpuStream() {
  if (!handle)
    return;
  GpuDevice::Use use(*device);
  device->driver().streamDestroy(handle);
}

Expected<void> GpuStream::finish() const {
  GpuDevice::Use use(*device);
  return device->driver().check("cuStreamSynchronize", device->driver().streamSynchronize(handle));
}

} // namespace llmc
