#include "runtime/formats/Safetensors.h"

#include "runtime/formats/TestFiles.h"

#include <fstream>
#include <gtest/gtest.h>

namespace llmc {
namespace {

using test::asBytes;
using test::safetensors;

Error errorOf(const std::string &bytes) {
  auto file = Safetensors::parse(asBytes(bytes), "m.safetensors");
  return file ? Error{ErrorCode::Ok, "parsed"} : file.error();
}
Error errorOf(std::string_view header, size_t dataBytes) { return errorOf(safetensors(header, dataBytes)); }

#define EXPECT_REFUSED(error, wanted)                                                                                  \
  do {                                                                                                                 \
    Error got = (error);                                                                                               \
    EXPECT_EQ(got.code, ErrorCode::InvalidInput) << got.message;                                                       \
    EXPECT_NE(got.message.find(wanted), std::string::npos) << got.message;                                             \
    EXPECT_EQ(got.message.find("m.safetensors"), 0u) << got.message;                                                   \
  } while (false)

TEST(SafetensorsTest, listsFloatTensorsOnly) {
  std::string bytes = safetensors(R"({"__metadata__": {"format": "pt"},
      "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [16, 28]},
      "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
      "ids": {"dtype": "I64", "shape": [1], "data_offsets": [4, 12]},
      "mask": {"dtype": "BOOL", "shape": [4], "data_offsets": [12, 16]},
      "none": {"dtype": "F16", "shape": [0, 7], "data_offsets": [16, 16]}}   )",
                                  28);
  auto file = Safetensors::parse(asBytes(bytes), "m.safetensors");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ((*file)->path(), "m.safetensors");
  EXPECT_EQ((*file)->gguf(), nullptr);
  ASSERT_EQ((*file)->tensors().size(), 3u);
  EXPECT_EQ((*file)->tensors()[0].name, "b"); // in file order
  const TensorView *b = (*file)->find("b");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->format, Format::BF16);
  EXPECT_EQ(b->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(b->elements(), 6);
  EXPECT_EQ(b->data.data(), asBytes(bytes).data() + bytes.size() - 12); // a view, not a copy
  EXPECT_EQ((*file)->find("a")->elements(), 1);
  EXPECT_EQ((*file)->find("none")->data.size(), 0u);
  EXPECT_EQ((*file)->find("ids"), nullptr);
  EXPECT_EQ((*file)->find("mask"), nullptr);
  EXPECT_EQ((*file)->find(""), nullptr);
}

TEST(SafetensorsTest, opensByContent) {
  std::string path = testing::TempDir() + "llmc-safetensors-test.bin";
  std::ofstream(path) << safetensors(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4);
  auto file = TensorFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ((*file)->path(), path);
  float values[2];
  decodeRow(Format::F16, (*file)->find("a")->data.data(), values);
  EXPECT_GT(values[1], 0);
}

TEST(SafetensorsTest, namesFilesOfOtherKinds) {
  std::string path = testing::TempDir() + "llmc-other-test.bin";
  auto messageOf = [&](std::string_view content) {
    std::ofstream(path) << content;
    auto file = TensorFile::open(path);
    return file ? "opened" : file.error().message;
  };
  EXPECT_NE(messageOf("version https://git-lfs.github.com/spec/v1\n").find("git lfs pull"), std::string::npos);
  EXPECT_NE(messageOf("PK\3\4....").find("convert it to safetensors"), std::string::npos);
  EXPECT_NE(messageOf("").find("want a safetensors or GGUF file"), std::string::npos);
  EXPECT_NE(messageOf(R"({"metadata": {}, "weight_map": {}})").find("header would have"), std::string::npos);
  EXPECT_FALSE(TensorFile::open("/nonexistent/model.gguf"));
}

TEST(SafetensorsTest, refusesBadHeaderLengths) {
  std::string good = safetensors(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4);
  EXPECT_EQ(errorOf(good).message, "parsed");
  EXPECT_REFUSED(errorOf(good.substr(0, 7)), "got 7 bytes");
  for (uint64_t length : {uint64_t(good.size() - 7), uint64_t(100'000'001), uint64_t(1) << 63, ~uint64_t(0)}) {
    std::string bad = good;
    std::memcpy(bad.data(), &length, 8);
    EXPECT_REFUSED(errorOf(bad), "header would have " + std::to_string(length));
  }
  EXPECT_REFUSED(errorOf("", 0), "does not begin with '{'");
  EXPECT_REFUSED(errorOf(" {}", 0), "does not begin with '{'");
}

TEST(SafetensorsTest, refusesTruncation) {
  std::string good = safetensors(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})", 4);
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(errorOf(good.substr(0, size)).code, ErrorCode::InvalidInput) << size;
}

