#include "runtime/formats/GgufCopy.h"
#include "runtime/formats/Gguf.h"
#include "runtime/formats/TestFiles.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace llmc {
namespace {

class GgufCopyTest : public testing::Test {
protected:
  void SetUp() override {
    folder = std::filesystem::path(testing::TempDir()) / ("gguf-copy-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
    source = folder / "source.gguf", target = folder / "target.gguf";
    test::GgufBuilder builder;
    builder.text("general.architecture", "llama").scalar<uint32_t>("general.file_type", GgufType::U32, 0);
    builder.array<std::string>("tokenizer.ggml.tokens", GgufType::String, {"a", "", "bc"}).array<float>("scores", GgufType::F32, {1, -2.5f});
    builder.tensor("first", {64, 3}, 0, 0).tensor("norm", {5}, 0, 768).tensor("last", {32}, 0, 800);
    std::ofstream(source, std::ios::binary) << builder.build(928);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  GgufCopy copy() {
    return {.source = source, .target = target, .formats = {{"first", Format::Q8_0}}, .numbers = {{"general.file_type", 7}, {"general.quantization_version", 2}},
            .rows = [this](const TensorView &tensor, int64_t first, int64_t count, std::byte *to) {
              EXPECT_EQ(tensor.name, "first");
              rows.emplace_back(first, count);
              std::fill(to, to + count * 68, std::byte(9));
            }};
  }

  std::filesystem::path folder;
  std::string source, target;
  std::vector<std::pair<int64_t, int64_t>> rows;
};

TEST_F(GgufCopyTest, changesWhatIsAskedForAndNothingElse) {
  ASSERT_TRUE(copyGguf(copy()));
  auto file = Gguf::open(target);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ((*file)->getString("general.architecture"), "llama");
  EXPECT_EQ((*file)->getInt("general.file_type"), 7);
  EXPECT_EQ((*file)->getInt("general.quantization_version"), 2);
  EXPECT_EQ((*file)->getStrings("tokenizer.ggml.tokens"), (std::vector<std::string_view>{"a", "", "bc"}));
  EXPECT_EQ((*file)->getFloats("scores"), (std::vector<float>{1, -2.5f}));
  const TensorView *first = (*file)->find("first"), *norm = (*file)->find("norm"), *last = (*file)->find("last");
  ASSERT_TRUE(first && norm && last);
  EXPECT_EQ(first->format, Format::Q8_0);
  EXPECT_EQ(first->shape, (std::vector<int64_t>{3, 64}));
  EXPECT_TRUE(std::ranges::all_of(first->data, [](std::byte b) { return b == std::byte(9); }));
  EXPECT_EQ(rows, (std::vector<std::pair<int64_t, int64_t>>{{0, 3}}));
  EXPECT_EQ(norm->format, Format::F32);
  EXPECT_TRUE(std::ranges::all_of(last->data, [](std::byte b) { return b == std::byte(1); }));
}

TEST_F(GgufCopyTest, leavesNothingBehindWhenItFails) {
  auto refused = [&](GgufCopy wrong, std::string_view says) {
    Expected<void> done = copyGguf(wrong);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find(says), std::string::npos) << done.error().message;
  };
  GgufCopy absent = copy(), odd = copy(), onto = copy(), nowhere = copy();
  absent.formats = {{"second", Format::Q8_0}};
  refused(absent, "no tensor second");
  odd.formats = {{"norm", Format::Q8_0}};
  refused(odd, "norm");
  onto.target = source;
  refused(onto, "is the source");
  GgufCopy beside = copy(); // what it writes first
  std::filesystem::create_hard_link(source, folder / "linked.gguf.part");
  beside.target = folder / "linked.gguf";
  refused(beside, "linked.gguf.part: is the source");
  EXPECT_TRUE(std::filesystem::remove(folder / "linked.gguf.part"));
  nowhere.target = folder / "no" / "target.gguf";
  refused(nowhere, "can't be written");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

} // namespace
} // namespace llmc
