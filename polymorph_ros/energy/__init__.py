"""Meters and the ledger of joules, seconds and adapters per frame."""
