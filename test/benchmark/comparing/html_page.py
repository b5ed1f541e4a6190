"""One HTML file with bars for every row: no script, no dependency."""
import html

from . import report

COLOURS = ("#1f6f8b", "#c8553d", "#8a6fb0", "#6b8e23", "#b8860b")
BAR, LEFT, WIDTH = 16, 290, 620

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-size:13px}td,th{padding:.2em .7em;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}pre{background:#f4f4f4;padding:.6em;overflow:auto}"""


def bars(groups, unit):
    """`groups`: (label, [(series, value, text)], mark); the mark is a bound, drawn as a line across its bars."""
    top = max([value for _, series, mark in groups for value in [mark or 0] + [v for _, v, _ in series]], default=1) or 1
    names = list(dict.fromkeys(name for _, series, _ in groups for name, _, _ in series))
    parts, y = [], 24
    for i, name in enumerate(names):
        x = LEFT + i * 150
        parts.append(f'<rect x="{x}" y="2" width="11" height="11" fill="{COLOURS[i % len(COLOURS)]}"/><text x="{x + 16}" y="12">{html.escape(name)}</text>')
    for label, series, mark in groups:
        parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{html.escape(label)}</text>')
        begin = y
        for name, value, shown in series:
            width = WIDTH * value / top
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLOURS[names.index(name) % len(COLOURS)]}"/>'
                         f'<text x="{LEFT + width + 5:.1f}" y="{y + 12}">{html.escape(shown)}</text>')
            y += BAR
        if mark:
            x = LEFT + WIDTH * mark / top
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{begin - 2}" y2="{y}" stroke="#222" stroke-dasharray="3 2"/>')
        y += 9
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 150} {y}" font-family="system-ui,sans-serif" font-size="12" '
            f'role="img" aria-label="{html.escape(unit)}">{"".join(parts)}</svg>')


def plot(results, title, chosen):
    """Each test in shares of its bound: rows of very different speeds fit one scale."""
    groups = []
    for test in filter(chosen, results["tests"]):
        entries = [("llmc", test)] + list(test["peers"].items())
        series = [(name, e["of_bound"], f"{report.speed(e['tokens_per_second'])} t/s, {e['of_bound']:.0%}") for name, e in entries]
        groups.append((f"{test['row']}, {test['threads']}t" + ("" if test["test"] in ("decode",) else f", {test['test']}"), series, 1.0))
    return f"<h2>{html.escape(title)}</h2>{bars(groups, title)}" if groups else ""


def table(head, lines):
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return "<table><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + f"</tr>{rows}</table>"


def page(results):
    warnings = "".join(f"<p><b>Warning:</b> {html.escape(line)}</p>" for line in results["warnings"])
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>llmc and its peers, {results["date"]}</title><style>{STYLE}</style>'
            f'<h1>llmc and its peers, {results["date"]}</h1><p>{html.escape(report.machine_line(results))}</p>'
            f'<p>{html.escape("; ".join(results["versions"]))}</p><pre>{html.escape(results["command"])}</pre>{warnings}<p>{html.escape(report.NOTES)} '
            f'The dashed line is the bound.</p>'
            + plot(results, "Decode, share of the bytes' bound", lambda t: not t["prefill"])
            + plot(results, "Prompts, share of the arithmetic peak", lambda t: t["prefill"])
            + "<h2>All figures</h2>" + table(*report.table(results)) + "<h2>Start and memory</h2>" + table(*report.start_table(results))
            + "<h2>The machine's limits</h2>" + table(*report.limits_table(results)) + "</html>\n")
