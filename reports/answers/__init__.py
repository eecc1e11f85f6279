"""The figures that answer studies, a module for each kind of answer (`ablations.answers`)."""
