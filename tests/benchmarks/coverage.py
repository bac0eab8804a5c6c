"""How often the interval over seeds and examples together holds the difference that new seeds on a new test set would show.

Tables of runs are made whose true difference is known: two strategies with n seeds each answer the same examples, and how
well a seed does, how hard an example is, and how both go together are drawn. `python -m tests.benchmarks.coverage` prints
the table of `docs/statistics.md`; `--tables 500` takes a tenth of the time.
"""

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from peftcli.report.statistics import examples, weighted
from peftcli.report.statistics.contrast import Sample, contrast
from peftcli.report.statistics.examples import RESAMPLES, Resampled

Array = Any
POSITIVE = 0.3  # of the examples are of the positive class
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(60)  # expectations over a standard normal number


@dataclass(frozen=True)
class World:
    """Where tables come from. An answer is right where quality + example + noise is above 0 (the last two in standard normals).

    `quality` of the two strategies; `seeds_vary` is the deviation of a seed's quality, half of whose variance both sides
    share where they are `paired`. Of an example's difficulty (variance 1 with the noise) `shared` is the same for both
    strategies, `own` the strategy's, the same for each of its seeds; the rest is each run's. `words` an example where it is
    a sentence: then half of what is shared is the sentence's. Correlations have numbers instead of answers: reference plus
    that difficulty, the louder the worse the quality.
    """

    metric: str
    seeds: int
    examples: int = 300
    quality: tuple[float, float] = (1.0, 0.8)
    seeds_vary: float = 0.05
    shared: float = 0.5
    own: float = 0.2
    paired: bool = True
    words: int | None = None


def score_of(metric: str, quality: Array) -> Array:
    """What a seed of this quality scores on endlessly many examples."""
    if metric in ("pearson", "spearman"):
        r = 1 / np.sqrt(1 + np.exp(-2 * quality))
        return r if metric == "pearson" else 6 / np.pi * np.arcsin(r / 2)
    right = special.ndtr(quality)
    hits, predicted = POSITIVE * right, POSITIVE * right + (1 - POSITIVE) * (1 - right)
    f1 = 2 * hits / (POSITIVE + predicted)
    if metric in ("accuracy", "f1"):
        return right if metric == "accuracy" else f1
    if metric == "f1_macro":
        return (f1 + 2 * (1 - POSITIVE) * right / (2 - POSITIVE - predicted)) / 2
    assert metric == "matthews"
    return (hits - POSITIVE * predicted) / np.sqrt(POSITIVE * (1 - POSITIVE) * predicted * (1 - predicted))


def truth(world: World) -> float:
    """The difference of the two strategies' mean scores over all seeds, on endlessly many examples."""
    means = [
        score_of(world.metric, q + world.seeds_vary * NODES) @ NODE_WEIGHTS / NODE_WEIGHTS.sum() for q in world.quality
    ]
    return float(means[0] - means[1])


def runs(world: World, source: np.random.Generator) -> tuple[list[list[Array]], Array, Array | None]:
    """Make a table: each strategy's predictions, a row a seed; the references; and the words of each sentence."""
    lengths = None if world.words is None else source.integers(1, 2 * world.words, world.examples)
    rows = world.examples if lengths is None else int(lengths.sum())
    common = source.normal(size=rows)
    if lengths is not None:
        common = (common + np.repeat(source.normal(size=world.examples), lengths)) / np.sqrt(2)
    together = source.normal(size=world.seeds) if world.paired else None
    numbers = world.metric in ("pearson", "spearman")
    references = source.normal(size=rows) if numbers else (source.random(rows) < POSITIVE).astype(int)
    strategies = []
    for quality in world.quality:
        apart = source.normal(size=world.seeds)
        seed = apart if together is None else (apart + together) / np.sqrt(2)
        noise = np.sqrt(1 - world.shared - world.own) * source.normal(size=(world.seeds, rows))
        difficulty = np.sqrt(world.shared) * common + np.sqrt(world.own) * source.normal(size=rows) + noise
        level = (quality + world.seeds_vary * seed)[:, None]
        made = (
            references + np.exp(-level) * difficulty
            if numbers
            else np.where(level + difficulty > 0, references, 1 - references)
        )
        strategies.append(list(made))
    return strategies, references, lengths


def resampled(
    world: World, predictions: list[Array], references: Array, weights: Array, lengths: Array | None
) -> Resampled:
    """Score runs on the examples and on their resamples, as a report does."""
    whole = np.column_stack([np.ones(len(weights), dtype=np.float32), weights])
    scores = weighted.scores(world.metric, predictions, references, whole, lengths)
    return Resampled(dict(enumerate(scores[:, 0].tolist())), scores[:, 1:], world.examples)


