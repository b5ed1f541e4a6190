#include "compiler/tools/llmc/Npy.h"
#include "compiler/tools/llmc/Softmax.h"
#include "compiler/tools/llmc/Suggest.h"
#include "compiler/tools/llmc/Windows.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <numeric>
#include <sstream>

using namespace llmc;
using namespace llmc::tools;

namespace {

// ---- Softmax --------------------------------------------------------------------------------------------------------

std::vector<float> someLogits(size_t count, float spread, int seed) {
  std::vector<float> logits(count);
  for (size_t i = 0; i < count; ++i)
    logits[i] = spread * std::sin(float(i * 37 + size_t(seed) * 11)) + float(i % 7);
  return logits;
}

double plainLogSumExp(const std::vector<float> &logits) {
  double top = *std::max_element(logits.begin(), logits.end()), sum = 0;
  for (float value : logits)
    sum += std::exp(value - top);
  return top + std::log(sum);
}

TEST(Softmax, logSumExpIsThatOfFloat64) {
  for (size_t count : {1, 7, 8, 9, 1023, 1024, 1025, 50000})
    for (float spread : {0.0f, 1.0f, 30.0f, 1000.0f}) {
      std::vector<float> logits = someLogits(count, spread, 1);
      double want = plainLogSumExp(logits);
      EXPECT_NEAR(logSumExp(logits.data(), int64_t(count)), want, 1e-6 * std::max(1.0, std::fabs(want))) << count << " " << spread;
    }
}

TEST(Softmax, divergenceIsThatOfFloat64) {
  for (float spread : {0.5f, 10.0f}) {
    std::vector<float> p = someLogits(3000, spread, 1), q = someLogits(3000, spread, 2);
    double pSum = plainLogSumExp(p), qSum = plainLogSumExp(q), want = 0;
    for (size_t i = 0; i < p.size(); ++i)
      want += std::exp(p[i] - pSum) * ((p[i] - pSum) - (q[i] - qSum));
    EXPECT_NEAR(divergence(p.data(), q.data(), 3000), want, 1e-5 * want);
    EXPECT_NEAR(divergence(p.data(), p.data(), 3000), 0, 1e-9);
  }
}

TEST(Softmax, argmaxIsTheFirst) {
  const float logits[] = {1, 3, 3, 2};
  EXPECT_EQ(argmax(logits, 4), 1);
}

// ---- Windows --------------------------------------------------------------------------------------------------------

TEST(Windows, areCutWithoutOverlap) {
  std::vector<int32_t> tokens(1100);
  std::iota(tokens.begin(), tokens.end(), 10);
  auto windows = Windows::cut(tokens, 512, 2);
  ASSERT_TRUE(windows.ok());
  EXPECT_EQ(windows->count(), 2); // 76 tokens at the end are dropped
  std::vector<int32_t> second = windows->window(1);
  ASSERT_EQ(second.size(), 512u);
  EXPECT_EQ(second[0], 2);
  EXPECT_EQ(second[1], 10 + 513);
  EXPECT_EQ(windows->context(), 256);
  EXPECT_EQ(windows->scored(), 255);
}

TEST(Windows, keepTheirFirstTokenWithoutBos) {
  auto windows = Windows::cut({7, 8, 9, 10}, 4, -1);
  ASSERT_TRUE(windows.ok());
  EXPECT_EQ(windows->window(0)[0], 7);
  EXPECT_EQ(windows->scored(), 1);
}

TEST(Windows, refuseShortTexts) {
  EXPECT_EQ(exitStatus(Windows::cut({7, 8, 9}, 4, -1).status()), 1);
  EXPECT_EQ(exitStatus(Windows::cut({7, 8, 9}, 3, -1).status()), 1);
}

// ---- Npy ------------------------------------------------------------------------------------------------------------

TEST(Npy, writesHeaderAndRows) {
  std::string path = testing::TempDir() + "npy-test.npy";
  auto writer = NpyWriter::create(path, 3);
  ASSERT_TRUE(writer.ok());
  const float values[] = {1, 2, 3, 4, 5, 6};
  (*writer)->append(values, 1);
  (*writer)->append(values + 3, 1);
  ASSERT_TRUE((*writer)->finish().ok());
  std::stringstream bytes;
  bytes << std::ifstream(path).rdbuf();
  std::string text = bytes.str();
  ASSERT_EQ(text.size(), 128 + sizeof values);
  EXPECT_EQ(text.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_NE(text.find("'shape': (2, 3)"), std::string::npos);
  EXPECT_EQ(memcmp(text.data() + 128, values, sizeof values), 0);
  remove(path.c_str());
}

TEST(Npy, removesWhatWasNotFinished) {
  std::string path = testing::TempDir() + "npy-unfinished.npy";
  ASSERT_TRUE(NpyWriter::create(path, 3).ok());
  EXPECT_FALSE(std::ifstream(path).good());
}

TEST(Npy, namesAFileThatCantBeWritten) {
  auto writer = NpyWriter::create("/no/such/directory/x.npy", 3);
  EXPECT_EQ(exitStatus(writer.status()), 1);
  EXPECT_NE(writer.status().message().find("/no/such/directory/x.npy"), std::string::npos);
}

// ---- Suggestions ----------------------------------------------------------------------------------------------------

TEST(Suggest, findsTheNearestName) {
  std::vector<std::string> known = {"--tokens", "--tokens-file", "--temp", "--top-k"};
  EXPECT_EQ(nearest("--token", known), "--tokens");
  EXPECT_EQ(nearest("--tmep", known), "--temp");
  EXPECT_EQ(nearest("--something-else", known), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), known), "");
}

// ---- Status ---------------------------------------------------------------------------------------------------------

TEST(ToolStatus, keepsTheExitStatus) {
  for (int code : {0, 1, 2, 3})
    EXPECT_EQ(exitStatus(toStatus(ErrorCode(code), "why")), code);
  EXPECT_EQ(exitStatus(absl::CancelledError("")), 130);
}

} // namespace
