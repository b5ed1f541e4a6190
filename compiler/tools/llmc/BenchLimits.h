// llmc bench --limits: what this machine can do at most, without a model.
#pragma once

#include "compiler/support/ToolStatus.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmc::tools {

// `what`: all or reads. `threads`: empty: the CPUs of this process. `format`: table or json, a list of Limits::toJson.
absl::Status printLimits(const std::string &what, std::vector<int32_t> threads, const std::string &format);

} // namespace llmc::tools
