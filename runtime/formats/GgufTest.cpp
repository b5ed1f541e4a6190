#include "runtime/formats/Gguf.h"

#include "runtime/formats/TestFiles.h"

#include <fstream>
#include <gtest/gtest.h>

namespace llmc {
namespace {

using test::asBytes;
using test::GgufBuilder;
using test::put;

constexpr uint32_t f32 = 0, q8_1 = 9, q8_0 = 8, q6_K = 14, iq4Xs = 23;

Error errorOf(const std::string &bytes) {
  auto file = Gguf::parse(asBytes(bytes), "m.gguf");
  return file ? Error{ErrorCode::Ok, "parsed"} : file.error();
}
Error errorOf(const GgufBuilder &builder, size_t dataBytes = 0) { return errorOf(builder.build(dataBytes)); }

#define EXPECT_REFUSED(error, wanted)                                                                                  \
  do {                                                                                                                 \
    Error got = (error);                                                                                               \
    EXPECT_EQ(got.code, ErrorCode::InvalidInput) << got.message;                                                       \
    EXPECT_NE(got.message.find(wanted), std::string::npos) << got.message;                                             \
    EXPECT_EQ(got.message.find("m.gguf: "), 0u) << got.message;                                                        \
  } while (false)

GgufBuilder everyKind() {
  GgufBuilder builder;
  builder.text("general.architecture", "llama")
      .scalar<uint8_t>("u8", GgufType::U8, 255)
      .scalar<int8_t>("i8", GgufType::I8, -1)
      .scalar<uint16_t>("u16", GgufType::U16, 65535)
      .scalar<int16_t>("i16", GgufType::I16, -2)
      .scalar<uint32_t>("u32", GgufType::U32, 4000000000u)
      .scalar<int32_t>("i32", GgufType::I32, -3)
      .scalar<float>("f32", GgufType::F32, 0.5f)
      .scalar<uint8_t>("bool", GgufType::Bool, 1)
      .scalar<uint64_t>("u64", GgufType::U64, ~uint64_t(0))
      .scalar<int64_t>("i64", GgufType::I64, INT64_MIN)
      .scalar<double>("f64", GgufType::F64, 1e300)
      .array<std::string>("strings", GgufType::String, {"a", "", "\xe2\x96\x81the"})
      .array<int16_t>("ints", GgufType::I16, {1, -1})
      .array<uint64_t>("huge", GgufType::U64, {1, ~uint64_t(0)})
      .array<uint8_t>("bools", GgufType::Bool, {1, 0})
      .array<float>("floats", GgufType::F32, {1.5f, -2.0f})
      .array<double>("doubles", GgufType::F64, {0.25})
      .array<uint32_t>("empty", GgufType::U32, {})
      .tensor("blk.0.w", {64, 3}, q8_0, 32)
      .tensor("norm", {2}, f32, 0);
  return builder;
}

TEST(GgufTest, readsEveryKindOfValue) {
  std::string bytes = everyKind().build(32 + 3 * 68);
  auto file = Gguf::parse(asBytes(bytes), "m.gguf");
  ASSERT_TRUE(file) << file.error().message;
  const Gguf &gguf = **file;
  EXPECT_EQ(gguf.getString("general.architecture"), "llama");
  EXPECT_EQ(gguf.getInt("u8"), 255);
  EXPECT_EQ(gguf.getInt("i8"), -1);
  EXPECT_EQ(gguf.getInt("u16"), 65535);
  EXPECT_EQ(gguf.getInt("i16"), -2);
  EXPECT_EQ(gguf.getInt("u32"), 4000000000);
  EXPECT_EQ(gguf.getInt("i32"), -3);
  EXPECT_EQ(gguf.getInt("i64"), INT64_MIN);
  EXPECT_EQ(gguf.getInt("u64"), std::nullopt); // does not fit
  EXPECT_EQ(gguf.getFloat("u64"), double(~uint64_t(0)));
  EXPECT_EQ(gguf.getFloat("f32"), 0.5);
  EXPECT_EQ(gguf.getFloat("f64"), 1e300);
  EXPECT_EQ(gguf.getFloat("i8"), -1.0);
  EXPECT_EQ(gguf.getBool("bool"), true);
  EXPECT_EQ(gguf.getStrings("strings"), (std::vector<std::string_view>{"a", "", "\xe2\x96\x81the"}));
  EXPECT_EQ(gguf.getInts("ints"), (std::vector<int64_t>{1, -1}));
  EXPECT_EQ(gguf.getInts("bools"), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(gguf.getInts("huge"), std::nullopt);
  EXPECT_EQ(gguf.getFloats("floats"), (std::vector<float>{1.5f, -2.0f}));
  EXPECT_EQ(gguf.getFloats("doubles"), (std::vector<float>{0.25f}));
  EXPECT_EQ(gguf.getInts("empty"), std::vector<int64_t>());
  ASSERT_EQ(gguf.keys().size(), 19u);
  EXPECT_EQ(gguf.keys()[1], "u8"); // in file order
}

TEST(GgufTest, givesNothingForAnotherKind) {
  std::string bytes = everyKind().build(32 + 3 * 68);
  auto file = Gguf::parse(asBytes(bytes), "m.gguf");
  ASSERT_TRUE(file) << file.error().message;
  const Gguf &gguf = **file;
  EXPECT_EQ(gguf.getInt("absent"), std::nullopt);
  EXPECT_EQ(gguf.getInt("f32"), std::nullopt);
  EXPECT_EQ(gguf.getInt("bool"), std::nullopt);
  EXPECT_EQ(gguf.getInt("ints"), std::nullopt);
  EXPECT_EQ(gguf.getInt("general.architecture"), std::nullopt);
  EXPECT_EQ(gguf.getFloat("general.architecture"), std::nullopt);
  EXPECT_EQ(gguf.getFloat("bool"), std::nullopt);
  EXPECT_EQ(gguf.getBool("u8"), std::nullopt);
  EXPECT_EQ(gguf.getString("strings"), std::nullopt);
  EXPECT_EQ(gguf.getStrings("general.architecture"), std::nullopt);
  EXPECT_EQ(gguf.getStrings("ints"), std::nullopt);
  EXPECT_EQ(gguf.getInts("strings"), std::nullopt);
  EXPECT_EQ(gguf.getFloats("ints"), std::nullopt);
}

TEST(GgufTest, placesTensors) {
  for (uint32_t version : {2u, 3u}) {
    GgufBuilder builder = everyKind();
    builder.version = version;
    std::string path = testing::TempDir() + "llmc-gguf-test.bin";
    std::ofstream(path) << builder.build(32 + 3 * 68);
    auto file = TensorFile::open(path);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->gguf());
    EXPECT_EQ((*file)->tensors()[0].name, "blk.0.w"); // in file order, not by offset
    const TensorView *weight = (*file)->find("blk.0.w");
    ASSERT_TRUE(weight);
    EXPECT_EQ(weight->format, Format::Q8_0);
    EXPECT_EQ(weight->shape, (std::vector<int64_t>{3, 64})); // reversed: outermost first
    EXPECT_EQ(weight->data.size(), 3u * 68);
    EXPECT_EQ(weight->data.data(), (*file)->find("norm")->data.data() + 32);
  }
}

TEST(GgufTest, acceptsFilesOfMetadataOnly) {
  EXPECT_EQ(errorOf(GgufBuilder().text("a", "b")).message, "parsed");
  EXPECT_EQ(errorOf(GgufBuilder()).message, "parsed");
}

TEST(GgufTest, refusesEveryTruncation) {
  std::string good = everyKind().build(32 + 3 * 68);
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(errorOf(good.substr(0, size)).code, ErrorCode::InvalidInput) << size;
}

TEST(GgufTest, refusesOtherVersions) {
  GgufBuilder builder;
  for (uint32_t version : {0u, 1u, 4u, 0x03000000u}) {
    builder.version = version;
    EXPECT_EQ(errorOf(builder).code, ErrorCode::Unsupported) << version;
  }
  EXPECT_NE(errorOf(builder).message.find("big-endian"), std::string::npos);
  EXPECT_REFUSED(errorOf("GGUX"), "begins with 'GGUF'");
}

TEST(GgufTest, refusesCountsBeyondTheFile) {
  for (uint64_t count : {uint64_t(1), uint64_t(1000), uint64_t(1) << 62, ~uint64_t(0)}) {
    GgufBuilder entries, tensors;
    entries.extraEntries = tensors.extraTensors = count;
    EXPECT_REFUSED(errorOf(entries), "promises");
    EXPECT_REFUSED(errorOf(tensors), "promises");
  }
  GgufBuilder oneMore = everyKind();
  oneMore.extraTensors = 1;
  EXPECT_EQ(errorOf(oneMore, 32 + 3 * 68).code, ErrorCode::InvalidInput);
}

TEST(GgufTest, refusesLengthsBeyondTheFile) {
  for (uint64_t length : {uint64_t(100), uint64_t(1) << 32, uint64_t(1) << 63, ~uint64_t(0), ~uint64_t(7)}) {
    std::string text, strings, numbers, name;
    put(text, length);
    EXPECT_REFUSED(errorOf(GgufBuilder().raw("k", 8, text)), "metadata key 'k': reaches beyond the end");
    put<uint32_t>(strings, 8);
    put(strings, length);
    EXPECT_REFUSED(errorOf(GgufBuilder().raw("k", 9, strings)), "reaches beyond the end");
    put<uint32_t>(numbers, 12);
    put(numbers, length);
    EXPECT_REFUSED(errorOf(GgufBuilder().raw("k", 9, numbers)), "reaches beyond the end");
  }
}

TEST(GgufTest, capsMetadata) {
  EXPECT_REFUSED(errorOf(GgufBuilder().text("k", std::string(100'000'000, 'x'))), "at most 100000000 bytes");
}

TEST(GgufTest, refusesBadMetadata) {
  EXPECT_REFUSED(errorOf(GgufBuilder().raw("k", 13, "xxxxxxxx")), "want a value type of 0 to 12, got 13");
  EXPECT_REFUSED(errorOf(GgufBuilder().scalar<uint8_t>("k", GgufType::Bool, 2)), "booleans of 0 or 1");
  EXPECT_REFUSED(errorOf(GgufBuilder().array<uint8_t>("k", GgufType::Bool, {1, 3})), "booleans of 0 or 1");
  EXPECT_REFUSED(errorOf(GgufBuilder().text("k", "1").text("k", "2")), "metadata key 'k' occurs twice");
  EXPECT_REFUSED(errorOf(GgufBuilder().text("", "1")), "want a key of 1 to 65535 bytes");
  EXPECT_REFUSED(errorOf(GgufBuilder().text("\xff", "1")), "'\\xff'");
  EXPECT_REFUSED(errorOf(GgufBuilder().text(std::string(65536, 'k'), "1")), "want a key of 1 to 65535 bytes");
}

TEST(GgufTest, refusesNestedArrays) {
  std::string nested; // an array of arrays, each with one array, and so on
  for (int i = 0; i < 1000; ++i) {
    put<uint32_t>(nested, 9);
    put<uint64_t>(nested, 1);
  }
  Error error = errorOf(GgufBuilder().raw("k", 9, nested));
  EXPECT_EQ(error.code, ErrorCode::Unsupported);
  EXPECT_EQ(error.message, "m.gguf: metadata key 'k': arrays of arrays are not supported");
}

TEST(GgufTest, checksAlignment) {
  auto aligned = [](uint32_t alignment) {
    GgufBuilder builder;
    builder.alignment = alignment == 64 || alignment == 8 ? alignment : 32; // of the bytes, not the promise
    return builder.scalar("general.alignment", GgufType::U32, alignment)
        .tensor("a", {1}, f32, 0)
        .tensor("b", {1}, f32, 64);
  };
  EXPECT_EQ(errorOf(aligned(64), 68).message, "parsed");
  EXPECT_EQ(errorOf(aligned(8), 68).message, "parsed");
  for (uint32_t alignment : {0u, 3u, 48u, 1u << 21, 1u << 31})
    EXPECT_REFUSED(errorOf(aligned(alignment), 68), "want a power of two");
  EXPECT_REFUSED(errorOf(GgufBuilder().text("general.alignment", "32")), "want a 32-bit unsigned integer");
  EXPECT_REFUSED(errorOf(GgufBuilder().array<uint32_t>("general.alignment", GgufType::U32, {})),
                 "want a 32-bit unsigned integer");
}

TEST(GgufTest, refusesBadTensors) {
  auto tensor = [](std::vector<uint64_t> shape, uint32_t type, uint64_t offset) {
    return errorOf(GgufBuilder().tensor("t", std::move(shape), type, offset), 64);
  };
  EXPECT_EQ(tensor({16}, f32, 0).message, "parsed");
  EXPECT_REFUSED(tensor({17}, f32, 0), "tensor 't': want 68 bytes at offset 0, the file has 64");
  EXPECT_REFUSED(tensor({1}, f32, 4), "multiple of 32");
  EXPECT_REFUSED(tensor({1}, f32, 64), "at offset 64");
  EXPECT_REFUSED(tensor({1}, f32, ~uint64_t(31)), "it may be truncated");
  EXPECT_REFUSED(tensor({0}, f32, 0), "dimensions from 1");
  EXPECT_REFUSED(tensor({uint64_t(1) << 63}, f32, 0), "dimensions from 1");
  EXPECT_REFUSED(tensor({uint64_t(1) << 62}, f32, 0), "more bytes than any file");
  EXPECT_REFUSED(tensor({32, uint64_t(1) << 32, uint64_t(1) << 32}, q8_0, 0), "larger than any file");
  EXPECT_REFUSED(tensor({4, uint64_t(1) << 31, uint64_t(1) << 31}, f32, 0), "larger than any file");
  EXPECT_REFUSED(tensor({128}, q6_K, 0), "want a multiple of 256 elements, got 128");
  EXPECT_REFUSED(tensor(std::vector<uint64_t>(9, 1), f32, 0), "want at most 8 dimensions, got 9");
  EXPECT_EQ(tensor(std::vector<uint64_t>(8, 1), f32, 0).message, "parsed");
  EXPECT_REFUSED(errorOf(GgufBuilder().tensor("\xc3(", {1}, f32, 0), 64), "no UTF-8");
  EXPECT_REFUSED(errorOf(GgufBuilder().tensor("", {1}, f32, 0), 64), "want a name");
}

TEST(GgufTest, refusesDuplicateAndOverlappingTensors) {
  EXPECT_REFUSED(errorOf(GgufBuilder().tensor("a", {1}, f32, 0).tensor("a", {1}, f32, 32), 64),
                 "tensor 'a': the name occurs twice");
  EXPECT_REFUSED(errorOf(GgufBuilder().tensor("a", {9}, f32, 0).tensor("b", {1}, f32, 32), 64),
                 "tensor 'b': shares bytes with tensor 'a'");
  EXPECT_REFUSED(errorOf(GgufBuilder().tensor("a", {1}, f32, 0).tensor("b", {1}, f32, 0), 64), "shares bytes");
}

TEST(GgufTest, namesUnsupportedTypesOnce) {
  Error error = errorOf(GgufBuilder()
                            .tensor("a", {256}, q8_1, 0)
                            .tensor("b", {256}, q8_1, 0)
                            .tensor("c", {256}, iq4Xs, 0)
                            .tensor("d", {256}, 77, 0),
                        64);
  EXPECT_EQ(error.code, ErrorCode::Unsupported);
  EXPECT_NE(error.message.find("IQ4_XS (tensor 'c'), Q8_1 (tensor 'a'), type 77 (tensor 'd')"), std::string::npos)
      << error.message;
}

} // namespace
} // namespace llmc
