"""Attestation: sealed epochs, witnesses that nobody chose, and what a stranger recomputes. docs/attestation.md is the protocol."""
