"""What the report of a study says: one module each, which `Study.report` names, and `reports.layouts` finds."""
