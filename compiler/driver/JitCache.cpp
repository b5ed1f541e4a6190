#include "compiler/driver/JitCache.h"

#include "runtime/support/Files.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;
using namespace llmc;

namespace {

constexpr const char *lockName = "lock", *keyName = "key";

// ---- Locks ----------------------------------------------------------------------------------------------------------

int openFile(const std::string &path, int flags) {
  int file;
  do
    file = open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  while (file < 0 && errno == EINTR);
  return file;
}

bool lockFile(int file, int how) {
  int result;
  do
    result = flock(file, how);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

// Whether the file at `path` is still the one behind the descriptor.
bool isSameFile(int file, const std::string &path) {
  struct stat opened, named;
  return fstat(file, &opened) == 0 && lstat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

std::optional<FileLock> tryLock(const std::string &path, int openFlags, int how) {
  FileLock lock(openFile(path, openFlags));
  if (lock.get() < 0 || !lockFile(lock.get(), how) || !isSameFile(lock.get(), path))
    return std::nullopt;
  return lock;
}

// ---- Names ----------------------------------------------------------------------------------------------------------

// FNV-1a, twice with different starts. Not a defence: `find` compares the whole key.
std::string hashName(const std::string &key) {
  std::string name;
  for (uint64_t hash : {0xcbf29ce484222325u, 0x84222325cbf29ce4u}) {
    for (unsigned char c : key)
      hash = (hash ^ c) * 0x100000001b3u;
    char digits[17];
    snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
    name += digits;
  }
  return name;
}

Error failure(const std::string &what) {
  return {ErrorCode::InvalidInput, what + ": " + strerror(errno) + "; set LLMC_CACHE_DIR, or use --no-cache"};
}

// ---- What an interrupt leaves behind --------------------------------------------------------------------------------

// Paths of the files that the compiler writes, and last of their directory; fixed buffers, for the signal handler.
constexpr const char *unfinishedNames[] = {"/model.so", "/model.so.part", "/model.weights", "/model.weights.part",
                                           "/moments.safetensors", "/lock", "/key", ""};
char unfinished[std::size(unfinishedNames)][4096];
std::atomic<bool> hasUnfinished = false;

class Unfinished {
public:
  explicit Unfinished(const std::string &directory) {
    if (directory.size() + 32 > sizeof unfinished[0])
      return;
    for (size_t i = 0; i < std::size(unfinishedNames); ++i)
      snprintf(unfinished[i], sizeof unfinished[i], "%s%s", directory.c_str(), unfinishedNames[i]);
    hasUnfinished = true;
  }
  ~Unfinished() { hasUnfinished = false; }
};

} // namespace

void llmc::removeUnfinishedEntry() {
  if (!hasUnfinished.exchange(false))
    return;
  for (size_t i = 0; i + 1 < std::size(unfinished); ++i)
    unlink(unfinished[i]);
  rmdir(unfinished[std::size(unfinished) - 1]);
}

FileLock::~FileLock() {
  if (descriptor >= 0)
    close(descriptor);
}

// ---- Settings -------------------------------------------------------------------------------------------------------

static Expected<uint64_t> parseSize(const char *text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text, text + strlen(text), value);
  unsigned shift = 0;
  if (*end) {
    const char *units = "KMGT", *unit = strchr(units, toupper(*end));
    shift = unit ? unsigned(unit - units + 1) * 10 : 64;
    ++end;
  }
  if (error != std::errc() || *end || shift == 64 || value == 0 || value > (UINT64_MAX >> shift))
    return invalidInput("LLMC_CACHE_LIMIT: want a size such as 10G, got '" + std::string(text) + "'");
  return value << shift;
}

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : nullptr;
}

Expected<JitCache::Settings> JitCache::settingsFromEnvironment() {
  Settings settings;
  if (const char *own = environment("LLMC_CACHE_DIR"))
    settings.directory = own;
  else if (const char *xdg = environment("XDG_CACHE_HOME"))
    settings.directory = std::string(xdg) + "/llmc/jit";
  else if (const char *home = environment("HOME"))
    settings.directory = std::string(home) + "/.cache/llmc/jit";
  else
    return invalidInput("no directory for the just-in-time cache: set HOME or LLMC_CACHE_DIR, or use --no-cache");
  if (const char *limit = environment("LLMC_CACHE_LIMIT")) {
    LLMC_TRY(bytes, parseSize(limit));
    settings.limitBytes = bytes;
  }
  return settings;
}

