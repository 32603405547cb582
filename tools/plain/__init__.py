"""The plain twins: deterministic readers of a turn, used without a language model or when it fails."""
