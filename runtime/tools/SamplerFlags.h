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

#include <functional>
#include <vector>

namespace llmc {

class SamplerFlags {
public:
  SamplerFlags() = default;
  SamplerFlags(const SamplerFlags &) = delete; // the options point into it
  void add(CLI::App &app);
  // The model's own choice but for what was given. What it points to lives as long as this.
  llmc_sampler_options over(llmc_sampler_options model) const;
  bool isGiven(const char *name) const; // without dashes
  int32_t beams() const { return values.beams; }

private:
  template <class T> CLI::Option *add(CLI::App &app, const char *names, T llmc_sampler_options::*member, const char *what);
  void addDrawing(CLI::App &app);
  void addBeams(CLI::App &app);

  struct Flag {
    CLI::Option *option;
    std::function<void(llmc_sampler_options &)> apply;
  };
  llmc_sampler_options values{};
  std::vector<Flag> flags;
};

} // namespace llmc
