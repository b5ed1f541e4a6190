// Mirostat 1 and 2: cuts the candidates so that the mean surprise of what is drawn stays at a target. arXiv:2007.14966
#pragma once

#include "runtime/sampler/Candidates.h"
#include "runtime/sampler/SamplerOptions.h"

namespace llmc {

class Mirostat {
public:
  explicit Mirostat(const SamplerOptions &options) : version(options.mirostat), target(options.mirostatTau), rate(options.mirostatEta) { reset(); }

  void cut(Candidates &candidates, size_t vocab) const;
  // A token was drawn that had this probability among the candidates left.
  void learn(double probability);
  void reset() { bound = 2 * target; }

private:
  size_t countFor(Candidates &candidates, size_t vocab) const;

  int32_t version;
  double target, rate; // bits; a share of the error
  double bound = 0;    // bits
};

} // namespace llmc