TEST(SafetensorsTest, refusesWrongJson) {
  EXPECT_REFUSED(errorOf("{\"a\":1}", 0), "entry 'a': want an object, got an integer");
  EXPECT_REFUSED(errorOf("{\"a\":{}}", 0), "want 'dtype', 'shape' and 'data_offsets'");
  EXPECT_REFUSED(errorOf("{\"a\":{\"x\":{}}}", 0), "got an object");
  EXPECT_REFUSED(errorOf("{\"a\":{\"shape\":[[1]]}}", 0), "got an array");
  EXPECT_REFUSED(errorOf("{\"a\":{\"shape\":[1.5]}}", 0), "no 64-bit integer");
  EXPECT_REFUSED(errorOf("{\"a\":{\"shape\":[18446744073709551615]}}", 0), "no 64-bit integer");
  EXPECT_REFUSED(errorOf("{\"a\":{\"shape\":[-1]}}", 0), "want dimensions of 0 or more");
  EXPECT_REFUSED(errorOf("{\"a\":{\"data_offsets\":[1,2,3]}}", 0), "two numbers");
  EXPECT_REFUSED(errorOf("{\"a\":{\"shape\":[1,1,1,1,1,1,1,1,1]}}", 0), "at most 8 dimensions");
  EXPECT_REFUSED(errorOf("{\"a\":{\"dtype\":null}}", 0), "got null");
  EXPECT_REFUSED(errorOf("{\"__metadata__\":{\"a\":[]}}", 0), "__metadata__: want an object of strings");
  EXPECT_REFUSED(errorOf("{\"a\":", 0), "line 1, column 5");
  EXPECT_REFUSED(errorOf("{} x", 0), "syntax error");
}

TEST(SafetensorsTest, refusesDeepNesting) {
  EXPECT_REFUSED(errorOf("{\"a\":" + std::string(1'000'000, '['), 0), "want an object, got an array");
  std::string objects = "{";
  for (int i = 0; i < 100'000; ++i)
    objects += "\"a\":{";
  EXPECT_REFUSED(errorOf(objects, 0), "got an object");
}

TEST(SafetensorsTest, refusesDuplicates) {
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
                             "a":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
                         8),
                 "duplicate key 'a'");
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F16","dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4),
                 "duplicate key 'dtype'");
}

TEST(SafetensorsTest, refusesBadNames) {
  EXPECT_REFUSED(errorOf("{\"\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]}}", 2), "want a name");
  EXPECT_REFUSED(errorOf("{\"\xff\":{}}", 0), "ill-formed UTF-8");
  EXPECT_REFUSED(
      errorOf("{\"" + std::string(1025, 'n') + "\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]}}", 2),
      "1 to 1024 bytes");
}

TEST(SafetensorsTest, refusesWrongSizes) {
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4), "want 8 bytes");
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"I32","shape":[2],"data_offsets":[0,4]}})", 4), "want 8 bytes");
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[4,0]}})", 4), "lie outside");
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})", 4), "may be truncated");
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F16","shape":[4294967296,4294967296,2],"data_offsets":[0,0]}})", 0),
                 "more bytes than any file");
  EXPECT_REFUSED(errorOf(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[9223372036854775807,1]}})", 2),
                 "lie outside");
}

TEST(SafetensorsTest, refusesOverlapsAndHoles) {
  auto two = [](std::string second) {
    return R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
               "b":{"dtype":"F16","shape":[2],"data_offsets":)" +
           second + "}}";
  };
  EXPECT_EQ(errorOf(two("[4,8]"), 8).message, "parsed");
  EXPECT_REFUSED(errorOf(two("[2,6]"), 6), "tensor 'b': overlaps");
  EXPECT_REFUSED(errorOf(two("[0,4]"), 4), "overlaps");
  EXPECT_REFUSED(errorOf(two("[6,10]"), 10), "nothing covers the bytes from 4");
  EXPECT_REFUSED(errorOf(two("[4,8]"), 9), "want 8 bytes of data, got 9");
}

TEST(SafetensorsTest, namesUnsupportedDtypesOnce) {
  Error error = errorOf(R"({"a":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]},
                            "b":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[2,4]},
                            "c":{"dtype":"F64","shape":[1],"data_offsets":[4,12]}})",
                        12);
  EXPECT_EQ(error.code, ErrorCode::Unsupported);
  EXPECT_EQ(error.message,
            "m.safetensors: want dtype F32, F16 or BF16; got 'F64' (tensor 'c'), 'F8_E4M3' (tensor 'a'): "
            "convert the checkpoint");
}

} // namespace
} // namespace llmc
