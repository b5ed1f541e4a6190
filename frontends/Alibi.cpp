#include "frontends/Alibi.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

using namespace llmc::frontends;

// The first `count` powers with exponents first, first + by, … of 2^(-mostBias / heads).
static void addPowers(std::vector<double> &slopes, int64_t heads, double mostBias, int64_t first, int64_t by, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    slopes.push_back(std::exp2(-mostBias / static_cast<double>(heads) * static_cast<double>(first + i * by)));
}

static std::vector<double> powers(int64_t heads, double mostBias) {
  std::vector<double> slopes;
  auto below = static_cast<int64_t>(llvm::bit_floor(static_cast<uint64_t>(heads)));
  addPowers(slopes, below, mostBias, 1, 1, below);
  addPowers(slopes, 2 * below, mostBias, 1, 2, heads - below);
  return slopes;
}

static double roundedToBf16(double value) {
  llvm::APFloat rounded(static_cast<float>(value));
  bool inexact = false;
  rounded.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  rounded.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &inexact);
  return rounded.convertToDouble();
}

std::vector<float> llmc::frontends::alibiSlopes(int64_t heads, double mostBias, const AlibiRule &rule, double attentionScale) {
  std::vector<float> slopes;
  for (double slope : powers(heads, mostBias)) {
    slope = rule.inBf16 ? roundedToBf16(slope) : slope;
    slopes.push_back(static_cast<float>(rule.scaled ? slope * attentionScale : slope));
  }
  return slopes;
}
