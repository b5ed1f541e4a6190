#include "compiler/tools/llmc/Progress.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

using namespace llmc::tools;
using Seconds = std::chrono::duration<double>;

constexpr double quietSeconds = 1, barSeconds = 0.1, lineSeconds = 10;

Progress::Progress() : isTerminal(isatty(STDERR_FILENO)), begin(Clock::now()), shown(begin) {}

void Progress::update(const std::string &name, double fraction) {
  Clock::time_point now = Clock::now();
  if (name != what) {
    finish();
    what = name;
    begin = now;
    shown = now - std::chrono::seconds(60);
  }
  double seconds = Seconds(now - begin).count();
  if (seconds < quietSeconds || Seconds(now - shown).count() < (isTerminal ? barSeconds : lineSeconds))
    return;
  shown = now;
  show(std::clamp(fraction, 0.0, 1.0), seconds);
}

void Progress::show(double fraction, double seconds) {
  constexpr int width = 30;
  double left = fraction > 0.01 ? seconds / fraction - seconds : 0;
  if (!isTerminal) {
    fprintf(stderr, "%s: %.0f %%, %.0f s left\n", what.c_str(), fraction * 100, left);
    return;
  }
  int done = int(fraction * width);
  fprintf(stderr, "\r%s [%.*s%*s] %3.0f %%  %.0f s left \033[K", what.c_str(), done, "##############################", width - done, "",
          fraction * 100, left);
  fflush(stderr);
  visible = true;
}

void Progress::note(const std::string &text) {
  finish();
  fprintf(stderr, "llmc: note: %s\n", text.c_str());
}

void Progress::finish() {
  if (visible)
    fputs("\r\033[K", stderr);
  visible = false;
  what.clear();
}
