// Models that were compiled just in time, kept from one run to the next.
//
//   LLMC_TRY(cache, JitCache::open(JitCache::settingsFromEnvironment()));
//   std::optional<JitCache::Entry> hit = cache.find(key);
//
// An entry is a directory whose name is a hash of the key; it holds what the compiler wrote, the key's text, and a lock file. Entries
// are written under a temporary name and renamed, so that what is found is whole. Every user holds a shared lock; eviction
// takes an exclusive one and passes over entries in use. Safe between processes and threads.
#pragma once

#include "runtime/support/Error.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace llmc {

// An open file descriptor that holds a flock. Movable; closing it releases the lock.
class FileLock {
public:
  FileLock() = default;
  explicit FileLock(int descriptor) : descriptor(descriptor) {}
  FileLock(FileLock &&other) noexcept : descriptor(other.descriptor) { other.descriptor = -1; }
  FileLock &operator=(FileLock &&other) noexcept {
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~FileLock();
  int get() const { return descriptor; }

private:
  int descriptor = -1;
};

class JitCache {
public:
  struct Settings {
    std::string directory;
    uint64_t limitBytes = 0; // 0: 20 GB, or a tenth of what the disk has free and the cache itself takes, whichever is less
  };
  // LLMC_CACHE_DIR, else $XDG_CACHE_HOME/llmc/jit, else ~/.cache/llmc/jit; LLMC_CACHE_LIMIT in bytes, or with K, M, G or T.
  // Errors: InvalidInput if no directory is known or the limit is no size.
  static Expected<Settings> settingsFromEnvironment();

  // Makes the directory if need be. Errors: InvalidInput if that fails, or if it is not the user's own or others may
  // write to it.
  static Expected<JitCache> open(const Settings &settings);

  // Something in use: it stays on disk as long as this object lives.
  struct Entry {
    std::string directory;
    FileLock lock;
  };

  // Writes an entry's files into `directory`.
  using Maker = std::function<Expected<void>(const std::string &directory)>;
  // Told when another process makes the same entry and this one waits.
  using Waiting = std::function<void()>;

  std::optional<Entry> find(const std::string &key) const;
  // The entry of `key`; `make` is called if there is none. Of several processes that ask at once, one makes it. Older
  // entries go when the cache is over its limit.
  Expected<Entry> findOrMake(const std::string &key, const Maker &make, const Waiting &waiting) const;

  const std::string &directory() const { return root; }

private:
  JitCache(std::string root, uint64_t limitBytes) : root(std::move(root)), limitBytes(limitBytes) {}
  Expected<Entry> make(const std::string &key, const Maker &maker) const;
  void trim() const;

  std::string root;
  uint64_t limitBytes;
};

// Removes the directory that this process is writing, if any. Async-signal-safe: for the signal handlers of the tools, so
// that an interrupted compilation leaves nothing behind.
void removeUnfinishedEntry();

// A private directory outside of the cache, removed with everything in it when the object dies.
class ScratchDirectory {
public:
  static Expected<ScratchDirectory> make();
  ScratchDirectory(ScratchDirectory &&other) noexcept : path(std::exchange(other.path, {})) {}
  ScratchDirectory &operator=(ScratchDirectory &&) = delete;
  ~ScratchDirectory();
  const std::string &directory() const { return path; }

private:
  explicit ScratchDirectory(std::string path) : path(std::move(path)) {}
  std::string path;
};

} // namespace llmc
