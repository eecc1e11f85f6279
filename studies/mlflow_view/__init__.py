"""The MLflow view of a plan's run folders: the same runs to browse, made anew from the folders at any time.

What asks whether something is shown loads no mlflow; `writing` and `connection` do.
"""
