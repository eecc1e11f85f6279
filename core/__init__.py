"""Mechanism: trains and measures one INR-GAN from one config. Knows no study, no MLflow and no Optuna."""

import os
import sys

_OURS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
# `python -m` of a module of ours, which was found elsewhere than where one stands: nothing there takes the place of a
# module, for it may be a folder from somebody else. A checkout is searched for itself.
if sys.argv[:1] == ["-m"] and sys.path and sys.path[0] == os.getcwd() != _OURS:  # noqa: PTH109
    del sys.path[0]
