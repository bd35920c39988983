"""Assay's collector: stores each event once, with its consent, and says which users and accounts qualify."""
