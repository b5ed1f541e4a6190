// Buckets of distances, with the roundings of transformers' T5Attention.
#include "dialects/llm/LLM.h"

#include <cmath>

using namespace llmc;
using namespace llmc::llm;

int64_t llm::relativeBucket(RelativeAttr relative, int64_t buckets, int64_t distance) {
  int64_t first = 0;
  if (relative.getBoth()) {
    buckets /= 2;
    first = distance > 0 ? buckets : 0;
    distance = std::abs(distance);
  } else {
    distance = std::max<int64_t>(-distance, 0);
  }
  int64_t exact = buckets / 2; // distances with a bucket of their own
  if (distance < exact)
    return first + distance;
  float range = static_cast<float>(std::log(static_cast<double>(relative.getMaxDistance()) / static_cast<double>(exact)));
  float part = std::log(static_cast<float>(distance) / static_cast<float>(exact)) / range;
  int64_t beyond = static_cast<int64_t>(part * static_cast<float>(buckets - exact));
  return first + std::min(exact + beyond, buckets - 1);
}
