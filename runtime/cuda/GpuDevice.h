// GPUs of this machine, and memory of one.
#pragma once

#include "runtime/cuda/Driver.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmc {

// What a GPU is; nothing on it is started to know this.
struct GpuFacts {
  int index = 0;
  cuda::Device handle = 0;
  std::string name = {};
  int64_t compute = 0; // 90: capability 9.0
  int64_t processors = 0, memoryBytes = 0;
  int64_t clockKhz = 0, memoryClockKhz = 0, memoryBusBits = 0; // at most
  bool cooperative = false; // blocks of a kernel may wait for one another
  bool sharesMemory = false; // the CPU may touch memory of both while the GPU works
  std::string title() const { return "GPU " + std::to_string(index) + " (" + name + ")"; }
};
// At least one. Errors: InvalidInput if there is none.
Expected<std::vector<GpuFacts>> listGpus(const Driver &driver);

// A GPU in use: holds its primary context. Thread-safe.
class GpuDevice {
public:
  static Expected<std::unique_ptr<GpuDevice>> open(const Driver &driver, const GpuFacts &facts);
  GpuDevice(const GpuDevice &) = delete;
  GpuDevice &operator=(const GpuDevice &) = delete;
  ~GpuDevice();

  const Driver &driver() const { return *functions; }
  const GpuFacts &facts() const { return known; }
  Expected<int64_t> freeBytes() const;

  // While it lives, the driver's calls of this thread are about this GPU; afterwards about the one they were about before.
  class Use {
  public:
    explicit Use(const GpuDevice &device);
    Use(const Use &) = delete;
    Use &operator=(const Use &) = delete;
    ~Use();

  private:
    const Driver &driver;
  };

private:
  GpuDevice(const Driver &driver, const GpuFacts &facts) : functions(&driver), known(facts) {}
  const Driver *functions;
  GpuFacts known;
  cuda::Context context = nullptr;
};

// Device: the GPU's own. Pinned: the CPU's, which the GPU reads and writes over the bus. Shared: lies with the GPU, and moves to the
// CPU and back page by page when that touches it; zero at first.
enum class GpuMemoryKind { Device, Pinned, Shared };

class GpuMemory {
public:
  // `what` appears in the error (InvalidInput when there is not so much). 0 bytes: none. `device` outlives the memory.
  static Expected<GpuMemory> take(const GpuDevice &device, GpuMemoryKind kind, int64_t bytes, const char *what);

  GpuMemory() = default;
  GpuMemory(GpuMemory &&other) noexcept { swap(other); }
  GpuMemory &operator=(GpuMemory &&other) noexcept {
    swap(other);
    return *this;
  }
  ~GpuMemory();

  // For the GPU.
  cuda::Address address() const { return onDevice; }
  template <class T> T *pointer(int64_t offset = 0) const { return reinterpret_cast<T *>(onDevice + cuda::Address(offset)); }
  // For the CPU; null for Device.
  uint8_t *host() const { return onHost; }
  int64_t bytes() const { return length; }

private:
  void swap(GpuMemory &other) noexcept;

  const GpuDevice *device = nullptr;
  GpuMemoryKind kind = GpuMemoryKind::Device;
  cuda::Address onDevice = 0;
  uint8_t *onHost = nullptr;
  int64_t length = 0;
};

// An order of work for a GPU.
class GpuStream {
public:
  static Expected<GpuStream> create(const GpuDevice &device);
  GpuStream() = default;
  GpuStream(GpuStream &&other) noexcept : device(other.device), handle(std::exchange(other.handle, nullptr)) {}
  GpuStream &operator=(GpuStream &&other) noexcept {
    std::swap(device, other.device);
    std::swap(handle, other.handle);
    return *this;
  }
  ~GpuStream();

  operator cuda::Stream() const { return handle; }
  // Returns when all of it is done. Errors: also those of the work itself.
  Expected<void> finish() const;

private:
  const GpuDevice *device = nullptr;
  cuda::Stream handle = nullptr;
};

} // namespace llmc
