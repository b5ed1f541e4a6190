#include "compiler/driver/JitCache.h"
#include "compiler/driver/SourceKey.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace fs = std::filesystem;
using namespace llmc;

namespace {

void writeFile(const std::string &path, size_t bytes) { std::ofstream(path) << std::string(bytes, 'x'); }

class JitCacheTest : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "jit-cache-XXXXXX";
    ASSERT_TRUE(mkdtemp(name.data()));
    folder = name;
  }
  void TearDown() override { fs::remove_all(folder); }

  JitCache cache(uint64_t limitBytes = 0) { return *JitCache::open({folder + "/cache", limitBytes}); }
  // Makes an entry of `bytes`, and lets go of it.
  std::string add(const JitCache &cache, const std::string &key, size_t bytes = 10) {
    auto entry = cache.findOrMake(
        key,
        [&](const std::string &directory) -> Expected<void> {
          ++made;
          writeFile(directory + "/model.so", bytes);
          return {};
        },
        {});
    return entry ? entry->directory : "";
  }

  std::string folder;
  int made = 0;
};

TEST_F(JitCacheTest, findsWhatWasMade) {
  JitCache jit = cache();
  EXPECT_FALSE(jit.find("a"));
  std::string directory = add(jit, "a");
  EXPECT_EQ(add(jit, "a"), directory);
  EXPECT_EQ(made, 1);
  ASSERT_TRUE(jit.find("a"));
  EXPECT_TRUE(fs::exists(jit.find("a")->directory + "/model.so"));
  EXPECT_FALSE(jit.find("b"));
}

TEST_F(JitCacheTest, keepsTheDirectoryPrivate) {
  cache();
  struct stat info;
  ASSERT_EQ(stat((folder + "/cache").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  chmod((folder + "/cache").c_str(), 0777);
  auto refused = JitCache::open({folder + "/cache", 0});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidInput);
}

TEST_F(JitCacheTest, leavesNothingOfAFailure) {
  JitCache jit = cache();
  auto entry = jit.findOrMake("a", [](const std::string &) -> Expected<void> { return unsupported("no"); }, {});
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().code, ErrorCode::Unsupported);
  EXPECT_TRUE(fs::is_empty(folder + "/cache"));
}

TEST_F(JitCacheTest, remakesAnEntryOfAnotherKey) {
  JitCache jit = cache();
  std::string directory = add(jit, "a");
  std::ofstream(directory + "/key") << "b";
  EXPECT_FALSE(jit.find("a"));
  EXPECT_EQ(add(jit, "a"), directory);
  EXPECT_EQ(made, 2);
  EXPECT_TRUE(jit.find("a"));
}

TEST_F(JitCacheTest, evictsTheLeastRecentlyUsed) {
  JitCache jit = cache(300'000);
  add(jit, "a", 100'000);
  add(jit, "b", 100'000);
  EXPECT_TRUE(jit.find("a")); // now younger than b
  add(jit, "c", 100'000);
  EXPECT_TRUE(jit.find("a"));
  EXPECT_FALSE(jit.find("b"));
  EXPECT_TRUE(jit.find("c"));
}

TEST_F(JitCacheTest, keepsWhatIsInUse) {
  JitCache jit = cache(150'000);
  add(jit, "a", 100'000);
  auto user = jit.find("a");
  ASSERT_TRUE(user);
  add(jit, "b", 100'000);
  EXPECT_TRUE(jit.find("a"));
  EXPECT_TRUE(fs::exists(user->directory + "/model.so"));
}

// Once the user is gone, the next entry that is made pushes out the older one.
TEST_F(JitCacheTest, evictsWhatIsNoLongerInUse) {
  JitCache jit = cache(150'000);
  add(jit, "a", 100'000);
  {
    auto user = jit.find("a");
    add(jit, "b", 100'000);
    EXPECT_TRUE(jit.find("a"));
  }
  add(jit, "c", 100'000);
  EXPECT_FALSE(jit.find("a"));
  EXPECT_FALSE(jit.find("b"));
  EXPECT_TRUE(jit.find("c"));
}

TEST_F(JitCacheTest, oneOfManyMakesIt) {
  JitCache jit = cache();
  std::atomic<int> count = 0, found = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      auto entry = jit.findOrMake(
          "a",
          [&](const std::string &directory) -> Expected<void> {
            ++count;
            writeFile(directory + "/model.so", 10);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            return {};
          },
          {});
      found += entry && fs::exists(entry->directory + "/model.so");
    });
  threads.clear();
  EXPECT_EQ(count, 1);
  EXPECT_EQ(found, 8);
}

TEST_F(JitCacheTest, scratchGoesWithItsOwner) {
  std::string directory;
  {
    auto scratch = ScratchDirectory::make();
    ASSERT_TRUE(scratch);
    directory = scratch->directory();
    writeFile(directory + "/model.so", 1);
  }
  EXPECT_FALSE(fs::exists(directory));
}

TEST_F(JitCacheTest, readsItsSettings) {
  setenv("LLMC_CACHE_DIR", "/somewhere", 1);
  setenv("LLMC_CACHE_LIMIT", "2G", 1);
  auto settings = JitCache::settingsFromEnvironment();
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->directory, "/somewhere");
  EXPECT_EQ(settings->limitBytes, uint64_t(2) << 30);
  for (const char *bad : {"", "x", "-1", "1Q", "1GB", "99999999999T"}) {
    setenv("LLMC_CACHE_LIMIT", bad, 1);
    EXPECT_EQ(bool(JitCache::settingsFromEnvironment()), *bad == 0) << bad;
  }
  unsetenv("LLMC_CACHE_DIR");
  unsetenv("LLMC_CACHE_LIMIT");
}

// ---- Keys -----------------------------------------------------------------------------------------------------------

TEST_F(JitCacheTest, directoryKeyFollowsItsFiles) {
  writeFile(folder + "/config.json", 3);
  std::string first = *sourceKey(folder);
  writeFile(folder + "/notes.md", 3); // of no importance to any importer
  EXPECT_EQ(*sourceKey(folder), first);
  writeFile(folder + "/config.json", 4);
  EXPECT_NE(*sourceKey(folder), first);
}

TEST_F(JitCacheTest, moduleKeyNamesTheFilesItReads) {
  std::ofstream(folder + "/model.mlir") << "llm.asset @w weights \"w.gguf\"\nllm.asset @t tokenizer \"absent.json\"\n\"";
  writeFile(folder + "/w.gguf", 3);
  std::string first = *sourceKey(folder + "/model.mlir");
  EXPECT_NE(first.find("w.gguf"), std::string::npos);
  writeFile(folder + "/w.gguf", 4);
  EXPECT_NE(*sourceKey(folder + "/model.mlir"), first);
}

TEST_F(JitCacheTest, missingSourceIsTheUsersMistake) {
  auto key = sourceKey(folder + "/nothing.gguf");
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, ErrorCode::InvalidInput);
}

} // namespace
