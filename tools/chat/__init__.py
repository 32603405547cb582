"""The chat model: one port, what it may spend, and its stand-ins."""
