"""The bodies of reports: a module each, which `Study.report` names and `reports.layouts` imports."""
