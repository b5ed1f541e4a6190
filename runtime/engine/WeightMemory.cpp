#include "runtime/engine/WeightMemory.h"

#include "runtime/engine/Machine.h"
#include "runtime/engine/SignalsBlocked.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <system_error>

namespace llmc {
namespace {

constexpr int64_t hugePageBytes = int64_t(2) << 20;
// Below this the TLB covers most of the weights as they are.
constexpr int64_t leastBytes = int64_t(16) << 20;
// A new table of pointers after so much: seldom enough that it costs nothing, often enough that little is held twice.
constexpr int64_t groupBytes = int64_t(64) << 20;
// What is left to others, beside what contexts may still commit.
constexpr int64_t reserveBytes = int64_t(512) << 20;
// While steps run the copying takes at most this part of a CPU: 1 / (restShare + 1).
constexpr int64_t restShare = 9;
// A pause between steps that is no idleness: sampling, printing a token.
constexpr int64_t pauseNs = 5'000'000;

constexpr const char *isOff = "switched off";
constexpr const char *isSmall = "the weights are small";
constexpr const char *isShort = "free memory is short";
constexpr const char *isWithoutThreads = "the system gives no thread";

int64_t nowNs() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

} // namespace

Expected<std::unique_ptr<WeightMemory>> WeightMemory::create(PackedWeights packed, std::span<const llmc_weight> weights,
                                                             HugePages wanted) {
  std::unique_ptr<WeightMemory> memory(new WeightMemory);
  memory->packed = std::move(packed);
  memory->weights = weights;
  memory->wanted = wanted;
  LLMC_CHECK(memory->bind());
  const char *obstacle = memory->obstacle();
  if (obstacle && wanted == HugePages::On)
    return unsupported("huge pages for " + formatBytes(memory->bytes()) + " of weights: " + obstacle + " (" +
                       formatBytes(availableMemoryBytes()) + " free); use --huge-pages auto");
  if (wanted == HugePages::Off || memory->bytes() == 0) {
    memory->note = wanted == HugePages::Off ? isOff : "";
    memory->phase = Phase::Settled;
  }
  return memory;
}

Expected<void> WeightMemory::bind() {
  auto table = std::make_shared<Table>();
  for (const llmc_weight &weight : weights) {
    if (weight.offset < 0 || weight.offset % 64 != 0 || weight.bytes < 0 || weight.offset > bytes() ||
        weight.bytes > bytes() - weight.offset)
      return internalError("weight '" + std::string(weight.name) + "' lies outside the packed weights");
    table->push_back(reinterpret_cast<const uint8_t *>(packed.bytes.data()) + weight.offset);
  }
  current = std::move(table);
  return {};
}

WeightMemory::~WeightMemory() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  if (thread.joinable())
    thread.join();
}

// Why nothing can be copied (further); null: it can.
const char *WeightMemory::obstacle() const {
  if (wanted == HugePages::Off)
    return isOff;
  if (wanted == HugePages::Auto && bytes() < leastBytes)
    return isSmall;
  if (!hasHugePages())
    return "the system gives none (/sys/kernel/mm/transparent_hugepage/enabled)";
  int64_t remaining = bytes() - copiedBytes.load(std::memory_order_relaxed);
  int64_t others = promisedBytes.load(std::memory_order_relaxed) + reserveBytes;
  return availableMemoryBytes() - others < remaining ? isShort : nullptr;
}

// ---- Steps ----------------------------------------------------------------------------------------------------------

WeightMemory::Step WeightMemory::beginStep() {
  activeSteps.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard lock(mutex);
  return {*this, current};
}

WeightMemory::Step::~Step() {
  table.reset();
  memory.endStep();
}

void WeightMemory::endStep() {
  lastStepNs.store(nowNs(), std::memory_order_relaxed);
  activeSteps.fetch_sub(1, std::memory_order_relaxed);
  if (phase.load(std::memory_order_relaxed) == Phase::Waiting)
    begin();
}

void WeightMemory::begin() {
  std::lock_guard lock(mutex);
  if (phase != Phase::Waiting)
    return;
  phase = Phase::Copying;
  SignalsBlocked blocked;
  try {
    thread = std::thread([this] { work(); });
  } catch (const std::system_error &) {
    note = isWithoutThreads;
    phase = Phase::Settled;
  }
}

