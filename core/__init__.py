"""Mechanism: trains and measures one INR-GAN from one config. Knows no study, no MLflow and no Optuna."""

import sys

# `python -m core...` puts the working folder in front of Python's own modules, whatever lies there. Nothing may be
# imported before it is gone, so every package says this for itself.
if (
    sys.argv[:1] == ["-m"]
    and any(word.removeprefix("-m").startswith(f"{__name__}.") for word in sys.orig_argv)
    and not sys.flags.safe_path
    and __path__[0] != f"{sys.path[0]}/{__name__}"
):
    del sys.path[0]

from core.home import settle

settle()
