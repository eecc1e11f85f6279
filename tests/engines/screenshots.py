"""Writes docs/screenshots from the runs of a study: `python -m tests.engines.screenshots STUDY`.

Needs what the browser's tests need, an mlflow.db in the current folder, and a report.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from PIL import Image

from tests.support import browser as pages

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_BYTES, COLOURS = 250_000, 256
"""A larger screenshot is kept with a palette: its colours are then near the right ones."""
TALL = 1150
"""So high that images are seen below the parameters that MLflow puts over them."""


@click.command()
@click.argument("study")
@click.option("--runs", type=click.Path(path_type=Path, exists=True), default=Path("runs"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/screenshots"), show_default=True)
def main(study: str, runs: Path, out: Path) -> None:
    """Opens the pages of STUDY as docs/mlflow.md shows them."""
    out.mkdir(parents=True, exist_ok=True)
    with pages.served(Path.cwd(), runs.absolute(), study) as link, pages.browsing() as (page, _):
        pages.opened(page, link)
        pages.wait_for_bars(page)
        _keep(page, out / "variants.png")
        pages.opened(page, pages.view(link, "changes"))
        page.locator(".parcoords svg text").first.wait_for(state="attached")
        _keep(page, out / "changes.png")
        pages.opened(page, pages.view(link, "samples"))
        pages.wait_for_images(page, "samples", 4)
        page.set_viewport_size({"width": pages.WIDTH, "height": TALL})
        _keep(page, out / "samples.png")
        page.set_viewport_size({"width": pages.WIDTH, "height": pages.HEIGHT})
        pages.opened(page, link)
        pages.unfold_description(page)
        pages.wait_for_bars(page)
        _keep(page, out / "description.png")
        pages.open_report(page, link)
        # Where the folder is on this machine is nobody's business.
        page.get_by_text("Path:").first.evaluate("element => element.style.visibility = 'hidden'")
        _keep(page, out / "report.png")


def _keep(page: Page, file: Path) -> None:
    page.wait_for_timeout(4000)  # What is seen has been drawn, and what fades in has come.
    page.screenshot(path=file)
    if file.stat().st_size > MOST_BYTES:
        with Image.open(file) as picture:
            picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    click.echo(f"{file} {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
