#!/usr/bin/env python3
"""Compiled models on a GPU against the same libraries on the CPU, and how fast they are. Called by run.sh. Standard library only.

    check.py FOLDER [--device cuda] [--report REPORT.md] [--quick]

FOLDER: what make-artifacts.sh wrote. For each model and each way to launch a step: logits of a prompt at once and token by token; greedy ids;
sequences that go back, fork, and are kept by one side and continued by the other. Then decoding and prompts are timed. --quick: short sequences,
no timing (for emulated GPUs).
"""
import argparse
import array
import ctypes
import json
import os
import re
import subprocess
import sys
import time
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int32, c_int64, c_size_t, c_void_p

WANT_ALL = 2
EXACT_TOLERANCE = 2e-4    # of the largest logit: what the order of sums moves
DEFAULT_TOLERANCE = 0.08  # the CPU's default mode rounds activations, each processor its own way


class OpenOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("weights_path", c_char_p), ("isa", c_char_p), ("huge_pages", c_int32), ("device", c_char_p)]


class ModelInfo(Structure):
    _fields_ = [("struct_size", c_size_t), ("vocab", c_int64), ("hidden", c_int64), ("context", c_int64), ("weight_bytes", c_int64),
                ("max_step_tokens", c_int64), ("isa", c_char_p), ("library_path", c_char_p), ("weights_path", c_char_p),
                ("has_tokenizer", c_int32), ("device", c_char_p)]


class ContextOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("context", c_int64), ("slots", c_int64), ("threads", c_int32), ("checkpoints", c_int64)]


class EvalRequest(Structure):
    _fields_ = [("struct_size", c_size_t), ("tokens", POINTER(c_int32)), ("count", c_int64), ("slots", POINTER(c_int32)), ("slot", c_int32),
                ("want", c_int32), ("rows", c_void_p), ("row_count", c_int64), ("logits", POINTER(c_float)), ("hidden", POINTER(c_float)),
                ("on_rows", c_void_p), ("user", c_void_p), ("best", c_int64), ("best_logits", POINTER(c_float)), ("best_ids", POINTER(c_int32))]


class Failure(Exception):
    pass


def want(condition, message):
    if not condition:
        raise Failure(message)


class Library:
    """model.so; with a context of 3 slots on each device that was asked for."""

    def __init__(self, path):
        self.dll = ctypes.CDLL(path)
        self.dll.llmc_error_message.restype = c_char_p
        self.dll.llmc_state_bytes.restype = c_int64
        self.places = {}

    def call(self, name, *args):
        error = c_void_p()
        if getattr(self.dll, f"llmc_{name}")(*args, byref(error)):
            message = self.dll.llmc_error_message(error).decode()
            self.dll.llmc_error_free(error)
            raise Failure(f"llmc_{name}: {message}")

    def on(self, device):
        if device not in self.places:
            self.places[device] = Context(self, device)
        return self.places[device]

    def close(self):
        for place in self.places.values():
            place.close()


class Context:
    def __init__(self, library, device):
        self.library, self.model, self.handle = library, c_void_p(), c_void_p()
        options = OpenOptions(struct_size=ctypes.sizeof(OpenOptions), device=device.encode())
        library.call("model_open", byref(options), byref(self.model))
        self.info = ModelInfo(struct_size=ctypes.sizeof(ModelInfo))
        library.call("model_get_info", self.model, byref(self.info))
        sizes = ContextOptions(struct_size=ctypes.sizeof(ContextOptions), context=256, slots=3)
        library.call("context_create", self.model, byref(sizes), byref(self.handle))

    def close(self):
        self.library.dll.llmc_context_free(self.handle)
        self.library.dll.llmc_model_close(self.model)

    def call(self, name, *args):
        self.library.call(name, self.handle, *args)

    def eval(self, ids, slot=0):
        """The rows of logits."""
        vocab = self.info.vocab
        logits = (c_float * (len(ids) * vocab))()
        request = EvalRequest(struct_size=ctypes.sizeof(EvalRequest), tokens=(c_int32 * len(ids))(*ids), count=len(ids), slot=slot, want=WANT_ALL,
                              logits=logits)
        self.call("eval", byref(request))
        return array.array("f", bytes(logits))

    def best(self, ids, count, slot=0):
        """The best ids of the last row: only their panels cross the bus."""
        found = (c_int32 * count)()
        request = EvalRequest(struct_size=ctypes.sizeof(EvalRequest), tokens=(c_int32 * len(ids))(*ids), count=len(ids), slot=slot, want=1, best=count,
                              best_ids=found)
        self.call("eval", byref(request))
        return list(found)

    def profile(self, run):
        """What the context's steps say of their phases while `run` runs: llmc_profile_read."""
        text = c_void_p()
        self.call("profile_set", c_int32(1))
        try:
            run()
            self.call("profile_read", byref(text))
        finally:
            self.call("profile_set", c_int32(0))
        said = json.loads(ctypes.string_at(text.value))
        self.library.dll.llmc_free(text)
        return said

    def clear(self, slot=0):
        self.call("clear", c_int32(slot))

    def save(self, slot):
        size = self.library.dll.llmc_state_bytes(self.handle, c_int32(slot))
        memory = (ctypes.c_uint8 * size)()
        self.call("state_save", c_int32(slot), memory, c_int64(size))
        return memory

    def restore(self, slot, memory):
        self.call("state_restore", c_int32(slot), memory, c_int64(len(memory)))


