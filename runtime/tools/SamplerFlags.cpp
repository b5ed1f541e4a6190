#include "runtime/tools/SamplerFlags.h"

namespace llmc {
namespace {

constexpr const char *drawingGroup = "Sampling (defaults: the model's own)";
constexpr const char *beamGroup = "Beam search";

} // namespace

template <class T>
CLI::Option *SamplerFlags::add(CLI::App &app, const char *names, T llmc_sampler_options::*member, const char *what) {
  CLI::Option *option = app.add_option(names, values.*member, what)->group(drawingGroup);
  flags.push_back({option, [this, member](llmc_sampler_options &options) { options.*member = values.*member; }});
  return option;
}

void SamplerFlags::addDrawing(CLI::App &app) {
  add(app, "--temp", &llmc_sampler_options::temperature, "Temperature; 0: always the likeliest token");
  add(app, "--top-k", &llmc_sampler_options::top_k, "Of the K likeliest tokens; 0: off");
  add(app, "--top-p", &llmc_sampler_options::top_p, "Of the likeliest tokens that make up P; 1: off");
  add(app, "--min-p", &llmc_sampler_options::min_p, "Of tokens at least P times as likely as the likeliest; 0: off");
  add(app, "--repeat-penalty", &llmc_sampler_options::repeat_penalty, "Divides logits of recent tokens; 1: off");
  add(app, "--repeat-last-n", &llmc_sampler_options::repeat_last_n, "Tokens that the penalties look back on; -1: all");
  add(app, "--seed,-s", &llmc_sampler_options::seed, "Draws the same tokens again; -1: others each time");
}

void SamplerFlags::addBeams(CLI::App &app) {
  add(app, "--beams", &llmc_sampler_options::beams, "Search with so many live sequences instead of drawing; prints the best (off)")
      ->group(beamGroup)
      ->check(CLI::Range(1, 256).description(""));
  add(app, "--length-penalty", &llmc_sampler_options::length_penalty,
      "Scores are divided by length to this power: above 0 prefers long sequences (1)")
      ->group(beamGroup);
  add(app, "--early-stopping", &llmc_sampler_options::early_stopping,
      "Once as many sequences ended as there are beams: stop at once (true), when the best live one scores below them as it is (false), or "
      "at whatever length (never); default: false")
      ->group(beamGroup)
      ->transform(CLI::CheckedTransformer(std::map<std::string, int32_t>{{"false", LLMC_EARLY_HEURISTIC},
                                                                         {"true", LLMC_EARLY_ALWAYS},
                                                                         {"never", LLMC_EARLY_NEVER}})
                      .description(""))
      ->type_name("false|true|never");
}

void SamplerFlags::add(CLI::App &app) {
  addDrawing(app);
  addBeams(app);
}

bool SamplerFlags::isGiven(const char *name) const {
  for (const Flag &flag : flags)
    if (flag.option->check_lname(name))
      return flag.option->count() > 0;
  return false;
}

llmc_sampler_options SamplerFlags::over(llmc_sampler_options model) const {
  uint64_t seed = model.seed;
  for (const Flag &flag : flags)
    if (flag.option->count())
      flag.apply(model);
  if (model.seed == UINT64_MAX) // -1: as if it were not given
    model.seed = seed;
  return model;
}

} // namespace llmc
