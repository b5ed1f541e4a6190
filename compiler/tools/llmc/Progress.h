// Shows how far long work is: on a terminal a bar with the time that is left, elsewhere a plain line now and then. Work of under a
// second shows nothing. Writes to stderr.
#pragma once

#include <chrono>
#include <string>

namespace llmc::tools {

class Progress {
public:
  Progress();
  ~Progress() { finish(); }
  // `fraction`: 0 … 1 of `what`. A new `what` begins anew.
  void update(const std::string &what, double fraction);
  // Removes the bar, so that something else can be printed.
  void finish();
  // A line that the user should read: "llmc: note: …".
  void note(const std::string &what);

private:
  using Clock = std::chrono::steady_clock;
  void show(double fraction, double seconds);

  bool isTerminal;
  std::string what;
  Clock::time_point begin, shown;
  bool visible = false;
};

} // namespace llmc::tools