def close(got, wanted, tolerance, what):
    scale = max(map(abs, wanted))
    worst = max(abs(a - b) for a, b in zip(got, wanted))
    want(len(got) == len(wanted) and worst == worst and worst <= tolerance * scale, f"{what}: off by {worst:.2e}, the largest is {scale:.1f}")
    return worst / scale


# ---- Checks of one model on one device ------------------------------------------------------------------------------


def check_device(cpu, gpu, _):
    place = gpu.info.device.decode()
    want(cpu.info.device == b"cpu" and place.startswith("cuda:"), f"it runs on {place}")
    return f"{place}, code for {gpu.info.isa.decode()}"


def check_logits(cpu, gpu, model):
    ids = model["ids"]
    cpu.clear(), gpu.clear()
    wanted, together = cpu.eval(ids), gpu.eval(ids)
    gpu.clear()
    alone = array.array("f")
    for i in ids:
        alone.extend(gpu.eval([i]))
    worst = close(together, wanted, model["tolerance"], "together"), close(alone, wanted, model["tolerance"], "one by one")
    return f"off by {worst[0]:.1e} together, {worst[1]:.1e} one by one"


def check_best(cpu, gpu, model):
    ids, vocab = model["ids"], gpu.info.vocab
    gpu.clear()
    row = gpu.eval(ids)[-vocab:]
    gpu.clear()
    gpu.eval(ids[:-1])
    got = gpu.best(ids[-1:], 8)
    # The last token was alone this time: other sums, so close ones may change places.
    worst = sorted(row, reverse=True)[7]
    slack = model["tolerance"] * max(map(abs, row))
    want(len(set(got)) == 8 and all(row[i] >= worst - slack for i in got), f"the best are {got}")


def check_sequences(cpu, gpu, model):
    ids, tolerance = model["ids"], model["tolerance"]
    half = len(ids) // 2
    for context in (cpu, gpu):
        context.clear(), context.clear(1), context.clear(2)
        context.eval(ids)
        context.call("rollback", c_int32(0), c_int64(half))
        context.call("fork", c_int32(0), c_int32(1))
    close(gpu.eval(ids[half:], 0), cpu.eval(ids[half:], 0), tolerance, "after rolling back")
    close(gpu.eval(ids[half:], 1), cpu.eval(ids[half:], 1), tolerance, "of a fork")
    kept, other = gpu.save(0), cpu.save(0)
    want(len(kept) == len(other), f"kept in {len(kept)} bytes and {len(other)}")
    cpu.restore(2, kept), gpu.restore(2, other)
    close(gpu.eval(ids[:4], 2), cpu.eval(ids[:4], 2), tolerance, "of what the other side kept")
    return f"{len(kept)} bytes kept"


def check_profile(cpu, gpu, model):
    """Each phase is timed as often as it runs, and steps that are timed give the same rows."""
    ids, rows = model["ids"][:8], []
    for context in (cpu, gpu):
        context.clear()
    wanted = cpu.eval(ids + ids[:1])
    profile = gpu.profile(lambda: rows.extend((gpu.eval(ids), gpu.eval(ids[:1]))))
    close(rows[0] + rows[1], wanted, model["tolerance"], "logits while phases are timed")
    versions = profile["versions"]
    want([v["steps"] for v in versions] == [1, 1], f"want two versions with a step each, got {[(v['max_tokens'], v['steps']) for v in versions]}")
    want(all(v["ns"] == sum(s["ns"] for s in v["sites"]) and any(s["runs"] > 1 for s in v["sites"]) for v in versions), "no phase ran for each layer")
    return f"{len(versions[0]['sites'])} phases, against {profile['limits']['name']}"


