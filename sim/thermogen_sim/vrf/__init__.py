"""The prover of verifiable random functions, compiled alone."""
