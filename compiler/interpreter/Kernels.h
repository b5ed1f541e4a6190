// The arithmetic of `llm` ops over float32 rows. Each loop adds in ascending order, and each operation rounds.
#pragma once

#include "compiler/interpreter/Interpreter.h"

namespace llmc::kernels {

// Rows are runs of gain.size() channels. y = x * (1 / sqrt(mean(x^2) + eps)) * (gain + offset).
void rmsNorm(Matrix &x, llvm::ArrayRef<float> gain, float eps, float offset);

// `bias` may be empty.
void layerNorm(Matrix &x, llvm::ArrayRef<float> gain, llvm::ArrayRef<float> bias, float eps);

// x [T, K] times the transpose of weight [N, K]: [T, N], plus `bias` [N] if not empty. Decodes a few rows at a time.
Matrix product(const Matrix &x, const WeightRows &weight, llvm::ArrayRef<float> bias);

float activate(llm::Activation kind, float x);
void activate(llm::Activation kind, Matrix &x);

// Turns the first rotary.dim channels of each head of row t by table[t] = (cosines, sines).
// What a cache of q8_0 keeps of the heads of each row (dialects/llm/CacheLayout.h).
void roundToQ8(Matrix &x, int64_t headDim);
void rotate(Matrix &x, const Matrix &table, int64_t headDim, llm::RotaryAttr rotary);

// One head of one query against keys first..last (inclusive), whose rows are `stride` floats apart.
struct HeadScores {
  float scale, softcap;
  int64_t first, last, headDim, stride;
  int64_t valueDim = 0;        // channels of a value, if not headDim
  const float *sink = nullptr; // one more score, without a value
  int64_t position = 0;        // of the query
  float slope = 0;             // a score falls by it for each position back
  const float *bias = nullptr; // added by distance, -reach … reach (beyond: as there); null: none
  int64_t reach = 0;
};
// [heads][2 * max_distance + 1]: what is added to scores by the distance of a key. `weights`: [buckets][heads].
std::vector<float> biasesByDistance(llvm::ArrayRef<float> weights, int64_t heads, llm::RelativeAttr relative);
void attend(const float *query, const float *keys, const float *values, const HeadScores &how, float *out);

} // namespace llmc::kernels
