"""Runs a plan: the queue, the launchers and workers, live progress, and the MLflow view of the run folders."""
