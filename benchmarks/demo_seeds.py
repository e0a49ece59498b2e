"""The demo over several seeds: does DIEN hold against DIN and popularity, and by how much?

    python benchmarks/demo_seeds.py --seeds 5 --out runs/demo_seeds

Runs `python -m deeprec_tf demo --seed K` for each seed (a finished seed is not run again), then
prints the test figures of every model as mean ± standard deviation, and the difference DIEN - DIN
seed by seed. Protocol: MovieLens, global time split 80/10/10, one uniform negative a positive,
validation chooses the epoch, the test part is read once.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

METRICS = ("auc", "gauc", "log_loss")


def run(seed, out, epochs):
    """Figures of one seed, from its metrics.json."""
    folder = out / f"seed_{seed}"
    if not (folder / "metrics.json").exists():
        command = [sys.executable, "-m", "deeprec_tf", "demo", "--seed", str(seed)]
        command += ["--out", str(folder)] + (["--epochs", str(epochs)] if epochs else [])
        subprocess.run(command, check=True)
    return json.loads((folder / "metrics.json").read_text())


def spread(values):
    """Mean ± standard deviation as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


def main():
    """Runs the seeds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=0, help="the demo's own when 0")
    parser.add_argument("--out", type=Path, default=Path("runs/demo_seeds"))
    arguments = parser.parse_args()
    results = [run(seed, arguments.out, arguments.epochs) for seed in range(arguments.seeds)]
    print(f"\n{'model':<12}" + "".join(f"{name:>20}" for name in METRICS))
    for model in results[0]["test"]:
        cells = [spread([one["test"][model][name] for one in results]) for name in METRICS]
        print(f"{model:<12}" + "".join(f"{cell:>20}" for cell in cells))
    gains = [one["test"]["DIEN"]["auc"] - one["test"]["DIN"]["auc"] for one in results]
    print(f"\nDIEN - DIN, AUC by seed: {', '.join(f'{gain:+.4f}' for gain in gains)}")
    print(f"mean {spread(gains)}; seconds {[round(one['seconds']['total']) for one in results]}")


if __name__ == "__main__":
    main()