WeightMemory::State WeightMemory::state() const {
  State state{};
  const uint8_t *start = nullptr;
  {
    std::lock_guard lock(mutex);
    state = {copiedBytes, 0, phase == Phase::Settled, note};
    start = copy;
  }
  if (start) // slow, so that no step waits for it
    state.hugeBytes = hugePagesOf(start);
  return state;
}

void WeightMemory::settle() {
  if (phase == Phase::Waiting)
    begin();
  std::unique_lock lock(mutex);
  ++waiters;
  changed.notify_all();
  changed.wait(lock, [&] { return phase == Phase::Settled; });
  --waiters;
}

// ---- The copying thread ---------------------------------------------------------------------------------------------

void WeightMemory::work() {
  ::prctl(PR_SET_NAME, "llmc-weights");
  const char *reason = copyAll();
  while (!retired.empty()) {
    dropUnread();
    std::unique_lock lock(mutex);
    if (changed.wait_for(lock, std::chrono::milliseconds(1), [&] { return stopping; }))
      break;
  }
  std::lock_guard lock(mutex);
  note = reason ? reason : "";
  phase = Phase::Settled;
  changed.notify_all();
}

// Why it ended early; null: it did not.
const char *WeightMemory::copyAll() {
  if (const char *reason = obstacle())
    return reason;
  auto reserved = Region::reserve(bytes() + hugePageBytes, "weights in huge pages");
  if (!reserved)
    return isShort;
  {
    std::lock_guard lock(mutex);
    region = std::move(*reserved);
    copy = region.data() + (-reinterpret_cast<uintptr_t>(region.data()) & uintptr_t(hugePageBytes - 1));
  }
  region.preferHugePages();
  for (int64_t copied = 0; copied < bytes();) {
    if (const char *reason = obstacle())
      return reason;
    for (int64_t end = std::min(copied + groupBytes, bytes()); copied < end; copied += hugePageBytes) {
      if (std::lock_guard lock(mutex); stopping)
        return "the model was closed";
      copyChunk(copied);
    }
    copied = std::min(copied, bytes());
    publish(copied);
    dropUnread();
  }
  return nullptr;
}

void WeightMemory::copyChunk(int64_t offset) {
  int64_t began = nowNs();
  std::memcpy(copy + offset, packed.bytes.data() + offset, size_t(std::min(hugePageBytes, bytes() - offset)));
  rest(nowNs() - began);
}

// Steps that run must hardly notice; when there are none, or when somebody waits, there is nothing to wait for.
void WeightMemory::rest(int64_t workedNs) {
  std::unique_lock lock(mutex);
  if (isBusy())
    changed.wait_for(lock, std::chrono::nanoseconds(workedNs * restShare), [&] { return stopping || waiters > 0; });
}

bool WeightMemory::isBusy() const {
  return activeSteps.load(std::memory_order_relaxed) > 0 ||
         nowNs() - lastStepNs.load(std::memory_order_relaxed) < pauseNs;
}

// From now on steps begin with the copies of those weights that are whole in the first `copied` bytes.
void WeightMemory::publish(int64_t copied) {
  auto table = std::make_shared<Table>();
  int64_t firstInFile = bytes();
  for (const llmc_weight &weight : weights) {
    bool moved = weight.offset + weight.bytes <= copied;
    const uint8_t *base = moved ? copy : reinterpret_cast<const uint8_t *>(packed.bytes.data());
    table->push_back(base + weight.offset);
    if (!moved)
      firstInFile = std::min(firstInFile, weight.offset);
  }
  std::shared_ptr<const Table> old = std::move(table);
  {
    std::lock_guard lock(mutex);
    current.swap(old);
  }
  copiedBytes.store(copied, std::memory_order_relaxed);
  retired.push_back({old, std::min(firstInFile, copied)});
}

// Gives back the file's pages that no table in use points into, oldest first. Were a step to read them after all, it would find the
// same bytes: the mapping stays.
void WeightMemory::dropUnread() {
  for (; !retired.empty() && retired.front().table.expired(); retired.pop_front()) {
    dropPages(packed.bytes.data(), droppedBytes, retired.front().until);
    droppedBytes = std::max(droppedBytes, retired.front().until);
  }
}

} // namespace llmc
