"""llmc, as its users run it: `llmc bench` for speeds, `llmc run` for the start and for memory."""
import json
import re
import subprocess
import tempfile
import time


class Llmc:
    name = "llmc"

    def __init__(self, command, model, threads):
        self.command, self.model, self.threads = command, model, threads
        self.peak = {"anonymous": 0, "rss": 0}   # bytes, of all runs

    def supports(self, test):
        """Whether this build's bench knows the options that the test needs."""
        text = subprocess.run([self.command, "bench", "--help"], capture_output=True, text=True, check=True).stdout
        return (not test.depth or "--depth" in text) and (test.sequences == 1 or "--sequences" in text)

    def run(self, test):
        """Tokens per second."""
        sizes = ["-p", test.count, "-n", 0] if test.prefill else ["-p", 0, "-n", test.count]
        if test.depth:
            sizes += ["--depth", test.depth]
        if test.sequences > 1:
            sizes += ["--sequences", test.sequences]
        command = [self.command, "bench", self.model, *map(str, sizes), "-r", "1", "-t", str(self.threads), "-o", "json"]
        status, out, err, peak = watched(command, 0.05)
        if status:
            raise SystemExit(f"{' '.join(command)}: exit status {status}\n{err.strip()}")
        self.peak = {key: max(value, peak[key]) for key, value in self.peak.items()}
        return json.loads(out)[-1]["tokens_per_second"]

    def close(self):
        pass


def watched(command, period):
    """Exit status, stdout, stderr and peak memory in bytes, which is looked at every `period` seconds."""
    peak = {"anonymous": 0, "rss": 0}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen(command, stdout=out, stderr=err)
        while True:
            for key, value in memory_of(child.pid).items():
                peak[key] = max(peak[key], value)
            try:
                child.wait(period)
                break
            except subprocess.TimeoutExpired:
                continue
        out.seek(0), err.seek(0)
        return child.returncode, out.read(), err.read(), peak


def start(command, model, threads, cached, context=2048):
    """One token after a prompt of 16: seconds of the whole process, to load and to the first token, and peak bytes."""
    words = [command, "run", model, "--tokens", ",".join(str(i) for i in range(3, 19)), "-n", "1", "-t", str(threads), "--temp", "0", "--ids",
             "--ignore-eos", "-c", str(context)]
    begin = time.perf_counter()
    status, _, message, peak = watched(words + ([] if cached else ["--no-cache"]), 0.002)
    seconds = time.perf_counter() - begin
    first = re.search(r"first token after ([0-9.]+) ms", message)
    if status or not first:
        raise SystemExit(f"{' '.join(words)}: exit status {status}\n{message.strip()}")
    first_token = float(first[1]) / 1e3
    return {"process_seconds": seconds, "load_seconds": max(seconds - first_token, 0.0), "first_token_seconds": first_token,
            "anonymous_bytes": peak["anonymous"], "rss_bytes": peak["rss"]}


def memory_of(pid):
    """Bytes now, or nothing if the process has just ended."""
    try:
        text = open(f"/proc/{pid}/status", encoding="utf-8").read()
    except OSError:
        return {}
    found = dict(re.findall(r"^(RssAnon|VmHWM):\s+(\d+) kB", text, re.M))
    return {"anonymous": int(found.get("RssAnon", 0)) * 1024, "rss": int(found.get("VmHWM", 0)) * 1024}


def version(command):
    """As it says itself: the commit that was built, whatever is checked out now."""
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout.strip()
