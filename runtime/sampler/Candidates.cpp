#include "runtime/sampler/Candidates.h"

#include "runtime/sampler/Weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace llmc {

void Candidates::assign(std::span<const float> logits) {
  list.clear();
  list.reserve(logits.size());
  for (size_t id = 0; id < logits.size(); ++id)
    list.push_back({logits[id], TokenId(id)});
  sorted = false;
  whole = true;
}

float Candidates::greatest() const {
  float best = -std::numeric_limits<float>::infinity();
  for (const ScoredToken &token : list)
    best = std::max(best, token.logit);
  return best;
}

void Candidates::sort() {
  if (!sorted)
    std::sort(list.begin(), list.end(), isBetter);
  sorted = true;
  whole = false;
}

const std::vector<double> &Candidates::probabilities() {
  float best = greatest();
  shares.clear();
  for (const ScoredToken &token : list)
    shares.push_back(weightOf(token.logit, best, 1));
  double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double &share : shares)
    share /= total;
  return shares;
}

double Candidates::entropy() {
  double sum = 0;
  for (double share : probabilities())
    sum -= share > 0 ? share * std::log(share) : 0;
  return sum;
}

void Candidates::keepTop(size_t count) {
  if (count >= list.size())
    return;
  if (!sorted)
    std::partial_sort(list.begin(), list.begin() + ptrdiff_t(count), list.end(), isBetter);
  list.resize(count);
  sorted = true;
  whole = false;
}

void Candidates::keepNucleus(float mass) {
  sort();
  double sum = 0;
  const std::vector<double> &all = probabilities();
  for (size_t i = 0; i < list.size(); ++i) {
    sum += all[i];
    if (sum >= double(mass))
      return list.resize(i + 1);
  }
}

void Candidates::keepProbable(float share) {
  whole = false;
  float best = greatest();
  std::erase_if(list, [&](const ScoredToken &token) { return weightOf(token.logit, best, 1) < double(share); });
}

void Candidates::keepTypical(float mass) {
  sort();
  double mean = entropy(); // and `shares` are the probabilities
  std::vector<size_t> order(list.size());
  std::iota(order.begin(), order.end(), size_t(0));
  auto distance = [&](size_t i) { return std::abs(-std::log(shares[i]) - mean); };
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(distance(i), i); });
  typical.clear();
  double sum = 0;
  for (size_t i : order) {
    typical.push_back(list[i]);
    sum += shares[i];
    if (sum > double(mass))
      break;
  }
  list.swap(typical);
  sorted = false;
}

// The deviation is that of the finite logits.
void Candidates::keepWithinSigma(float count) {
  whole = false;
  double sum = 0, squares = 0;
  size_t finite = 0;
  for (const ScoredToken &token : list)
    if (std::isfinite(token.logit))
      sum += double(token.logit), ++finite;
  double mean = finite ? sum / double(finite) : 0;
  for (const ScoredToken &token : list)
    if (std::isfinite(token.logit))
      squares += (double(token.logit) - mean) * (double(token.logit) - mean);
  double deviation = finite ? std::sqrt(squares / double(finite)) : 0;
  double least = double(greatest()) - double(count) * deviation;
  std::erase_if(list, [&](const ScoredToken &token) { return double(token.logit) < least; });
}

void Candidates::dropTop(float threshold) {
  sort();
  const std::vector<double> &all = probabilities();
  size_t reaching = 0;
  while (reaching < list.size() && all[reaching] >= double(threshold))
    ++reaching;
  if (reaching > 1)
    list.erase(list.begin(), list.begin() + ptrdiff_t(reaching - 1));
}

void Candidates::keepUnsurprising(double bits) {
  sort();
  const std::vector<double> &all = probabilities();
  size_t kept = 0;
  while (kept < list.size() && -std::log2(all[kept]) <= bits)
    ++kept;
  list.resize(std::max<size_t>(kept, 1));
}

void Candidates::divide(float temperature) {
  if (temperature == 0)
    return keepTop(1);
  for (ScoredToken &token : list)
    token.logit /= temperature;
}

void Candidates::divideByEntropy(float temperature, float range, float exponent) {
  if (list.size() < 2)
    return;
  double least = std::max(0.0, double(temperature) - double(range)), most = double(temperature) + double(range);
  double share = std::pow(entropy() / std::log(double(list.size())), double(exponent));
  divide(float(least + (most - least) * share));
}

} // namespace llmc
