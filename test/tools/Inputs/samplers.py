"""samplers.py MODEL LLMC LLMC-RUN: each sampler changes what is drawn, repeatably, and llmc and llmc-run draw alike."""
import subprocess
import sys

BASE = {"-p": "One windy evening the old fox", "-n": "48", "--temp": "1.6", "--top-k": "0", "--top-p": "1", "--min-p": "0", "--seed": "9"}
SAMPLERS = [["--repeat-penalty", "1.5"], ["--presence-penalty", "1"], ["--frequency-penalty", "1"], ["--no-repeat-ngram", "1"],
            ["--logit-bias", "5+20"], ["--dry-multiplier", "2", "--dry-allowed-length", "0", "--dry-sequence-breaker", "none"],
            ["--dry-multiplier", "2", "--dry-allowed-length", "0"], ["--typical", "0.3"], ["--top-nsigma", "0.05"], ["--top-k", "3"], ["--top-p", "0.5"],
            ["--min-p", "0.9"], ["--xtc-probability", "1", "--xtc-threshold", "0.05"], ["--dynatemp-range", "1"],
            ["--temp-schedule", "0:2,20:0.3"], ["--mirostat", "1", "--mirostat-ent", "2"], ["--mirostat", "2", "--mirostat-ent", "2"],
            ["--top-p", "0.5", "--samplers", "temperature;top_p"]]


def ids(program, options):
    given = BASE | dict(zip(options[::2], options[1::2]))
    command = program + [sys.argv[1], "--ids", "-q"] + [word for pair in given.items() for word in pair]
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


plain = ids([sys.argv[2], "run"], [])
for options in SAMPLERS:
    drawn = ids([sys.argv[2], "run"], options)
    assert drawn == ids([sys.argv[3]], options), f"{options}: llmc and llmc-run differ"
    assert drawn != plain, f"{options}: nothing changed"
