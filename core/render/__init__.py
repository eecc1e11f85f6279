"""Images of a trained run at any size: `python -m core.render RUN --out FILE` (docs/rendering.md)."""