def llmc_run(folder, library, device, ids, count, *options):
    r = subprocess.run([f"{folder}/llmc-run", library, "--device", device, "--tokens", ",".join(map(str, ids)), "-n", str(count), "--temp", "0", "--ids",
                        "--ignore-eos", *options], capture_output=True, text=True, timeout=900)
    want(r.returncode == 0, f"llmc-run: exit {r.returncode}: {r.stderr.strip()[-300:]}")
    return [int(i) for i in r.stdout.strip().split(",")], r.stderr


def check_greedy(folder, library, device, model, count):
    wanted, _ = llmc_run(folder, library, "cpu", model["ids"], count)
    got, _ = llmc_run(folder, library, device, model["ids"], count)
    if got == wanted:
        return f"{count} ids"
    at = next(i for i, (a, b) in enumerate(zip(got, wanted)) if a != b)
    want(not model["exact"], f"differ from number {at} on: {got[at:at + 4]}, the CPU's are {wanted[at:at + 4]}")
    return f"{at} of {count} ids are the CPU's, which rounds otherwise in this mode"


# ---- Speed ----------------------------------------------------------------------------------------------------------


def speeds(folder, library, device, prompt, count):
    """(prompt tokens/s, generated tokens/s), the better of two runs."""
    best = [0.0, 0.0]
    for _ in range(2):
        _, said = llmc_run(folder, library, device, [i % 97 + 3 for i in range(prompt)], count, "-c", str(prompt + count + 64))
        found = re.search(r"cached, ([\d.]+) tokens/s.*generated \d+ tokens, ([\d.]+) tokens/s", said)
        want(found, f"llmc-run said no figures: {said.strip()[-200:]}")
        best = [max(a, float(b)) for a, b in zip(best, found.groups())]
    return best


class Card:
    """Name, driver and memory bandwidth, by the driver itself."""

    def __init__(self, index=0):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.check(self.cuda.cuInit(0))
        device, context, version, name = c_int32(), c_void_p(), c_int32(), ctypes.create_string_buffer(256)
        self.check(self.cuda.cuDeviceGet(byref(device), index))
        self.check(self.cuda.cuDeviceGetName(name, 255, device))
        self.check(self.cuda.cuDriverGetVersion(byref(version)))
        self.check(self.cuda.cuDevicePrimaryCtxRetain(byref(context), device))
        self.check(self.cuda.cuCtxPushCurrent_v2(context))
        self.name, self.driver = name.value.decode(), f"{version.value // 1000}.{version.value % 1000 // 10}"

    @staticmethod
    def check(code):
        want(code == 0, f"the driver returned {code}")

    def bandwidth(self, size=1 << 30, repeats=20):
        """Bytes a second that a copy inside the card reads and writes."""
        a, b = ctypes.c_uint64(), ctypes.c_uint64()
        for memory in (a, b):
            self.check(self.cuda.cuMemAlloc_v2(byref(memory), c_size_t(size)))
        copy = lambda: self.check(self.cuda.cuMemcpyDtoDAsync_v2(a, b, c_size_t(size), c_void_p()))
        copy()
        self.check(self.cuda.cuCtxSynchronize())
        start = time.perf_counter()
        for _ in range(repeats):
            copy()
        self.check(self.cuda.cuCtxSynchronize())
        seconds = time.perf_counter() - start
        for memory in (a, b):
            self.cuda.cuMemFree_v2(memory)
        return 2 * size * repeats / seconds


# ---- All of it ------------------------------------------------------------------------------------------------------


