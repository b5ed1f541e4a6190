#include "runtime/support/Files.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/MappedFile.h"

#include <cstdint>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llmc {
namespace {

TEST(FilesTest, readsWholeFileUpToTheLimit) {
  std::string path = testing::TempDir() + "llmc-files-test.txt";
  std::ofstream(path) << std::string(200'000, 'x');
  auto text = readTextFile(path, 200'000);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(text->size(), 200'000u);
  auto tooLarge = readTextFile(path, 199'999);
  ASSERT_FALSE(tooLarge);
  EXPECT_EQ(tooLarge.error().code, ErrorCode::InvalidInput);
}

TEST(FilesTest, namesWhatCannotBeRead) {
  auto missing = readTextFile("/nonexistent/x", 10);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nonexistent/x: can't open"), std::string::npos);
  auto directory = readTextFile(testing::TempDir(), 10);
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error().message.find("got a directory"), std::string::npos);
}

TEST(FilesTest, mapsRegularFilesOnly) {
  std::string path = testing::TempDir() + "llmc-mapped-test.bin";
  std::ofstream(path) << "abc";
  auto file = MappedFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  const std::byte *address = file->bytes().data();
  MappedFile moved = std::move(*file);
  EXPECT_EQ(moved.bytes().data(), address);
  EXPECT_EQ(moved.bytes().size(), 3u);
  EXPECT_EQ(moved.bytes()[2], std::byte('c'));
  EXPECT_TRUE(file->bytes().empty());

  std::ofstream(path, std::ios::trunc).close();
  auto empty = MappedFile::open(path);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->bytes().empty());

  auto directory = MappedFile::open(testing::TempDir());
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error().message.find("got a directory"), std::string::npos);
  EXPECT_FALSE(MappedFile::open("/nonexistent/x"));

  std::string pipe = testing::TempDir() + "llmc-mapped-test.fifo";
  ::unlink(pipe.c_str());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_FALSE(MappedFile::open(pipe)); // and does not wait for a writer
  ::unlink(pipe.c_str());
}

TEST(FilesTest, checksArithmetic) {
  EXPECT_EQ(checkedMul<int64_t>(INT64_MAX / 2, 2), INT64_MAX - 1);
  EXPECT_EQ(checkedMul<int64_t>(INT64_MAX / 2 + 1, 2), std::nullopt);
  EXPECT_EQ(checkedAdd<uint64_t>(UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(checkedAlignUp<uint64_t>(33, 32), 64u);
  EXPECT_EQ(checkedAlignUp<uint64_t>(UINT64_MAX, 32), std::nullopt);
}

} // namespace
} // namespace llmc
