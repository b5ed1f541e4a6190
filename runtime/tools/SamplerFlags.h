// The options of the command line that say how tokens are chosen, for llmc and llmc-run.
//
//   SamplerFlags flags;
//   flags.add(app);
//   … app.parse …
//   llmc_sampler_options options = flags.over(defaults of the model);
#pragma once

#include "llmc/llmc.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace llmc {

class SamplerFlags {
public:
  SamplerFlags() = default;
  SamplerFlags(const SamplerFlags &) = delete; // the options point into it
  void add(CLI::App &app);
  // Several samples and a draft model: for who writes one text, not for a conversation.
  void addSeveral(CLI::App &app);
  // The model's own choice but for what was given. What it points to lives as long as this.
  llmc_sampler_options over(llmc_sampler_options model);
  // What was guessed and accepted, as a part of a line; empty if nothing was.
  static std::string guessText(const llmc_generate_stats &stats);
  // Into a request: how many samples, and how they vote.
  void describe(llmc_generate_options &request) const;
  int32_t beams() const { return values.beams; }
  bool wantsSamples() const { return samples > 1; }
  bool wantsVote() const { return vote; }
  int64_t slots() const { return std::max<int64_t>(values.beams, samples); } // that a context needs; 0: one

  std::string draft; // a model; empty: none
  int64_t draftTokens = 8;
  float draftMinProbability = 0.75f;

private:
  template <class T> CLI::Option *add(CLI::App &app, const char *names, T llmc_sampler_options::*member, const char *what);
  void addDrawing(CLI::App &app);
  void addCuts(CLI::App &app);
  void addPenalties(CLI::App &app);
  void addTemperatures(CLI::App &app);
  void addBeams(CLI::App &app);
  void addGuesses(CLI::App &app);

  struct Flag {
    CLI::Option *option;
    std::function<void(llmc_sampler_options &)> apply;
  };
  void addText(CLI::App &app, const char *names, std::string &text, const char *llmc_sampler_options::*member, const char *what);
  void readBiases(const std::vector<std::string> &texts);

  llmc_sampler_options values{};
  std::string samplers, schedule, answer;
  int64_t samples = 0;
  bool vote = false;
  std::vector<std::string> breakers;
  std::vector<const char *> breakerTexts;
  std::vector<llmc_logit_bias> biases;
  std::vector<Flag> flags;
};

} // namespace llmc
