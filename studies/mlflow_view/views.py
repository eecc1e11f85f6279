"""What MLflow's pages of an experiment open with: its description, and saved views of its charts.

A saved view is what "Views, Save as new view" of MLflow's page writes: a tag of the experiment with the state of the
page as JSON (columns, order, search, grouping, charts). The page offers it under "Views", and opens with it where the
address has its key. The names in the state are those of MLflow 3.17.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablations.claims import Claim, Source
from ablations.schema import Study
from core.words import code_span
from studies.mlflow_view.attachments import IMAGES
from studies.mlflow_view.experiment import FIRST_VIEW
from studies.mlflow_view.fitting import EXPERIMENT_TAG, RUN_NAME, as_many, fitted
from studies.mlflow_view.fitting import TAG as RUN_TAG
from studies.plan import Plan
from studies.runner.tasks import Task

TAG = "mlflow.sharedViewState."
CHANGES_VIEW, SAMPLES_VIEW = "changes", "samples"
TITLE, REPORT = "title", "report"
"""The tag by which runs are grouped: what a variant is called, which its name does not say (`baseline`), and the one
of the run with the report."""
MOST_IMAGES = 10
"""Of so many runs MLflow's image charts show images, and leave out the others."""
LONGEST_PART = 4000
"""Of the description: the rest has to have room, too."""
SAMPLED, SHOWN, LEFT_OUT = "samples", "shown", "left out"
AS_MEASURED = {"xAxisKey": "step", "lineSmoothness": 0, "useGlobalLineSmoothing": True, "useGlobalXaxisKey": True}
"""A line chart in whose state these are absent is smoothed, and shows values that nobody measured."""


@dataclass(frozen=True)
class SavedView:
    """A saved view: the key in its address, its name under "Views", and the state it opens with. `lacking` says what a
    large study has and it has no room for."""

    key: str
    name: str
    state: Mapping[str, Any]
    lacking: str = ""

    @property
    def tag(self) -> str:
        """The experiment's tag that holds it."""
        return TAG + self.key

    def value(self, now: int) -> str:
        """The tag's value, as saved at `now`, in milliseconds."""
        # As it stands: a sign of a title that was escaped twice would take seven times its room.
        state = json.dumps(self.state, ensure_ascii=False)
        saved = {"name": self.name, "createdAt": now, "updatedAt": now, "state": state}
        return json.dumps(saved, ensure_ascii=False)

    def is_in(self, value: str) -> bool:
        """Whether a tag's value is this view, or what somebody saved over it, which is theirs to keep."""
        try:
            saved = json.loads(value)
            theirs = saved["updatedAt"] != saved["createdAt"]
            return theirs or (saved["name"], json.loads(saved["state"])) == (self.name, self.state)
        except (ValueError, KeyError, TypeError):
            return False


def saved_views(
    study: Study, plan: Plan, tasks: Sequence[Task], metric: str, parameters: Sequence[Mapping[str, str]]
) -> list[SavedView]:
    """The views of one plan's experiment; `parameters` are MLflow's, one mapping per task.

    MLflow draws no parallel coordinates and no images of groups: what averages seeds is a view of its own.
    """
    titles = list(dict.fromkeys(fitted(variant.title, RUN_TAG) for variant in plan.variants))

    def averaged(folded: Sequence[str]) -> SavedView:
        return SavedView(
            FIRST_VIEW,
            "Variants, seeds averaged",
            _state(
                metric,
                groupBy={"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": TITLE}]},
                groupsExpanded={f"tag.{TITLE}.{name}": False for name in (REPORT, *folded)},
                compareRunCharts=[
                    _chart("BAR", 1, metricKey=metric, runsCountToCompare=len(plan.variants)),
                    _chart("LINE", 2, metricKey=metric, scaleType="log", selectedMetricKeys=[metric], **AS_MEASURED),
                ],
                compareRunSections=_section("By variant, the mean of its seeds", columns=2, height=520),
            ),
            lacking=_lacking(len(folded), len(titles), "variants are folded to their means"),
        )

    views = [_as_large_as_fits(titles, averaged)]
    if axes := _axes(study, parameters):

        def differing(shown: Sequence[str]) -> SavedView:
            parallel = _chart("PARALLEL", 3, selectedParams=[*shown], selectedMetrics=[metric], showAllRuns=True)
            return SavedView(
                CHANGES_VIEW,
                "Changes on and off" if axes[0].startswith("change.") else "What differs",
                _state(
                    metric,
                    compareRunCharts=[parallel],
                    compareRunSections=_section("Every run", columns=1, height=440),
                ),
                lacking=_lacking(len(shown), len(axes), "parameters that differ have an axis"),
            )

        views.append(_as_large_as_fits(axes, differing))
    shown = sampled(study, plan, tasks)
    charts = [
        _chart("IMAGE", 4 + index, imageKeys=[key], step=max(task.job.config.iterations for task in shown))
        for index, key in enumerate(IMAGES)
    ]
    views.append(
        SavedView(
            SAMPLES_VIEW,
            f"Samples, seed {plan.seeds[0]}",
            _state(
                metric,
                searchFilter=f"tags.{SAMPLED} = '{SHOWN}'",
                orderByAsc=False,  # Image charts show the last run of the list first.
                compareRunCharts=charts,
                compareRunSections=_section("The same latents in every variant", columns=2, height=680),
            ),
        )
    )
    return views


