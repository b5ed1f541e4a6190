// A stand-in for libcuda.so.1, so that everything above the driver runs where there is no GPU. Memory is the CPU's, streams do their work at
// once, graphs keep launches and repeat them. Kernels come from a library that LLMC_FAKE_CUDA_CODE names: each under its own name, and
//
//   void llmc_run_grid(void (*kernel)(uint64_t, uint64_t), uint64_t a, uint64_t b, int64_t blocks, int64_t threads, int64_t shared,
//                      int64_t backwards);
//
// LLMC_FAKE_CUDA says what GPU it is: "compute=9.0,sms=3,cooperative=1,managed=1,memory=8G,devices=1,backwards=0,fail=cuMemAlloc:2". It is
// read at each call. A call that `fail` names (less its _v2) returns that error; a wrong use ends the process.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr int outOfMemory = 2, invalidValue = 1, noDevice = 100, invalidDevice = 101, invalidPtx = 218, notFound = 500;

[[noreturn]] void misuse(const char *what) {
  std::fprintf(stderr, "fake CUDA: %s\n", what);
  std::abort();
}

// The value of a name in LLMC_FAKE_CUDA.
std::string setting(const std::string &name, const char *otherwise) {
  const char *given = std::getenv("LLMC_FAKE_CUDA");
  std::string all = "," + std::string(given ? given : "") + ",";
  size_t at = all.find("," + name + "=");
  if (at == all.npos)
    return otherwise;
  size_t begin = at + name.size() + 2;
  return all.substr(begin, all.find(',', begin) - begin);
}

int64_t number(const std::string &name, const char *otherwise) {
  std::string text = setting(name, otherwise);
  char *end = nullptr;
  int64_t value = std::strtoll(text.c_str(), &end, 10);
  return *end == 'G' ? value << 30 : *end == 'M' ? value << 20 : value;
}

// The error that a call is to return; 0: none.
int failure(const char *call) {
  std::string wanted = setting("fail", "");
  size_t colon = wanted.find(':');
  if (wanted.substr(0, colon) != call)
    return 0;
  return colon == wanted.npos ? outOfMemory : std::atoi(wanted.c_str() + colon + 1);
}

struct FakeFunction {
  void (*code)(uint64_t, uint64_t) = nullptr;
  int64_t sharedBytes = 0;
};
struct Module {
  std::string image;
  std::map<std::string, FakeFunction> functions;
};
struct Launch {
  FakeFunction *function;
  uint64_t a, b;
  int64_t blocks, threads, shared;
};
struct Graph {
  std::vector<Launch> launches;
};
struct Stream {
  Graph *capturing = nullptr;
};

struct Event {
  int64_t at = -1; // runs before it; -1: not recorded
};

struct Machine {
  int retained = 0, pushed = 0, events = 0;
  int64_t runs = 0, finished = 0; // kernels that ran, and those that somebody waited for
  std::map<uint64_t, size_t> memory; // the GPU's and the shared
  std::set<void *> pinned;
} machine;

int64_t usedBytes() {
  int64_t sum = 0;
  for (auto [address, bytes] : machine.memory)
    sum += int64_t(bytes);
  return sum;
}

void wantContext() {
  if (machine.pushed < 1)
    misuse("a call without a context");
}

int allocate(uint64_t *address, size_t bytes) {
  wantContext();
  if (bytes == 0)
    return invalidValue;
  if (usedBytes() + int64_t(bytes) > number("memory", "8G"))
    return outOfMemory;
  void *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  std::memset(memory, 0xa5, bytes); // nobody may count on zeros
  *address = reinterpret_cast<uint64_t>(memory);
  machine.memory[*address] = bytes;
  return 0;
}

// [address, address + bytes) lies in memory of the GPU.
void wantMemory(uint64_t address, size_t bytes) {
  auto above = machine.memory.upper_bound(address);
  if (above == machine.memory.begin())
    misuse("an address that is not the GPU's");
  auto [start, length] = *std::prev(above);
  if (address + bytes > start + length)
    misuse("an access beyond an allocation");
}