class Report:
    def __init__(self):
        self.lines, self.passed, self.failed = [], 0, 0

    def say(self, line=""):
        print(line, flush=True)
        self.lines.append(line)

    def check(self, name, function, *args):
        try:
            note = function(*args)
            self.passed += 1
            self.say(f"- ok: {name}" + (f": {note}" if note else ""))
        except (Failure, OSError, subprocess.TimeoutExpired) as e:
            self.failed += 1
            self.say(f"- **FAIL**: {name}: {e}")

    def finish(self, path):
        if path:
            with open(path, "w", encoding="utf-8") as f:
                f.write("\n".join(self.lines) + "\n")
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def check_model(report, folder, model, devices, quick):
    path = os.path.join(folder, model["library"])
    model = {**model, "tolerance": EXACT_TOLERANCE if model["exact"] else DEFAULT_TOLERANCE, "ids": model["ids"][:12 if quick else 64]}
    library = Library(path)
    for device in devices:
        for check in (check_device, check_logits, check_best, check_sequences, check_profile):
            name = f"{model['name']} on {device}: {check.__name__.removeprefix('check_')}"
            report.check(name, lambda: check(library.on("cpu"), library.on(device), model))
        report.check(f"{model['name']} on {device}: greedy ids", check_greedy, folder, path, device, model, 5 if quick else 96)
    library.close()


def time_model(report, folder, model, devices, bandwidth):
    path = os.path.join(folder, model["library"])
    gigabytes = model["weight_bytes"] / 1e9
    for device in devices:
        try:
            prompt, decode = speeds(folder, path, device, model.get("prompt", 64), model.get("count", 256))
        except (Failure, subprocess.TimeoutExpired) as e:
            report.say(f"| {model['name']} | {device} | {e} | | | |")
            continue
        share = f"{100 * decode * gigabytes * 1e9 / bandwidth:.0f} %" if bandwidth else ""
        report.say(f"| {model['name']} | {device} | {gigabytes:.2f} | {prompt:.0f} | {decode:.1f} | {share} |")


def profile_model(report, folder, model, device, most=8):
    """The phases of one token that take longest, against what the card's maker says."""
    library = Library(os.path.join(folder, model["library"]))
    context = library.on(device)
    context.eval([1, 2, 3, 4])
    profile = context.profile(lambda: [context.best([token], 1) for token in range(5, 69)])
    limits, version = profile["limits"], profile["versions"][0]
    report.say(f"\nOne token of {model['name']}, phase by phase: {version['ns'] / version['steps'] / 1e3:.0f} us with the launches between them. {limits['name']} reads "
               f"{limits['read_bytes_per_second'] / 1e9:.0f} GB/s.\n\n| us | runs | MB | GB/s | of the card | phase |\n| --- | --- | --- | --- | --- | --- |")
    for site in sorted(version["sites"], key=lambda site: -site["ns"])[:most]:
        rate = site["bytes"] / max(site["ns"], 1)
        share = 1e9 * rate / max(limits["read_bytes_per_second"], 1)
        report.say(f"| {site['ns'] / version['steps'] / 1e3:.1f} | {site['runs'] / version['steps']:.0f} | {site['bytes'] / version['steps'] / 1e6:.2f} | {rate:.0f} | "
                   f"{100 * share:.0f} % | {site['name']} |")
    library.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("--device", default="cuda")
    ap.add_argument("--report")
    ap.add_argument("--quick", action="store_true")
    a = ap.parse_args()
    folder = os.path.abspath(a.folder)
    with open(f"{folder}/index.json", encoding="utf-8") as f:
        index = json.load(f)
    devices = [f"{a.device}/persistent", f"{a.device}/graph"]
    report = Report()
    card = None
    if not a.quick:
        card = Card(int(a.device.partition(":")[2] or 0))
        report.say(f"# {card.name}, driver for CUDA {card.driver}\n\nllmc {index['commit']}, {time.strftime('%Y-%m-%d')}\n\n## Right\n")
    for model in index["models"]:
        check_model(report, folder, model, devices, a.quick)
    if card:
        bandwidth = card.bandwidth()
        report.say(f"\n## Fast\n\nA copy inside the card moves {bandwidth / 1e9:.0f} GB/s (read and written, 1 GiB; cuMemcpyDtoD). Tokens a second; the share is "
                   "weights read a second of that.\n\n| model | device | weights, GB | prompt | decoding | share |\n| --- | --- | --- | --- | --- | --- |")
        for model in [m for m in index["models"] if not m["exact"]] + index["big"]:
            time_model(report, folder, model, devices, bandwidth)
        for model in index["big"]:
            profile_model(report, folder, model, devices[0])
    return report.finish(a.report)


if __name__ == "__main__":
    sys.exit(main())
