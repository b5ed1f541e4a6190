#include "compiler/tools/llmc/BenchLimits.h"

#include "compiler/tools/llmc/Limits.h"
#include "runtime/engine/Machine.h"

#include <cstdio>

using namespace llmc;
using namespace llmc::tools;

static void printRow(const std::string &name, const char *unit, const std::vector<Limits> &all, std::map<std::string, double> Limits::*figures) {
  printf("%-18s %-8s", name.c_str(), unit);
  for (const Limits &limits : all)
    printf(" %10.1f", (limits.*figures).at(name) / 1e9);
  printf("\n");
}

static void printTable(const std::vector<Limits> &all) {
  printf("%-18s %-8s", "limit", "unit");
  for (const Limits &limits : all)
    printf(" %8d t", limits.threads);
  printf("\n");
  for (const auto &[pages, bytes] : all[0].readBytesPerSecond)
    printRow(pages, "GB/s", all, &Limits::readBytesPerSecond);
  for (const auto &[instruction, operations] : all[0].operationsPerSecond)
    printRow(instruction, "10^9/s", all, &Limits::operationsPerSecond);
}

absl::Status tools::printLimits(const std::string &what, std::vector<int32_t> threads, const std::string &format) {
  if (format == "csv")
    return invalidArgument("--limits: want -o table or json, got csv");
  if (threads.empty())
    threads.push_back(availableCpus());
  std::vector<Limits> all;
  for (int32_t count : threads)
    all.push_back(measureLimits(count, what == "reads" ? Measure::Reads : Measure::All));
  if (format == "table") {
    printTable(all);
    return absl::OkStatus();
  }
  Json list = Json::array();
  for (const Limits &limits : all)
    list.push_back(limits.toJson());
  printf("%s\n", list.dump().c_str());
  return absl::OkStatus();
}