using Grid = void (*)(void (*)(uint64_t, uint64_t), uint64_t, uint64_t, int64_t, int64_t, int64_t, int64_t);

void *code() {
  static void *library = [] {
    const char *path = std::getenv("LLMC_FAKE_CUDA_CODE");
    void *opened = path ? ::dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!opened)
      misuse(path ? ::dlerror() : "LLMC_FAKE_CUDA_CODE is not set");
    return opened;
  }();
  return library;
}

int run(const Launch &launch) {
  auto grid = reinterpret_cast<Grid>(::dlsym(code(), "llmc_run_grid"));
  if (!grid)
    misuse("the code has no llmc_run_grid");
  if (launch.shared > launch.function->sharedBytes && launch.shared > 48 << 10)
    return invalidValue;
  ++machine.runs;
  grid(launch.function->code, launch.a, launch.b, launch.blocks, launch.threads, launch.shared, number("backwards", "0"));
  return 0;
}

int launchOn(void *stream, const Launch &launch) {
  wantContext();
  auto *ours = static_cast<Stream *>(stream);
  if (!ours || !ours->capturing)
    return run(launch);
  ours->capturing->launches.push_back(launch);
  return 0;
}

// Code that was assembled says its size in its header (ELF64); PTX ends with a zero.
std::string imageOf(const char *bytes) {
  if (std::memcmp(bytes, "\177ELF", 4) != 0)
    return bytes;
  uint64_t sections;
  uint16_t size, count;
  std::memcpy(&sections, bytes + 40, 8);
  std::memcpy(&size, bytes + 58, 2);
  std::memcpy(&count, bytes + 60, 2);
  return std::string(bytes, sections + uint64_t(size) * count);
}

bool holdsKernel(const std::string &image, const std::string &name) {
  if (image[0] == '\177')
    return image.find(std::string(1, '\0') + name + std::string(1, '\0')) != image.npos;
  std::string wanted = ".entry " + name;
  for (size_t at = image.find(wanted); at != image.npos; at = image.find(wanted, at + 1))
    if (char next = image[at + wanted.size()]; next == '(' || next == ' ' || next == '\n')
      return true;
  return false;
}

int computeOf(int index) { // "9.0" -> 9, 0
  std::string text = setting("compute", "9.0");
  size_t dot = text.find('.');
  return std::atoi(index == 0 ? text.c_str() : dot == text.npos ? "0" : text.c_str() + dot + 1);
}

} // namespace

#define FAILS(call)                                                                                                    \
  if (int error = failure(call))                                                                                       \
  return error

