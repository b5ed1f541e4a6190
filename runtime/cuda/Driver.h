// The CUDA driver, found when it is wanted: no header, library or package of CUDA is needed to build or to start.
//
//   LLMC_TRY(driver, Driver::open());
//   LLMC_CHECK(driver->check("cuMemAlloc", driver->memAlloc(&address, bytes)));
//
// Thread-safe. Declarations follow the manual of the driver API, CUDA 12.
#pragma once

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>

namespace llmc {

namespace cuda {

using Result = int; // CUresult; 0 is success
using Device = int;
using Address = uint64_t; // CUdeviceptr
using Context = struct CUctx_st *;
using Stream = struct CUstream_st *;
using Module = struct CUmod_st *;
using Function = struct CUfunc_st *;
using Graph = struct CUgraph_st *;
using GraphExec = struct CUgraphExec_st *;
using Event = struct CUevent_st *;

constexpr Result kOutOfMemory = 2, kNoDevice = 100, kNoBinaryForGpu = 209, kInvalidPtx = 218, kUnsupportedPtxVersion = 222;

// CUdevice_attribute
constexpr int kClockKhz = 13, kMemoryClockKhz = 36, kMemoryBusBits = 37;
constexpr int kMultiprocessors = 16, kComputeMajor = 75, kComputeMinor = 76, kConcurrentManagedAccess = 89, kCooperativeLaunch = 95;
constexpr int kMaxDynamicSharedBytes = 8;            // CUfunction_attribute
constexpr unsigned kAttachGlobal = 1;                // CUmemAttach_flags
constexpr int kPreferredLocation = 3;                // CUmem_advise
constexpr unsigned kHostPortable = 1, kHostMapped = 2; // CU_MEMHOSTALLOC_…
constexpr unsigned kStreamNonBlocking = 1;           // CUstream_flags
constexpr int kCaptureThreadLocal = 1;               // CUstreamCaptureMode
constexpr int kInfoLog = 3, kInfoLogBytes = 4, kErrorLog = 5, kErrorLogBytes = 6; // CUjit_option

} // namespace cuda

// Functions are named as in the manual, less "cu"; the last column is what the library exports.
#define LLMC_CUDA_FUNCTIONS(X)                                                                                         \
  X(init, (unsigned), "cuInit")                                                                                        \
  X(driverGetVersion, (int *), "cuDriverGetVersion")                                                                   \
  X(deviceGetCount, (int *), "cuDeviceGetCount")                                                                       \
  X(deviceGet, (cuda::Device *, int), "cuDeviceGet")                                                                   \
  X(deviceGetName, (char *, int, cuda::Device), "cuDeviceGetName")                                                     \
  X(deviceGetAttribute, (int *, int, cuda::Device), "cuDeviceGetAttribute")                                            \
  X(deviceTotalMem, (size_t *, cuda::Device), "cuDeviceTotalMem_v2")                                                   \
  X(primaryCtxRetain, (cuda::Context *, cuda::Device), "cuDevicePrimaryCtxRetain")                                     \
  X(primaryCtxRelease, (cuda::Device), "cuDevicePrimaryCtxRelease_v2")                                                 \
  X(ctxPushCurrent, (cuda::Context), "cuCtxPushCurrent_v2")                                                            \
  X(ctxPopCurrent, (cuda::Context *), "cuCtxPopCurrent_v2")                                                            \
  X(memGetInfo, (size_t *, size_t *), "cuMemGetInfo_v2")                                                               \
  X(memAlloc, (cuda::Address *, size_t), "cuMemAlloc_v2")                                                              \
  X(memAllocManaged, (cuda::Address *, size_t, unsigned), "cuMemAllocManaged")                                         \
  X(memFree, (cuda::Address), "cuMemFree_v2")                                                                          \
  X(memAdvise, (cuda::Address, size_t, int, cuda::Device), "cuMemAdvise")                                              \
  X(memHostAlloc, (void **, size_t, unsigned), "cuMemHostAlloc")                                                       \
  X(memHostGetDevicePointer, (cuda::Address *, void *, unsigned), "cuMemHostGetDevicePointer_v2")                      \
  X(memFreeHost, (void *), "cuMemFreeHost")                                                                            \
  X(memsetD8Async, (cuda::Address, unsigned char, size_t, cuda::Stream), "cuMemsetD8Async")                            \
  X(memcpyHtoDAsync, (cuda::Address, const void *, size_t, cuda::Stream), "cuMemcpyHtoDAsync_v2")                      \
  X(memcpyDtoHAsync, (void *, cuda::Address, size_t, cuda::Stream), "cuMemcpyDtoHAsync_v2")                            \
  X(streamCreate, (cuda::Stream *, unsigned), "cuStreamCreate")                                                        \
  X(streamDestroy, (cuda::Stream), "cuStreamDestroy_v2")                                                               \
  X(streamSynchronize, (cuda::Stream), "cuStreamSynchronize")                                                          \
  X(streamBeginCapture, (cuda::Stream, int), "cuStreamBeginCapture_v2")                                                \
  X(streamEndCapture, (cuda::Stream, cuda::Graph *), "cuStreamEndCapture")                                             \
  X(graphInstantiate, (cuda::GraphExec *, cuda::Graph, unsigned long long), "cuGraphInstantiateWithFlags")             \
  X(graphLaunch, (cuda::GraphExec, cuda::Stream), "cuGraphLaunch")                                                     \
  X(graphDestroy, (cuda::Graph), "cuGraphDestroy")                                                                     \
  X(graphExecDestroy, (cuda::GraphExec), "cuGraphExecDestroy")                                                         \
  X(eventCreate, (cuda::Event *, unsigned), "cuEventCreate")                                                           \
  X(eventRecord, (cuda::Event, cuda::Stream), "cuEventRecord")                                                         \
  X(eventElapsedTime, (float *, cuda::Event, cuda::Event), "cuEventElapsedTime")                                       \
  X(eventDestroy, (cuda::Event), "cuEventDestroy_v2")                                                                  \
  X(moduleLoadDataEx, (cuda::Module *, const void *, unsigned, int *, void **), "cuModuleLoadDataEx")                  \
  X(moduleUnload, (cuda::Module), "cuModuleUnload")                                                                    \
  X(moduleGetFunction, (cuda::Function *, cuda::Module, const char *), "cuModuleGetFunction")                          \
  X(funcSetAttribute, (cuda::Function, int, int), "cuFuncSetAttribute")                                                \
  X(occupancyMaxActiveBlocks, (int *, cuda::Function, int, size_t), "cuOccupancyMaxActiveBlocksPerMultiprocessor")     \
  X(launchKernel,                                                                                                      \
    (cuda::Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, cuda::Stream, void **, void **), \
    "cuLaunchKernel")                                                                                                  \
  X(launchCooperativeKernel,                                                                                           \
    (cuda::Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, cuda::Stream, void **),     \
    "cuLaunchCooperativeKernel")                                                                                       \
  X(getErrorName, (cuda::Result, const char **), "cuGetErrorName")                                                     \
  X(getErrorString, (cuda::Result, const char **), "cuGetErrorString")

struct Driver {
#define LLMC_MEMBER(name, parameters, symbol) cuda::Result(*name) parameters;
  LLMC_CUDA_FUNCTIONS(LLMC_MEMBER)
#undef LLMC_MEMBER
  int version = 0; // 12020: CUDA 12.2

  // Loaded and initialised once in a process. Errors: InvalidInput where there is no library or no device; Unsupported where the
  // library is too old.
  static Expected<const Driver *> open();
  // The functions of a library, before anything is called.
  static Expected<Driver> load(const char *library);

  // Nothing on success, else an error that begins with `call`.
  Expected<void> check(const char *call, cuda::Result result) const;
};

} // namespace llmc
