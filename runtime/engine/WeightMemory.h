// Where a step finds the packed weights, and how they get into huge pages while steps run.
//
// A model starts on the mapped file, page by page. After its first step a thread copies the weights front to back into anonymous huge
// pages, which are read faster (fewer TLB misses) and which no file mapping can be turned into. Steps that begin later get pointers
// to what is copied. A step keeps the table of pointers that it began with; when the last step of an older table is over, the file's pages
// leave this process. They stay in the system's page cache as long as it has room, so that the next start is warm.
//
//   WeightMemory::Step weights = memory.beginStep();
//   run(weights.starts());
//
// Thread-safe.
#pragma once

#include "runtime/engine/Region.h"
#include "runtime/engine/WeightFile.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace llmc {

// Auto: where it pays and memory is plenty. On: at any size; an error where the system gives none.
enum class HugePages { Auto, On, Off };

class WeightMemory {
public:
  using Table = std::vector<const uint8_t *>;

  // `weights` outlive the object. Errors: Internal if one lies outside of the file; InvalidInput or Unsupported when huge pages are On
  // and this machine has none to give.
  static Expected<std::unique_ptr<WeightMemory>> create(PackedWeights packed, std::span<const llmc_weight> weights,
                                                        HugePages wanted);
  ~WeightMemory();

  // The pointers that one step reads: valid, and the same, as long as this object lives.
  class Step {
  public:
    Step(WeightMemory &memory, std::shared_ptr<const Table> table) : memory(memory), table(std::move(table)) {}
    Step(const Step &) = delete;
    Step &operator=(const Step &) = delete;
    ~Step();
    const uint8_t *const *starts() const { return table->data(); }

  private:
    WeightMemory &memory;
    std::shared_ptr<const Table> table;
  };
  Step beginStep();

  // Memory that contexts of this model may commit later: it is not taken for copies. Negative: no longer.
  void promise(int64_t bytes) { promisedBytes.fetch_add(bytes, std::memory_order_relaxed); }

  bool usesHugePages() const { return wanted != HugePages::Off; }

  struct State {
    int64_t copiedBytes; // of the weights, outside of the file's mapping
    int64_t hugeBytes;   // memory of the copy that the system backs with huge pages
    bool settled;        // nothing will be copied any more
    const char *note;    // why not all is copied; empty if there is no reason
  };
  State state() const;
  // Copies at full speed what is still to be copied, and returns when that is done.
  void settle();

  const std::string &path() const { return packed.path; }

private:
  enum class Phase { Waiting, Copying, Settled };
  struct Retired {
    std::weak_ptr<const Table> table; // nobody may begin a step with it
    int64_t until;                    // what of the file no younger table points into
  };

  WeightMemory() = default;
  Expected<void> bind();
  const char *obstacle() const;
  void endStep();
  void begin();
  void work();
  const char *copyAll();
  void copyChunk(int64_t offset);
  int64_t bytes() const { return int64_t(packed.bytes.size()); }
  int64_t groupEnd(int64_t copied) const;
  void publish(int64_t copied);
  void dropUnread();
  void rest(int64_t workedNs);
  bool isBusy() const;

  PackedWeights packed;
  std::span<const llmc_weight> weights;
  HugePages wanted = HugePages::Auto;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<const Table> current; // guarded by mutex, as those down to `note`
  bool stopping = false;
  int waiters = 0;
  const char *note = "";
  std::atomic<Phase> phase{Phase::Waiting};
  std::atomic<int64_t> copiedBytes{0}, promisedBytes{0};
  std::atomic<int64_t> activeSteps{0}, lastStepNs{0};

  // The copying thread's own.
  Region region;
  uint8_t *copy = nullptr; // in `region`, on a huge page
  std::deque<Retired> retired;
  int64_t droppedBytes = 0;
  std::thread thread;
};

} // namespace llmc