Expected<JitCache> JitCache::open(const Settings &settings) {
  std::error_code error;
  fs::path root = fs::absolute(settings.directory, error);
  if (root.has_parent_path())
    fs::create_directories(root.parent_path(), error);
  if (mkdir(root.c_str(), 0700) != 0 && errno != EEXIST)
    return std::unexpected(failure(root.string()));
  struct stat info;
  if (lstat(root.c_str(), &info) != 0)
    return std::unexpected(failure(root.string()));
  if (S_ISLNK(info.st_mode) && stat(root.c_str(), &info) != 0)
    return std::unexpected(failure(root.string()));
  if (!S_ISDIR(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 022) != 0)
    return invalidInput(root.string() + ": want a directory that is yours and that nobody else may write to, because code is "
                                        "loaded from it; set LLMC_CACHE_DIR, or use --no-cache");
  return JitCache(root.string(), settings.limitBytes);
}

// ---- Entries --------------------------------------------------------------------------------------------------------

std::optional<JitCache::Entry> JitCache::find(const std::string &key) const {
  std::string directory = root + "/" + hashName(key);
  auto lock = tryLock(directory + "/" + lockName, O_RDWR, LOCK_SH);
  if (!lock)
    return std::nullopt;
  auto stored = readTextFile(directory + "/" + keyName, key.size());
  if (!stored || *stored != key)
    return std::nullopt;
  futimens(lock->get(), nullptr); // the time of last use
  return Entry{std::move(directory), std::move(*lock)};
}

Expected<JitCache::Entry> JitCache::findOrMake(const std::string &key, const Maker &maker, const Waiting &waiting) const {
  if (std::optional<Entry> entry = find(key))
    return std::move(*entry);
  std::string turnPath = root + "/.turn-" + hashName(key);
  FileLock turn(openFile(turnPath, O_RDWR | O_CREAT));
  if (turn.get() < 0)
    return std::unexpected(failure(turnPath));
  if (!lockFile(turn.get(), LOCK_EX | LOCK_NB)) {
    if (waiting)
      waiting();
    lockFile(turn.get(), LOCK_EX);
  }
  if (std::optional<Entry> entry = find(key)) // made since we looked
    return std::move(*entry);
  Expected<Entry> made = make(key, maker);
  unlink(turnPath.c_str()); // those that wait hold it open and find the entry
  if (made)
    trim();
  return made;
}

static bool writeKey(const std::string &path, const std::string &key) {
  FileLock file(openFile(path, O_WRONLY | O_CREAT | O_EXCL));
  return file.get() >= 0 && write(file.get(), key.data(), key.size()) == ssize_t(key.size());
}

static void removeTree(const std::string &directory) {
  std::error_code ignored;
  fs::remove_all(directory, ignored);
}

// Moves what can't be used out of the way, so that the name is free.
static void discard(const std::string &root, const std::string &directory) {
  std::string grave = root + "/.old-XXXXXX";
  if (mkdtemp(grave.data()) && rename(directory.c_str(), (grave + "/entry").c_str()) == 0)
    removeTree(grave);
}

Expected<JitCache::Entry> JitCache::make(const std::string &key, const Maker &maker) const {
  std::string fresh = root + "/.new-XXXXXX";
  if (!mkdtemp(fresh.data()))
    return std::unexpected(failure(fresh));
  Unfinished guard(fresh);
  auto lock = tryLock(fresh + "/" + lockName, O_RDWR | O_CREAT | O_EXCL, LOCK_SH);
  if (!lock || !writeKey(fresh + "/" + keyName, key)) {
    Error error = failure(fresh);
    removeTree(fresh);
    return std::unexpected(std::move(error));
  }
  if (Expected<void> made = maker(fresh); !made) {
    removeTree(fresh);
    return std::unexpected(std::move(made.error()));
  }
  std::string directory = root + "/" + hashName(key);
  if (rename(fresh.c_str(), directory.c_str()) != 0) {
    if (std::optional<Entry> other = find(key)) { // somebody was faster
      removeTree(fresh);
      return std::move(*other);
    }
    discard(root, directory);
    if (rename(fresh.c_str(), directory.c_str()) != 0) {
      Error error = failure(directory);
      removeTree(fresh);
      return std::unexpected(std::move(error));
    }
  }
  return Entry{std::move(directory), std::move(*lock)};
}

