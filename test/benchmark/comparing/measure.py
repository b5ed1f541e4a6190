"""Runs ours and the peers alternately, pair by pair, and sets each speed beside the bound that held at that time."""
import statistics

from . import limits, ours, peer, places, report

MISBUILT_DECODE, MISBUILT_PREFILL = 0.6, 0.5   # of the shares in rows.py


def bound(test, row, cost, bytes_per_second, all_limits):
    """Tokens per second that the machine allows."""
    if test.prefill:
        operations = limits.prefill_peak(all_limits, row.quant)[1]
        return operations / max(cost.prompt_operations, 1) or float("inf")
    context = test.depth + test.count / 2
    return test.sequences * bytes_per_second / cost.step_bytes_of(test.sequences, context)


def one_test(row, test, llmc, peers, settings, cost, all_limits):
    runners = [runner for runner in [*peers, llmc] if runner.supports(test)]
    if llmc not in runners:
        return None
    speeds = {runner.name: [] for runner in runners}
    bounds = []
    for runner in runners:   # warm up
        if runner is not llmc:
            runner.run(test)
    for _ in range(settings.pairs):
        for runner in runners:
            speeds[runner.name].append(runner.run(test))
        bounds.append(bound(test, row, cost, limits.read_now(settings.llmc, settings.now_threads), all_limits))
    result = {"row": row.name, "test": test.name, "prefill": test.prefill, "threads": settings.now_threads, "count": test.count,
              "depth": test.depth, "sequences": test.sequences, "bound": statistics.median(bounds), "step_bytes": cost.step_bytes,
              "prompt_operations": cost.prompt_operations, "peers": {}, **summary(speeds[llmc.name], bounds)}
    for runner in runners:
        if runner is not llmc:
            theirs = speeds[runner.name]
            result["peers"][runner.name] = {"ratio": report.ratio(speeds[llmc.name], theirs), **summary(theirs, bounds)}
    return result


def summary(samples, bounds):
    return {"tokens_per_second": statistics.median(samples), "samples": samples,
            "of_bound": statistics.median(s / b for s, b in zip(samples, bounds))}


def misbuilt(row, result, all_limits):
    """A line if llama.cpp reaches much less of this machine's bound than it is known to reach with the same features."""
    found, known = result["peers"].get("llama.cpp"), row.known(all_limits["operations_per_second"])
    if not found or not known or result["depth"] or result["sequences"] > 1 or result["threads"] > all_limits["threads"]:
        return None
    share = found["of_bound"]
    want = known.prefill * MISBUILT_PREFILL if result["prefill"] else known.decode * MISBUILT_DECODE
    if share >= want:
        return None
    return (f"llama.cpp reaches {share:.0%} of this machine's limit on {row.name}, {result['test']}, {result['threads']} threads; a good build "
            f"reaches at least {want:.0%}: it is misbuilt, or something else is running. Mend it before comparing.")


def start_of(row, model, settings, peers):
    """Load time, first token and memory; the second run finds the compiled model in the cache."""
    threads = settings.now_threads
    cold = None if settings.quick else ours.start(settings.llmc, model, threads, cached=False)
    ours.start(settings.llmc, model, threads, cached=True)
    warm = min((ours.start(settings.llmc, model, threads, cached=True) for _ in range(3)), key=lambda s: s["process_seconds"])
    return {"row": row.name, "threads": threads, "cold": cold, "warm": warm,
            "peers": {p.name: {k: p.about[k] for k in ("load_seconds", "first_token_seconds")} for p in peers}}


def open_peers(row, model, settings):
    """Those of --peers that know this row; one that fails is a warning, not the end of the run."""
    opened, failed = [], []
    for name, make in settings.peer_makers(row, model):
        try:
            opened.append(make())
        except (RuntimeError, SystemExit) as error:
            failed.append(f"{name} does not run {row.name}: {error}")
    return opened, failed


def row_results(row, model, tests, cost, settings, all_limits, results):
    peers, failed = open_peers(row, model, settings)
    results["warnings"] += failed
    results["versions"] = list(dict.fromkeys(results["versions"] + [p.about["version"] for p in peers]))
    llmc = ours.Llmc(settings.llmc, model, settings.now_threads)
    try:
        start = start_of(row, model, settings, peers)
        results["starts"].append(start)
        for test in tests:
            result = one_test(row, test, llmc, peers, settings, cost, all_limits)
            if result is None:
                places.say(f"{row.name}: this llmc's bench has no option for '{test.name}'; left out")
                continue
            results["tests"].append(result)
            warning = misbuilt(row, result, all_limits)
            results["warnings"] += [warning] if warning else []
            theirs = "".join(f", {name} {p['tokens_per_second']:.1f} (ratio {p['ratio']:.2f})" for name, p in result["peers"].items())
            places.say(f"{row.name}, {test.name}, {settings.now_threads} threads: llmc {result['tokens_per_second']:.1f} "
                       f"({result['of_bound']:.0%} of the bound){theirs}")
        start["peak_bytes"] = llmc.peak
    finally:
        for p in peers:
            p.close()
