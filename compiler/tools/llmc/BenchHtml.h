// llmc bench --profile --html: a profile as one page that needs nothing else.
#pragma once

#include "runtime/support/Json.h"

#include <string>

namespace llmc::tools {

// `tests`: as `llmc bench -o json` prints them, each with its profile. The page is well-formed XML too: no scripts, nothing from elsewhere.
std::string profilePage(const std::string &model, const std::string &machine, const Json &tests);

} // namespace llmc::tools
