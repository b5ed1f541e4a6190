#include "compiler/tools/llmc/BenchHtml.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

using namespace llmc;

namespace {

double number(const Json &value, const char *name) { return jsonFloat(value, name).value_or(0); }
std::string text(const Json &value, const char *name) { return std::string(jsonString(value, name).value_or("")); }

std::string escaped(const std::string &plain) {
  std::string out;
  for (char c : plain)
    out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

template <typename... Args> std::string format(const char *form, Args... args) {
  char buffer[1024];
  snprintf(buffer, sizeof buffer, form, args...);
  return buffer;
}

std::string shortened(const std::string &name, size_t length) {
  return name.size() <= length ? name : name.substr(0, length - 3) + "...";
}

// The colour class of a kind of arithmetic.
std::string kindClass(const Json &site) {
  std::string kind = text(site, "arithmetic");
  return kind == "int8" || kind == "bf16" || kind == "f32" ? kind : "none";
}

const char *kStyle = R"(
:root { color-scheme: light dark; --back: #fbfbf9; --ink: #1c1d1f; --soft: #6a6d72; --line: #dcdcd6; --card: #ffffff; --heat: #d9480f;
        --int8: #1f6feb; --bf16: #8250df; --f32: #1a7f5a; --none: #8b8f96; }
@media (prefers-color-scheme: dark) { :root { --back: #141517; --ink: #e8e8e6; --soft: #9a9da3; --line: #2f3136; --card: #1b1d20; --heat: #ff8a4c;
        --int8: #6cb0ff; --bf16: #c297ff; --f32: #4fd1a0; --none: #80858d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1080px; padding: 32px 24px 64px; background: var(--back); color: var(--ink);
       font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 44px 0 8px; border-top: 1px solid var(--line); padding-top: 24px; }
h3 { font-size: 15px; margin: 28px 0 8px; } p { margin: 4px 0; max-width: 78ch; } .soft { color: var(--soft); font-size: 13px; }
.facts { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.fact { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 14px; }
.fact b { display: block; font-size: 18px; } .fact span { color: var(--soft); font-size: 12px; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:last-child, td:last-child { text-align: left; width: 40%; }
.bar { display: inline-block; width: 60px; height: 8px; background: var(--line); border-radius: 4px; margin-left: 8px; overflow: hidden; }
.bar i { display: block; height: 8px; background: var(--heat); }
svg { display: block; width: 100%; height: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
svg text { fill: var(--ink); font: 12px system-ui, "DejaVu Sans", sans-serif; } svg .small { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--line); stroke-width: 1; } .roof { fill: none; stroke-width: 2; } .box { stroke: var(--line); } .fold { fill: none; stroke: var(--soft); stroke-dasharray: 5 4; }
.dot { fill-opacity: 0.55; stroke-width: 1.5; } .arrow { stroke: var(--soft); stroke-width: 1.2; }
.dot.int8 { fill: var(--int8); stroke: var(--int8); } .dot.bf16 { fill: var(--bf16); stroke: var(--bf16); }
.dot.f32 { fill: var(--f32); stroke: var(--f32); } .dot.none { fill: var(--none); stroke: var(--none); }
.roof.int8 { stroke: var(--int8); } .roof.bf16 { stroke: var(--bf16); } .roof.f32 { stroke: var(--f32); }
.heat { fill: var(--heat); } .plain { fill: var(--card); }
)";

// ---- Roofline -----------------------------------------------------------------------------------------------------------

// Both axes are logarithms: operations a byte to the right, operations a second upward.
struct Axes {
  double left = 64, right = 1000, top = 20, bottom = 400, fromX = -1, toX = 4, fromY = 0, toY = 4; // powers of ten; y in Gop/s

  double x(double intensity) const { return left + (std::clamp(std::log10(intensity), fromX, toX) - fromX) / (toX - fromX) * (right - left); }
  double y(double gops) const { return bottom - (std::clamp(std::log10(gops), fromY, toY) - fromY) / (toY - fromY) * (bottom - top); }
};

bool hasPlace(const Json &site) { return number(site, "operations") > 0 && number(site, "bytes") > 0 && number(site, "ns") > 0; }

Axes axesFor(const Json &profile) {
  Axes axes;
  double least = 1, most = 10;
  for (const auto &[kind, peak] : profile["limits"]["operations_per_second"].items())
    most = std::max(most, peak.get<double>() / 1e9);
  axes.toX = 2;
  for (const Json &site : profile["sites"])
    if (hasPlace(site)) {
      double intensity = std::log10(number(site, "operations") / number(site, "bytes"));
      axes.fromX = std::min(axes.fromX, std::floor(intensity)), axes.toX = std::max(axes.toX, std::ceil(intensity));
      least = std::min(least, number(site, "operations") / number(site, "ns"));
    }
  axes.fromX = std::max(axes.fromX, -4.0);
  axes.fromY = std::max(std::floor(std::log10(least)), -3.0), axes.toY = std::ceil(std::log10(most * 1.05));
  return axes;
}

std::string gridOf(const Axes &axes) {
  std::string svg;
  for (double power = axes.fromX; power <= axes.toX; ++power) {
    double x = axes.x(std::pow(10, power));
    svg += format("<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x, axes.top, x, axes.bottom);
    svg += format("<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g</text>", x, axes.bottom + 18, std::pow(10, power));
  }
  for (double power = axes.fromY; power <= axes.toY; ++power) {
    double y = axes.y(std::pow(10, power));
    svg += format("<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", axes.left, y, axes.right, y);
    svg += format("<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%g</text>", axes.left - 8, y + 4, std::pow(10, power));
  }
  svg += format("<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">operations for each byte of weights, caches and states</text>",
                (axes.left + axes.right) / 2, axes.bottom + 38);
  return svg + format("<text class=\"small\" transform=\"translate(16 %.1f) rotate(-90)\" text-anchor=\"middle\">Gop/s</text>", (axes.top + axes.bottom) / 2);
}

// The slope is memory, the flat part the arithmetic of one kind.
std::string roofOf(const Axes &axes, const std::string &kind, double bandwidth, double peak) {
  double gops = peak / 1e9, ridge = peak / std::max(bandwidth, 1.0);
  double startGops = std::pow(10, axes.fromX) * bandwidth / 1e9, startX = axes.fromX;
  if (double floor = std::pow(10, axes.fromY); startGops < floor) // where the slope comes into the picture
    startX = std::log10(floor * 1e9 / bandwidth), startGops = floor;
  return format("<polyline class=\"roof %s\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\"/>", kind.c_str(), axes.x(std::pow(10, startX)), axes.y(startGops),
                axes.x(ridge), axes.y(gops), axes.right, axes.y(gops)) +
         format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s %.0f Gop/s</text>", axes.x(ridge) - 10, axes.y(gops) + 4, kind.c_str(), gops);
}

std::string rooflineOf(const Json &profile) {
  Axes axes = axesFor(profile);
  std::string svg = "<svg viewBox=\"0 0 1032 448\" role=\"img\" aria-label=\"Roofline\">" + gridOf(axes);
  double bandwidth = number(profile["limits"], "read_bytes_per_second");
  for (const auto &[kind, peak] : profile["limits"]["operations_per_second"].items())
    svg += roofOf(axes, kind, bandwidth, peak.get<double>());
  std::vector<double> taken; // heights of labels
  std::string labels;
  for (const Json &site : profile["sites"]) { // the longest first: small dots lie on top
    if (!hasPlace(site))
      continue;
    double x = axes.x(number(site, "operations") / number(site, "bytes")), y = axes.y(number(site, "operations") / number(site, "ns"));
    double radius = std::max(2.5, 42 * std::sqrt(number(site, "share")));
    svg += format("<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\">", kindClass(site).c_str(), x, y, radius) + "<title>" +
           escaped(text(site, "name")) + format(": %.1f%% of the time, %.0f%% of its bound", 100 * number(site, "share"), 100 * number(site, "bound")) +
           "</title></circle>";
    bool isFree = std::none_of(taken.begin(), taken.end(), [&](double other) { return std::abs(other - y) < 14; });
    if (isFree && taken.size() < 8) {
      taken.push_back(y);
      bool flip = x > 700;
      labels += format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", flip ? x - radius - 5 : x + radius + 5, y + 4, flip ? "end" : "start") +
                escaped(shortened(text(site, "name"), 34)) + "</text>";
    }
  }
  return svg + labels + "</svg>";
}

// ---- The step's graph -----------------------------------------------------------------------------------------------------

std::vector<const Json *> inOrder(const Json &profile) {
  std::vector<const Json *> sites;
  for (const Json &site : profile["sites"])
    if (number(site, "runs") > 0)
      sites.push_back(&site);
  std::sort(sites.begin(), sites.end(), [](const Json *a, const Json *b) { return number(*a, "order") < number(*b, "order"); });
  return sites;
}

std::string boxOf(const Json &site, double steps, double y, double most) {
  double share = number(site, "share"), runs = number(site, "runs") / steps;
  std::string svg = format("<rect class=\"box plain\" x=\"200\" y=\"%.1f\" width=\"620\" height=\"30\" rx=\"6\"/>", y) +
                    format("<rect class=\"heat\" x=\"200\" y=\"%.1f\" width=\"620\" height=\"30\" rx=\"6\" fill-opacity=\"%.2f\"/>", y, 0.7 * share / most);
  svg += format("<text x=\"214\" y=\"%.1f\">", y + 20) + escaped(shortened(text(site, "name"), 84)) + "</text>";
  svg += format("<text x=\"834\" y=\"%.1f\">%.1f%%</text>", y + 20, 100 * share);
  svg += format("<text class=\"small\" x=\"890\" y=\"%.1f\">%.0f us</text>", y + 20, number(site, "ns") / steps / 1e3);
  if (runs > 1)
    svg += format("<text class=\"small\" x=\"184\" y=\"%.1f\" text-anchor=\"end\">in %g layers</text>", y + 20, runs);
  return svg;
}

// Loops from top to bottom, those of the layers once, within a dashed frame.
std::string graphOf(const Json &profile) {
  double steps = std::max(number(profile, "steps"), 1.0), y = 16, most = 0.01, frame = -1;
  std::vector<const Json *> sites = inOrder(profile);
  for (const Json *site : sites)
    most = std::max(most, number(*site, "share"));
  std::string svg;
  auto closeFrame = [&] {
    if (frame >= 0)
      svg += format("<rect class=\"fold\" x=\"90\" y=\"%.1f\" width=\"870\" height=\"%.1f\" rx=\"10\"/>", frame, y - 6 - frame), y += 12;
    frame = -1;
  };
  for (size_t i = 0; i < sites.size(); ++i) {
    bool inLayers = number(*sites[i], "runs") / steps > 1.5;
    if (!inLayers)
      closeFrame();
    else if (frame < 0)
      frame = y + 2, y += 12;
    svg += boxOf(*sites[i], steps, y, most);
    y += 40;
    if (i + 1 < sites.size())
      svg += format("<line class=\"arrow\" x1=\"510\" y1=\"%.1f\" x2=\"510\" y2=\"%.1f\"/>", y - 10, y);
  }
  closeFrame();
  return format("<svg viewBox=\"0 0 1032 %.0f\" role=\"img\" aria-label=\"Loops of the step\">", y + 8) + svg + "</svg>";
}

// ---- Page -----------------------------------------------------------------------------------------------------------------

std::string fact(const std::string &value, const std::string &what) { return "<div class=\"fact\"><b>" + value + "</b><span>" + what + "</span></div>"; }

std::string factsOf(const Json &test) {
  const Json &profile = test["profile"], &limits = profile["limits"];
  double steps = std::max(number(profile, "steps"), 1.0), bytes = 0, bound = 0;
  for (const Json &site : profile["sites"])
    bytes += number(site, "bytes"), bound += number(site, "bound") * number(site, "share");
  std::string html = "<div class=\"facts\">" + fact(format("%.2f", number(test, "tokens_per_second")), "tokens/s") +
                     fact(format("%.2f ms", number(profile, "ns") / steps / 1e6), "a step") + fact(format("%.1f MB", bytes / steps / 1e6), "bytes a step") +
                     fact(format("%.0f %%", 100 * bound), "of the bound, all loops") +
                     fact(format("%.1f GB/s", number(limits, "read_bytes_per_second") / 1e9),
                          jsonMember(limits, "name") ? "limit: reads" : format("limit: reads, %.0f threads", number(limits, "threads")));
  for (const auto &[kind, peak] : limits["operations_per_second"].items())
    html += fact(format("%.0f Gop/s", peak.get<double>() / 1e9), "limit: " + escaped(kind));
  return html + "</div>";
}

std::string rowOf(const Json &site, double steps) {
  double ns = number(site, "ns"), share = number(site, "share"), bound = number(site, "bound");
  double waits = ns > 0 ? std::max(0.0, 1 - number(site, "busy_ns") / ns) : 0, bytes = number(site, "bytes"), operations = number(site, "operations");
  return "<tr>" + format("<td>%.1f %%<span class=\"bar\"><i style=\"width:%.1f%%\"></i></span></td><td>%.1f</td><td>%.1f %%</td><td>%g</td>", 100 * share,
                         100 * share, ns / steps / 1e3, 100 * waits, number(site, "runs") / steps) +
         format("<td>%.2f</td><td>%.2f</td><td>%.2f</td><td>%.2f</td>", bytes / steps / 1e6, ns > 0 ? bytes / ns : 0, operations / steps / 1e6,
                ns > 0 ? operations / ns : 0) +
         "<td>" + escaped(text(site, "arithmetic")) + "</td>" + format("<td>%.1f %%</td><td>", 100 * bound) + escaped(text(site, "bound_by")) + "</td><td>" +
         escaped(text(site, "name")) + "</td></tr>\n";
}

std::string tableOf(const Json &profile) {
  std::string html = "<div class=\"scroll\"><table><thead><tr><th>share</th><th>us a step</th><th>waits</th><th>loops</th><th>MB a step</th><th>GB/s</th>"
                     "<th>Mop a step</th><th>Gop/s</th><th>kind</th><th>of bound</th><th>bound by</th><th>loop</th></tr></thead><tbody>\n";
  for (const Json &site : profile["sites"])
    if (number(site, "runs") > 0)
      html += rowOf(site, std::max(number(profile, "steps"), 1.0));
  return html + "</tbody></table></div>";
}

std::string sectionOf(const Json &test) {
  const Json &profile = test["profile"];
  bool reads = number(test, "n_prompt") > 0;
  std::string title = reads ? format("Reading a prompt of %.0f tokens", number(test, "n_prompt")) : format("Generating %.0f tokens", number(test, "n_gen"));
  return "<h2>" + title + format(", %.0f threads</h2>", number(test, "threads")) +
         format("<p class=\"soft\">Mean of %.0f steps of up to %.0f tokens.</p>", number(profile, "steps"), number(profile, "max_tokens")) + factsOf(test) +
         "<h3>Roofline</h3><p class=\"soft\">A dot is a loop; its area is the time it takes, its colour the arithmetic. The line above a dot is what the machine allows "
         "it; a dot above its slope finds its bytes in a cache.</p>" + rooflineOf(profile) +
         "<h3>The step, loop by loop</h3><p class=\"soft\">From top to bottom as they run, a barrier between two; the fuller the colour, the longer. What stands in the frame "
         "runs once for each layer.</p>" + graphOf(profile) + "<h3>Loops by time</h3>" + tableOf(profile);
}

} // namespace

std::string tools::profilePage(const std::string &model, const std::string &machine, const Json &tests) {
  std::string html = "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><title>" + escaped(model) + ": where the time goes</title><style>" +
                     kStyle + "</style></head><body>\n<h1>" + escaped(model) + ": where the time goes</h1><p class=\"soft\">" + escaped(machine) +
                     "</p><p class=\"soft\">Bytes are those of weights, caches and recurrent states, once however often a loop reads them. Operations are what the kernels say of "
                     "themselves, a multiply-add two. The bound is the larger of bytes over bandwidth and operations over peak, both measured just before.</p>\n";
  for (const Json &test : tests)
    if (jsonMember(test, "profile"))
      html += sectionOf(test);
  return html + "</body></html>\n";
}
