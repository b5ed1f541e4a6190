"""A peer in a process of its own: it runs under its environment's Python, loads one model, and answers one JSON line a test."""
import json
import os
import subprocess

from . import places


class Peer:
    def __init__(self, name, python, script, options):
        self.name = name
        self.child = subprocess.Popen([python, os.path.join(places.HERE, script), json.dumps(options)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        self.about = self.answer()   # version, load_seconds, first_token_seconds

    def answer(self):
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with status {self.child.wait()}")
        found = json.loads(line)
        if "error" in found:
            raise RuntimeError(f"{self.name}: {found['error']}")
        return found

    def supports(self, test):
        return ("deep" in self.about["can"] or not test.depth) and ("many" in self.about["can"] or test.sequences == 1)

    def run(self, test):
        question = {"prefill": test.prefill, "count": test.count, "depth": test.depth, "sequences": test.sequences}
        self.child.stdin.write(json.dumps(question) + "\n")
        self.child.stdin.flush()
        return self.answer()["tokens_per_second"]

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def llama_cpp(python, model, threads):
    return Peer("llama.cpp", python, "llama_cpp_worker.py", {"model": model, "threads": threads})


def openvino(name, python, preset, weights, threads, precision):
    folder = places.openvino_folder(preset, weights, python)
    return Peer(name, python, "openvino_worker.py", {"folder": folder, "threads": threads, "precision": precision})