extern "C" {
#pragma GCC visibility push(default)

int cuInit(unsigned) {
  FAILS("cuInit");
  return number("devices", "1") ? 0 : noDevice;
}
int cuDriverGetVersion(int *version) { return *version = 12020, 0; }
int cuDeviceGetCount(int *count) { return *count = int(number("devices", "1")), 0; }
int cuDeviceGet(int *device, int index) { return *device = index, index < number("devices", "1") ? 0 : invalidDevice; }
int cuDeviceGetName(char *name, int room, int device) { return std::snprintf(name, size_t(room), "Fake %d", device), 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = size_t(number("memory", "8G")), 0; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
  FAILS("cuDeviceGetAttribute");
  switch (attribute) {
  case 13: *value = 1000000; break; // kHz
  case 16: *value = int(number("sms", "3")); break;
  case 36: *value = 500000; break;
  case 37: *value = 512; break;
  case 75: *value = computeOf(0); break;
  case 76: *value = computeOf(1); break;
  case 89: *value = int(number("managed", "1")); break;
  case 95: *value = int(number("cooperative", "1")); break;
  default: misuse("an attribute that it does not know");
  }
  return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int) {
  FAILS("cuDevicePrimaryCtxRetain");
  ++machine.retained;
  return *context = &machine, 0;
}
int cuDevicePrimaryCtxRelease_v2(int) {
  if (--machine.retained < 0)
    misuse("a context was released twice");
  if (machine.retained == 0 && (!machine.memory.empty() || !machine.pinned.empty() || machine.events))
    misuse("memory or events are left when the context goes");
  return 0;
}
int cuCtxPushCurrent_v2(void *) { return ++machine.pushed, 0; }
int cuCtxPopCurrent_v2(void **context) { return --machine.pushed, *context = nullptr, 0; }

int cuMemGetInfo_v2(size_t *available, size_t *total) {
  wantContext();
  *total = size_t(number("memory", "8G"));
  *available = *total - size_t(usedBytes());
  return 0;
}
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  FAILS("cuMemAlloc");
  return allocate(address, bytes);
}
int cuMemAllocManaged(uint64_t *address, size_t bytes, unsigned flags) {
  FAILS("cuMemAllocManaged");
  return flags == 1 ? allocate(address, bytes) : invalidValue;
}
int cuMemFree_v2(uint64_t address) {
  wantContext();
  if (!machine.memory.erase(address))
    misuse("memory was freed that is not the GPU's");
  std::free(reinterpret_cast<void *>(address));
  return 0;
}
int cuMemAdvise(uint64_t address, size_t bytes, int advice, int) { return wantMemory(address, bytes), advice == 3 ? 0 : invalidValue; }
int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  FAILS("cuMemHostAlloc");
  wantContext();
  if (bytes == 0 || flags != 3)
    return invalidValue;
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  std::memset(*memory, 0xa5, bytes);
  machine.pinned.insert(*memory);
  return 0;
}
int cuMemHostGetDevicePointer_v2(uint64_t *address, void *memory, unsigned) {
  if (!machine.pinned.count(memory))
    misuse("memory that is not pinned");
  return *address = reinterpret_cast<uint64_t>(memory), 0;
}
int cuMemFreeHost(void *memory) {
  if (!machine.pinned.erase(memory))
    misuse("memory was freed that is not pinned");
  return std::free(memory), 0;
}
int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, void *) {
  wantMemory(address, bytes);
  std::memset(reinterpret_cast<void *>(address), value, bytes);
  return 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *) {
  FAILS("cuMemcpyHtoDAsync");
  wantMemory(to, bytes);
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *) {
  FAILS("cuMemcpyDtoHAsync");
  wantMemory(from, bytes);
  std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
  return 0;
}

int cuStreamCreate(void **stream, unsigned) {
  FAILS("cuStreamCreate");
  wantContext();
  return *stream = new Stream, 0;
}
int cuStreamDestroy_v2(void *stream) { return delete static_cast<Stream *>(stream), 0; }
int cuStreamSynchronize(void *) {
  FAILS("cuStreamSynchronize");
  machine.finished = machine.runs;
  return 0;
}
int cuEventCreate(void **event, unsigned) {
  FAILS("cuEventCreate");
  wantContext();
  ++machine.events;
  return *event = new Event, 0;
}
int cuEventRecord(void *event, void *stream) {
  FAILS("cuEventRecord");
  if (auto *ours = static_cast<Stream *>(stream); ours && ours->capturing)
    misuse("an event in a capture has no time");
  return static_cast<Event *>(event)->at = machine.runs, 0;
}
// A kernel takes a microsecond.
int cuEventElapsedTime(float *milliseconds, void *first, void *second) {
  FAILS("cuEventElapsedTime");
  int64_t from = static_cast<Event *>(first)->at, to = static_cast<Event *>(second)->at;
  if (from < 0 || to < 0)
    return invalidValue;
  if (to > machine.finished)
    return 600; // CUDA_ERROR_NOT_READY
  return *milliseconds = float(to - from) * 1e-3f, 0;
}
int cuEventDestroy_v2(void *event) {
  --machine.events;
  return delete static_cast<Event *>(event), 0;
}
int cuStreamBeginCapture_v2(void *stream, int) {
  FAILS("cuStreamBeginCapture");
  static_cast<Stream *>(stream)->capturing = new Graph;
  return 0;
}
int cuStreamEndCapture(void *stream, void **graph) {
  auto *ours = static_cast<Stream *>(stream);
  if (!ours->capturing)
    misuse("no capture was begun");
  *graph = ours->capturing;
  ours->capturing = nullptr;
  return 0;
}
int cuGraphInstantiateWithFlags(void **made, void *graph, unsigned long long) {
  FAILS("cuGraphInstantiate");
  return *made = new Graph(*static_cast<Graph *>(graph)), 0;
}
int cuGraphLaunch(void *graph, void *) {
  FAILS("cuGraphLaunch");
  for (const Launch &launch : static_cast<Graph *>(graph)->launches)
    if (int error = run(launch))
      return error;
  return 0;
}
int cuGraphDestroy(void *graph) { return delete static_cast<Graph *>(graph), 0; }
int cuGraphExecDestroy(void *graph) { return delete static_cast<Graph *>(graph), 0; }

