"""How long jobs take and commands took: measured, recorded, predicted, and made to fit a budget."""