// ---- Eviction -------------------------------------------------------------------------------------------------------

namespace {

struct Resident {
  std::string directory;
  uint64_t bytes;
  timespec used;
};

uint64_t diskBytes(const std::string &directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto &file : fs::directory_iterator(directory, error)) {
    struct stat info;
    if (lstat(file.path().c_str(), &info) == 0)
      bytes += uint64_t(info.st_blocks) * 512;
  }
  return bytes;
}

// Removes a directory that nobody uses; false if somebody does.
bool evict(const std::string &root, const std::string &directory) {
  auto lock = tryLock(directory + "/" + lockName, O_RDWR, LOCK_EX | LOCK_NB);
  if (!lock)
    return false;
  discard(root, directory);
  return true;
}

// What processes that were killed left behind.
void sweep(const std::string &root, const fs::path &leftover) {
  struct stat info;
  std::string path = leftover.string();
  bool old = lstat(path.c_str(), &info) == 0 && time(nullptr) - info.st_mtim.tv_sec > 3600;
  if (leftover.filename().string().starts_with(".turn-")) {
    auto lock = tryLock(path, O_RDWR, LOCK_EX | LOCK_NB);
    if (old && lock)
      unlink(path.c_str());
  } else if (!fs::exists(path + "/" + lockName)) {
    if (old)
      removeTree(path);
  } else {
    evict(root, path);
  }
}

} // namespace

// A cache is a guest on the disk, also on a small one. What it takes itself counts as free, so that the limit does not shrink as it fills.
static uint64_t defaultLimit(const std::string &root, uint64_t cacheBytes) {
  constexpr uint64_t mostBytes = uint64_t(20) << 30, share = 10;
  struct statvfs disk;
  if (statvfs(root.c_str(), &disk) != 0)
    return mostBytes;
  return std::min(mostBytes, (uint64_t(disk.f_bavail) * disk.f_frsize + cacheBytes) / share);
}

void JitCache::trim() const {
  std::vector<Resident> residents;
  uint64_t total = 0;
  std::error_code error;
  std::vector<fs::path> paths;
  for (const auto &entry : fs::directory_iterator(root, error))
    paths.push_back(entry.path());
  for (const fs::path &path : paths) {
    struct stat lock;
    if (path.filename().string().starts_with(".")) {
      sweep(root, path);
    } else if (stat((path / lockName).c_str(), &lock) == 0) {
      residents.push_back({path.string(), diskBytes(path.string()), lock.st_mtim});
      total += residents.back().bytes;
    }
  }
  uint64_t limit = limitBytes ? limitBytes : defaultLimit(root, total);
  std::sort(residents.begin(), residents.end(), [](const Resident &a, const Resident &b) {
    return std::pair(a.used.tv_sec, a.used.tv_nsec) < std::pair(b.used.tv_sec, b.used.tv_nsec);
  });
  for (const Resident &resident : residents)
    if (total > limit && evict(root, resident.directory))
      total -= resident.bytes;
}

// ---- Without the cache ----------------------------------------------------------------------------------------------

static std::optional<Unfinished> scratchGuard;

Expected<ScratchDirectory> ScratchDirectory::make() {
  const char *parent = environment("TMPDIR");
  std::string path = std::string(parent ? parent : "/tmp") + "/llmc-XXXXXX";
  if (!mkdtemp(path.data()))
    return invalidInput(path + ": " + strerror(errno) + "; set TMPDIR to a directory that you may write to");
  scratchGuard.emplace(path);
  return ScratchDirectory(std::move(path));
}

ScratchDirectory::~ScratchDirectory() {
  if (path.empty())
    return;
  scratchGuard.reset();
  removeTree(path);
}
