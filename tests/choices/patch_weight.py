"""Chooses the weight of the second discriminator's loss for the studies of dense patches; writes docs/patch_weight.md.

    python -m studies.run tests/choices/patch_weight.py --seeds 2000,2001 --no-report --runs weights
    python -m tests.choices.patch_weight --runs weights

The seeds are no study's. The rule, written when the first of these runs had ended: of 1, 1/2 and 1/4 the weight with
the smallest distance of patches among those with which whole images are at most 1.1 times as far as without patches,
geometric means over seeds.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from ablations.schema import Change, Study, change
from core.config import Consistency, Critic
from core.files import write_whole
from reports import stats
from reports.results import Results, load
from studies.click_life import Command
from studies.dense import BASE, BASE_TITLE, PATCH, TWICE
from studies.dense_patches import STUDY as DENSE_PATCHES
from studies.plan import settings_of

PAGE = Path(__file__).parents[2] / "docs" / "patch_weight.md"
BOUND = 1.1
WEIGHTS = {"one": 1.0, "half": 0.5, "quarter": 0.25}
AGREEING = {"agree_10": 10.0, "agree_30": 30.0}
MEASURED: dict[str, str | None] = {"whole images": None, "half of the side": TWICE, "a quarter": PATCH}
DECIBELS = "scales/psnr"


def trial(name: str, weight: float, agreeing: float | None = None) -> Change:
    """A second D of dense patches with this weight, and patches that agree with the image with that one."""
    after: dict[str, object] = {"critics": (Critic(name="patch", weight=weight),)}
    title = f"second D, weight {weight:g}"
    if agreeing is not None:
        after["consistency"] = Consistency(weight=agreeing)
        title += f", agreement {agreeing:g}"
    return change(BASE, name, title, after, group="weight")


STUDY = Study(
    name="patch_weight",
    title="The weight of a second discriminator",
    question="With which weight does a second discriminator of dense patches add most detail, whole images kept?",
    base=BASE,
    base_title=BASE_TITLE,
    changes=(
        *(trial(name, weight) for name, weight in WEIGHTS.items()),
        *(trial(name, 1.0, agreeing) for name, agreeing in AGREEING.items()),
    ),
    designs=("add_one_in",),
    report="patches",
    profiles=(DENSE_PATCHES.profile("cpu"),),
)


def ratios(results: Results, name: str) -> list[float]:
    """Every measure of a variant over the base's, geometric means of the ratios by seed."""
    base, variant = results.variant("baseline"), results.variant(name)
    assert base is not None and variant is not None

    def values(of: str | None, each: object) -> np.ndarray:
        return results.last(each) if of is None else results.last_of(each, of)  # type: ignore[arg-type]

    found = [stats.paired_effect(values(s, base), values(s, variant)).ratio for s in MEASURED.values()]
    return [ratio for ratio in found if ratio is not None]


def lines(results: Results) -> list[str]:
    """The page."""
    seeds = " and ".join(map(str, results.plan.seeds))
    found = {name: ratios(results, f"baseline+{name}") for name in (*WEIGHTS, *AGREEING)}
    allowed = [name for name in WEIGHTS if found[name][0] <= BOUND]
    chosen = min(allowed, key=lambda name: found[name][-1]) if allowed else None
    page = [
        "# The weight of a second discriminator's loss",
        "",
        f"By `python -m tests.choices.patch_weight`: seeds {seeds}, which no study uses, profile `cpu` of "
        "`dense_patches`. Distances over those without a second discriminator, geometric means of the ratios by seed; "
        "the rule, written when the first of these runs had ended: the least distance of patches of a quarter of the "
        f"side, whole images at most {BOUND:g}. Two seeds "
        "tell a factor of 1.1 from none only by luck: it is a choice, not a finding.",
        "",
        f"| second discriminator | {' | '.join(MEASURED)} | PSNR, dB |",
        f"|:--|{'--:|' * (len(MEASURED) + 1)}",
    ]
    for name in ("baseline", *found):
        variant = results.variant(name if name == "baseline" else f"baseline+{name}")
        assert variant is not None
        decibels = float(np.mean(results.last_of(variant, DECIBELS)))
        cells = ["1"] * len(MEASURED) if name == "baseline" else [f"{ratio:.2f}" for ratio in found[name]]
        mark = "**" if name == chosen else ""
        title = "none" if name == "baseline" else variant.title.removeprefix("second D, ")
        page.append(f"| {mark}{title}{mark} | {' | '.join(cells)} | {decibels:.1f} |")
    return [
        *page,
        "",
        "Agreement is the weight of the loss that keeps dense and coarse renders alike, beside weight 1. What makes "
        "them agree costs both distances at these weights, and nobody needs it: with every weight of the second "
        "discriminator the two agree to 30 dB.",
        "",
    ]


@click.command(cls=Command)
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="The folder of runs.")
def main(runs: Path) -> None:
    """Writes the page of the runs in that folder."""
    (setting,) = settings_of(runs, STUDY.name)
    write_whole(PAGE, "\n".join(lines(load(__file__, runs, setting))).encode())
    click.echo(f"written: {PAGE.name}")


if __name__ == "__main__":
    main()