def _as_large_as_fits(items: Sequence[str], view: Callable[[Sequence[str]], SavedView]) -> SavedView:
    """The view with as many of the first items as MLflow keeps in a tag."""
    return view(as_many(items, lambda shown: view(shown).value(10**12), EXPERIMENT_TAG))


def _lacking(shown: int, there: int, what: str) -> str:
    return "" if shown == there else f"the first {shown} of {there} {what}"


def _state(metric: str, **fields: Any) -> dict[str, Any]:
    """A page that shows all runs, the best first."""
    return {
        "orderByKey": f"metrics.`{metric}`",
        "orderByAsc": True,
        "searchFilter": "",
        "selectedColumns": [f"tags.`{TITLE}`", "tags.`seed`", "tags.`design`", f"metrics.`{metric}`"],
        "runsHiddenMode": "SHOW_ALL",
        "hideEmptyCharts": True,
        "useGroupedValuesInCharts": True,
        # Otherwise sections go by the alphabet, and losses lead.
        "isAccordionReordered": True,
        **fields,
    }


def _chart(kind: str, number: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"study-{number}",
        "metricSectionId": "study",
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 10,
        **fields,
    }


def _section(name: str, *, columns: int, height: int) -> list[dict[str, Any]]:
    """The first section; MLflow adds one for each prefix of the other metrics."""
    section = {"uuid": "study", "name": name, "display": True, "isReordered": True, "deleted": False}
    return [{**section, "isGenerated": False, "columns": columns, "cardHeight": height}]


def _axes(study: Study, parameters: Sequence[Mapping[str, str]]) -> list[str]:
    """The parameters that differ between runs: the changes, or what alternatives and searches put in their place."""
    keys = dict.fromkeys(key for run in parameters for key in run if key != "seed")
    differing = [key for key in keys if len({run.get(key) for run in parameters}) > 1]
    changes = [key for key in differing if key.startswith("change.")]
    return changes if changes and not study.groups else [key for key in differing if key not in changes]


def sampled(study: Study, plan: Plan, tasks: Sequence[Task]) -> list[Task]:
    """The runs of the view of samples, those with the tag `SAMPLED`, for searches know no lists of names: as many
    variants as image charts show, those that claims are about first, each with the first seed."""
    claimed = [name for claim in study.claims for name in claim.variants]
    first = {task.variant: task for task in tasks if task.seed == plan.seeds[0]}
    order = dict.fromkeys(name for name in (*claimed, *first) if name in first)
    return [first[name] for name in order][:MOST_IMAGES]


# --- the description --------------------------------------------------------------------------------------------------


def description(
    study: Study,
    plan: Plan,
    metric: str,
    pages: Mapping[str, str],
    report: str | None,
    lacking: Iterable[str] = (),
) -> str:
    """The experiment's description, in Markdown: the question, the deck's words, and where everything is.

    `pages` are the addresses of views by their names, `report` that of the report's artifacts once there is one,
    `lacking` what MLflow has no room for. Of more quotes than it has room for the first are there.
    """
    profile = study.profile(plan.profile)
    views = ", ".join(f"[{name}]({page})" for name, page in pages.items())
    proxy = " It is a proxy, not an FID." if metric in ("fd_rooms", "fd_imagenet") else ""
    there = f"[report.pdf]({report})" if report else "comes when the study has ended"
    short = [f"MLflow has room for so much: {part}." for part in lacking if part]
    deck_words = list(_quotes(study.claims, study.source))

    def written(quotes: Sequence[str]) -> str:
        return "\n\n".join(
            [
                fitted(study.question, LONGEST_PART),
                *quotes,
                *(["There are more quotes; the report has them."] if len(quotes) < len(deck_words) else []),
                f"**Report:** {there}, in the artifacts of the run *{report_name(study)}*; also in "
                f"`reports/{plan.study}/{plan.setting}/` below the folder of runs. It has the intervals and the "
                "verdicts.",
                " ".join([f"**Charts:** {views}. The same are under *Views*, top right.", *short]),
                f"**By hand:** *Group by*, then the tag *{TITLE}*, averages seeds. Tick runs and press *Compare* for "
                f"two variants side by side. Each change is a parameter `change.…`, on or off; tags say `{TITLE}`, "
                "`variant` (the name in commands), `seed` and `design`.",
                f"**Metric:** {code_span(metric)}, lower is better.{proxy} "
                f"{fitted(profile.caveat or '', LONGEST_PART)}".strip(),
            ]
        )

    return fitted(written(as_many(deck_words, written, EXPERIMENT_TAG)), EXPERIMENT_TAG)


def report_name(study: Study) -> str:
    """What the run is called that has the report."""
    return fitted(f"Report: {study.title}", RUN_NAME)


def _quotes(claims: Iterable[Claim], source: Source | None) -> list[str]:
    """The deck's words as quotes, each slide named once."""
    slides: dict[str, list[str]] = {}
    for each in [claim.source for claim in claims if claim.source] or [*filter(None, [source])]:
        slides.setdefault(each.slide, [])
        if each.words not in slides[each.slide]:
            slides[each.slide].append(each.words)
    return [
        f"The deck's slide *{slide}* says:\n\n" + "\n>\n".join(f"> “*{words}*”" for words in quotes)
        for slide, quotes in slides.items()
    ]
