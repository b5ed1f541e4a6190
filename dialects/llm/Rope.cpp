// Frequencies of rotary position embeddings under the scalings of published models.
// Source: transformers, modeling_rope_utils.py (the formulas); papers as named on RopeScalingAttr.
#include "dialects/llm/LLM.h"

#include <cmath>
#include <numbers>

using namespace llmc::llm;

namespace {

float plain(int64_t i, int64_t dim, double theta) {
  return 1.0f / static_cast<float>(std::pow(static_cast<float>(theta), static_cast<float>(2 * i) / static_cast<float>(dim)));
}

// Llama 3.1: low frequencies are divided by the factor, high ones kept, those between blended.
float llama3(float frequency, RopeScalingAttr s) {
  double wavelength = 2 * std::numbers::pi / frequency;
  double low = s.getOriginalMaxPositions() / s.getLowFreqFactor(), high = s.getOriginalMaxPositions() / s.getHighFreqFactor();
  if (wavelength < high)
    return frequency;
  if (wavelength > low)
    return frequency / s.getFactor();
  double smooth = (s.getOriginalMaxPositions() / wavelength - s.getLowFreqFactor()) / (s.getHighFreqFactor() - s.getLowFreqFactor());
  return (1 - smooth) * frequency / s.getFactor() + smooth * frequency;
}

// Dimension at which a rotation count is reached over the original context (yarn's correction range).
double yarnDimension(double rotations, int64_t dim, double theta, double maxPositions) {
  return dim * std::log(maxPositions / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

float yarn(int64_t i, int64_t dim, double theta, RopeScalingAttr s) {
  double low = yarnDimension(s.getBetaFast(), dim, theta, s.getOriginalMaxPositions());
  double high = yarnDimension(s.getBetaSlow(), dim, theta, s.getOriginalMaxPositions());
  if (s.getTruncate())
    low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(dim - 1));
  if (low == high)
    high += 0.001;
  double ramp = std::clamp((i - low) / (high - low), 0.0, 1.0);
  float frequency = plain(i, dim, theta);
  return frequency / s.getFactor() * ramp + frequency * (1 - ramp);
}

double dynamicTheta(int64_t dim, double theta, RopeScalingAttr s, int64_t length) {
  double max = s.getOriginalMaxPositions(), n = std::max<double>(length, max);
  return theta * std::pow(s.getFactor() * n / max - (s.getFactor() - 1), static_cast<double>(dim) / (dim - 2));
}

} // namespace

RopeFrequencies llmc::llm::ropeFrequencies(int64_t dim, double theta, RopeScalingAttr s, int64_t length) {
  RopeFrequencies result;
  RopeScalingKind kind = s ? s.getKind() : RopeScalingKind::none;
  if (s)
    result.attentionFactor = s.getAttentionFactor();
  if (kind == RopeScalingKind::dynamic)
    theta = dynamicTheta(dim, theta, s, length);
  for (int64_t i = 0; i < dim / 2; ++i) {
    float frequency = plain(i, dim, theta);
    if (kind == RopeScalingKind::linear)
      frequency /= s.getFactor();
    if (kind == RopeScalingKind::llama3)
      frequency = llama3(frequency, s);
    if (kind == RopeScalingKind::yarn)
      frequency = yarn(i, dim, theta, s);
    if (kind == RopeScalingKind::longrope)
      frequency /= (length > s.getOriginalMaxPositions() ? s.getLongFactors() : s.getShortFactors())[i];
    result.inverse.push_back(frequency);
  }
  return result;
}
