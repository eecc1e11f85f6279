"""Mechanism: trains and measures one INR-GAN from one config. Knows no study, no MLflow and no Optuna."""

from core.home import settle

settle()
