"""``make mutants``: a seeded sample of mutants, tried one after another, resumable."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from tests.mutants import results
from tests.mutants.population import Mutant, product_files, sample
from tests.mutants.trials import Copy, TreeFails, Trial

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "mutants"
_Noted = Callable[[Mutant, Trial], None]


def main(arguments: Sequence[str]) -> int:
    """Tries the mutants without a result. Exit code 1: fewer were noticed than the target."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--seed", default="1", help="chooses the mutants; any text")
    parser.add_argument("--count", type=_positive, default=200, help="how many mutants")
    parser.add_argument("--workers", type=_positive, default=1, help="how many at a time")
    parser.add_argument("--seconds", type=_positive, default=600, help="for the tests of each")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    parser.add_argument("--only", default="", help="only files whose path begins so")
    chosen = parser.parse_args(arguments)
    mutants = sample(ROOT, product_files(ROOT), chosen.seed, chosen.count)
    folder = BUILD / "".join(c if c.isalnum() else "-" for c in chosen.seed)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "results.json"
    trials = results.read(file)
    reviewed = results.reviews()
    left = [
        each
        for each in mutants
        if each.path.startswith(chosen.only)
        and not results.is_reviewed(each, reviewed)
        and (
            each.identity not in trials
            or (chosen.again and trials[each.identity].outcome != "killed")
        )
    ]

    def noted(mutant: Mutant, trial: Trial) -> None:
        trials[mutant.identity] = trial
        results.note(file, mutant, trial)
        done = sum(each.identity in trials for each in mutants)
        _say(
            f"{done}/{len(mutants)} {trial.outcome} {trial.seconds:.0f} s {trial.by}\n"
            f"  {mutant.path}:{mutant.line}\n  - {mutant.before}\n  + {mutant.after}"
        )

    try:
        _try(left, chosen.workers, chosen.seconds, noted)
    except TreeFails as failure:
        _say(str(failure))
        return 2
    result = results.score(mutants, trials, reviewed)
    text = results.summary(mutants, trials, result)
    (folder / "summary.txt").write_text(text)
    _say(text)
    return 0 if result.share >= results.TARGET else 1


def _try(mutants: Sequence[Mutant], workers: int, seconds: float, noted: _Noted) -> None:
    if not mutants:
        return
    copies = SimpleQueue[Copy]()
    for number in range(1, min(workers, len(mutants)) + 1):
        copies.put(Copy(ROOT, BUILD / f"worker-{number}", seconds))

    def tried(mutant: Mutant) -> Trial:
        copy = copies.get()
        try:
            return copy.trial(mutant)
        finally:
            copies.put(copy)

    with ThreadPoolExecutor(min(workers, len(mutants))) as pool:
        running = {pool.submit(tried, mutant): mutant for mutant in mutants}
        try:
            for future in as_completed(running):
                noted(running[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 upwards")
    return number


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
