"""OpenVINO GenAI: its own times to the first token and per token after it."""
import importlib.metadata

import numpy
import openvino
import openvino_genai as api

from worker import serve, some_tokens


class OpenVino:
    def __init__(self, options):
        hint = options["precision"]
        self.version = "openvino-genai " + importlib.metadata.version("openvino-genai")
        properties = {"INFERENCE_NUM_THREADS": options["threads"], **({"INFERENCE_PRECISION_HINT": hint} if hint else {})}
        self.pipeline = api.LLMPipeline(options["folder"], "CPU", **properties)
        self.runs = 0

    def prompt(self, count):
        """Other ids each time, from the first on: a prompt that begins like an earlier one would be found in its cache."""
        self.runs += 1
        ids = [1000 + self.runs, *some_tokens(count + self.runs, 100000)[self.runs + 1:]]
        return openvino.Tensor(numpy.array([ids], dtype=numpy.int64))

    def seconds(self, question):
        config = api.GenerationConfig()
        config.ignore_eos, config.do_sample = True, False
        config.max_new_tokens = 1 if question["prefill"] else question["count"] + 1
        prompt = self.prompt(question["count"] if question["prefill"] else 1)
        metrics = self.pipeline.generate(prompt, config).perf_metrics
        if question["prefill"]:
            return metrics.get_ttft().mean / 1e3
        return metrics.get_tpot().mean / 1e3 * question["count"]


if __name__ == "__main__":
    serve(OpenVino, [])
