// For a word of the command line that is unknown: the known one that is nearest.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace llmc::tools {

// Insertions, deletions, replacements and swaps of neighbours that make `b` of `a`.
size_t editDistance(std::string_view a, std::string_view b);

// The word of `known` nearest to `word`; empty if none is near (a third of its letters, at least one, at most three edits).
std::string nearest(std::string_view word, const std::vector<std::string> &known);

// After a failed parse: what the first unknown option or verb may have meant. Empty if nothing is near.
std::string suggestion(const CLI::App &program);

} // namespace llmc::tools
