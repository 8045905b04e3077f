"""Coverage-guided fuzzing of what reads bytes from strangers, by atheris (libFuzzer).

    python benchmarks/fuzz.py --seconds 600                      # each target, 10 minutes in all
    python benchmarks/fuzz.py --target decode --seconds 3600
    python benchmarks/fuzz.py --seconds 600 --json out.json --corpus fuzz-corpus

A target fails if it raises anything but our own errors, breaks a promise, takes over 10 s or over
2 GB. The input that did so is kept in `--artifacts` and its command is printed. With `--corpus`,
what was found to reach new code is kept, for the next run. Exit code 1 if anything was found. Needs
the `fuzz` extra.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FUZZ = Path(__file__).parents[1] / "tests" / "fuzz"
sys.path[:0] = [str(FUZZ), str(FUZZ.parent)]


def main() -> None:
    from targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="in all, shared by the targets")
    parser.add_argument("--target", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--corpus", type=Path, help="a folder to go on with; by default a new one")
    parser.add_argument("--artifacts", type=Path, default=Path("fuzz-artifacts"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = []
    print(f"{'target':<10}{'runs':>12}{'seconds':>10}{'edges':>8}{'corpus':>8}  found")
    with tempfile.TemporaryDirectory() as temporary:
        for name in options.target:
            corpus = (options.corpus or Path(temporary)) / name
            corpus.mkdir(parents=True, exist_ok=True)
            seconds = max(1, options.seconds // len(options.target))
            result = fuzz(name, corpus, options.artifacts, seconds, options.seed)
            results.append(result)
            found = ", ".join(result["found"]) or ("nothing" if result["ok"] else "did not run")
            print(
                f"{name:<10}{result['runs']:>12,}{result['seconds']:>10}{result['edges']:>8}"
                f"{result['corpus']:>8}  {found}",
                flush=True,
            )
            if not result["ok"]:
                print(result["tail"], file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.exit(not all(result["ok"] for result in results))


def fuzz(name: str, corpus: Path, artifacts: Path, seconds: int, seed: int) -> dict[str, Any]:
    """Run one target in a process of its own, as libFuzzer ends the process that it runs in."""
    artifacts.mkdir(parents=True, exist_ok=True)
    before = set(artifacts.iterdir())
    done = subprocess.run(
        [
            sys.executable,
            str(FUZZ / "run_target.py"),
            name,
            str(corpus),
            f"-max_total_time={seconds}",
            f"-artifact_prefix={artifacts}/{name}-",
            f"-seed={seed}",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-max_len=16384",
            "-print_final_stats=1",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    edges = re.findall(r"cov: (\d+)", done.stderr)
    return {
        "target": name,
        "seconds": seconds,
        "runs": int(runs[-1]) if runs else 0,
        "edges": int(edges[-1]) if edges else 0,
        "corpus": sum(1 for _ in corpus.iterdir()),
        "found": sorted(path.name for path in set(artifacts.iterdir()) - before),
        "ok": done.returncode == 0,
        "tail": "\n".join(done.stderr.splitlines()[-30:]),
    }


if __name__ == "__main__":
    main()