int cuModuleLoadDataEx(void **module, const void *image, unsigned count, int *options, void **values) {
  wantContext();
  std::string held = imageOf(static_cast<const char *>(image));
  int error = failure("cuModuleLoadDataEx");
  if (!error && held[0] != '\177' && held.find(".entry ") == held.npos)
    error = invalidPtx;
  for (unsigned i = 0; error && i < count; ++i)
    if (options[i] == 5)
      std::strcpy(static_cast<char *>(values[i]), "ptxas fatal   : no kernel\nin the image\n");
  if (error)
    return error;
  return *module = new Module{held, {}}, 0;
}
int cuModuleUnload(void *module) { return delete static_cast<Module *>(module), 0; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
  FAILS("cuModuleGetFunction");
  auto *ours = static_cast<Module *>(module);
  if (!holdsKernel(ours->image, name))
    return notFound;
  void *symbol = ::dlsym(code(), name);
  if (!symbol)
    misuse((std::string("the code has no ") + name).c_str());
  FakeFunction &made = ours->functions[name];
  made.code = reinterpret_cast<void (*)(uint64_t, uint64_t)>(symbol);
  return *function = &made, 0;
}
int cuFuncSetAttribute(void *function, int attribute, int value) {
  FAILS("cuFuncSetAttribute");
  if (attribute != 8)
    return invalidValue;
  static_cast<FakeFunction *>(function)->sharedBytes = value;
  return 0;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *, int, size_t) { return *blocks = int(number("resident", "1")), 0; }

int cuLaunchKernel(void *function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned shared, void *stream,
                   void **arguments, void **) {
  FAILS("cuLaunchKernel");
  auto argument = [&](int i) { return *static_cast<uint64_t *>(arguments[i]); };
  return launchOn(stream, {static_cast<FakeFunction *>(function), argument(0), argument(1), blocks, threads, shared});
}
int cuLaunchCooperativeKernel(void *function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned shared,
                              void *stream, void **arguments) {
  FAILS("cuLaunchCooperativeKernel");
  if (blocks > number("sms", "3") * number("resident", "1"))
    return 720; // CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
  return launchOn(stream, {static_cast<FakeFunction *>(function), *static_cast<uint64_t *>(arguments[0]), 0, blocks, threads, shared});
}

int cuGetErrorName(int error, const char **name) {
  static const std::map<int, const char *> names = {
      {1, "CUDA_ERROR_INVALID_VALUE"},      {2, "CUDA_ERROR_OUT_OF_MEMORY"},  {100, "CUDA_ERROR_NO_DEVICE"},
      {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {218, "CUDA_ERROR_INVALID_PTX"}, {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
      {500, "CUDA_ERROR_NOT_FOUND"},        {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
  auto found = names.find(error);
  *name = found == names.end() ? nullptr : found->second;
  return found == names.end() ? invalidValue : 0;
}
int cuGetErrorString(int error, const char **text) { return *text = error == outOfMemory ? "out of memory" : "as the fake was told", 0; }

#pragma GCC visibility pop
}
