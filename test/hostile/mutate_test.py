#!/usr/bin/env python3
"""mutate.py must find what it looks for. Ends with `N passed, N failed`."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
GOOD = os.path.join(HERE, "seeds", "GgufFuzz", "formats.gguf")
WHEN_DAMAGED = 'test -s "$1" || exit 1; cmp -s "$1" "$2" && exit 0; '


def mutate(script, *options, kind="gguf", file=GOOD):
    command = [sys.executable, os.path.join(HERE, "mutate.py"), "--kind", kind, "--file", file, "--count", "3", "--timeout", "2",
               *options, "--", "sh", "-c", script, "sh", "{}", file]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


class MutateTest(unittest.TestCase):
    def expect(self, script, wanted, *options):
        with tempfile.TemporaryDirectory() as folder:
            status, output = mutate(script, "--keep", folder, *options)
        self.assertEqual(status, 1, output)
        self.assertIn(wanted, output)
        self.assertTrue(output.endswith("0 passed, 3 failed\n"), output)

    def test_bears_a_careful_reader(self):
        for damaged_status in "013":
            status, output = mutate(WHEN_DAMAGED + f"echo refused >&2; exit {damaged_status}")
            self.assertEqual(status, 0, output)
            self.assertTrue(output.endswith("3 passed, 0 failed\n"), output)

    def test_finds_a_crash(self):
        self.expect(WHEN_DAMAGED + "kill -SEGV $$", "killed by signal 11")

    def test_finds_another_exit_status(self):
        self.expect(WHEN_DAMAGED + "echo oops >&2; exit 2", "exit status 2")

    def test_finds_a_missing_message(self):
        self.expect(WHEN_DAMAGED + "exit 1", "without a message")

    def test_finds_a_hang(self):
        self.expect(WHEN_DAMAGED + "sleep 30", "ran too long")

    def test_finds_wasted_memory(self):
        hog = f"exec {sys.executable} -S -c 'b = b\"1\" * (150 << 20)'"
        self.expect(WHEN_DAMAGED + hog, "peak memory")

    def test_refuses_a_command_that_fails_on_the_good_file(self):
        status, output = mutate("exit 1")
        self.assertEqual(status, 1)
        self.assertIn("the undamaged file fails", output)

    def test_damages_one_file_of_a_directory_and_not_the_original(self):
        with tempfile.TemporaryDirectory() as folder:
            name, other = os.path.join(folder, "tokenizer.json"), os.path.join(folder, "other")
            text = '{"a": [1, 2, 3], "b": {"c": "d"}}\n' * 10
            for path in (name, other):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            script = 'test -s "$1/tokenizer.json" || exit 1; cmp -s "$1/other" "$2" || exit 2'
            status, output = mutate(script, "--dir-template", folder, "--count", "30", kind="tokenizer", file=name)
            self.assertIn("passed, 0 failed", output)
            self.assertEqual(status, 0)
            with open(name, encoding="utf-8") as file:
                self.assertEqual(file.read(), text)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=1).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)