def percentiles(one: Resampled, other: Resampled, paired: bool, source: np.random.Generator) -> tuple[float, float]:
    """The plain Multi-Bootstrap's interval: seeds and examples drawn together, and the middle 95 % of the differences."""
    seeds, resamples = one.resampled.shape
    drawn = source.integers(0, seeds, (2, seeds, resamples))
    drawn[1] = drawn[0] if paired else drawn[1]
    each = np.arange(resamples)
    means = [side.resampled[rows, each].mean(0) for side, rows in zip((one, other), drawn, strict=True)]
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return float(low), float(high)


def tables(world: World, count: int, seed: int = 0) -> Iterator[tuple[Resampled, Resampled]]:
    """Yield the two strategies' scores of as many tables."""
    source = np.random.default_rng([seed, world.seeds])
    # A report draws the same resamples for all tables of as many examples, too.
    weights = weighted.draw(world.examples, RESAMPLES, np.random.default_rng(1))
    for _ in range(count):
        strategies, references, lengths = runs(world, source)
        one, other = (resampled(world, each, references, weights, lengths) for each in strategies)
        yield one, other


def covered(world: World, count: int) -> float:
    """The share of tables whose interval holds the true difference; without an interval a table does not count."""
    difference = truth(world)
    intervals = [examples.joint(one, other, world.paired) for one, other in tables(world, count)]
    return float(np.mean([each.low <= difference <= each.high for each in intervals if each is not None]))


def coverage(world: World, count: int) -> dict[str, float]:
    """The share of tables whose interval holds the true difference, by way of making one.

    `width` is the mean width of ours in points, `over seeds` that of the one over seeds alone; `tables` how many had one.
    """
    difference, source = truth(world), np.random.default_rng(2)
    holds: dict[str, list[bool]] = {"together": [], "over seeds": [], "percentiles": []}
    widths = []
    for one, other in tables(world, count):
        ours = examples.joint(one, other, world.paired)
        samples = [Sample.of(side.values) for side in (one, other)]
        over_seeds = contrast(samples[0], samples[1], world.paired).interval()  # type: ignore[arg-type]
        if ours is None or over_seeds is None:
            continue
        widths.append(100 * (ours.high - ours.low))
        ways = (ours.low, ours.high), over_seeds, percentiles(one, other, world.paired, source)
        for way, (low, high) in zip(holds, ways, strict=True):
            holds[way].append(low <= difference <= high)
    shares = {way: float(np.mean(each)) for way, each in holds.items()}
    return {**shares, "width": float(np.mean(widths)), "tables": len(widths)}


# Seeds vary little, about as much as a test set of this size, and much more.
SEEDS_VARY = {"little": 0.02, "alike": 0.1, "much": 0.4}
EVERY = (3, 5, 10)
KINDS = (
    ("accuracy", World("accuracy", 3), EVERY),
    ("Pearson", World("pearson", 3), EVERY),
    ("accuracy, other seeds on each side", World("accuracy", 3, paired=False), (3,)),
    ("accuracy, seeds agree on examples", World("accuracy", 3, shared=0.38, own=0.6), (3,)),
    ("F1", World("f1", 3), (3,)),
    ("Matthews", World("matthews", 3), (3,)),
    ("macro F1 of words", World("f1_macro", 3, words=10, examples=150), (3,)),
    ("Spearman", World("spearman", 3), (3,)),
)
FEWER = ("f1", "f1_macro", "matthews", "spearman")  # they take longer: a fifth of the tables


def main() -> None:
    """Print the coverage of every kind of table in markdown, in percent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=5000, help="how many tables of each kind")
    asked = parser.parse_args().tables
    print("| metric | seeds vary | n | together | seeds alone | plain percentiles | width | tables |")
    print("| --- | --- | --: | --: | --: | --: | --: | --: |")
    for name, kind, counts in KINDS:
        for vary, deviation in SEEDS_VARY.items():
            for n in counts:
                world = replace(kind, seeds=n, seeds_vary=deviation)
                share = coverage(world, asked // 5 if kind.metric in FEWER else asked)
                rates = " | ".join(
                    f"{100 * share[way]:.1f} ± {100 * math.sqrt(share[way] * (1 - share[way]) / share['tables']):.1f}"
                    for way in ("together", "over seeds", "percentiles")
                )
                print(
                    f"| {name} | {vary} | {n} | {rates} | {share['width']:.1f} | {share['tables']:,.0f} |", flush=True
                )


if __name__ == "__main__":
    main()
