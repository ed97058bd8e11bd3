"""Published data sets in the columns that our tasks ask for: one module a family of sets."""
