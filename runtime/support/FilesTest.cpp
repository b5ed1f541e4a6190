#include "runtime/support/Files.h"

#include <fstream>
#include <gtest/gtest.h>

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

} // namespace
} // namespace llmc
