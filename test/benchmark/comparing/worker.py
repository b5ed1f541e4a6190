"""What the workers of all peers share: the ids, and the loop that answers questions. Runs under a peer's Python."""
import json
import os
import sys
import time


def some_tokens(count, vocab):
    """The ids that `llmc bench` takes."""
    ids, state = [], 1
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        ids.append((state >> 33) % vocab)
    return ids


def serve(make, can):
    """`make(options)` loads a model; its `seconds(question)` runs a test. Libraries print what they like: to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        out.write(json.dumps(value) + "\n")
        out.flush()

    begin = time.perf_counter()
    try:
        peer = make(json.loads(sys.argv[1]))
        loaded = time.perf_counter()
        first = peer.seconds({"prefill": True, "count": 16, "depth": 0, "sequences": 1})
    except Exception as error:  # whatever a peer raises is for the other side to report
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"version": peer.version, "load_seconds": loaded - begin, "first_token_seconds": first, "can": can})
    for line in sys.stdin:
        question = json.loads(line)
        answer({"tokens_per_second": question["count"] * question["sequences"] / peer.seconds(question)})
